"""Adaptive steps: Dormand and Prince's method of order 5, from torchdiffeq.

The integration is cut where a sampled drive jumps, since a step across a jump has no order, and
otherwise every SEGMENT steps of the grid, so that no more than that many states are held at once.
torchdiffeq interpolates the states at the times of the grid.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from ratenet.errors import DivergenceError
from ratenet.network import Network
from ratenet.simulation.backends.base import Observer, Task
from ratenet.simulation.drives import AbstractDrive, ConstantDrive, SampledDrive
from ratenet.simulation.time_grid import WHOLE

ADAPTIVE = ("dopri5",)
SEGMENT = 100  # observed states


def run_adaptive(task: Task, observe: Observer) -> None:
    """Simulate with steps as long as the tolerances allow."""
    state, stop = task.initial, observe(0, task.initial)
    for segment in _segments(task):
        if stop:
            return
        states = _solve(task, segment, state)
        for n, observed in zip(segment.numbers, states[1:], strict=False):
            stop = stop or observe(n, observed)
        state = states[-1]


@dataclass(frozen=True, eq=False)
class _Segment:
    """A piece of time in which the drive is continuous."""

    drive: AbstractDrive
    times: list[float]  # s: its begin, those that are observed, and its end
    numbers: list[int]  # the steps that are observed, from times[1] on


def _segments(task: Task) -> Iterator[_Segment]:
    grid, every, drive = task.grid, task.observe_every, task.drive
    for first in range(0, grid.steps, SEGMENT * every):
        last = min(first + SEGMENT * every, grid.steps)
        numbers = {grid.time(n): n for n in range(first, last + 1, every)}
        for begin, end in pairwise(_cuts(drive, list(numbers), grid.dt)):
            inside = [t for t in numbers if begin < t <= end]
            times = [begin, *inside] if inside and inside[-1] == end else [begin, *inside, end]
            yield _Segment(_within(drive, begin, end), times, [numbers[t] for t in inside])


def _cuts(drive: AbstractDrive, times: list[float], dt: float) -> list[float]:
    """Return first and last time and the drive's jumps; one next to a time is moved there."""
    cuts = {times[0], times[-1]}
    jumps = drive.jumps(times[0], times[-1]) if isinstance(drive, SampledDrive) else []
    for jump in jumps:
        nearest = min(times, key=lambda t: abs(t - jump))
        cuts.add(nearest if abs(nearest - jump) < WHOLE * dt else jump)
    return sorted(cuts)


def _within(drive: AbstractDrive, begin: float, end: float) -> AbstractDrive:
    """Return the drive between two jumps; a held one is constant there, the ends included."""
    if isinstance(drive, SampledDrive) and drive.interpolation == "held":
        return ConstantDrive(drive.at((begin + end) / 2))
    return drive


def _solve(task: Task, segment: _Segment, state: Tensor) -> Tensor:
    """Return the states at the segment's times, shape (len(times), k, B, N)."""
    from torchdiffeq import odeint  # here: only this method needs it

    network, drive, last = task.network, segment.drive, (segment.times[0], state)

    def derivative(time: Tensor, state: Tensor) -> Tensor:
        nonlocal last
        t = float(time.detach())  # torchdiffeq chooses its steps within the graph
        last = (t, state)
        return network.derivative(state, drive.at(t), t)

    times = torch.tensor(segment.times, dtype=torch.float64, device=network.device)
    # Every entry is to be within the tolerance, whatever the rest of the batch does; and the
    # last step ends at the segment's end, so that nothing is evaluated beyond it.
    options = {"norm": lambda error: error.abs().max(), "step_t": times[-1:]}
    try:
        states: Tensor = odeint(
            derivative, state, times, rtol=task.tolerances.rtol, atol=task.tolerances.atol,
            method=task.method, options=options,
        )  # fmt: skip
    except AssertionError as error:  # torchdiffeq's word for a step of length 0, or NaN
        raise DivergenceError(_sentence(network, drive, *last)) from error
    return states


def _sentence(network: Network, drive: AbstractDrive, t: float, state: Tensor) -> str:
    with torch.no_grad():
        speed = network.derivative(state, drive.at(t), t).abs().nan_to_num(nan=math.inf)
    _, stimulus, unit = np.unravel_index(int(speed.argmax()), tuple(speed.shape))
    return (
        f"The simulation diverged: no step is short enough at t = {t:g} s, where unit {unit} of "
        f"stimulus {stimulus} is fastest. Lower the recurrent weights, or raise rtol and atol."
    )
