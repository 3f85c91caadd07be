"""The reparameterized rules: descent in A = (G^{-1} - W)^{-1}, whose border is det A = 0.

For a linear network y = A x, so a squared loss is convex in A. Steepest descent there, mapped
back to W, is rule 2. Where all gains are 1 its first order in the learning rate is rule 3, which is
gradient descent on W under a non-Euclidean metric and needs no linear solve; rule 4 has fewer
factors of the gain. The left factors of the three are (I - W G) G^a e with a = -1 (first order of
rule 2), 0 (rule 4) and 1 (rule 3): at other gains they are different rules.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ratenet.connectivity import Dense
from ratenet.connectivity.base import Change, weight_change
from ratenet.errors import SingularError, UnsupportedError
from ratenet.fixed_points import FixedPoints
from ratenet.plasticity.base import AbstractRule, Traits, descent
from ratenet.plasticity.loss import Loss
from ratenet.plasticity.proposal import Proposal


@dataclass(frozen=True)
class Reparameterized(AbstractRule):
    """Exact finite gradient step on the response matrix A = (1/G - W)^-1 (rule 2).

        M = G^{-1} - W,   grad_A = mean(e (M y)^T),
        dW = M - (M^{-1} - eta grad_A)^{-1} = -(I - eta M grad_A)^{-1} eta M grad_A M

    so that A(W + dW) = A(W) - eta grad_A exactly.

    Raises
    ------
    UnsupportedError
        If W is not dense, or the samples' gains differ, as in a nonlinear network.
    SingularError
        If a gain is 0, or the step leaves the invertible matrices.

    References
    ----------
    Zhu and Rosenbaum 2024, Neural Computation 36(8), arXiv 2307.06732, delta W2.

    Examples
    --------
    >>> import torch, ratenet as rn
    >>> fp = rn.find_fixed_points(rn.Network("linear", [[0.5]]), [1.0])  # y = 2
    >>> error = torch.ones(1, 1, dtype=torch.float64)
    >>> Reparameterized().update(fp, error, learning_rate=0.1)
    tensor([[-0.0263]], dtype=torch.float64)
    """

    @property
    def traits(self) -> Traits:
        """Euclidean in the response."""
        return Traits("Euclidean in A = (1/G - W)^-1", is_proportional=False)

    def change(
        self, fp: FixedPoints, error: Tensor, learning_rate: float, loss: Loss | None = None
    ) -> Change:
        """Return the finite step for gains that all samples share."""
        connectivity = fp.network.connectivity
        if not isinstance(connectivity, Dense):
            raise UnsupportedError(
                f"Reparameterized: the exact step is defined for dense weights, not for "
                f"{type(connectivity).__name__}; use LinearizedReparameterized."
            )
        gain = self._shared_gain(fp)
        M = torch.diag(1 / gain) - connectivity.W
        x = fp.rates @ M.T  # (B, N): the drive that A maps to the rates
        product = learning_rate * M @ (error.T @ x / len(x))  # eta M grad_A
        matrix = torch.eye(len(M), dtype=M.dtype, device=M.device) - product
        solution, info = torch.linalg.solve_ex(matrix, product @ M)
        if int(info) != 0 or not torch.isfinite(solution).all():
            raise SingularError(
                "Reparameterized: this step makes A singular; use a smaller learning rate."
            )
        return -solution

    def squared_lengths(self, fp: FixedPoints, delta: Change) -> Tensor:
        """Return |A dW A|^2, the squared size of the change of A to first order."""
        return _response_lengths(fp, delta)

    def _shared_gain(self, fp: FixedPoints) -> Tensor:
        gain = fp.gain[0]
        if not torch.allclose(fp.gain, gain.expand_as(fp.gain), rtol=1e-6, atol=0.0):
            raise UnsupportedError(
                "Reparameterized: the samples' gains differ, as in a nonlinear network, and the "
                "exact step is defined for shared gains only; use LinearizedReparameterized."
            )
        if (gain == 0).any():
            raise SingularError(
                "Reparameterized: a unit has gain 0, and the exact step divides by gains; use "
                "LinearizedReparameterized."
            )
        return gain


@dataclass(frozen=True)
class FirstOrderReparameterized(AbstractRule):
    """First order of the gradient step on the response matrix A = (1/G - W)^-1 of each sample.

        left  = M e,     right = M^T M y,     M = G^{-1} - W
        dW    = -eta mean(left right^T)

    Raises
    ------
    SingularError
        If every sample has a unit of gain 0; a few that have are left out, and counted.

    Notes
    -----
    The member a = -1 of the family of left factors (I - W G) G^a e, of which
    `GainFreeReparameterized` has a = 0 and `LinearizedReparameterized` a = 1; where all gains are
    1 the three are one rule. Where all samples share their gains it is what `Reparameterized`
    becomes at small learning rates. For one sample with its gains held fixed it is steepest
    descent in |dA| = |A dW A|. It divides by gains twice, so saturated units make huge changes.
    Cost: three products with W or W^T per batch.

    References
    ----------
    Zhu and Rosenbaum 2024, Neural Computation 36(8), arXiv 2307.06732, where delta W3 is derived
    for a linear network.

    Examples
    --------
    >>> import torch, ratenet as rn
    >>> fp = rn.find_fixed_points(rn.Network("linear", [[0.5]]), [1.0])  # y = 2, M = 0.5
    >>> error = torch.ones(1, 1, dtype=torch.float64)
    >>> FirstOrderReparameterized().update(fp, error, learning_rate=0.1)
    tensor([[-0.0250]], dtype=torch.float64)
    """

    @property
    def traits(self) -> Traits:
        """Euclidean in the response."""
        return Traits("Euclidean in A = (1/G - W)^-1 of each sample, where no gain is 0")

    def squared_lengths(self, fp: FixedPoints, delta: Change) -> Tensor:
        """Return |A dW A|^2."""
        return _response_lengths(fp, delta)

    def change(
        self, fp: FixedPoints, error: Tensor, learning_rate: float, loss: Loss | None = None
    ) -> Proposal:
        """Return -eta mean(left right^T) over the samples in which no gain is 0."""
        usable = (fp.gain != 0).all(dim=1)
        missing = int((~usable).sum())
        if missing == len(fp):
            raise SingularError(
                "FirstOrderReparameterized: a unit has gain 0 in every sample, and this rule "
                "divides by gains; use LinearizedReparameterized."
            )
        reason = (
            f"FirstOrderReparameterized: {missing} of {len(fp)} samples are left out, since a unit "
            "has gain 0 in them and this rule divides by gains."
        )
        W, g, y, e = fp.network.connectivity, fp.gain[usable], fp.rates[usable], error[usable]
        left = e / g - W.apply(e)
        s = y / g - W.apply(y)
        right = s / g - W.apply_transpose(s)
        return Proposal(descent(fp, left, right, learning_rate), missing, reason if missing else "")


@dataclass(frozen=True)
class LinearizedReparameterized(AbstractRule):
    """Gradient descent in a metric of the response matrix A = (1/G - W)^-1 (rule 3).

        left  = (I - W G) G e
        right = (I - G W)^T (I - G W) y
        dW    = -eta mean(left right^T)

    Notes
    -----
    Equal to -eta mean(B lambda y^T C) with the adjoint lambda of the Euclidean rule and the
    positive semi-definite B = (I - W G)(I - W G)^T, C = (I - G W)^T (I - G W). For one sample with
    its gains held fixed this is steepest descent in the length |G^-1 dA G^-1| =
    |(I - W G)^-1 dW (I - G W)^-1|; the mean over samples with different gains need not descend.
    Where all gains are 1 it is the first order of `Reparameterized`. Nothing divides by a gain, so
    saturated units do no harm. Cost: four products with W or W^T per batch.

    References
    ----------
    Zhu and Rosenbaum 2024, Neural Computation 36(8), arXiv 2307.06732, delta W3.

    Examples
    --------
    >>> import torch, ratenet as rn
    >>> network = rn.Network("linear", [[0.5]])
    >>> fp = rn.find_fixed_points(network, [1.0])  # y = 2: left = 0.5 e, right = 0.25 y
    >>> LinearizedReparameterized().update(fp, torch.ones(1, 1, dtype=torch.float64), 0.1)
    tensor([[-0.0250]], dtype=torch.float64)
    """

    @property
    def traits(self) -> Traits:
        """Euclidean in the response, divided by the gains on both sides."""
        return Traits("G^-1 dA G^-1 of each sample, A = (1/G - W)^-1")

    def squared_lengths(self, fp: FixedPoints, delta: Change) -> Tensor:
        """Return |(I - W G)^-1 dW (I - G W)^-1|^2."""
        return _each(fp, delta, lambda W, dW, g: _between(W * g, dW, g[:, None] * W))

    def change(
        self, fp: FixedPoints, error: Tensor, learning_rate: float, loss: Loss | None = None
    ) -> Change:
        """Return -eta mean(left right^T)."""
        W, g, y = fp.network.connectivity, fp.gain, fp.rates
        q = g * error
        left = q - W.apply(g * q)
        s = y - g * W.apply(y)
        right = s - W.apply_transpose(g * s)
        return descent(fp, left, right, learning_rate)


@dataclass(frozen=True)
class GainFreeReparameterized(AbstractRule):
    """Variant of rule 3 in the code of Zhu & Rosenbaum, with gain factors left out (rule 4).

        left  = (I - W G) e
        right = (I - W G)^T (I - W G) y
        dW    = -eta mean(left right^T)

    Notes
    -----
    Equal to `LinearizedReparameterized` where every gain is 1. Where no gain is 0 it is, for one
    sample, steepest descent in the length |G^(1/2) (I - W G)^-1 dW (I - W G)^-1|. Cost: four
    products per batch.

    References
    ----------
    github.com/RobertRosenbaum/LearningFixedPointsInRNNs, delta W4.

    Examples
    --------
    >>> import torch, ratenet as rn
    >>> fp = rn.find_fixed_points(rn.Network("linear", [[0.5]]), [1.0])  # y = 2
    >>> error = torch.ones(1, 1, dtype=torch.float64)
    >>> GainFreeReparameterized().update(fp, error, learning_rate=0.1)
    tensor([[-0.0250]], dtype=torch.float64)
    """

    @property
    def traits(self) -> Traits:
        """Not that of rule 3 unless gains are 1."""
        return Traits("G^(1/2) (I - W G)^-1 dW (I - W G)^-1 of each sample, where no gain is 0")

    def squared_lengths(self, fp: FixedPoints, delta: Change) -> Tensor:
        """Return |G^(1/2) (I - W G)^-1 dW (I - W G)^-1|^2."""
        return _each(fp, delta, lambda W, dW, g: g.sqrt()[:, None] * _between(W * g, dW, W * g))

    def change(
        self, fp: FixedPoints, error: Tensor, learning_rate: float, loss: Loss | None = None
    ) -> Change:
        """Return -eta mean(left right^T)."""
        W, g, y = fp.network.connectivity, fp.gain, fp.rates
        left = error - W.apply(g * error)
        s = y - W.apply(g * y)
        right = s - g * W.apply_transpose(s)
        return descent(fp, left, right, learning_rate)


def _response_lengths(fp: FixedPoints, delta: Change) -> Tensor:
    """Return |A dW A|^2 of each sample, with A = G (I - W G)^-1 = (I - G W)^-1 G."""
    return _each(fp, delta, lambda W, dW, g: g[:, None] * _between(W * g, dW, g[:, None] * W) * g)


def _each(
    fp: FixedPoints, delta: Change, mapped: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> Tensor:
    """Return the sum of squares of a matrix made of W, its change and the gains of each sample."""
    W, dW = fp.network.connectivity.dense(), weight_change(fp.network.connectivity, delta)
    return torch.stack([mapped(W, dW, gain).square().sum() for gain in fp.gain])


def _between(P: Tensor, dW: Tensor, Q: Tensor) -> Tensor:
    """Return (I - P)^-1 dW (I - Q)^-1; infinite where one of them is singular."""
    eye = torch.eye(len(dW), dtype=dW.dtype, device=dW.device)
    half, left_info = torch.linalg.solve_ex(eye - P, dW)
    whole, right_info = torch.linalg.solve_ex((eye - Q).T, half.T)
    is_singular = int(left_info) or int(right_info)
    return torch.full_like(dW, torch.inf) if is_singular else whole.T
