"""Batched GMRES: A x = b for each sample by itself, matrix-free, preconditioned from the right."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Operator = Callable[[Tensor, Tensor], Tensor]  # samples (b,), vectors (b, n) -> (b, n)

RESTART = 12  # basis vectors kept before GMRES begins anew


class Solution(NamedTuple):
    """What GMRES reached."""

    values: Tensor  # (B, n)
    residual: Tensor  # (B,): |b - A x| / |b|, measured
    products: int  # applications of A, at most, to a sample; one a cycle measures the residual


def gmres(
    operator: Operator,
    right: Tensor,
    tol: float,
    max_products: int,
    preconditioner: Operator | None = None,
) -> Solution:
    """Solve A x = b until |b - A x| <= tol |b|; samples leave the batch once they are solved.

    Parameters
    ----------
    operator : callable
        (samples, vectors) -> A v, for the rows of these samples.
    right : Tensor, shape (B, n)
        b.
    tol : float
    max_products : int
        Most applications of A to a sample.
    preconditioner : callable, optional
        (samples, vectors) -> an approximation of A^{-1} v, linear in v.

    References
    ----------
    Saad and Schultz 1986, SIAM J. Sci. Stat. Comput. 7:856.
    """
    undo = preconditioner or (lambda samples, vectors: vectors)
    values = torch.zeros_like(right)
    size = right.norm(dim=1)
    residual = torch.where(size > 0, 1.0, size)  # NaN stays
    left = torch.nonzero(~(residual <= tol))[:, 0]
    remaining = right[left]
    products = 0
    while products + 2 <= max_products and len(left):
        steps = min(RESTART, max_products - products - 1, right.shape[1])
        goal = tol * size[left]
        correction, used = _cycle(operator, undo, left, remaining, goal, steps)
        values[left] += correction
        products += used + 1
        remaining = right[left] - operator(left, values[left])
        residual[left] = remaining.norm(dim=1) / size[left]
        unsolved = ~(residual[left] <= tol)
        left, remaining = left[unsolved], remaining[unsolved]
    return Solution(values, residual, products)


def _cycle(
    operator: Operator, undo: Operator, samples: Tensor, right: Tensor, goal: Tensor, steps: int
) -> tuple[Tensor, int]:
    """One cycle from zero; return the correction (b, n) and the products used."""
    length = right.norm(dim=1)  # (b,)
    basis = [_unit(right, length)]
    R = right.new_zeros(len(right), steps, steps)  # upper triangular, by Givens rotations
    rotations: list[tuple[Tensor, Tensor]] = []
    remaining = [length]
    used = 0
    for j in range(steps):
        vector = operator(samples, undo(samples, basis[j]))
        # One pass of Gram and Schmidt: the residual of each cycle is measured, so what is lost of
        # orthogonality costs at most a cycle more.
        column = []
        for earlier in basis:
            overlap = (earlier * vector).sum(dim=1)
            vector = torch.addcmul(vector, overlap[:, None], earlier, value=-1)
            column.append(overlap)
        height = vector.norm(dim=1)
        basis.append(_unit(vector, height))
        R[:, : j + 1, j] = _rotated([*column, height], rotations, remaining)
        used = j + 1
        if bool((remaining[-1].abs() <= 0.5 * goal).all()):
            break
    weights = _back_substitute(R[:, :used, :used], torch.stack(remaining[:used], dim=1))
    total = torch.zeros_like(right)
    for i in range(used):
        total.addcmul_(weights[:, i, None], basis[i])
    return undo(samples, total), used


def _unit(vectors: Tensor, lengths: Tensor) -> Tensor:
    """Return the vectors over their lengths; zero where there is nothing left."""
    return torch.where(lengths[:, None] > 0, vectors / lengths[:, None], 0.0)


def _rotated(
    column: list[Tensor], rotations: list[tuple[Tensor, Tensor]], remaining: list[Tensor]
) -> Tensor:
    """Apply the Givens rotations to a new column, and make the next one; return it, (b, j + 1)."""
    for i, (cosine, sine) in enumerate(rotations):
        upper, lower = column[i], column[i + 1]
        column[i], column[i + 1] = cosine * upper + sine * lower, cosine * lower - sine * upper
    radius = torch.hypot(column[-2], column[-1])
    nonzero = radius > 0
    cosine = torch.where(nonzero, column[-2] / radius, 1.0)
    sine = torch.where(nonzero, column[-1] / radius, 0.0)
    rotations.append((cosine, sine))
    last = remaining.pop()
    remaining += [cosine * last, -sine * last]
    return torch.stack([*column[:-2], radius], dim=1)


def _back_substitute(R: Tensor, right: Tensor) -> Tensor:
    """Solve R w = right for each sample; a zero on the diagonal gives a weight of zero."""
    weights = torch.zeros_like(right)
    for i in reversed(range(right.shape[1])):
        known = (R[:, i, i + 1 :] * weights[:, i + 1 :]).sum(dim=1)
        diagonal = R[:, i, i]
        weights[:, i] = torch.where(diagonal != 0, (right[:, i] - known) / diagonal, 0.0)
    return weights
