"""Batched GMRES: A x = b for each sample by itself, matrix-free, preconditioned from the right.

With a preconditioner P, plain steps x <- x + P (b - A x) come first: where P is good, they take as
many products as GMRES and keep no basis. GMRES solves what they do not bring down fast.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ratenet.linear_algebra.krylov import extend, unit

Samples = Any  # what takes their rows out of a tensor: indices (b,), or slice(None) for all
Operator = Callable[[Samples, Tensor], Tensor]  # vectors (b, n) -> (b, n), a new tensor

RESTART = 20  # basis vectors kept before GMRES begins anew
FAST = 0.1  # a plain step is worth its product where the residual falls to this share of itself
SAFE = 0.5  # share of the tolerance down to which a sample goes on in GMRES
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
    many = MANY if leave_early else 1.0
    size, residual = right.norm(dim=1), _at_zero(right)
    left: Samples = slice(None)  # a view: nothing is copied as long as all samples are there
    undo, values, remaining, products = preconditioner or _same, torch.zeros_like(right), right, 0
    if preconditioner is not None and max_products > 2:
        limit = max_products - 1
        rest, products = _plain_steps(operator, undo, right, values, residual, tol, limit, many)
        found = torch.nonzero(~(residual <= tol))[:, 0]
        if len(found) == 0:
            return Solution(values, residual, products)
        left = found if len(found) < len(right) else left
        if len(rest) == len(found):
            remaining = rest
        else:
            remaining, products = _measured(operator, left, right, values), products + 1
        del rest
    unsolved = ~(residual[left] <= tol)
    while True:
        if not unsolved.all():
            left, remaining = _of(left, torch.nonzero(unsolved)[:, 0]), remaining[unsolved]
        if products + 2 > max_products or len(remaining) == 0:
            return Solution(values, residual, products)
        steps = min(RESTART, max_products - products - 1, right.shape[1])
        goal, space = tol * size[left], _start(remaining)
        del remaining  # memory for the basis
        remaining, used = _cycle(operator, undo, left, values, space, goal, steps, many)
        products += used
        hidden = ROUNDING * torch.finfo(right.dtype).eps * values[left].norm(dim=1)
        if products + 2 > max_products or (hidden > goal).any():
            remaining, products = _measured(operator, left, right, values), products + 1
        residual[left] = remaining.norm(dim=1) / size[left]
        unsolved = ~(residual[left] <= tol)


def _plain_steps(
    operator: Operator,
    undo: Operator,
    right: Tensor,
    values: Tensor,
    residual: Tensor,
    tol: float,
    max_products: int,
    many: float,
) -> tuple[Tensor, int]:
    """Step from zero in place, for as long as the residual of each sample falls fast.

    A sample that comes no nearer than where it began is put back there. Returns what remains of
    those that are not solved but for these (b, n), and the products used.
    """
    at_zero, size, used = residual.clone(), right.norm(dim=1), 0
    left: Samples = slice(None)
    rest, before = right, at_zero
    while True:
        values[left] += undo(left, rest)
        rest = _measured(operator, left, right, values)
        now = rest.norm(dim=1) / size[left]
        residual[left] = now
        used += 1
        unsolved = now > tol  # NaN is not: no step helps it, and it holds up nobody
        number = int(unsolved.sum())
        is_fast = not bool((unsolved & (now > FAST * before)).any())
        if number == 0 or not is_fast or used == max_products:
            break
        if number <= (1 - many) * len(now):  # copying the rest pays off
            chosen = torch.nonzero(unsolved)[:, 0]
            left, rest, now = _of(left, chosen), rest[chosen], now[chosen]
        before = now
    lost = ~(residual < at_zero)
    if lost.any():
        values[lost], residual[lost] = 0.0, at_zero[lost]
    kept = unsolved & ~lost[left]
    return rest if kept.all() else rest[kept], used


def _cycle(
    operator: Operator,
    undo: Operator,
    samples: Samples,
    values: Tensor,
    space: "_Space",
    goal: Tensor,
    steps: int,
    many: float,
) -> tuple[Tensor, int]:
    """One cycle: correct the values in place; return what remains (b, n), and the products used."""
    b, used, remaining = len(goal), 0, None
    rows: Samples = slice(None)
    while True:
        _extend(space, operator, undo, samples)
        used += 1
        solved = space.left_over[-1].abs() <= SAFE * goal
        number = int(solved.sum())
        is_end = used == steps or number == len(solved)
        if is_end or number >= many * len(solved):  # copying the rest pays off
            done: Samples = slice(None) if is_end else torch.nonzero(solved)[:, 0]
            weights, rest = _finished(space)
            part = _combined(rest, space.basis, done)
            if remaining is None and is_end:
                remaining = part
            else:
                remaining = part.new_empty(b, part.shape[1]) if remaining is None else remaining
                remaining[_of(rows, done)] = part
            del part
            place, step = _of(samples, done), _combined(weights, space.basis, done)
            if is_end:
                space.basis.clear()  # the most memory of all goes before more is taken
            else:
                others = torch.nonzero(~solved)[:, 0]
                rows, samples, goal = _of(rows, others), _of(samples, others), goal[others]
                space.keep(others)
            values[place] += undo(place, step)
            if is_end:
                return remaining, used


def _at_zero(right: Tensor) -> Tensor:
    """Return the relative residual of x = 0, (B,): 1, or 0 where b is 0; NaN stays."""
    size = right.norm(dim=1)
    return torch.where(size > 0, 1.0, size)


def _measured(operator: Operator, samples: Samples, right: Tensor, values: Tensor) -> Tensor:
    """Return b - A x of some samples."""
    product = operator(samples, values[samples])
    return torch.sub(right[samples], product, out=product)


def _same(samples: Samples, vectors: Tensor) -> Tensor:
    return vectors


def _of(held: Samples, chosen: Samples) -> Samples:
    """Return the chosen ones of the samples that are held."""
    if isinstance(chosen, slice):
        return held
    return chosen if isinstance(held, slice) else held[chosen]


@dataclass
class _Space:
    """The Krylov space of a cycle, each list as long as it has steps, or one longer."""

    length: Tensor  # (b,): |r| at its start
    basis: list[Tensor]  # (b, n), orthonormal, one more than the steps
    columns: list[list[Tensor]]  # of H, (b,) each entry: A P basis = basis H
    upper: list[list[Tensor]]  # of R, what rotations make of H
    rotations: list[list[Tensor]]  # cosine and sine
    left_over: list[Tensor]  # (b,): the rotated |r| e_1; the last one is what remains

    def keep(self, rows: Tensor) -> None:
        """Go on with some rows (b,) alone; one tensor after the other, for the memory."""
        self.length = self.length[rows]
        for held in (self.basis, self.left_over, *self.columns, *self.upper, *self.rotations):
            for i, tensor in enumerate(held):
                held[i] = tensor[rows]


def _start(right: Tensor) -> _Space:
    length = right.norm(dim=1)
    return _Space(length, [unit(right, length)], [], [], [], [length])


def _extend(space: _Space, operator: Operator, undo: Operator, samples: Samples) -> None:
    """Take one more product into the space.

    One pass of Gram and Schmidt will do: the residual does not rely on it, so what is lost of
    orthogonality costs at most a cycle more.
    """
    column = extend(space.basis, operator(samples, undo(samples, space.basis[-1])))
    space.columns.append(column)
    space.upper.append(_rotated(list(column), space.rotations, space.left_over))


def _finished(space: _Space) -> tuple[list[Tensor], list[Tensor]]:
    """Return the best vector in the space, and what remains, each by its weights of the basis."""
    weights = _back_substitute(space.upper, space.left_over)
    rest = [space.length, *(torch.zeros_like(space.length) for _ in weights)]
    for weight, column in zip(weights, space.columns, strict=True):
        for i, entry in enumerate(column):
            rest[i] = rest[i] - weight * entry
    return weights, rest


def _combined(weights: list[Tensor], vectors: list[Tensor], rows: Samples) -> Tensor:
    """Return, of some rows, the sum of the first vectors (b, n), each times its weights (b,)."""
    total = vectors[0][rows] * weights[0][rows, None]
    for weight, vector in zip(weights[1:], vectors[1:], strict=False):
        total.addcmul_(weight[rows, None], vector[rows])
    return total


def _rotated(
    column: list[Tensor], rotations: list[list[Tensor]], left_over: list[Tensor]
) -> list[Tensor]:
    """Apply the Givens rotations to a new column, and make the next one; return it."""
    for i, (cosine, sine) in enumerate(rotations):
        upper, lower = column[i], column[i + 1]
        column[i], column[i + 1] = cosine * upper + sine * lower, cosine * lower - sine * upper
    radius = torch.hypot(column[-2], column[-1])
    nonzero = radius > 0
    cosine = torch.where(nonzero, column[-2] / radius, 1.0)
    sine = torch.where(nonzero, column[-1] / radius, 0.0)
    rotations.append([cosine, sine])
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
