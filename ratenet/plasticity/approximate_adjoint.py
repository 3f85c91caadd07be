"""Rules that put something simpler in the place of the adjoint lambda = G (e + W^T lambda)."""

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from ratenet.connectivity import Dense
from ratenet.connectivity.base import Change
from ratenet.fixed_points import FixedPoints
from ratenet.plasticity.base import AbstractRule, Traits, descent
from ratenet.plasticity.euclidean import solved_adjoint
from ratenet.plasticity.loss import Loss
from ratenet.plasticity.proposal import Proposal
from ratenet.validation import check_positive, check_seed, check_whole


@dataclass(frozen=True)
class TruncatedAdjoint(AbstractRule):
    """The first terms of the adjoint's Neumann series.

        lambda = sum_{j=0}^{k} (G W^T)^j G e,       dW = -eta mean(lambda y^T)

    Parameters
    ----------
    terms : int
        k, at least 0. With k = 0, lambda = G e: the Jacobian-free gradient, local in each synapse.

    Notes
    -----
    Tends to `Euclidean` as k grows where the spectral radius of G W is below 1; elsewhere the
    series diverges, though the network may be stable. Cost: k products with the transposed W.

    References
    ----------
    Fung et al. 2022, JFB: Jacobian-free backpropagation for implicit networks, arXiv 2103.12803;
    Geng et al. 2021, On training implicit models (phantom gradients), arXiv 2111.05177.

    Examples
    --------
    >>> import torch, ratenet as rn
    >>> network = rn.Network("linear", [[0.5]])
    >>> fp = rn.find_fixed_points(network, [1.0])  # y = 2, lambda = (1 + 0.5) e
    >>> TruncatedAdjoint(1).update(fp, torch.ones(1, 1, dtype=torch.float64), learning_rate=0.1)
    tensor([[-0.3000]], dtype=torch.float64)
    """

    terms: int = 0

    def __post_init__(self) -> None:
        check_whole(self.terms, "terms", least=0)

    @property
    def traits(self) -> Traits:
        """Euclidean, nearly."""
        return Traits(f"none; nears Euclidean in W as terms grow (here {self.terms})")

    def change(
        self, fp: FixedPoints, error: Tensor, learning_rate: float, loss: Loss | None = None
    ) -> Change:
        """Return -eta mean(lambda y^T)."""
        adjoint = fp.gain * error
        for _ in range(self.terms):
            adjoint = fp.gain * (error + fp.network.connectivity.apply_transpose(adjoint))
        return descent(fp, adjoint, fp.rates, learning_rate)


@dataclass(frozen=True)
class FeedbackAlignment(AbstractRule):
    """Backpropagate errors at the fixed point through a fixed random matrix B in place of W^T.

        lambda = G (e + B lambda),       dW = -eta mean(lambda y^T)

    The error e itself, which a read-out may have sent back through its own transposed weights, is
    taken as it is given.

    Parameters
    ----------
    radius : float
        Spectral radius of B, whose entries are N(0, radius^2 / N), in the unit of W.
    seed : int
        Seed of B, which is drawn on the CPU and does not depend on device and dtype.

    Notes
    -----
    Samples whose I - G B is singular to working precision are left out with a warning. Cost: a
    batched GMRES, about 20 products with B, and N^2 random numbers.

    References
    ----------
    Lillicrap et al. 2016, Nat. Commun. 7:13276 (feedforward networks); here at a recurrent fixed
    point, where the adjoint equation's W^T is replaced.

    Examples
    --------
    >>> import torch, ratenet as rn
    >>> fp = rn.find_fixed_points(rn.Network("linear", [[0.5]]), [1.0])  # y = 2
    >>> error = torch.ones(1, 1, dtype=torch.float64)
    >>> FeedbackAlignment(radius=0.5).update(fp, error, learning_rate=0.1)
    tensor([[-0.8715]], dtype=torch.float64)
    """

    radius: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        check_positive(self.radius, "radius")
        check_seed(self.seed)

    @property
    def traits(self) -> Traits:
        """No metric."""
        return Traits("none: the adjoint passes through a random matrix, no gradient of a loss")

    def feedback(self, units: int) -> Tensor:
        """Return B, shape (N, N), in float64.

        Parameters
        ----------
        units : int
            N.
        """
        generator = torch.Generator().manual_seed(self.seed)
        normal = torch.randn(units, units, generator=generator, dtype=torch.float64)
        return self.radius / units**0.5 * normal

    def change(
        self, fp: FixedPoints, error: Tensor, learning_rate: float, loss: Loss | None = None
    ) -> Proposal:
        """Return -eta mean(lambda y^T)."""
        W = Dense(self.feedback(fp.network.units).to(fp.rates).T.contiguous())
        network = fp.network.changed(W=W)
        through = dataclasses.replace(
            fp, network=network, version=network.version, mean_response=None
        )
        adjoint, solved, left_out = solved_adjoint(through, error, "FeedbackAlignment")
        return Proposal(descent(fp, adjoint, fp.rates[solved], learning_rate), *left_out)
