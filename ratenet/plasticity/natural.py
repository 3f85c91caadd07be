"""The natural gradient: descent in the rates, for small networks."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ratenet.connectivity.base import Change, as_change
from ratenet.errors import SingularError, UnsupportedError
from ratenet.fixed_points import FixedPoints, solve_adjoint
from ratenet.plasticity.base import AbstractRule, Traits, squared_norm
from ratenet.plasticity.euclidean import solved_adjoint
from ratenet.plasticity.loss import Loss
from ratenet.plasticity.proposal import Proposal
from ratenet.validation import check_positive

LARGEST = 50_000_000  # entries of the Jacobian dy/dW: 0.4 GB in float64


@dataclass(frozen=True)
class NaturalGradient(AbstractRule):
    """The Euclidean gradient over the Gauss-Newton metric, damped.

        (mean(J^T J) + damping I) dW = -eta mean(J^T e),       J = dy/dW of each sample

    solved with as many unknowns as there are rates: dW = -eta J^T (J J^T + B damping I)^{-1} e,
    the samples' J and e stacked.

    Parameters
    ----------
    damping : float
        Above 0, in the unit of J^2. As it goes to 0, so does the difference of the change of each
        rate and -eta e, where there are at least as many weights as rates.

    Raises
    ------
    UnsupportedError
        If J has more than 50 million entries: (B N) x (number of weights).
    SingularError
        If no sample has an adjoint, or the damping is too small for the dtype.

    Notes
    -----
    The metric of a squared loss, or of Gaussian noise of variance 1 in each rate (Fisher's). Cost:
    B N adjoint solves, B N outer products, and O((B N)^3).

    References
    ----------
    Amari 1998, Neural Comput. 10:251; Martens 2020, arXiv 1412.1193.

    Examples
    --------
    >>> import torch, ratenet as rn
    >>> fp = rn.find_fixed_points(rn.Network("linear", [[0.5]]), [1.0])  # y = 2
    >>> error = torch.ones(1, 1, dtype=torch.float64)
    >>> NaturalGradient(damping=1e-6).update(fp, error, learning_rate=0.1)
    tensor([[-0.0250]], dtype=torch.float64)
    """

    damping: float = 1e-3

    def __post_init__(self) -> None:
        check_positive(self.damping, "damping")

    @property
    def traits(self) -> Traits:
        """Gauss-Newton."""
        return Traits(
            f"Gauss-Newton: mean of (dy/dW)^T dy/dW, plus {self.damping:g}", is_mean=False
        )

    def squared_lengths(self, fp: FixedPoints, delta: Change) -> Tensor:
        """Return |J delta|^2 + damping |delta|^2, J = dy/dW of each fixed point."""
        connectivity = fp.network.connectivity
        flat = torch.cat([part.flatten() for part in connectivity.named(delta).values()])
        _check_size(fp.rates.numel(), len(flat))
        response = (jacobian(fp) @ flat).view(fp.rates.shape)
        return response.square().sum(dim=1) + self.damping * squared_norm(delta)

    def change(
        self, fp: FixedPoints, error: Tensor, learning_rate: float, loss: Loss | None = None
    ) -> Proposal:
        """Return the change by the Jacobian of all rates."""
        connectivity = fp.network.connectivity
        sizes = [parameter.numel() for parameter in connectivity.parameters.values()]
        _check_size(fp.rates.numel(), sum(sizes))
        _, solved, left_out = solved_adjoint(fp, error, "NaturalGradient")
        fp, error = fp.select(solved), error[solved]
        J = jacobian(fp)  # (B N, P)
        kernel = J @ J.T
        kernel.diagonal().add_(len(fp) * self.damping)
        factor, info = torch.linalg.cholesky_ex(kernel)
        if int(info) != 0 or not torch.isfinite(factor).all():
            raise SingularError("NaturalGradient: the metric is singular; use a larger damping.")
        change = -learning_rate * J.T @ torch.cholesky_solve(error.reshape(-1, 1), factor)
        parts = change[:, 0].split(sizes)
        named = zip(connectivity.parameters.items(), parts, strict=True)
        delta = as_change({name: part.view_as(like) for (name, like), part in named})
        return Proposal(delta, *left_out)


def jacobian(fp: FixedPoints) -> Tensor:
    """Return dy/dW of all samples, (B N, P): unit after unit, sample after sample."""
    B, N = fp.rates.shape
    samples = torch.arange(B, device=fp.rates.device).repeat_interleave(N)
    unit_errors = torch.eye(N, dtype=fp.rates.dtype, device=fp.rates.device).repeat(B, 1)
    every = fp.select(samples)
    lefts = solve_adjoint(every, unit_errors).values
    W = fp.network.connectivity
    rows = [
        W.named(W.accumulate(lefts[[row]], every.rates[[row]])).values() for row in range(B * N)
    ]
    return torch.stack([torch.cat([tensor.flatten() for tensor in row]) for row in rows])


def _check_size(rates: int, weights: int) -> None:
    if rates * weights > LARGEST:
        raise UnsupportedError(
            f"NaturalGradient: the Jacobian of {rates} rates (samples x units) by {weights} "
            f"weights has more than {LARGEST} entries; use fewer units or samples, or Euclidean."
        )
