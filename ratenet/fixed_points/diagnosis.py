"""Why samples did not settle: the dynamics are followed for a while from where they began.

They come to rest after all, or slowly; they grow without end; or they go on at the same speed and
turn back, as on a limit cycle or in chaos.
"""

import dataclasses

import torch
from torch import Tensor

from ratenet.fixed_points.results import FixedPoints, Status
from ratenet.fixed_points.solvers.base import Batch, new_batch
from ratenet.fixed_points.solvers.relaxation import Relaxation

STEPS = 200  # Runge-Kutta steps of the dynamics in a stretch, four products with W each
STRETCHES = 4  # most that are followed while a cause is not plain
SHRINKING = 0.9  # of a stretch's third quarter's largest speed, in the last: on the way to rest
RISING = 1.05  # times its least in the second half of a stretch, at the end: not on the way to rest
GROWN = 1e6  # times the size that the state began with


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
    first_size, first_speed = _size(batch), _speed(batch)
    grown = torch.zeros_like(first_size, dtype=torch.bool)
    status, unknown = torch.full_like(batch.held, int(Status.UNSETTLED)), ~grown
    for _ in range(STRETCHES):
        speeds, turned, direction = [], [], batch.found.step
        for step in range(STEPS):
            for _ in range(4):
                batch.go_to(relaxation.advance(batch, memory, 0))
            batch.keep_best(tol)
            speeds.append(_speed(batch))
            turned.append((batch.found.step * direction).sum(dim=(0, 2)) < 0)
            if step % 10 == 0:
                direction = batch.found.step
            grown |= ~(_size(batch) <= GROWN * first_size) & ~(speeds[-1] <= 0.5 * first_speed)
        turns, ratio = _second_half(torch.stack(speeds), torch.stack(turned))
        status[unknown & (ratio < SHRINKING)] = int(Status.SLOW)
        status[unknown & turns & ~(ratio < SHRINKING)] = int(Status.OSCILLATING)
        status[unknown & grown] = int(Status.DIVERGED)  # NaN has grown
        # More iterations would have done.
        status[unknown & (batch.best_residual <= tol)] = int(Status.OUT_OF_ITERATIONS)
        unknown = status == Status.UNSETTLED
        if not unknown.any():
            return status
    status[unknown & (ratio < 1)] = int(Status.SLOW)
    return status.masked_fill(status == Status.UNSETTLED, int(Status.OUT_OF_ITERATIONS))


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


def _size(batch: Batch) -> Tensor:
    return batch.state.abs().amax(dim=(0, 2)).clamp(min=1.0)


def _speed(batch: Batch) -> Tensor:
    return batch.found.step.abs().amax(dim=(0, 2))
