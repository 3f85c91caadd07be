"""The time grid of a simulation: equal steps from a start, and which of them are recorded.

    t_n = (first + n) dt,   first = start / dt

A start that lies on the grid, up to rounding, counts as whole steps; so a simulation that is
continued from another one has the very same times as if it had not been interrupted.
"""

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ratenet.equations.arrays import real_numbers
from ratenet.equations.units import DIMENSIONLESS, Quantity, get_dimensions, second
from ratenet.errors import InputError

WHOLE = 1e-6  # of a step: nearer than that, a number of steps is whole
ADAPTIVE = ("dopri5", "rkc")  # methods that choose their steps: the grid is for records alone
MOST_STEPS = 10**9  # that many take days, whatever the network


@dataclass(frozen=True)
class TimeGrid:
    """Equal time steps, and which of them are recorded."""

    steps: int
    dt: float  # s
    record_every: int  # divides steps
    first: float = 0  # the start, in steps

    def time(self, n: int) -> float:
        """Return the time at which step n begins, in seconds."""
        return (self.first + n) * self.dt

    @property
    def start(self) -> float:
        """The first time, in seconds."""
        return self.time(0)

    @property
    def end(self) -> float:
        """The last time, in seconds."""
        return self.time(self.steps)

    def records(self, count: int) -> Tensor:
        """Return the times of the first `count` records in seconds, shape (count,)."""
        numbers = torch.arange(count, dtype=torch.float64) * self.record_every
        return (self.first + numbers) * self.dt


def seed_of_step(seed: int, step: int) -> int:
    """Return a seed for the noise of one step, well mixed (SplitMix64; Steele et al. 2014)."""
    mask = 2**64 - 1
    z = (seed + (step + 1) * 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return (z ^ (z >> 31)) >> 1  # below 2**63


def time_grid(duration: Any, dt: Any, record_every: int, start: Any = 0.0) -> TimeGrid:
    """Return the grid of a simulation.

    Raises
    ------
    InputError
        If a time is not one, if the duration is not a whole number of steps, or if record_every
        does not divide them.
    """
    length, step = seconds(duration, "duration"), seconds(dt, "dt")
    ratio = length / step
    if ratio > MOST_STEPS:
        raise InputError.at(
            "dt",
            got=dt,
            expected=f"at most {MOST_STEPS:.0e} steps in the duration of {length:g} s",
            remedy="so many would take days; choose a larger dt or a shorter duration",
        )
    steps = round(ratio)
    if steps < 1 or abs(ratio - steps) > WHOLE:
        raise InputError.at(
            "duration",
            got=duration,
            expected=f"a whole number of steps of dt = {step:g} s",
            remedy=f"these are {ratio:.8g} steps",
        )
    is_whole = isinstance(record_every, Integral) and not isinstance(record_every, bool)
    if not is_whole or record_every < 1 or steps % record_every:
        raise InputError.at(
            "record_every",
            got=record_every,
            expected=f"a whole number that divides the {steps} steps",
        )
    first = seconds(start, "start", or_zero=True) / step
    if first > 2**53:
        raise InputError.at("start", got=start, expected="fewer than 2**53 steps of dt from 0")
    whole = round(first)
    return TimeGrid(steps, step, int(record_every), whole if abs(first - whole) <= WHOLE else first)


def seconds(value: Any, where: str, *, or_zero: bool = False) -> float:
    """Return a time, given as a Brian2 quantity or a float in seconds, in seconds.

    Raises
    ------
    InputError
        If it is not a time, or not above 0 (with `or_zero`: below 0).
    """
    try:
        number = real_numbers(_as_written(value), where)
        dimensions = get_dimensions(number) if isinstance(number, Quantity) else DIMENSIONLESS
        time = float(number) if dimensions in (second.dim, DIMENSIONLESS) else None
    except (TypeError, ValueError, OverflowError):  # an InputError is a ValueError
        time = None
    if time is None:
        raise InputError.at(where, got=value, expected="a time, such as 10*ms")
    if not (0 < time < float("inf") or (or_zero and time == 0)):
        allowed = "a finite time of at least 0" if or_zero else "a finite time above 0"
        raise InputError.at(where, got=value, expected=allowed)
    return time


def _as_written(value: Any) -> Any:
    """Return a number of float32 or less as one writes it: 0.1, not 0.10000000149."""
    is_array = isinstance(value, np.floating | np.ndarray | Tensor)
    if not is_array or isinstance(value, Quantity) or value.ndim:
        return value
    number = value.detach().cpu().numpy()[()] if isinstance(value, Tensor) else value[()]
    is_short = isinstance(number, np.floating) and number.dtype.itemsize < 8
    return float(str(number)) if is_short else value
