"""Mirror descent: gradient steps in dual weights, grad psi(W), of a potential psi.

    grad psi(W + dW) = grad psi(W) - eta dL/dW

To first order dW = -eta (hess psi)^{-1} dL/dW: the metric is the potential's Hessian, which the
distribution of the weight changes shows.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ratenet.connectivity.base import AbstractConnectivity, Change, as_change
from ratenet.errors import InputError, UnsupportedError
from ratenet.fixed_points import FixedPoints
from ratenet.plasticity.base import AbstractRule, Traits
from ratenet.plasticity.euclidean import Euclidean
from ratenet.plasticity.loss import Loss
from ratenet.plasticity.proposal import Proposal
from ratenet.validation import check_positive


class AbstractPotential(ABC):
    """A convex function psi of each weight by itself; your own defines these three.

    Examples
    --------
    >>> class Square(AbstractPotential):
    ...     formula = "w^2 / 2"
    ...
    ...     def gradient(self, weights):
    ...         return weights
    ...
    ...     def inverse(self, dual, weights):
    ...         return dual
    >>> rule = MirrorDescent(Square())  # the same as `Euclidean`
    >>> Square().curvature(torch.tensor([2.0]))
    tensor([1.])
    """

    @property
    @abstractmethod
    def formula(self) -> str:
        """What psi is; a short text."""

    @abstractmethod
    def gradient(self, weights: Tensor) -> Tensor:
        """Return the dual weights psi'(w), shaped like the weights.

        Parameters
        ----------
        weights : Tensor
            Weights, in any shape.
        """

    @abstractmethod
    def inverse(self, dual: Tensor, weights: Tensor) -> Tensor:
        """Return the weights of other dual ones.

        Parameters
        ----------
        dual : Tensor
            Dual weights psi'(w).
        weights : Tensor
            The weights before the step, for a potential of which each sign is a piece by itself.
        """

    def curvature(self, weights: Tensor) -> Tensor:
        """Return psi''(w), shaped like the weights: here by differentiation of `gradient`.

        Parameters
        ----------
        weights : Tensor
            Weights, in any shape.
        """
        with torch.enable_grad():
            leaf = weights.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.gradient(leaf).sum(), leaf)
        return slope


@dataclass(frozen=True)
class PNorm(AbstractPotential):
    """psi = |w|^p / p: dual weights sign(w) |w|^{p - 1}.

    Parameters
    ----------
    p : float
        Above 1. With 2 mirror descent is `Euclidean`; above 2 large weights change less, and small
        ones more.

    Examples
    --------
    >>> PNorm(3.0).gradient(torch.tensor([0.5, -2.0]))
    tensor([ 0.2500, -4.0000])
    """

    p: float = 3.0

    def __post_init__(self) -> None:
        check_positive(self.p, "p")
        if not self.p > 1:
            raise InputError.at("p", got=self.p, expected="a number above 1 (a convex potential)")

    @property
    def formula(self) -> str:
        """|w|^p / p."""
        return f"|w|^{self.p:g} / {self.p:g}"

    def gradient(self, weights: Tensor) -> Tensor:
        """Return sign(w) |w|^{p - 1}."""
        return weights.sign() * weights.abs() ** (self.p - 1)

    def inverse(self, dual: Tensor, weights: Tensor) -> Tensor:
        """Return sign(z) |z|^{1 / (p - 1)}."""
        return dual.sign() * dual.abs() ** (1 / (self.p - 1))

    def curvature(self, weights: Tensor) -> Tensor:
        """Return (p - 1) |w|^{p - 2}."""
        return (self.p - 1) * weights.abs() ** (self.p - 2)


@dataclass(frozen=True)
class NegativeEntropy(AbstractPotential):
    """psi = |w| log |w|: dual weights sign(w) (1 + log |w|); signs and zeros stay.

    Examples
    --------
    >>> potential, weights = NegativeEntropy(), torch.tensor([0.5, -2.0])
    >>> potential.inverse(potential.gradient(weights), weights)
    tensor([ 0.5000, -2.0000])
    """

    @property
    def formula(self) -> str:
        """|w| log |w|."""
        return "|w| log |w|"

    def gradient(self, weights: Tensor) -> Tensor:
        """Return sign(w) (1 + log |w|), 0 at 0."""
        size = torch.where(weights == 0, 1.0, weights.abs())
        return weights.sign() * (1 + size.log())

    def inverse(self, dual: Tensor, weights: Tensor) -> Tensor:
        """Return s exp(s z - 1), s = sign(w)."""
        sign = weights.sign()
        return sign * torch.exp(sign * dual - 1)

    def curvature(self, weights: Tensor) -> Tensor:
        """Return 1 / |w|."""
        return 1 / weights.abs()


@dataclass(frozen=True)
class MirrorDescent(AbstractRule):
    """Gradient descent in the dual weights of a potential.

        grad psi(W + dW) = grad psi(W) - eta dL/dW,     dL/dW as in Euclidean

    Parameters
    ----------
    potential : AbstractPotential
        `PNorm`, `NegativeEntropy` or your own.

    Raises
    ------
    UnsupportedError
        If W is not linear in its parameters, as a product of factors is not: the potential is one
        of weights.

    Notes
    -----
    The step is finite: not proportional to the learning rate. Cost: that of `Euclidean`.

    References
    ----------
    Nemirovski and Yudin 1983; Pogodin et al. 2023, Synaptic weight distributions depend on the
    geometry of plasticity, arXiv 2305.19394.

    Examples
    --------
    >>> import torch, ratenet as rn
    >>> fp = rn.find_fixed_points(rn.Network("linear", [[0.5]]), [1.0])  # y = 2
    >>> error = torch.ones(1, 1, dtype=torch.float64)
    >>> MirrorDescent(PNorm(3.0)).update(fp, error, learning_rate=0.1)
    tensor([[-0.8873]], dtype=torch.float64)
    """

    potential: AbstractPotential = field(default_factory=PNorm)

    @property
    def traits(self) -> Traits:
        """The potential's Hessian."""
        metric = f"Hessian of the potential {self.potential.formula} of each weight w"
        return Traits(metric, is_proportional=False)

    def squared_lengths(self, fp: FixedPoints, delta: Change) -> Tensor:
        """Return sum psi''(w) dw^2, the same at each fixed point."""
        return _curved_length(self.potential, fp, delta)

    def change(
        self, fp: FixedPoints, error: Tensor, learning_rate: float, loss: Loss | None = None
    ) -> Proposal:
        """Return the finite step in each weight."""
        return mirrored(self, self.potential, fp, error, learning_rate)


@dataclass(frozen=True)
class ExponentiatedGradient(AbstractRule):
    """Changes of weights in proportion to the weights; signs and zeros stay.

        W + dW = W exp(-eta sign(W) dL/dW),     dL/dW as in Euclidean

    Raises
    ------
    UnsupportedError
        If W is not linear in its parameters, as a product of factors is not.

    Notes
    -----
    `MirrorDescent` with `NegativeEntropy`: Dale's law is kept, and weights become log-normal. The
    step is finite: not proportional to the learning rate. Cost: that of `Euclidean`.

    References
    ----------
    Kivinen and Warmuth 1997, Inf. Comput. 132:1; Cornford et al. 2024, Brain-like learning with
    exponentiated gradients.

    Examples
    --------
    >>> import torch, ratenet as rn
    >>> fp = rn.find_fixed_points(rn.Network("linear", [[0.5]]), [1.0])  # y = 2
    >>> error = torch.ones(1, 1, dtype=torch.float64)
    >>> ExponentiatedGradient().update(fp, error, learning_rate=0.1)
    tensor([[-0.1648]], dtype=torch.float64)
    """

    @property
    def traits(self) -> Traits:
        """Entropy."""
        metric = "1/|w| in each weight w, the Hessian of |w| log |w|"
        return Traits(metric, is_proportional=False)

    def squared_lengths(self, fp: FixedPoints, delta: Change) -> Tensor:
        """Return sum dw^2 / |w|, the same at each fixed point."""
        return _curved_length(NegativeEntropy(), fp, delta)

    def change(
        self, fp: FixedPoints, error: Tensor, learning_rate: float, loss: Loss | None = None
    ) -> Proposal:
        """Return W (exp(-eta sign(W) dL/dW) - 1)."""
        return mirrored(self, NegativeEntropy(), fp, error, learning_rate)


def mirrored(
    rule: AbstractRule,
    potential: AbstractPotential,
    fp: FixedPoints,
    error: Tensor,
    learning_rate: float,
) -> Proposal:
    """Return the change of the parameters by a step in their dual ones."""
    connectivity = fp.network.connectivity
    _check_linear(connectivity, type(rule).__name__)
    gradient = Euclidean().change(fp, error, learning_rate)
    steps = connectivity.named(gradient.delta)
    changes = {}
    for name, weights in connectivity.parameters.items():
        dual = potential.gradient(weights)
        # Rounding on the way there and back cancels, so that no error gives no change.
        back = potential.inverse(dual, weights)
        changes[name] = potential.inverse(dual + steps[name], weights) - back
    return gradient._replace(delta=as_change(changes))


def _curved_length(potential: AbstractPotential, fp: FixedPoints, delta: Change) -> Tensor:
    """Return sum psi''(w) dw^2 over all parameters; weights that stay add 0, also those at 0."""
    connectivity, total = fp.network.connectivity, fp.rates.new_zeros(())
    for name, change in connectivity.named(delta).items():
        curvature = potential.curvature(connectivity.parameters[name])
        total = total + torch.where(change == 0, 0.0, curvature * change.square()).sum()
    return total.expand(len(fp))


def _check_linear(connectivity: AbstractConnectivity, rule: str) -> None:
    """Refuse parameters of which W is not a linear function, by Euler's theorem.

    With v = W r, the gradient of v^T W r along the parameters is |v|^2 times the degree of W.
    """
    generator = torch.Generator().manual_seed(0)
    r = torch.randn(1, connectivity.units, generator=generator, dtype=torch.float64)
    r = r.to(dtype=connectivity.dtype, device=connectivity.device)
    v = connectivity.apply(r)
    gradient = connectivity.named(connectivity.accumulate(v, r))
    along = sum(float((gradient[n] * t).sum()) for n, t in connectivity.parameters.items())
    size = float((v**2).sum())
    if abs(along - size) > 1e-3 * size:
        raise UnsupportedError(
            f"{rule}: it is defined for weights, and the parameters "
            f"{', '.join(connectivity.parameters)} of {type(connectivity).__name__} are none: W is "
            "not linear in them; use dense, masked, signed or convolutional weights."
        )
