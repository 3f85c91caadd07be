"""Rules that try: a random perturbation is repeated as far as it lowered the loss (reward = -L).

The noise follows from the rule's seed and from the weights, states and drives that the rule is
given, by a hash. So a rule holds no state: the same fixed points give the same change, a resumed
run repeats its own, and each new batch or change of the weights brings new noise.
"""

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from ratenet.connectivity.base import Change, as_change, scaled
from ratenet.fixed_points import FixedPoints
from ratenet.network import Network
from ratenet.plasticity.base import AbstractEuclideanRule, Traits
from ratenet.plasticity.loss import Loss, required
from ratenet.plasticity.phases import both_settled, settled_at
from ratenet.plasticity.proposal import LeftOut, Proposal
from ratenet.validation import check_positive, check_seed, check_whole

REINFORCED = Traits(
    "Euclidean in W, in expectation", needs_loss=True, uses_error=False, is_mean=False
)


@dataclass(frozen=True)
class NodePerturbation(AbstractEuclideanRule):
    """Reward-based learning: perturb each unit's input, reinforce what lowers the loss.

        left = mean over trials of (L(x + sigma xi) - L(x - sigma xi)) / (2 sigma) xi
        dW   = -eta mean(left y^T),     xi ~ N(0, 1) of each sample, unit and trial

    L(x) is the loss at the fixed point of the drive x.

    Parameters
    ----------
    sigma : float
        Size of the perturbation, in the SI unit of the drive; small beside the drive.
    trials : int
        Number of perturbations per sample.
    seed : int
        Seed of the noise.

    Notes
    -----
    The expectation is `Euclidean`, up to sigma^2. One trial of one sample scatters about it with
    the variance y_j^2 (|lambda|^2 + lambda_i^2), about N times its square. Cost: 2 batches of fixed
    points a trial.

    References
    ----------
    Widrow and Lehr 1990; Werfel, Xie and Seung 2005, Neural Comput. 17:2699.

    Examples
    --------
    >>> import torch, ratenet as rn
    >>> fp = rn.find_fixed_points(rn.Network("linear", [[0.5]]), [1.0])  # y = 2
    >>> def loss(rates):
    ...     return rates.square().sum(dim=1) / 2  # one per stimulus
    >>> rule = NodePerturbation(trials=5)
    >>> bool(rule.update(fp, fp.rates, learning_rate=0.1, loss=loss) < 0)  # W shrinks, as y does
    True
    """

    sigma: float = 0.01
    trials: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        _check(self)

    @property
    def traits(self) -> Traits:
        """Euclidean, in expectation."""
        return REINFORCED

    def change(
        self, fp: FixedPoints, error: Tensor, learning_rate: float, loss: Loss | None = None
    ) -> Proposal:
        """Return -eta mean(left y^T)."""
        loss = required(loss, type(self).__name__)
        generator, total = noise_of(fp, self.seed), torch.zeros_like(fp.rates)
        left_out = LeftOut()
        for _ in range(self.trials):
            xi = _normal(fp.rates, generator)
            up = settled_at(fp, fp.drive + self.sigma * xi)
            down = settled_at(fp, fp.drive - self.sigma * xi)
            settled, missing = both_settled(up, down, "NodePerturbation")
            left_out = max(left_out, missing)
            left = (_difference(loss, up, down) / (2 * self.sigma))[:, None] * xi
            total[settled] += left[settled] / int(settled.sum())
        sum_over_trials = fp.network.connectivity.accumulate(total, fp.rates)
        return Proposal(scaled(sum_over_trials, -learning_rate / self.trials), *left_out)


@dataclass(frozen=True)
class WeightPerturbation(AbstractEuclideanRule):
    """Reward-based learning: perturb each weight, reinforce what lowers the batch's mean loss.

        dW = -eta mean over trials of (L(W + sigma psi) - L(W - sigma psi)) / (2 sigma) psi

    with psi ~ N(0, 1) of each parameter and trial, L the mean loss at the samples' fixed points.

    Parameters
    ----------
    sigma : float
        Size of the perturbation, in the SI unit of the weights; small beside them.
    trials : int
        Perturbations of the weights.
    seed : int
        Seed of the noise.

    Notes
    -----
    The expectation is `Euclidean`, up to sigma^2; a trial scatters about it with the variance
    |grad|^2 + grad_ij^2, about N^2 times its square. Where weights are constrained, so are the
    perturbed ones. Cost: 2 batches of fixed points per trial.

    References
    ----------
    Jabri and Flower 1992; Cauwenberghs 1993; Werfel, Xie and Seung 2005, Neural Comput. 17:2699.

    Examples
    --------
    >>> import torch, ratenet as rn
    >>> fp = rn.find_fixed_points(rn.Network("linear", [[0.5]]), [1.0])  # y = 2
    >>> def loss(rates):
    ...     return rates.square().sum(dim=1) / 2  # one per stimulus
    >>> rule = WeightPerturbation(trials=5)
    >>> bool(rule.update(fp, fp.rates, learning_rate=0.1, loss=loss) < 0)  # W shrinks, as y does
    True
    """

    sigma: float = 0.01
    trials: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        _check(self)

    @property
    def traits(self) -> Traits:
        """Euclidean, in expectation."""
        return REINFORCED

    def change(
        self, fp: FixedPoints, error: Tensor, learning_rate: float, loss: Loss | None = None
    ) -> Proposal:
        """Return the mean over trials."""
        loss = required(loss, type(self).__name__)
        generator, given = noise_of(fp, self.seed), fp.network.connectivity.parameters
        total = {name: torch.zeros_like(value) for name, value in given.items()}
        left_out = LeftOut()
        for _ in range(self.trials):
            psi = {name: _normal(value, generator) for name, value in given.items()}
            step = scaled(as_change(psi), self.sigma)
            up = settled_at(fp, fp.drive, _perturbed(fp.network, step))
            down = settled_at(fp, fp.drive, _perturbed(fp.network, scaled(step, -1.0)))
            settled, missing = both_settled(up, down, "WeightPerturbation")
            left_out = max(left_out, missing)
            slope = float(_difference(loss, up, down)[settled].mean()) / (2 * self.sigma)
            total = {name: value + slope * psi[name] for name, value in total.items()}
        return Proposal(scaled(as_change(total), -learning_rate / self.trials), *left_out)


def noise_of(fp: FixedPoints, seed: int) -> torch.Generator:
    """Return the generator, on the CPU, that follows from a seed, weights, states and drives."""
    digest = hashlib.blake2b(str(seed).encode(), digest_size=8)
    for tensor in (*fp.network.connectivity.parameters.values(), fp.state, fp.drive):
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return torch.Generator().manual_seed(int.from_bytes(digest.digest()) >> 1)  # below 2**63


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    """Return normal numbers shaped as a tensor, which do not depend on its device and dtype."""
    return torch.randn(like.shape, generator=generator, dtype=torch.float64).to(like)


def _perturbed(network: Network, change: Change) -> Network:
    given = network.connectivity.parameters.items()
    copied = network.connectivity.with_parameters({n: t.detach().clone() for n, t in given})
    copied.add_(change)
    return network.changed(W=copied)


def _difference(loss: Loss, one: FixedPoints, other: FixedPoints) -> Tensor:
    return loss(one.rates) - loss(other.rates)


def _check(rule: NodePerturbation | WeightPerturbation) -> None:
    check_positive(rule.sigma, "sigma")
    check_whole(rule.trials, "trials")
    check_seed(rule.seed)
