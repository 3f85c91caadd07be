"""Movements of images: drift, rotation, scaling, shear. Each is an affine map of the frame.

A map says which place p' = A p + b of the source is seen at a place p of the frame; places are in
pixels from the centre, x to the right and y downwards. Between pixels torch's grid_sample
interpolates by cubic convolution, so that the velocity of the images is continuous, as the lag of a
network behind them asks for; beside sharp edges pixels may be a little below 0 or above 1.
"""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ratenet.equations.units import DIMENSIONLESS
from ratenet.errors import InputError
from ratenet.network.coerce import as_tensor
from ratenet.simulation.time_grid import seconds
from ratenet.stimuli.base import AbstractModulation, AbstractStimulus, check_stimulus


def resample(
    pixels: Tensor, shape: tuple[int, ...], maps: Tensor, frame: tuple[int, ...]
) -> Tensor:
    """Return images as an affine map shows them, shape (B, height * width of the frame).

    Parameters
    ----------
    pixels : Tensor, shape (B, M)
    shape : tuple of int
        Height and width of these images, after their channels where they have some.
    maps : Tensor, shape (2, 3) or (B, 2, 3)
        A and b: from a place in the frame to a place in the image, in pixels. What lies outside
        of an image is 0.
    frame : tuple of int
        Height and width of what is returned.
    """
    B, shape, frame = len(pixels), shape[-2:], frame[-2:]
    y, x = (torch.arange(size).to(pixels) - (size - 1) / 2 for size in frame)
    places = torch.stack([*torch.meshgrid(x, y, indexing="xy"), x.new_ones(frame)]).flatten(1)
    # One product for all streams: affine_grid takes one for each, and longer than the sampling.
    seen = (maps.to(pixels).reshape(-1, 3) @ places).view(-1, 2, *frame)
    half = pixels.new_tensor([shape[1] / 2, shape[0] / 2])  # grid_sample measures from -1 to 1
    grid = (seen.permute(0, 2, 3, 1) / half).expand(B, *frame, 2)
    images = pixels.view(B, -1, *shape)
    shown = torch.nn.functional.grid_sample(images, grid, mode="bicubic", align_corners=False)
    return shown.flatten(1)


class AbstractMovement(AbstractModulation):
    """A periodic movement of all streams: in step, or each at a phase of its own."""

    period: Any
    phase: Any

    @abstractmethod
    def map_at(self, t: Tensor) -> Tensor:
        """Return A and b at times t in seconds for streams whose phase is 0, shape (..., 2, 3)."""

    @property
    def own_time_scale(self) -> float:
        """Period over 2 pi, in seconds."""
        return float(self.period) / (2 * math.pi)

    def at(self, t: float) -> Tensor:
        """Return the moved images at time t in seconds, shape (B, M)."""
        images = self.source.at(t)
        return resample(images, self.shape, self._maps(t), self.shape)

    def _maps(self, t: float) -> Tensor:
        """Return the maps at time t, (2, 3), or (B, 2, 3) where streams differ."""
        return self.map_at(t + self.phase * self.period)

    def _angle(self, t: Tensor) -> Tensor:
        """Return the phase of the movement, in radians."""
        return 2 * math.pi * t / float(self.period)

    def _check(self) -> None:
        name = type(self).__name__
        check_stimulus(self.source, f"{name}, source")
        object.__setattr__(self, "period", seconds(self.period, f"{name}, period"))
        streams = len(self.source.at(0.0))
        object.__setattr__(self, "phase", _phases(self.phase, f"{name}, phase", streams))


@dataclass(frozen=True, eq=False)
class Rotate(AbstractMovement):
    """Images that rotate counter-clockwise about the centre of the frame at a constant speed.

    T is the time of one radian, the period over 2 pi.

    Parameters
    ----------
    source : AbstractStimulus
        The stimulus whose images are moved; they must form a frame.
    period : Quantity or float
        Time of a full turn; a float is in seconds.
    phase : float or array_like, shape (B,)
        Where in the period the streams are at t = 0, in periods; one for all, or one for each.

    Examples
    --------
    >>> import torch
    >>> from ratenet.stimuli import Images, Still
    >>> images = Images(torch.rand(2, 8, 8), [0, 1])
    >>> stimulus = Rotate(Still(images), period=2.0)
    >>> stimulus.at(0.25).shape, round(stimulus.time_scale, 3)
    (torch.Size([2, 64]), 0.318)
    """

    source: AbstractStimulus
    period: Any
    phase: Any = 0.0

    def __post_init__(self) -> None:
        self._check()

    def map_at(self, t: Tensor) -> Tensor:
        """Return the rotation back by the angle at times t.

        Parameters
        ----------
        t : Tensor, shape (...)
            Any times, in seconds.

        Returns
        -------
        Tensor, shape (..., 2, 3)
        """
        cosine, sine = self._angle(t).cos(), self._angle(t).sin()
        return _rows([cosine, -sine, 0.0], [sine, cosine, 0.0])


@dataclass(frozen=True, eq=False)
class Scale(AbstractMovement):
    """Images whose size swings: it is multiplied by factor^sin(2 pi t / period).

    T is the inverse angular frequency, the period over 2 pi.

    Parameters
    ----------
    source : AbstractStimulus
        The stimulus whose images are moved; they must form a frame.
    period : Quantity or float
        A float is in seconds.
    factor : float
        Largest magnification, above 0; the smallest is its inverse.
    phase : float or array_like, shape (B,)
        Where in the period the streams are at t = 0, in periods; one for all, or one for each.

    Examples
    --------
    >>> import torch
    >>> from ratenet.stimuli import Images, Still
    >>> images = Images(torch.rand(2, 8, 8), [0, 1])
    >>> stimulus = Scale(Still(images), period=2.0, factor=1.5)
    >>> stimulus.at(0.25).shape, round(stimulus.time_scale, 3)
    (torch.Size([2, 64]), 0.318)
    """

    source: AbstractStimulus
    period: Any
    factor: float = 1.5
    phase: Any = 0.0

    def __post_init__(self) -> None:
        self._check()
        _check_number(self.factor, "Scale, factor", positive=True)

    def map_at(self, t: Tensor) -> Tensor:
        """Return the scaling back at times t.

        Parameters
        ----------
        t : Tensor, shape (...)
            Any times, in seconds.

        Returns
        -------
        Tensor, shape (..., 2, 3)
        """
        smaller = self.factor ** -self._angle(t).sin()
        return _rows([smaller, 0.0, 0.0], [0.0, smaller, 0.0])


@dataclass(frozen=True, eq=False)
class Shear(AbstractMovement):
    """Images whose slant swings: a place y above the centre moves right by y amount sin(angle).

    The angle is 2 pi t / period. T is the inverse angular frequency, the period over 2 pi.

    Parameters
    ----------
    source : AbstractStimulus
        The stimulus whose images are moved; they must form a frame.
    period : Quantity or float
        A float is in seconds.
    amount : float
        Largest shift for each pixel of height.
    phase : float or array_like, shape (B,)
        Where in the period the streams are at t = 0, in periods; one for all, or one for each.

    Examples
    --------
    >>> import torch
    >>> from ratenet.stimuli import Images, Still
    >>> images = Images(torch.rand(2, 8, 8), [0, 1])
    >>> stimulus = Shear(Still(images), period=2.0, amount=0.5)
    >>> stimulus.at(0.25).shape, round(stimulus.time_scale, 3)
    (torch.Size([2, 64]), 0.318)
    """

    source: AbstractStimulus
    period: Any
    amount: float = 0.5
    phase: Any = 0.0

    def __post_init__(self) -> None:
        self._check()
        _check_number(self.amount, "Shear, amount")

    def map_at(self, t: Tensor) -> Tensor:
        """Return the shear back at times t.

        Parameters
        ----------
        t : Tensor, shape (...)
            Any times, in seconds.

        Returns
        -------
        Tensor, shape (..., 2, 3)
        """
        return _rows([1.0, self.amount * self._angle(t).sin(), 0.0], [0.0, 1.0, 0.0])


@dataclass(frozen=True, eq=False)
class Drift(AbstractMovement):
    """Images that drift at a constant speed; what leaves the frame comes back on the other side.

    T is the time in which they move by the frame's width over 2 pi (4.5 pixels of 28), the period
    over 2 pi.

    Parameters
    ----------
    source : AbstractStimulus
        The stimulus whose images are moved; they must form a frame.
    period : Quantity or float
        Time in which they move by the frame's width; a float is in seconds.
    direction : float
        In degrees: 0 is to the right, 90 upwards.
    phase : float or array_like, shape (B,)
        Where in the period the streams are at t = 0, in periods; one for all, or one for each.

    Examples
    --------
    >>> import torch
    >>> from ratenet.stimuli import Images, Still
    >>> images = Images(torch.rand(2, 8, 8), [0, 1])
    >>> stimulus = Drift(Still(images), period=2.0, direction=90.0)
    >>> stimulus.at(0.25).shape, round(stimulus.time_scale, 3)
    (torch.Size([2, 64]), 0.318)
    """

    source: AbstractStimulus
    period: Any
    direction: float = 0.0
    phase: Any = 0.0

    def __post_init__(self) -> None:
        self._check()
        _check_number(self.direction, "Drift, direction")

    def map_at(self, t: Tensor) -> Tensor:
        """Return the shift back at times t, from -1/2 to 1/2 of the frame.

        Parameters
        ----------
        t : Tensor, shape (...)
            Any times, in seconds.

        Returns
        -------
        Tensor, shape (..., 2, 3)
        """
        height, width = self.shape[-2:]
        distance, angle = width * t / float(self.period), math.radians(self.direction)
        right, up = distance * math.cos(angle), distance * math.sin(angle)
        return _rows([1.0, 0.0, _wrapped(-right, width)], [0.0, 1.0, _wrapped(up, height)])

    def at(self, t: float) -> Tensor:
        """Return the moved images at time t in seconds, shape (B, M)."""
        (height, width), images = self.shape[-2:], self.source.at(t)
        right, below = width // 2 + 1, height // 2 + 1
        tiled = torch.nn.functional.pad(
            images.view(len(images), -1, height, width),
            (right, right, below, below),
            mode="circular",
        )
        shape = (height + 2 * below, width + 2 * right)
        return resample(tiled.flatten(1), shape, self._maps(t), self.shape)


def _rows(*rows: list[Tensor | float]) -> Tensor:
    """Return matrices (..., 2, 3) from their entries, numbers for all or tensors (...)."""
    entries = [torch.as_tensor(entry, dtype=torch.float64) for row in rows for entry in row]
    return torch.stack(torch.broadcast_tensors(*entries), dim=-1).unflatten(-1, (2, 3))


def _wrapped(shift: Tensor, size: int) -> Tensor:
    """Return a shift that shows the same on a torus, between -size/2 and size/2."""
    return (shift + size / 2) % size - size / 2


def _phases(value: Any, where: str, streams: int) -> Tensor:
    """Return a phase, or one for each stream, shape () or (B,)."""
    phases = as_tensor(value, DIMENSIONLESS, where, torch.float64, torch.device("cpu"))
    if phases.shape not in ((), (streams,)):
        expected = f"a number, or one for each of the {streams} streams"
        raise InputError.at(where, got=value, expected=expected)
    return phases.detach().clone()  # whatever becomes of the array that was given


def _check_number(value: Any, where: str, *, positive: bool = False) -> None:
    if not (
        isinstance(value, int | float) and math.isfinite(value) and (value > 0 or not positive)
    ):
        allowed = "a finite number above 0" if positive else "a finite number"
        raise InputError.at(where, got=value, expected=allowed)
