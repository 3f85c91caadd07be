"""Drives: the external input of a simulation, constant or changing in time.

A drive comes to `simulate` as an array (constant), a `SampledDrive`, a function of time, or any
object with ``at(t)``. `drive_for` turns each into one of three kinds that a backend can ask for the
input (B, N) at a time, and checks shapes and units while it does.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from ratenet.equations.arrays import real_numbers
from ratenet.equations.units import Quantity
from ratenet.errors import InputError, show_any
from ratenet.network import Network
from ratenet.simulation.time_grid import seconds

ON_GRID = 1e-6  # of an interval: nearer than that, a time counts as the time of a sample


@runtime_checkable
class Drive(Protocol):
    """An external input that changes in time.

    Examples
    --------
    Any object with a method ``at(t)`` is a drive:

    >>> import ratenet as rn
    >>> class Ramp:
    ...     def at(self, t):
    ...         return [10 * t]
    >>> isinstance(Ramp(), Drive)
    True
    >>> rn.simulate(rn.Network("rate", [[0.5]]), Ramp(), duration=0.1, dt=0.001).rates.shape
    torch.Size([101, 1, 1])
    """

    def at(self, t: float) -> Any:
        """Return the drive at time t in seconds, shape (N,) or (B, N).

        Parameters
        ----------
        t : float
            Time in seconds.
        """


class AbstractDrive(ABC):
    """A drive that has been checked for one network.

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("rate", [[0.5]])
    >>> drive = rn.SampledDrive([[0.0], [2.0]], 1.0).on(network)
    >>> isinstance(drive, AbstractDrive), drive.at(0.0)
    (True, tensor([[0.]], dtype=torch.float64))
    """

    @abstractmethod
    def at(self, t: float) -> Tensor:
        """Return the drive at time t in seconds, shape (B, N).

        Parameters
        ----------
        t : float
            Time in seconds.
        """

    @abstractmethod
    def before(self, t: float) -> Tensor:
        """Return the limit from the left: what a step that ends at t still sees, shape (B, N).

        Parameters
        ----------
        t : float
            Time in seconds.
        """

    @property
    @abstractmethod
    def rests_from(self) -> float:
        """The time in seconds from which it no longer changes; infinite where that is unknown."""

    def breaks(self, begin: float, end: float) -> list[float]:
        """Return where it is known to jump or bend, begin < t < end in seconds, in order.

        Parameters
        ----------
        begin, end : float
            The ends of the span, in seconds.
        """
        return []


@dataclass(frozen=True, eq=False)
class ConstantDrive(AbstractDrive):
    """A drive that does not change: ``at(t)`` is the same (B, N) for every t."""

    value: Tensor

    def __repr__(self) -> str:
        return f"ConstantDrive({_of_shape(self.value)})"

    def at(self, t: float) -> Tensor:
        """Return the constant value, shape (B, N)."""
        return self.value

    def before(self, t: float) -> Tensor:
        """Return the constant value, shape (B, N)."""
        return self.value

    @property
    def rests_from(self) -> float:
        """The beginning of time: it never changes."""
        return -math.inf


@dataclass(frozen=True, eq=False)
class FunctionDrive(AbstractDrive):
    """A function of time, each of whose values is checked."""

    function: Callable[[float], Any]
    network: Network
    first: Tensor  # (B, N), the value at the start: later ones are like it
    is_tracked: bool = True  # whether gradients were on where the drive was given
    kinks: Callable[[float, float], Any] | None = None
    _checked: list[tuple[Tensor, int]] = field(init=False, repr=False, default_factory=list)

    def __repr__(self) -> str:
        return f"FunctionDrive({show_any(self.function)}, {_of_shape(self.first)})"

    def at(self, t: float) -> Tensor:
        """Return the function's value at t, shape (B, N)."""
        network = self.network
        with torch.set_grad_enabled(self.is_tracked):
            value = self.function(t)
        is_new = isinstance(value, Tensor) and value.requires_grad and not self.first.requires_grad
        if is_new and not torch.is_grad_enabled():
            raise InputError(
                f"drive: the value at t = {t:g} s requires a gradient, that at the start did not, "
                "so no graph was kept; let the first value require one too, or detach the others.",
                argument="drive",
            )
        if self._is_checked(value):  # as while an image is held
            return value
        if not (
            isinstance(value, Tensor)
            and (value.shape, value.dtype, value.device)
            == (self.first.shape, network.dtype, network.device)
        ):
            value = network.as_drive(value)
        # An infinite drive may leave no trace: tanh of it is 1. On a GPU the test would wait.
        if value.device.type == "cpu" and not torch.isfinite(value.detach().sum()):
            check_finite(value.detach(), t)
        if value.shape != self.first.shape:
            raise InputError(
                f"drive: its shape is {tuple(value.shape)} at t = {t:g} s and "
                f"{tuple(self.first.shape)} at the start; return the same shape at all times.",
                argument="drive",
                got=tuple(value.shape),
            )
        if not value.is_inference():
            self._checked[:] = [(value, value._version)]
        return value

    def _is_checked(self, value: Any) -> bool:
        """Return whether it is the tensor of the last call, as it was then."""
        same = bool(self._checked) and value is self._checked[0][0]
        return same and value._version == self._checked[0][1]

    def before(self, t: float) -> Tensor:
        """Return the function's value at t: it is taken to be continuous."""
        return self.at(t)

    def breaks(self, begin: float, end: float) -> list[float]:
        """Return its kinks, where it is an object that tells them."""
        found = [] if self.kinks is None else self.kinks(begin, end)
        return sorted({float(t) for t in found if begin < t < end})

    @property
    def rests_from(self) -> float:
        """Infinite: it may change at any time."""
        return math.inf


@dataclass(frozen=True, eq=False)
class SampledDrive(AbstractDrive):
    """A drive given by samples at equal intervals, the first at t = 0.

    Parameters
    ----------
    values : array_like or Quantity, shape (T, N) or (T, B, N)
        Sample n is the drive at t = n * interval.
    interval : Quantity or float
        Time from one sample to the next; a float is in seconds.
    interpolation : {"held", "linear"}
        Between samples: the last one holds, or a straight line to the next.

    Raises
    ------
    InputError
        If the shape, the interval or the interpolation is not one of these. `simulate`, which
        knows the network, checks N and the unit.

    Notes
    -----
    After the last sample the drive is held at it, and before t = 0 at the first one. A time within
    1e-6 of an interval of a sample counts as the sample's own, so that a step at n * dt meets
    sample n whatever the rounding.

    Examples
    --------
    >>> from brian2 import ms
    >>> drive = SampledDrive([[0.0], [1.0]], 10*ms, interpolation="linear")
    >>> drive.at(0.0025), drive.at(1.0)
    (tensor([0.2500], dtype=torch.float64), tensor([1.], dtype=torch.float64))
    """

    values: Any
    interval: Any
    interpolation: Literal["held", "linear"] = "held"

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _samples(self.values))
        object.__setattr__(self, "interval", seconds(self.interval, "SampledDrive, interval"))
        if self.interpolation not in ("held", "linear"):
            raise InputError.at(
                "SampledDrive, interpolation", got=self.interpolation, expected="'held' or 'linear'"
            )

    def __repr__(self) -> str:
        return (
            f"SampledDrive({_of_shape(self.values)}, every {self.interval:g} s, "
            f"{self.interpolation})"
        )

    def at(self, t: float) -> Any:
        """Return the drive at time t in seconds, shape (N,) or (B, N), as `values` were given."""
        position = self._position(t)
        n = math.floor(position)
        weight = position - n
        if self.interpolation == "held" or weight == 0:
            return self.values[n]
        return self.values[n] + weight * (self.values[n + 1] - self.values[n])

    def before(self, t: float) -> Any:
        """Return the limit of `at` from the left."""
        position = self._position(t)
        if self.interpolation == "linear" or position != math.floor(position):
            return self.at(t)
        is_past = t > (len(self.values) - 1 + ON_GRID) * self.interval
        return self.values[int(position) - (0 if is_past or position == 0 else 1)]

    @property
    def rests_from(self) -> float:
        """The time of the last sample."""
        return (len(self.values) - 1) * float(self.interval)

    def breaks(self, begin: float, end: float) -> list[float]:
        """Return its jumps; linear interpolation bends at every sample, which errors tell."""
        return self.jumps(begin, end)

    def jumps(self, begin: float, end: float) -> list[float]:
        """Return the times at which the drive jumps, begin < t < end, in seconds.

        Parameters
        ----------
        begin, end : float
            The ends of the span, in seconds.
        """
        if self.interpolation == "linear":
            return []
        first = max(1, math.floor(begin / self.interval + ON_GRID) + 1)
        last = min(len(self.values) - 1, math.ceil(end / self.interval - ON_GRID) - 1)
        return [n * self.interval for n in range(first, last + 1)]

    def on(self, network: Network) -> "SampledDrive":
        """Return the same drive as a tensor (T, B, N) of a network's dtype and device.

        Parameters
        ----------
        network : Network
            Whose dtype, device and number of units it takes.
        """
        rows, shape = self.values, tuple(self.values.shape)
        flat = network.as_drive(rows.reshape(-1, shape[-1]))
        return replace(self, values=flat.reshape(shape[0], -1, shape[-1]))

    def _position(self, t: float) -> float:
        """Return t in intervals, between the first and the last sample, whole at a sample."""
        position = min(max(t / self.interval, 0.0), float(len(self.values) - 1))
        nearest = round(position)
        return float(nearest) if abs(position - nearest) <= ON_GRID else position


def drive_for(network: Network, drive: Any, start: float = 0.0) -> AbstractDrive:
    """Return a drive, whatever it was given as, ready for a network.

    Parameters
    ----------
    network : Network
    drive : array_like, SampledDrive, brian2.TimedArray, callable, or Drive
    start : float
        The simulation's first time in seconds.

    Returns
    -------
    AbstractDrive
        Its `at(t)` gives the drive of all stimuli, (B, N), at time t in seconds.

    Raises
    ------
    InputError
        If its shape or unit does not fit the network, or it holds NaN.
    """
    from brian2.input.timedarray import TimedArray

    if isinstance(drive, TimedArray):
        drive = _from_timed_array(drive, network.units)
    if isinstance(drive, SampledDrive):
        return drive.on(network)
    method = getattr(drive, "at", None)  # not every `at` is a function: data frames have one, too
    function = method if callable(method) else drive if callable(drive) else None
    if isinstance(drive, type):
        raise InputError.at("drive", got=drive, expected="an instance, not a class")
    if function is None:
        return ConstantDrive(network.as_drive(drive))
    first = network.as_drive(function(start))
    kinks = getattr(drive, "kinks", None)
    return FunctionDrive(
        function, network, first, torch.is_grad_enabled(), kinks if callable(kinks) else None
    )


def _from_timed_array(array: Any, units: int) -> SampledDrive:
    """Return Brian2's TimedArray as a drive; one of a single column drives all units alike."""
    values = np.asarray(array.values)
    if values.ndim == 1:
        values = np.repeat(values[:, None], units, axis=1)
    return SampledDrive(Quantity(values, dim=array.dim), array.dt)


def check_finite(value: Tensor, t: float) -> None:
    """Refuse a drive (B, N) that is NaN or infinite somewhere."""
    bad = torch.nonzero(~torch.isfinite(value))
    if len(bad):  # else only their sum is infinite
        stimulus, unit = bad[0].tolist()
        raise InputError(
            f"drive: it is NaN or infinite at t = {t:g} s for unit {unit} of stimulus {stimulus}; "
            "all values must be finite.",
            argument="drive",
        )


def _of_shape(values: Any) -> str:
    """Return the shape of an array (..., N) in words."""
    return f"shape {tuple(values.shape)}"


def _samples(values: Any) -> Any:
    """Return samples as a tensor, or as the quantity that they are, their shape checked."""
    values = real_numbers(values, "SampledDrive, values")
    if not isinstance(values, (Tensor, Quantity)):
        values = torch.from_numpy(values)
    shape = tuple(values.shape)
    if len(shape) not in (2, 3) or 0 in shape:
        raise InputError.at(
            "SampledDrive, values",
            got=shape,
            expected="shape (T, N) or (T, B, N), with at least one sample of one unit",
        )
    return values
