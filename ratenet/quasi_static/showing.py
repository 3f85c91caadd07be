"""Showing: a network and a changing stimulus, checked, with the speeds at which it is shown."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ratenet.errors import InputError, UnsupportedError
from ratenet.linear_algebra import require_memory
from ratenet.network import Network
from ratenet.quasi_static.in_turn import InTurn
from ratenet.simulation import SampledDrive, Trajectory, simulate
from ratenet.simulation.drives import AbstractDrive, ConstantDrive, drive_for
from ratenet.simulation.time_grid import seconds
from ratenet.validation import check_positive, check_whole

FEWEST = 8  # times of a showing: as many as the rule of integration needs, and some
MISSED = 0.1  # of the drive's changes: more is a jump, or too few records
TENSORS = 30  # of all records at once


@dataclass(frozen=True, eq=False)
class Showing:
    """A network and a stimulus, checked, with the speeds at which it is shown."""

    network: Network
    drive: AbstractDrive
    duration: float  # s
    dt: float  # s, the longest
    speeds: list[float]
    plasticity_speeds: list[float]
    records: int
    method: str

    @property
    def step(self) -> float:
        """Seconds from one record to the next, at speed 1."""
        return self.duration / self.records

    @property
    def times(self) -> list[float]:
        """Times of the records at speed 1."""
        return [index * self.step for index in range(self.records + 1)]

    @property
    def streams(self) -> int:
        """B."""
        return len(self.drive.at(0.0))

    def steps(self, speed: float) -> int:
        """Return the number of time steps at a speed, a multiple of the records."""
        return self.records * math.ceil(self.step / (speed * self.dt) * (1 - 1e-9))

    def drives(self) -> Tensor:
        """Return x at the records, (T B, N)."""
        return torch.cat([self.drive.at(t) for t in self.times])

    def velocities(self) -> Tensor:
        """Return dx/dt at the records and speed 1, (T B, N), by central differences.

        Raises
        ------
        InputError
            If the drive does not change, or not as its velocity says: it jumps.
        """
        h = self.step / math.ceil(self.step / (min(self.speeds) * self.dt))
        found = []
        for t in self.times:
            before, after = max(t - h, 0.0), min(t + h, self.duration)
            found.append((self.drive.at(after) - self.drive.at(before)) / (after - before))
        velocities = torch.stack(found)
        changes = self.drives().view_as(velocities).diff(dim=0)
        if not bool(changes.any()):
            raise InputError(
                "drive: it does not change, so that nothing trails; give a drive that changes in "
                "time, or several stimuli (S, N) to be shown in turn.",
                argument="drive",
            )
        missed = changes - self.step / 2 * (velocities[1:] + velocities[:-1])
        if float(missed.abs().sum()) > MISSED * float(changes.abs().sum()):
            raise InputError(
                f"drive: between {self.records} records it does not change as its velocity there "
                "says: it jumps, or changes fast; raise records, or give a drive that is smoother.",
                argument="drive",
            )
        return velocities.flatten(0, 1)

    def simulated(self, speed: float, initial: Tensor, **options: Any) -> Trajectory:
        """Simulate a showing at a speed."""
        steps, duration = self.steps(speed), self.duration / speed
        return simulate(
            self.network,
            lambda t: self.drive.at(min(speed * t, self.duration)),
            duration,
            duration / steps,
            initial=initial,
            record_every=steps // self.records,
            method=self.method,
            **options,
        )


def showing_of(
    network: Any,
    drive: Any,
    duration: Any,
    dt: Any,
    speeds: Any,
    plasticity_speeds: Any,
    records: Any,
    method: Any,
) -> Showing:
    """Check what is shown, and how fast."""
    if not isinstance(network, Network):
        raise InputError.at("network", got=network, expected="rn.Network(model, W)")
    if network.model.noises:
        raise UnsupportedError(
            f"network: the model {network.model.name!r} has noise "
            f"({', '.join(network.model.noises)}), so that rates fluctuate about their fixed "
            "points at any speed; set it to 0 in a model without it.",
            argument="network",
        )
    duration = seconds(duration, "duration")
    fast = _speeds(speeds, "speeds")
    moving = fast if plasticity_speeds is None else _speeds(plasticity_speeds, "plasticity_speeds")
    moving = moving * len(fast) if len(moving) == 1 else moving
    if len(moving) != len(fast):
        raise InputError.at(
            "plasticity_speeds", got=len(moving), expected=f"1 or {len(fast)} speeds, as of speeds"
        )
    records = check_whole(records, "records", least=FEWEST)
    bound = _moving(network, drive, duration)
    rows = records * len(bound.at(0.0))
    require_memory(
        TENSORS * float(rows) * network.units * network.dtype.itemsize,
        f"records: {rows:,} fixed points",
        "choose fewer records",
        device=network.device,
    )
    return Showing(network, bound, duration, seconds(dt, "dt"), fast, moving, records, method)


def _speeds(given: Any, where: str) -> list[float]:
    if isinstance(given, Real) and not isinstance(given, bool):
        given = [given]
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise InputError.at(where, got=given, expected="numbers above 0")
    values = given.tolist() if isinstance(given, Tensor | np.ndarray) else list(given)
    if not isinstance(values, list) or not values:
        raise InputError.at(where, got=given, expected="at least one number above 0")
    return [check_positive(value, where) for value in values]


def _moving(network: Network, drive: Any, duration: float) -> AbstractDrive:
    """Return a drive that changes continuously; stimuli are shown in turn."""
    bound = drive_for(network, drive)
    if isinstance(bound, SampledDrive) and bound.interpolation == "held":
        raise InputError(
            "drive: a SampledDrive that is held jumps from one sample to the next, which rates "
            "follow by transients and not by a lag; use interpolation='linear'.",
            argument="drive",
        )
    if not isinstance(bound, ConstantDrive):
        return bound
    if len(bound.value) < 2:
        raise InputError.at(
            "drive",
            got=tuple(bound.value.shape),
            expected="a drive that changes in time, or at least two stimuli (S, N), shown in turn",
        )
    return drive_for(network, InTurn(bound.value, duration))
