"""The recorder: the observer that makes a trajectory of what a backend reports.

It keeps the states that are asked for, adds up statistics, and ends a run that has diverged or
settled.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ratenet.errors import DivergenceError
from ratenet.network import Network
from ratenet.network.residual import relative_size
from ratenet.simulation.backends.base import Task
from ratenet.simulation.drives import check_finite
from ratenet.simulation.plasticity import PlasticityRecorder
from ratenet.simulation.statistics import Welford
from ratenet.simulation.step_limit import usual_size, why_too_long
from ratenet.simulation.time_grid import ADAPTIVE, WHOLE
from ratenet.simulation.trajectory import Trajectory

EXPLODED = 1e3  # times the usual size, or 1: from here on it matters whether dt is too long


@dataclass(eq=False)
class _Rows:
    """Tensors of one shape, one after another.

    They are written into one tensor, if their number is known and no gradient is wanted: writing
    so would make backward O(T^2).
    """

    number: int | None
    _whole: Tensor | None = field(init=False, default=None)
    _rows: list[Tensor] = field(init=False, default_factory=list)

    def __len__(self) -> int:
        return len(self._rows)

    def append(self, row: Tensor) -> None:
        """Add one more."""
        if row.requires_grad:
            self._whole = None  # the rows, which are parts of it, keep it
        elif self._whole is None and self.number is not None and not self._rows:
            self._whole = row.new_empty(self.number, *row.shape)
        if self._whole is not None:
            row = self._whole[len(self._rows)].copy_(row)
        self._rows.append(row)

    def joined(self) -> Tensor:
        """Return all of them, shape (T, ...)."""
        return torch.stack(self._rows) if self._whole is None else self._whole[: len(self._rows)]


@dataclass(eq=False)
class Recorder:
    """Called with the number of a step and the state (k, B, N) after it; says when to stop.

    Attributes
    ----------
    task : Task
    units : Tensor of int, shape (U,), or None
        Units that are recorded; None: all, without a copy.
    welford : Welford or None
    until_settled : float or None
        Residual at which a stimulus counts as settled.
    progress : callable or None
        Called at each record with the number of steps done.
    plasticity : PlasticityRecorder or None
    residual : Tensor of shape (B,), or None
        Residual of the last record, if `until_settled` was given.
    """

    task: Task
    units: Tensor | None
    welford: Welford | None
    until_settled: float | None
    progress: Callable[[int], object] | None
    plasticity: PlasticityRecorder | None = None
    residual: Tensor | None = field(init=False, default=None)
    _last: Tensor = field(init=False)  # of the last record
    _largest: float = field(init=False)  # |entry| up to which nobody asks whether dt is too long
    _states: _Rows = field(init=False)
    _rates: _Rows = field(init=False)

    def __post_init__(self) -> None:
        self._last, self._largest = self.task.initial, EXPLODED
        if self.task.method in ADAPTIVE:
            self._largest = sys.float_info.max
        number = self.task.grid.steps // self.task.grid.record_every + 1
        self._states, self._rates = (
            _Rows(None if self.until_settled else number) for _ in range(2)
        )

    def bytes(self) -> int:
        """Return the memory that records and statistics need; of rates 0 without a known end."""
        k, B, N = self.task.initial.shape
        U = N if self.units is None else len(self.units)
        records = 0 if self.until_settled else self.task.grid.steps // self.task.grid.record_every
        covariances = 3 * 8 * B * N * N if self.welford and self.welford.has_covariance else 0
        weights = 0 if self.plasticity is None else self.plasticity.bytes()
        return records * (k + 1) * B * U * self.task.initial.element_size() + covariances + weights

    def __call__(self, n: int, state: Tensor) -> bool:
        """Take in the state after n steps; return whether the run may end here."""
        rates = self.task.network.output(state)
        if self.welford is not None:
            self.welford.add(n, rates)
        if self.plasticity is not None:
            self.plasticity.check(n)
        if n % self.task.grid.record_every:
            return False
        if state.numel():
            self._check_size(state.detach(), n)
        if self.plasticity is not None:
            self.plasticity.keep(n)
        self._last = state
        self._states.append(state if self.units is None else state[..., self.units])
        self._rates.append(rates if self.units is None else rates[..., self.units])
        if self.progress is not None:
            self.progress(n)
        return self.until_settled is not None and self._is_settled(n, self.until_settled)

    def _check_size(self, state: Tensor, n: int) -> None:
        """Refuse a state that is not finite, or that grows because dt is too long."""
        low, high = torch.stack(torch.aminmax(state)).tolist()  # one pass, one synchronisation
        if not -self._largest <= low <= high <= self._largest:  # NaN is not
            self._look_closer(state, low, high, n)

    @torch.no_grad()
    def _look_closer(self, state: Tensor, low: float, high: float, n: int) -> None:
        if not (math.isfinite(low) and math.isfinite(high)):
            self._refuse_infinite(state, n)
        size = max(-low, high)
        drive = self.task.drive.at(self.task.grid.time(n))
        usual = max(
            usual_size(self.task.network, self.task.initial, drive), self._largest / EXPLODED
        )
        limit = EXPLODED * usual
        why = self._why_too_long(state, n) if size > limit else None
        if why is not None:
            raise DivergenceError(
                f"The simulation diverged: {self._place(state.abs(), n)} is at {size:.2g}, "
                f"{size / usual:.2g} times the usual size. dt = {self.task.grid.dt:g} s is too "
                f"large: {why}."
            )
        self._largest = limit if size <= limit else EXPLODED * size

    def _refuse_infinite(self, state: Tensor, n: int) -> None:
        """Say where a state is not finite: of what the fault has spread to, the largest before."""
        _check_drive(n, self.task)
        bad = ~torch.isfinite(state)
        place = self._place(torch.where(bad, self._last.abs(), -1.0), n)
        why = self._why_too_long(self._last, n)
        remedy = (
            "Lower dt or the recurrent weights."
            if why is None
            else f"dt = {self.task.grid.dt:g} s is too large: {why}."
        )
        raise DivergenceError(f"The simulation diverged: {place} is NaN or infinite. {remedy}")

    def _place(self, sizes: Tensor, n: int) -> str:
        """Name the unit and stimulus of the largest entry of sizes (k, B, N), and the time."""
        _, stimulus, unit = np.unravel_index(int(sizes.argmax()), tuple(sizes.shape))
        return f"unit {unit} of stimulus {stimulus} at t = {self.task.grid.time(n):g} s"

    def _why_too_long(self, state: Tensor, n: int) -> str | None:
        """Return why dt is too long, at a state reached after n steps or at the initial one."""
        task = self.task
        if task.method in ADAPTIVE:
            return None
        for step, there in ((n, state), (0, task.initial)):
            drive = task.drive.at(task.grid.time(step))
            why = why_too_long(task.network, there, drive, task.grid.dt, task.method)
            if why is not None:
                return why
        return None

    @torch.no_grad()
    def _is_settled(self, n: int, tol: float) -> bool:
        task = self.task
        if task.grid.time(n) < task.drive.rests_from - WHOLE * task.grid.dt:
            return False  # at rest in a drive that will change is not settled
        step = task.network.unit_response(self._last, task.drive.at(task.grid.time(n))).step
        self.residual = relative_size(step, self._last)
        return bool((self.residual <= tol).all())

    @property
    def has_records(self) -> bool:
        """Whether the initial state was good."""
        return len(self._rates) > 0

    def trajectory(self, backend: str, network: Network) -> Trajectory:
        """Return what was recorded, of a network as it was given."""
        task, names = self.task, self.task.network.model.states
        states = self._states.joined()
        units = torch.arange(task.network.units) if self.units is None else self.units
        return Trajectory(
            t=task.grid.records(len(states)),
            rates=self._rates.joined(),
            states=dict(zip(names, states.unbind(1), strict=True)),
            final=dict(zip(names, self._last, strict=True)),
            units=units,
            statistics=None if self.welford is None else self.welford.result(),
            network=network,
            dt=task.grid.dt,
            backend=backend,
            method=task.method,
            plasticity=None if self.plasticity is None else self.plasticity.record(),
        )


def _check_drive(n: int, task: Task) -> None:
    """Refuse a drive that was not finite in the steps since the last record."""
    for step in range(max(0, n - task.grid.record_every), n):
        t = task.grid.time(step)
        check_finite(task.drive.at(t), t)
