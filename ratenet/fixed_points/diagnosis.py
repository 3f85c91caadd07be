"""Why samples did not settle: the dynamics are followed for a while from where they began.

They settle after all, or slowly; they grow without end; or they go on at the same speed and
turn back, as on a limit cycle or in chaos.
"""

import dataclasses

import torch
from torch import Tensor

from ratenet.fixed_points.certificate import certify
from ratenet.fixed_points.results import FixedPoints
from ratenet.fixed_points.solvers.base import Batch, new_batch
from ratenet.fixed_points.solvers.relaxation import Relaxation, RungeKutta
from ratenet.fixed_points.stability import verdicts
from ratenet.fixed_points.status import Status

STEPS = 200  # Runge-Kutta steps of the dynamics in a stretch, four products with W each
STRETCHES = 4  # most that are followed while a cause is not plain
SHRINKING = 0.9  # of a stretch's third quarter's largest speed, in the last: on the way to rest
RISING = 1.05  # times its least in the second half of a stretch, at the end: not on the way to rest
LOOK = 10  # steps after which growth and direction are looked at
DRIFTED = 2.0  # times the size that a state began with: it may move on for ever


def diagnosed(found: FixedPoints, start: Tensor) -> FixedPoints:
    """Return the same with the cause in the status of every sample that ran out of iterations.

    `start` are the states (k, B, N) that were begun from.
    """
    left = torch.nonzero(found.status == Status.OUT_OF_ITERATIONS)[:, 0]
    if len(left) == 0:
        return found
    status = found.status.clone()
    batch = new_batch(found.network, start[:, left], found.drive[left], found.tol)
    status[left] = _causes(batch, found.tol)
    return dataclasses.replace(found, status=status)


def _causes(batch: Batch, tol: float) -> Tensor:
    """Return a status for each sample, (b,); OUT_OF_ITERATIONS if nothing else is plain."""
    relaxation = Relaxation()
    memory = relaxation.start(batch)
    status = torch.full_like(batch.held, int(Status.UNSETTLED))
    unknown = torch.ones_like(status, dtype=torch.bool)
    for _ in range(STRETCHES):
        turns, ratio = _stretch(batch, relaxation, memory, unknown, tol)
        status[unknown & (ratio < SHRINKING)] = int(Status.SLOW)
        status[unknown & turns & ~(ratio < SHRINKING)] = int(Status.OSCILLATING)
        status[unknown & memory.is_lost] = int(Status.DIVERGED)
        # More iterations would have done.
        status[unknown & (batch.best_residual <= tol)] = int(Status.OUT_OF_ITERATIONS)
        unknown = status == Status.UNSETTLED
        if not unknown.any():
            break
    status[unknown & (ratio < 1)] = int(Status.SLOW)
    is_doubtful = (unknown | (status == Status.SLOW)) & (batch.best_residual > tol)
    status[_drifting(batch, memory, is_doubtful)] = int(Status.DIVERGED)
    return status.masked_fill(status == Status.UNSETTLED, int(Status.OUT_OF_ITERATIONS))


def _stretch(
    batch: Batch, relaxation: Relaxation, memory: RungeKutta, unknown: Tensor, tol: float
) -> tuple[Tensor, Tensor]:
    """Follow the dynamics for a stretch; return what `_second_half` says of it.

    It ends early where all samples whose cause is unknown have grown.
    """
    speeds, turned, direction = [], [], batch.found.step
    for step in range(STEPS):
        for _ in range(4):
            batch.go_to(relaxation.advance(batch, memory, 0))
        batch.keep_best(tol)
        speeds.append(batch.found.step.abs().amax(dim=(0, 2)))
        turned.append((batch.found.step * direction).sum(dim=(0, 2)) < 0)
        if step % LOOK == 0:
            direction = batch.found.step
            if step >= LOOK and (memory.is_lost | ~unknown).all():
                break
    return _second_half(torch.stack(speeds), torch.stack(turned))


def _drifting(batch: Batch, memory: RungeKutta, is_doubtful: Tensor) -> Tensor:
    """Return which of the doubtful samples move away for ever, by indices.

    Steps near the limit of their stability blur a speed; where feedback cancels the decay of what
    has moved far, nothing will stop it.
    """
    has_moved = batch.state.abs().amax(dim=(0, 2)) > DRIFTED * memory.first_size
    samples = torch.nonzero(is_doubtful & has_moved)[:, 0]
    if len(samples) == 0:
        return samples
    verdict = verdicts(certify(batch.network, batch.state[:, samples], batch.drive[samples], 1.0))
    return samples[(verdict == Status.NEUTRAL) | (verdict == Status.UNSTABLE)]


def _second_half(speeds: Tensor, turned: Tensor) -> tuple[Tensor, Tensor]:
    """Return which samples (b,) turn back again and again, and their speed over that before.

    From (T, b); what happens in the first half is the way there. A speed that rises again without
    turning back is infinite times that before: it falls no longer.
    """
    quarter = len(speeds) // 4
    before, last = slice(2 * quarter, 3 * quarter), slice(3 * quarter, None)
    ratio = speeds[last].amax(dim=0) / speeds[before].amax(dim=0)
    turns = turned[before].any(dim=0) & turned[last].any(dim=0)
    rises = speeds[-1] > RISING * speeds[2 * quarter :].amin(dim=0)
    return turns, ratio.masked_fill(rises & ~turns, torch.inf)
