"""The adjoint (transposed) solve: lambda = G (e + W^T lambda), matrix-free.

lambda = G (I - W^T G)^{-1} e is the gradient of the loss with respect to the drive. Batched
GMRES solves (I - G W^T) lambda = G e for each sample by itself, with products only; a sample
that it leaves is solved densely, one by one.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ratenet.errors import InputError
from ratenet.results import FixedPoints

RESTART = 20  # basis vectors kept before GMRES begins anew


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
        Products with W^T a sample, at most.
    """

    values: Tensor
    residual: Tensor
    converged: Tensor
    iterations: int


@torch.no_grad()
def solve_adjoint(
    fp: FixedPoints, error: Tensor, *, tol: float | None = None, max_iterations: int = 200
) -> Adjoint:
    """Return lambda = G (I - W^T G)^{-1} e for each sample.

    Parameters
    ----------
    fp : FixedPoints
        Where gains are taken from.
    error : Tensor, shape (B, N)
        e = dL/dy, one row a sample.
    tol : float, optional
        Largest relative residual; default 1e-10 in float64, 1e-5 in float32.
    max_iterations : int
        Products a sample before the dense fallback.

    Returns
    -------
    Adjoint
        Samples whose I - G W^T is singular to working precision are not `converged`.

    Raises
    ------
    StaleError
        If the weights changed after the fixed points were found.
    InputError
        If the error's shape does not fit.

    References
    ----------
    Almeida 1987; Pineda 1987; Saad and Schultz 1986 (GMRES).
    """
    fp.check_current()
    error = torch.as_tensor(error, dtype=fp.rates.dtype, device=fp.rates.device)
    check_error_shape(fp, error)
    if tol is None:
        tol = 1e-10 if error.dtype == torch.float64 else 1e-5
    right = fp.gain * error
    values = torch.zeros_like(right)
    iterations = 0
    left = torch.arange(len(right), device=right.device)
    while iterations < max_iterations and len(left):
        steps = min(RESTART, max_iterations - iterations, right.shape[1])
        correction, used = _gmres_cycle(fp, left, right[left], values[left], steps, tol)
        values[left] += correction
        iterations += used
        residual = _residual(fp, left, right, values)
        left = left[~(residual <= tol)]
    residual = _residual(fp, torch.arange(len(right), device=right.device), right, values)
    for sample in left.tolist():
        values[sample], residual[sample] = _dense(fp, sample, right[sample])
    return Adjoint(values, residual, residual <= tol, iterations)


def check_error_shape(fp: FixedPoints, error: Tensor) -> None:
    """Refuse errors that are not one row a sample."""
    if error.shape != fp.rates.shape:
        raise InputError(
            f"error: shape {tuple(error.shape)} does not fit; needed is that of the rates, "
            f"(B, N) = {tuple(fp.rates.shape)}."
        )


def _operator(fp: FixedPoints, samples: Tensor, values: Tensor) -> Tensor:
    """Return (I - G W^T) v for each row."""
    return values - fp.gain[samples] * fp.network.connectivity.apply_transpose(values)


def _residual(fp: FixedPoints, samples: Tensor, right: Tensor, values: Tensor) -> Tensor:
    remaining = right[samples] - _operator(fp, samples, values[samples])
    size = right[samples].norm(dim=1)
    return torch.where(size > 0, remaining.norm(dim=1) / size, remaining.norm(dim=1))


def _gmres_cycle(
    fp: FixedPoints, samples: Tensor, right: Tensor, start: Tensor, steps: int, tol: float
) -> tuple[Tensor, int]:
    """One cycle of GMRES from `start`; return the correction (b, N) and the products used."""
    residual = right - _operator(fp, samples, start)
    length = residual.norm(dim=1)  # (b,)
    goal = tol * right.norm(dim=1)
    basis = residual.new_zeros(len(right), steps + 1, right.shape[1])
    basis[:, 0] = _unit(residual, length)
    R = residual.new_zeros(len(right), steps, steps)  # upper triangular, by Givens rotations
    cosines, sines = residual.new_ones(len(right), steps), residual.new_zeros(len(right), steps)
    remaining = residual.new_zeros(len(right), steps + 1)
    remaining[:, 0] = length
    used = 0
    for j in range(steps):
        vector = _operator(fp, samples, basis[:, j])
        # One pass of Gram and Schmidt: the residual of each cycle is measured, so what is lost of
        # orthogonality costs at most a cycle more, and a second pass would cost as much as W.
        overlap = torch.bmm(basis[:, : j + 1], vector[:, :, None])  # (b, j + 1, 1)
        vector = vector - torch.bmm(overlap.transpose(1, 2), basis[:, : j + 1])[:, 0]
        height = vector.norm(dim=1)
        basis[:, j + 1] = _unit(vector, height)
        column = torch.cat([overlap[:, :, 0], height[:, None]], dim=1)  # (b, j + 2)
        _rotate(column, cosines, sines, remaining, j)
        R[:, : j + 1, j] = column[:, : j + 1]
        used = j + 1
        if bool((remaining[:, j + 1].abs() <= 0.5 * goal).all()):
            break
    weights = _back_substitute(R[:, :used, :used], remaining[:, :used])
    return torch.bmm(weights[:, None], basis[:, :used])[:, 0], used


def _unit(vectors: Tensor, lengths: Tensor) -> Tensor:
    """Return the vectors over their lengths; zero where there is nothing left."""
    return torch.where(lengths[:, None] > 0, vectors / lengths[:, None], 0.0)


def _rotate(column: Tensor, cosines: Tensor, sines: Tensor, remaining: Tensor, j: int) -> None:
    """Apply the earlier Givens rotations to a new column, and make the next one."""
    for i in range(j):
        upper, lower = column[:, i].clone(), column[:, i + 1].clone()
        column[:, i] = cosines[:, i] * upper + sines[:, i] * lower
        column[:, i + 1] = cosines[:, i] * lower - sines[:, i] * upper
    radius = torch.hypot(column[:, j], column[:, j + 1])
    nonzero = radius > 0
    cosines[:, j] = torch.where(nonzero, column[:, j] / radius, 1.0)
    sines[:, j] = torch.where(nonzero, column[:, j + 1] / radius, 0.0)
    column[:, j] = radius
    remaining[:, j + 1] = -sines[:, j] * remaining[:, j]
    remaining[:, j] = cosines[:, j] * remaining[:, j]


def _back_substitute(R: Tensor, right: Tensor) -> Tensor:
    """Solve R w = right for each sample; a zero on the diagonal gives a weight of zero."""
    weights = torch.zeros_like(right)
    for i in reversed(range(right.shape[1])):
        known = (R[:, i, i + 1 :] * weights[:, i + 1 :]).sum(dim=1)
        diagonal = R[:, i, i]
        weights[:, i] = torch.where(diagonal != 0, (right[:, i] - known) / diagonal, 0.0)
    return weights


def _dense(fp: FixedPoints, sample: int, right: Tensor) -> tuple[Tensor, float]:
    """Solve one sample by an explicit matrix in float64; return the residual too. Rare.

    Near a singularity float32 cannot reach the tolerance, though the gradient there is finite:
    the huge steps that the Euclidean rule makes are its own, and not left out.
    """
    W, gain, b = fp.network.connectivity.dense().double(), fp.gain[sample].double(), right.double()
    matrix = torch.eye(len(W), dtype=W.dtype, device=W.device) - gain[:, None] * W.T
    solution, info = torch.linalg.solve_ex(matrix, b[:, None])
    if int(info) != 0:
        return torch.full_like(right, torch.nan), float("nan")
    residual = float((b - matrix @ solution[:, 0]).norm() / b.norm())
    return solution[:, 0].to(right.dtype), residual
