"""Adaptive steps: one length for the whole batch, as long as the estimated error allows.

The integration is cut where the drive jumps or has a kink, since a step across one has no order.
States at the times of the grid are interpolated within the steps. The first step has the length of
the grid's dt, so that a simulation follows from its arguments alone.

    dopri5    the error of each entry is at most atol + rtol |s|
    rkc       at most atol + rtol S, S the largest |s| of that variable in the batch; no step is
              longer than the shortest time constant, since transients below the tolerance would
              else fade more slowly than the network's; stages as the fastest mode requires
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from ratenet.errors import DivergenceError
from ratenet.network import Network
from ratenet.simulation.backends.base import Observer, Task
from ratenet.simulation.backends.torch_pairs import (
    DOPRI5,
    MOST_STAGES,
    Pair,
    chebyshev,
    reach_of,
    stages_for,
)
from ratenet.simulation.backends.torch_steps import without_subnormals
from ratenet.simulation.drives import AbstractDrive, ConstantDrive, SampledDrive
from ratenet.simulation.step_limit import FastestMode
from ratenet.simulation.time_grid import WHOLE

SHORTEST = 1e-6  # of dt: a step that must be shorter has an error that no step makes small
MOST_STEPS = 1_000  # a time constant, where the fastest mode alone limits them
SAFETY, MOST_GROWTH, LEAST_GROWTH = 0.8, 5.0, 0.1
MARGIN = 1.1  # over the fastest mode of the stimuli that are examined
EXAMINE_EVERY = 10  # steps


def run_adaptive(task: Task, observe: Observer) -> None:
    """Simulate with steps as long as the tolerances allow."""
    n, every, grid = 0, task.observe_every, task.grid
    stop = observe(n, task.initial)
    for step in _steps(task):
        while not stop and n < grid.steps and grid.time(n + every) <= step.end + WHOLE * grid.dt:
            n += every
            stop = observe(n, step.at(grid.time(n)))
        if stop:
            return


@dataclass(frozen=True, eq=False)
class _Step:
    """A step from a state at t = begin, whether its error is small enough or not."""

    pair: Pair
    begin: float  # s
    end: float
    before: Tensor  # (k, B, N)
    after: Tensor
    slopes: list[Tensor]  # of the stages; the last one is that of `after`

    @property
    def h(self) -> float:
        return self.end - self.begin

    def at(self, t: float) -> Tensor:
        """Return the state within the step: Hermite's cubic, or a quartic through the middle."""
        if t >= self.end:
            return self.after
        u = (t - self.begin) / self.h
        if self.pair.middle is None:
            return self._cubic(u)
        middle = _combined(self.before, self.h, self.pair.middle, self.slopes)
        return self._cubic(u) + 16 * (u * (1 - u)) ** 2 * (middle - self._cubic(0.5))

    def _cubic(self, u: float) -> Tensor:
        tangents = (1 - u) * self.slopes[0] - u * self.slopes[-1]
        share = u**2 * (3 - 2 * u)
        return self.before + share * (self.after - self.before) + self.h * u * (1 - u) * tangents

    @torch.no_grad()
    def error(self, task: Task) -> float:
        """Return the largest estimated error as a multiple of what is allowed; maybe NaN."""
        if not self.after.numel():
            return 0.0
        moved = self.pair.difference * (self.before - self.after)
        error = _combined(moved, self.h, self.pair.error, self.slopes)
        sizes = [self.before.abs(), self.after.abs()]
        if task.method == "rkc":
            error, *sizes = (each.abs().amax(dim=(1, 2)) for each in (error, *sizes))
        size = torch.maximum(*sizes)
        return float((error.abs() / (task.tolerances.atol + task.tolerances.rtol * size)).max())


@dataclass(eq=False)
class _Stages:
    """Which formulas a step takes, and how long it may be at most."""

    task: Task
    longest: float = field(init=False, default=math.inf)  # s
    _fastest: FastestMode = field(init=False)
    _rate: float | None = field(init=False, default=None)  # 1/s, of the fastest mode
    _age: int = field(init=False, default=0)  # accepted steps since it was estimated

    def __post_init__(self) -> None:
        network = self.task.network
        self._fastest = FastestMode(network)
        if self.task.method == "rkc" and network.time_constants():
            self.longest = network.shortest_time_constant()

    def choose(self, h: float, state: Tensor, drive: AbstractDrive, t: float) -> tuple[Pair, float]:
        """Return the pair for a step of about h, and its length.

        Raises
        ------
        DivergenceError
            If the fastest mode would take more than MOST_STEPS steps a time constant.
        """
        if self.task.method == "dopri5":
            return DOPRI5, h
        if self._rate is None or self._age >= EXAMINE_EVERY:
            self._rate, self._age = MARGIN * self._fastest(state.detach(), drive.at(t).detach()), 0
            self._check_reach(t)
        stages, h = stages_for(min(h, self.longest), self._rate)
        return chebyshev(stages), h

    def _check_reach(self, t: float) -> None:
        """Refuse a network whose fastest mode would take far too many steps of the most stages."""
        if self._rate is None or not math.isfinite(self.longest):
            return
        steps = self.longest * self._rate / reach_of(MOST_STAGES)
        if not steps <= MOST_STEPS:
            raise DivergenceError(
                f"The network is too stiff at t = {t:g} s: its fastest mode has a rate of about "
                f"{self._rate / MARGIN:.3g}/s, so that a time constant of {self.longest:g} s would "
                f"take {steps:,.0f} steps of {MOST_STAGES} products. Lower the recurrent weights, "
                "or, if they were learned, the learning rate."
            )

    def learn(self, *, is_accepted: bool) -> None:
        """Look at the fastest mode again after some steps, or after one that failed."""
        self._age = self._age + 1 if is_accepted else EXAMINE_EVERY


def _steps(task: Task) -> Iterator[_Step]:
    """Give steps whose error is small enough, one after another."""
    stages, h, state = _Stages(task), task.grid.dt, without_subnormals(task.initial)
    slope: Tensor | None = None
    for drive, begin, end in _pieces(task):
        t = begin
        slope = None if isinstance(drive, ConstantDrive) else slope
        while t < end:
            if slope is None:
                slope = task.network.derivative(state, drive.at(t), t)
            pair, h = stages.choose(h, state, drive, t)
            until = end if t + h >= end - SHORTEST * task.grid.dt else t + h
            step = _attempt(task.network, drive, pair, t, until, state, slope)
            error = step.error(task)
            stages.learn(is_accepted=error <= 1)
            wanted = step.h * _growth(error, pair.order)
            if error <= 1:
                yield step
                h = max(wanted, h if until == end else 0.0)
                t, state, slope = until, without_subnormals(step.after), step.slopes[-1]
            elif (h := wanted) < SHORTEST * task.grid.dt or t + h == t:
                raise DivergenceError(_sentence(task.network, drive, t, state))


def _growth(error: float, order: int) -> float:
    """Return by what the length of the next step differs."""
    if not math.isfinite(error):
        return LEAST_GROWTH
    most = MOST_GROWTH if error <= 1 else 1.0
    return min(most, max(LEAST_GROWTH, SAFETY * max(error, 1e-9) ** (-1 / order)))


def _attempt(
    network: Network,
    drive: AbstractDrive,
    pair: Pair,
    t: float,
    until: float,
    state: Tensor,
    slope: Tensor,
) -> _Step:
    slopes, after, h = [slope], state, until - t
    for row, c in zip(pair.rows, pair.times, strict=True):
        after = _combined(state, h, row, slopes)
        at = until if c == 1 else t + c * h
        slopes.append(network.derivative(after, drive.at(at), at))
    return _Step(pair, t, until, state, after, slopes)


def _combined(
    state: Tensor, h: float, coefficients: tuple[float, ...], slopes: list[Tensor]
) -> Tensor:
    """Return s + h sum_i a_i F_i."""
    total = state.clone()  # all is added to it in place, which needs no new memory
    for a, slope in zip(coefficients, slopes, strict=True):
        if a:
            total.add_(slope, alpha=h * a)
    return total


def _pieces(task: Task) -> Iterator[tuple[AbstractDrive, float, float]]:
    """Give the pieces of time in which the drive is smooth: drive, begin and end in seconds."""
    grid, drive = task.grid, task.drive
    margin = WHOLE * grid.dt
    breaks = drive.breaks(grid.start + margin, grid.end - margin)
    for begin, end in pairwise([grid.start, *breaks, grid.end]):
        yield _within(drive, begin, end), begin, end


def _within(drive: AbstractDrive, begin: float, end: float) -> AbstractDrive:
    """Return the drive between two jumps; a held one is constant there, the ends included."""
    if isinstance(drive, SampledDrive) and drive.interpolation == "held":
        return ConstantDrive(drive.at((begin + end) / 2))
    return drive


def _sentence(network: Network, drive: AbstractDrive, t: float, state: Tensor) -> str:
    with torch.no_grad():
        speed = network.derivative(state, drive.at(t), t).abs().nan_to_num(nan=math.inf)
    _, stimulus, unit = np.unravel_index(int(speed.argmax()), tuple(speed.shape))
    return (
        f"The simulation diverged: no step is short enough at t = {t:g} s, where unit {unit} of "
        f"stimulus {stimulus} is fastest. Lower the recurrent weights, or raise rtol and atol."
    )
