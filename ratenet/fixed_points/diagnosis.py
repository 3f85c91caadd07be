"""Why samples did not settle: the dynamics are followed for a while from where they began.

They come to rest after all, or slowly; they grow without end; or they go on at the same speed and
turn back, as on a limit cycle or in chaos.
"""

import dataclasses

import torch
from torch import Tensor

from ratenet.fixed_points.relaxation import Relaxation
from ratenet.fixed_points.solver import Batch, new_batch
from ratenet.results import FixedPoints, Status

STEPS = 200  # Runge-Kutta steps of the dynamics, four products with W each
SHRINKING = 0.9  # of the third quarter's largest speed, in the last: on the way to rest
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
    """Return a status for each sample, (b,)."""
    relaxation = Relaxation()
    memory = relaxation.start(batch)
    first_size, first_speed = _size(batch), _speed(batch)
    grown = torch.zeros_like(first_size, dtype=torch.bool)
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
    turns, shrinks = _second_half(torch.stack(speeds), torch.stack(turned))
    status = torch.full_like(batch.held, int(Status.SLOW))
    status[turns & ~shrinks] = int(Status.OSCILLATING)
    status[grown] = int(Status.DIVERGED)  # NaN has grown
    status[batch.best_residual <= tol] = int(Status.OUT_OF_ITERATIONS)  # more would have done
    return status


def _second_half(speeds: Tensor, turned: Tensor) -> tuple[Tensor, Tensor]:
    """Return which samples (b,) turn back again and again, and which become slower.

    Both from (T, b); what happens in the first half is the way there.
    """
    quarter = len(speeds) // 4
    before, last = slice(2 * quarter, 3 * quarter), slice(3 * quarter, None)
    shrinks = speeds[last].amax(dim=0) < SHRINKING * speeds[before].amax(dim=0)
    return turned[before].any(dim=0) & turned[last].any(dim=0), shrinks


def _size(batch: Batch) -> Tensor:
    return batch.state.abs().amax(dim=(0, 2)).clamp(min=1.0)


def _speed(batch: Batch) -> Tensor:
    return batch.found.step.abs().amax(dim=(0, 2))
