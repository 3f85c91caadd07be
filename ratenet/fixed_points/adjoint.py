"""The adjoint (transposed) solve: lambda = G (e + W^T lambda), matrix-free.

lambda = G (I - W^T G)^{-1} e is the gradient of the loss with respect to the drive. Batched
GMRES solves (I - G W^T) lambda = G e for each sample by itself, with products only, preconditioned
by v -> v + G Q^T v with Q = W (I - G_mean W)^{-1}: that of the solver, or one made here where the
batch is so large that Q costs less than the products it saves. Samples that GMRES does
not solve are solved densely, one by one. Components that settle one after another
(`Network.components`) are solved in the reverse order, from the top down: the error of each is its
own and F^T lambda of those behind it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ratenet.connectivity.computation import computation
from ratenet.equations.arrays import real_numbers
from ratenet.errors import InputError, counted
from ratenet.fixed_points.results import FixedPoints
from ratenet.fixed_points.solvers.mean_gain import MeanGain
from ratenet.fixed_points.solvers.newton import preconditioner
from ratenet.linear_algebra import gmres

DENSE_UNITS = 2000  # N up to which a sample that GMRES leaves is solved by a matrix
WORTH_Q = 0.25  # of N: for so many samples Q costs five products, and saves ten or more


@dataclass(frozen=True)
class Adjoint:
    """Adjoint vectors, each with its own residual.

    Attributes
    ----------
    values : Tensor, shape (B, N)
        lambda = dL/dx, gradient of each sample's loss with respect to its drive.
    residual : Tensor, shape (B,)
        |G (e + W^T lambda) - lambda| / |G e|.
    converged : Tensor of bool, shape (B,)
        Whether the residual is at most the tolerance.
    iterations : int
        Products with W^T per sample, at most.
    condition : Tensor, shape (B,)
        How close I - G W^T is to singular: LAPACK's estimate of its condition number where it was
        solved densely, elsewhere the lower bound |lambda| / |G e|. It magnifies rounding errors
        and the Euclidean gradient.
    has_dense : bool
        Whether samples that GMRES did not solve were solved densely: up to N = 2,000.

    Examples
    --------
    >>> import ratenet as rn
    >>> fp = rn.find_fixed_points(rn.Network("linear", [[0.5]]), [1.0])
    >>> adjoint = rn.solve_adjoint(fp, [[1.0]])  # 1 / (1 - 0.5)
    >>> adjoint.values, adjoint.converged
    (tensor([[2.]], dtype=torch.float64), tensor([True]))
    """

    values: Tensor
    residual: Tensor
    converged: Tensor
    iterations: int
    condition: Tensor
    has_dense: bool = True

    def summary(self) -> str:
        """Return how many samples were solved, and the largest condition estimate."""
        solved, worst = int(self.converged.sum()), float(self.condition.max())
        if not self.iterations and self.condition.isnan().all():
            return f"{solved} of {len(self.converged)} simulated adjoints are finite."
        adjoints = counted(len(self.converged), "adjoint")
        line = f"{solved} of {adjoints} solved; condition at least {worst:.2g}."
        if solved == len(self.converged):
            return line
        if not self.has_dense:
            return (
                f"{line} The others did not converge within {self.iterations} products, and above "
                f"N = {DENSE_UNITS} there is no dense solve; raise max_iterations, use a "
                "reparameterized rule or smaller weights."
            )
        return (
            f"{line} For the others I - G W is singular to working precision, so the loss has no "
            "gradient there; use a reparameterized rule, float64 or smaller weights."
        )


@computation()
@torch.no_grad()
def solve_adjoint(
    fp: FixedPoints, error: Tensor, *, tol: float | None = None, max_iterations: int = 200
) -> Adjoint:
    """Return lambda = G (I - W^T G)^{-1} e for each sample.

    Parameters
    ----------
    fp : FixedPoints
        Gives the gains, and the preconditioner if the solver made one; else, with at least N / 4
        samples, it is made here.
    error : Tensor, shape (B, N)
        e = dL/dy, one row per sample.
    tol : float, optional
        Largest relative residual of a solved sample; default 1e-10 in float64, 1e-5 in float32.
    max_iterations : int
        Products with W^T per sample before the dense fallback, which exists up to N = 2,000.

    Returns
    -------
    Adjoint
        Samples whose I - G W^T is singular to working precision, as at a neutral state, are not
        `converged`.

    Raises
    ------
    StaleError
        If the weights changed after the fixed points were found.
    InputError
        If the error's shape does not fit.

    References
    ----------
    Almeida 1987; Pineda 1987; Saad and Schultz 1986 (GMRES).

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("linear", [[0.5]])  # all gains are 1
    >>> fp = rn.find_fixed_points(network, [1.0])
    >>> solve_adjoint(fp, torch.ones(1, 1, dtype=torch.float64)).values  # 1 / (1 - 0.5)
    tensor([[2.]], dtype=torch.float64)
    """
    fp.check_current()
    error = as_error(fp, error)
    tol = default_adjoint_tolerance(error.dtype) if tol is None else tol
    if not fp.network.components:
        return _solve(fp, error, tol, max_iterations)
    total, found = error.clone(), []
    values = torch.zeros_like(total)
    for part in reversed(fp.network.components):
        solved = _solve(fp.within(part), part.of(total), tol, max_iterations)
        part.of(values).copy_(solved.values)
        part.add_back(solved.values, total)
        found.append(solved)
    return Adjoint(
        values,
        residual=torch.stack([each.residual for each in found]).amax(dim=0),
        converged=torch.stack([each.converged for each in found]).all(dim=0),
        iterations=max(each.iterations for each in found),
        condition=torch.stack([each.condition for each in found]).amax(dim=0),
        has_dense=all(each.has_dense for each in found),
    )


def adjoint_of(fp: FixedPoints, error: Tensor, *, tol: float | None = None) -> Adjoint:
    """Return the adjoint that fixed points come with, or solve for that of an error (B, N).

    Parameters
    ----------
    fp : FixedPoints
        Fixed points, solved or measured; some come with an adjoint of their own
        (`FixedPoints.adjoint`), as with ``adjoint_tau`` in training.
    error : Tensor, shape (B, N)
        e = dL/dy of each sample's own loss.
    tol : float, optional
        As of `solve_adjoint`.

    Returns
    -------
    Adjoint
        Its `values` are dL/dx, shape (B, N).

    Raises
    ------
    InputError
        If the error does not fit the fixed points.

    Examples
    --------
    >>> import ratenet as rn
    >>> fp = rn.find_fixed_points(rn.Network("linear", [[0.5]]), [1.0])
    >>> adjoint_of(fp, torch.ones(1, 1, dtype=torch.float64)).values
    tensor([[2.]], dtype=torch.float64)
    """
    if fp.adjoint is None:
        return solve_adjoint(fp, error, tol=tol)
    is_known = torch.isfinite(fp.adjoint).all(dim=1)
    unknown = torch.full_like(fp.residual, torch.nan)
    return Adjoint(fp.adjoint, unknown, is_known, 0, unknown)


def _solve(fp: FixedPoints, error: Tensor, tol: float, max_iterations: int) -> Adjoint:
    """Solve for the adjoint of all units together."""
    right, gain, Q = fp.gain * error, fp.gain, fp.mean_response
    if Q is None and len(gain) >= WORTH_Q * fp.network.units:  # rates that no solver found
        Q = MeanGain().make(fp.network, gain).matrix
    transpose = fp.network.connectivity.apply_transpose

    def operator(samples: Tensor, vectors: Tensor) -> Tensor:
        return torch.addcmul(vectors, gain[samples], transpose(vectors), value=-1)

    undo = preconditioner(gain, None if Q is None else Q.T)
    values, residual, products = gmres(operator, right, tol, max_iterations, undo, leave_early=True)
    size = right.norm(dim=1)
    condition = torch.where(size > 0, values.norm(dim=1) / size, 1.0)
    has_dense = fp.network.units <= DENSE_UNITS
    if has_dense:
        for sample in torch.nonzero(~(residual <= tol))[:, 0].tolist():
            solved = _dense(fp, sample, right[sample])
            values[sample], residual[sample], condition[sample] = solved
    return Adjoint(values, residual, residual <= tol, products, condition, has_dense)


def default_adjoint_tolerance(dtype: torch.dtype) -> float:
    """Return the relative residual that is asked for unless said otherwise."""
    return 1e-10 if dtype == torch.float64 else 1e-5


def as_error(fp: FixedPoints, value: Any) -> Tensor:
    """Return errors, in whatever unit, as a tensor like the rates; refuse other shapes."""
    numbers = real_numbers(value, "error")
    if not isinstance(numbers, Tensor):
        numbers = torch.from_numpy(np.asarray(numbers))
    error: Tensor = numbers.to(fp.rates)
    if error.shape != fp.rates.shape:
        raise InputError.at(
            "error",
            got=tuple(error.shape),
            expected=f"the shape of the rates, (B, N) = {tuple(fp.rates.shape)}",
        )
    return error


def _dense(fp: FixedPoints, sample: int, right: Tensor) -> tuple[Tensor, float, float]:
    """Solve one sample by an explicit matrix in float64; return residual and condition too. Rare.

    Near a singularity float32 cannot reach the tolerance, though the gradient there is finite:
    the huge steps that the Euclidean rule makes are its own, and not left out.
    """
    from scipy.linalg import lapack  # imported where it is used: it takes a while

    W, gain, b = fp.network.connectivity.dense().double(), fp.gain[sample].double(), right.double()
    matrix = torch.eye(len(W), dtype=W.dtype, device=W.device) - gain[:, None] * W.T
    if not (torch.isfinite(gain).all() and torch.isfinite(b).all()):
        return torch.full_like(right, torch.nan), float("nan"), float("nan")
    LU, pivots, info = lapack.dgetrf(matrix.cpu().numpy())
    reciprocal = 0.0
    if info == 0:
        reciprocal, _ = lapack.dgecon(LU, float(matrix.abs().sum(dim=0).max()))
    condition = 1 / reciprocal if reciprocal > 0 else float("inf")
    # The weights are known to their own rounding, which decides whether a pivot is exactly 0.
    if not reciprocal > torch.finfo(right.dtype).eps:
        return torch.full_like(right, torch.nan), float("nan"), condition
    solution = torch.as_tensor(lapack.dgetrs(LU, pivots, b.cpu().numpy())[0]).to(b)
    residual = float((b - matrix @ solution).norm() / b.norm())
    return solution.to(right.dtype), residual, condition
