"""Levenberg-Marquardt descent on the speed of a map, q = |f(u, h) - h|^2 / 2, many starts at once.

    A = df/dh - 1,  F = f(u, h) - h         (A^T A + mu) step = -A^T F,   mu = lambda |F|

Where q reaches 0 this is Newton's method and ends in a fixed point, stable or not. Where q has
another minimum it ends there, with A^T F = 0: a slow point, if q is small.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ratenet.fixed_points.maps.steps import Step, jacobians
from ratenet.linear_algebra import solve_samples
from ratenet.network.residual import relative_size

CHUNK = 4_000_000  # numbers in the Jacobians that are held at a time
FIRST = 1.0  # lambda
SMALLEST, GROWTH = 1e-8, 3.0  # of lambda
ATTEMPTS = 30  # with ever smaller steps, until q falls
SIDE = 1e-3  # of max(1, max |h|): how far q is looked at to the sides of where it is flat
GRADIENT = {torch.float64: 1e-6, torch.float32: 1e-3}  # of |A^T F| / |F| at a minimum of q


class Descended(NamedTuple):
    """Where the descent ended."""

    state: Tensor  # (S, H)
    F: Tensor  # (S, H): f(u, h) - h
    residual: Tensor  # (S,)
    iterations: Tensor  # (S,)
    stopped: Tensor  # (S,): q does not fall further
    is_minimum: Tensor  # (S,): for it has a minimum there, and not for rounding or a NaN


def descend(step: Step, inputs: Tensor, start: Tensor, goal: float, limit: int) -> Descended:
    """Return where the descent ends from each start: residual <= goal, or a minimum of q."""
    F = step(inputs, start) - start
    none = torch.zeros(len(start), dtype=torch.int64, device=start.device)
    found = Descended(start.clone(), F, residual_of(F, start), none, none.bool(), none.bool())
    damping = torch.full_like(found.residual, FIRST, dtype=torch.float64)
    for _ in range(limit):
        under_way = torch.isfinite(found.residual) & (found.residual > goal) & ~found.stopped
        rows = torch.nonzero(under_way)[:, 0]
        if len(rows) == 0:
            break
        for chunk in rows.split(_chunk(start)):
            _advance(step, inputs[chunk], found, damping, chunk)
    return found


def residual_of(F: Tensor, state: Tensor) -> Tensor:
    """Return max |F| / max(1, max |h|) of each row, (S,)."""
    return relative_size(F[None], state[None])


def distance_to_root(step: Step, inputs: Tensor, state: Tensor, noise: float) -> Tensor:
    """Estimate how far the next root of F is, over max(1, max |h|), (S,): by Newton's step.

    Where the speed only tends to 0, as far out where a gate closes, F is small and no root near.

    Parameters
    ----------
    noise : float
        Singular values of A below this, as along a line attractor, are passed over.
    """
    far = []
    for u, h in zip(*(rows.split(_chunk(state)) for rows in (inputs, state)), strict=True):
        value, derivative = jacobians(step, u, h)
        A, F = _linearised(derivative, h), (value - h).double()
        shift = noise**2 * torch.eye(h.shape[1], dtype=torch.float64, device=h.device)
        move = solve_samples(A.mT @ A + shift, -torch.einsum("sij,si->sj", A, F))
        far.append(residual_of(move.to(h.dtype), h))
    return torch.cat(far) if far else state.new_zeros(0)


def _linearised(derivative: Tensor, state: Tensor) -> Tensor:
    """Return A = df/dh - 1 in float64."""
    return derivative.double() - torch.eye(state.shape[1], dtype=torch.float64, device=state.device)


def _chunk(state: Tensor) -> int:
    """Return how many rows have their Jacobians at a time."""
    return max(1, CHUNK // state.shape[1] ** 2)


def _advance(step: Step, inputs: Tensor, found: Descended, damping: Tensor, rows: Tensor) -> None:
    """Take one step from the states of some rows, in place."""
    state = found.state[rows]
    derivative = jacobians(step, inputs, state)[1]
    F = found.F[rows].double()
    A = _linearised(derivative, state)
    gradient = torch.einsum("sij,si->sj", A, F)
    found.iterations[rows] += 1
    norm = F.norm(dim=1)
    flat = gradient.abs().amax(dim=1) <= GRADIENT[state.dtype] * norm
    normal = A.mT @ A
    if flat.any():
        _leave_saddles(step, inputs[flat], found, normal[flat], rows[flat])
    left = torch.nonzero(~flat)[:, 0]
    for _ in range(ATTEMPTS):
        if len(left) == 0:
            return
        here = rows[left]
        mu = damping[here] * norm[left]
        shifted = normal[left] + torch.diag_embed(mu[:, None].expand(-1, state.shape[1]))
        move = solve_samples(shifted, -gradient[left])
        trial = state[left] + move.to(state.dtype)
        reached = step(inputs[left], trial) - trial
        fallen = 0.5 * (norm[left].square() - reached.double().square().sum(dim=1))
        foreseen = 0.5 * (move * (mu[:, None] * move - gradient[left])).sum(dim=1)
        ratio = fallen / foreseen  # NaN where the trial is
        better = ratio > 1e-3
        damping[here] *= torch.where(
            ratio > 0.75, 1 / GROWTH, torch.where(ratio > 0.25, 1.0, GROWTH)
        )
        damping.clamp_(min=SMALLEST)
        gained = here[better]
        found.state[gained], found.F[gained] = trial[better], reached[better]
        found.residual[gained] = residual_of(reached[better], trial[better])
        left = left[~better]
    rounding = 1e3 * torch.finfo(state.dtype).eps
    known = torch.isfinite(gradient[left]).all(dim=1)
    found.stopped[rows[left]] = True
    found.is_minimum[rows[left]] = known & (found.residual[rows[left]] > rounding)


def _leave_saddles(
    step: Step, inputs: Tensor, found: Descended, normal: Tensor, rows: Tensor
) -> None:
    """Stop at rows where q is flat, in place; step off where it falls to a side.

    The side is the direction in which the map moves states least apart: the last right singular
    vector of A.
    """
    state, q = found.state[rows], found.F[rows].square().sum(dim=1)
    found.stopped[rows] = found.is_minimum[rows] = True
    side = torch.linalg.eigh(normal)[1][:, :, 0].to(state.dtype)
    for way in (SIDE, -SIDE):
        trial = state + way * state.abs().amax(dim=1, keepdim=True).clamp(min=1.0) * side
        F = step(inputs, trial) - trial
        lower = F.square().sum(dim=1) < (1 - 1e-6) * q
        off = rows[lower]
        found.state[off], found.F[off] = trial[lower], F[lower]
        found.residual[off] = residual_of(F[lower], trial[lower])
        found.stopped[off] = found.is_minimum[off] = False
