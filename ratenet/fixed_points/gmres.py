"""Batched GMRES: A x = b for each sample by itself, matrix-free, preconditioned from the right."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

Samples = Any  # what takes their rows out of a tensor: indices (b,), or slice(None) for all
Operator = Callable[[Samples, Tensor], Tensor]  # vectors (b, n) -> (b, n), a new tensor

RESTART = 12  # basis vectors kept before GMRES begins anew
SAFE = 0.5  # share of the tolerance down to which a sample goes on
MANY = 0.25  # share of solved samples from which on the others go on alone
ROUNDING = 8  # times eps |x|: up to here a residual is not told from rounding errors


class Solution(NamedTuple):
    """What GMRES reached."""

    values: Tensor  # (B, n)
    residual: Tensor  # (B,): |b - A x| / |b|
    products: int  # applications of A, at most, to a sample


def gmres(
    operator: Operator,
    right: Tensor,
    tol: float,
    max_products: int,
    preconditioner: Operator | None = None,
    *,
    leave_early: bool = False,
) -> Solution:
    """Solve A x = b until |b - A x| <= tol |b|; samples leave the batch once they are solved.

    Parameters
    ----------
    operator : callable
        (samples, vectors) -> A v, for the rows of these samples, as a tensor nobody else holds.
    right : Tensor, shape (B, n)
        b.
    tol : float
    max_products : int
        Most applications of A to a sample.
    preconditioner : callable, optional
        (samples, vectors) -> an approximation of A^{-1} v, linear in v.
    leave_early : bool
        True: solved samples leave within a cycle as well, which saves products. False: they are
        solved as far as the slowest one needs, which inexact steps of Newton gain from.

    Notes
    -----
    The residual is not GMRES's own estimate: it follows from the products that were made, and one
    more product measures it where rounding errors may hide it, or the products are used up.

    References
    ----------
    Saad and Schultz 1986, SIAM J. Sci. Stat. Comput. 7:856.
    """
    undo = preconditioner or (lambda samples, vectors: vectors)
    many = MANY if leave_early else 1.0
    values = torch.zeros_like(right)
    size = right.norm(dim=1)
    residual = torch.where(size > 0, 1.0, size)  # NaN stays
    left: Samples = slice(None)  # a view: nothing is copied as long as all samples are there
    unsolved, remaining, products = ~(residual <= tol), right, 0
    while True:
        if not unsolved.all():
            left, remaining = _kept(left, unsolved), remaining[unsolved]
        if products + 2 > max_products or len(remaining) == 0:
            return Solution(values, residual, products)
        steps = min(RESTART, max_products - products - 1, right.shape[1])
        goal = tol * size[left]
        correction, remaining, used = _cycle(operator, undo, left, remaining, goal, steps, many)
        values[left] += correction
        products += used
        hidden = ROUNDING * torch.finfo(right.dtype).eps * values[left].norm(dim=1)
        if products + 2 > max_products or (hidden > goal).any():
            remaining = right[left] - operator(left, values[left])
            products += 1
        residual[left] = remaining.norm(dim=1) / size[left]
        unsolved = ~(residual[left] <= tol)


def _cycle(
    operator: Operator,
    undo: Operator,
    samples: Samples,
    right: Tensor,
    goal: Tensor,
    steps: int,
    many: float,
) -> tuple[Tensor, Tensor, int]:
    """One cycle from zero; return the correction, what remains (b, n), and the products used."""
    space, used = _start(right), 0
    rows: Samples = slice(None)
    correction, remaining = torch.empty_like(right), torch.empty_like(right)
    while True:
        _extend(space, operator, undo, samples)
        used += 1
        solved = space.left_over[-1].abs() <= SAFE * goal
        number = int(solved.sum())
        if used == steps or number == len(solved):
            correction[rows], remaining[rows] = _finished(space)
            return correction, remaining, used
        if number >= many * len(solved):  # copying the rest pays off
            done, unsolved = _kept(rows, solved), ~solved
            correction[done], remaining[done] = _finished(space.select(solved))
            rows, samples, goal = _kept(rows, unsolved), _kept(samples, unsolved), goal[unsolved]
            space = space.select(unsolved)


class _Space(NamedTuple):
    """The Krylov space of a cycle, each list as long as it has steps, or one longer."""

    length: Tensor  # (b,): |r| at its start
    basis: list[Tensor]  # (b, n), orthonormal, one more than the steps
    directions: list[Tensor]  # (b, n): the basis, preconditioned
    columns: list[list[Tensor]]  # of H, (b,) each entry: A directions = basis H
    upper: list[list[Tensor]]  # of R, what rotations make of H
    rotations: list[tuple[Tensor, Tensor]]
    left_over: list[Tensor]  # (b,): the rotated |r| e_1; the last one is what remains

    def select(self, rows: Tensor) -> "_Space":
        """Return the rows of a mask (b,)."""
        return _Space(*(_selected(value, rows) for value in self))


def _selected(value: Any, rows: Tensor) -> Any:
    """Select rows of a tensor, or of all tensors of a list of tensors or lists."""
    if isinstance(value, Tensor):
        return value[rows]
    return type(value)(_selected(part, rows) for part in value)


def _kept(held: Samples, mask: Tensor) -> Tensor:
    """Return the indices of the samples of a mask (b,)."""
    return torch.nonzero(mask)[:, 0] if isinstance(held, slice) else held[mask]


def _start(right: Tensor) -> _Space:
    length = right.norm(dim=1)
    return _Space(length, [_unit(right, length)], [], [], [], [], [length])


def _extend(space: _Space, operator: Operator, undo: Operator, samples: Samples) -> None:
    """Take one more product, and make it orthogonal to the basis.

    One pass of Gram and Schmidt: the residual does not rely on it, so what is lost of
    orthogonality costs at most a cycle more.
    """
    space.directions.append(undo(samples, space.basis[-1]))
    vector = operator(samples, space.directions[-1])
    column = []
    for earlier in space.basis:
        overlap = torch.linalg.vecdot(earlier, vector)
        vector.addcmul_(overlap[:, None], earlier, value=-1)
        column.append(overlap)
    column.append(vector.norm(dim=1))
    space.basis.append(_unit(vector, column[-1]))
    space.columns.append(column)
    space.upper.append(_rotated(list(column), space.rotations, space.left_over))


def _finished(space: _Space) -> tuple[Tensor, Tensor]:
    """Return the best correction in the space, and the residual that it leaves."""
    weights = _back_substitute(space.upper, space.left_over)
    rest = [space.length, *(torch.zeros_like(space.length) for _ in weights)]
    for weight, column in zip(weights, space.columns, strict=True):
        for i, entry in enumerate(column):
            rest[i] = rest[i] - weight * entry
    return _combined(weights, space.directions), _combined(rest, space.basis)


def _combined(weights: list[Tensor], vectors: list[Tensor]) -> Tensor:
    """Return the sum of vectors (b, n), each times its weights (b,)."""
    total = vectors[0] * weights[0][:, None]
    for weight, vector in zip(weights[1:], vectors[1:], strict=True):
        total.addcmul_(weight[:, None], vector)
    return total


def _unit(vectors: Tensor, lengths: Tensor) -> Tensor:
    """Return the vectors over their lengths; zero where there is nothing left."""
    return vectors * torch.where(lengths > 0, 1 / lengths, 0.0)[:, None]


def _rotated(
    column: list[Tensor], rotations: list[tuple[Tensor, Tensor]], left_over: list[Tensor]
) -> list[Tensor]:
    """Apply the Givens rotations to a new column, and make the next one; return it."""
    for i, (cosine, sine) in enumerate(rotations):
        upper, lower = column[i], column[i + 1]
        column[i], column[i + 1] = cosine * upper + sine * lower, cosine * lower - sine * upper
    radius = torch.hypot(column[-2], column[-1])
    nonzero = radius > 0
    cosine = torch.where(nonzero, column[-2] / radius, 1.0)
    sine = torch.where(nonzero, column[-1] / radius, 0.0)
    rotations.append((cosine, sine))
    last = left_over.pop()
    left_over += [cosine * last, -sine * last]
    return [*column[:-2], radius]


def _back_substitute(upper: list[list[Tensor]], right: list[Tensor]) -> list[Tensor]:
    """Solve R w = right for each sample; a zero on the diagonal gives a weight of zero.

    upper[j][i] is R[i, j], (b,); of `right` the entries beyond R are not read.
    """
    weights: list[Tensor] = []  # from the last one on
    for i in reversed(range(len(upper))):
        known = right[i]
        for column, weight in zip(reversed(upper), weights, strict=False):
            known = known - column[i] * weight
        diagonal = upper[i][i]
        weights.append(torch.where(diagonal != 0, known / diagonal, 0.0))
    return weights[::-1]
