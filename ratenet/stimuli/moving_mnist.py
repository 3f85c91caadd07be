"""MovingMNIST: two digits in each frame that move at constant speeds and bounce off its edges."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ratenet.errors import InputError
from ratenet.simulation.time_grid import seconds
from ratenet.stimuli.base import AbstractStimulus, check_images, frame_of
from ratenet.stimuli.images import Images
from ratenet.stimuli.movement import resample
from ratenet.stimuli.random_blocks import check_seed, generator_for

DIGITS = 2
FRAME = 64  # pixels; where the frame is another one, digits are scaled along with it
SPEEDS = (0.5, 1.5)  # slowest and fastest, of the mean speed


@dataclass(frozen=True, eq=False)
class MovingMNIST(AbstractStimulus):
    """B frames in each of which two random digits move and bounce off the edges.

    The digits start at random places. Each has a velocity of its own, its direction uniform on the
    circle and its size uniform between 0.5 and 1.5 of the mean speed. Where they overlap, the
    brighter one is seen.

    T is the time in which a digit at the mean speed moves by its own width over 2 pi (4.5 pixels
    of 28), the period over 2 pi, as for `Drift`.

    Parameters
    ----------
    images : Images
    streams : int
        B.
    period : Quantity or float
        Time in which a digit at the mean speed moves by its own width; a float is in seconds.
    size : int
        Height and width of the frame in pixels. In a frame of 64 digits are as they are; in another
        one they are scaled in proportion (28: digits of 12 pixels, as many inputs as MNIST).
    seed : int

    References
    ----------
    Srivastava, Mansimov and Salakhutdinov 2015, arXiv 1502.04681, section 4.1. There a digit moves
    on a grid of whole pixels; here the images are interpolated.
    """

    images: Images
    streams: int
    period: Any
    size: int = FRAME
    seed: int = 0
    _sprites: Tensor = field(init=False, repr=False)  # (2 B, side * side)
    _start: Tensor = field(init=False, repr=False)  # (2 B, 2): px of the free range, unfolded
    _velocity: Tensor = field(init=False, repr=False)  # (2 B, 2): px / s
    _labels: Tensor = field(init=False, repr=False)  # (B, 2)

    def __post_init__(self) -> None:
        check_images(self.images, "MovingMNIST")
        check_seed(self.seed, "MovingMNIST")
        object.__setattr__(self, "period", seconds(self.period, "MovingMNIST, period"))
        for name, least in (("streams", 1), ("size", 16)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise InputError(
                    f"MovingMNIST, {name}: expected a whole number of at least {least}, "
                    f"got {value!r}."
                )
        generator = generator_for("moving", self.seed)
        number = DIGITS * self.streams
        chosen = torch.as_tensor(generator.integers(len(self.images), size=number))
        chosen = chosen.to(self.images.labels.device)
        start = generator.uniform(0.0, self._range, (number, 2))
        angle = generator.uniform(0.0, 2 * math.pi, number)
        speed = generator.uniform(*SPEEDS, number) * self._side / self.period
        velocity = speed[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        for name, made in (
            ("_sprites", self._scaled(self.images.pixels[chosen])),
            ("_start", torch.as_tensor(start)),
            ("_velocity", torch.as_tensor(velocity)),
            ("_labels", self.images.labels[chosen].view(self.streams, DIGITS)),
        ):
            object.__setattr__(self, name, made)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the frame in pixels."""
        return self.size, self.size

    @property
    def time_scale(self) -> float:
        """Period over 2 pi, in seconds."""
        return float(self.period) / (2 * math.pi)

    @property
    def _side(self) -> int:
        """Height and width of a digit's image in pixels."""
        side, _ = frame_of(self.images)
        return side if self.size == FRAME else round(side * self.size / FRAME)

    @property
    def _range(self) -> int:
        """How far a digit can move, in pixels."""
        return self.size - self._side

    def places_at(self, t: float) -> Tensor:
        """Return where the digits' upper left corners are, shape (B, 2, 2): digit, (x, y), px."""
        folded = (self._start + t * self._velocity).remainder(2 * self._range)
        places = torch.minimum(folded, 2 * self._range - folded)  # there and back
        return places.view(self.streams, DIGITS, 2)

    def at(self, t: float) -> Tensor:
        """Return the frames at time t in seconds, shape (B, size * size)."""
        from_centre = self.places_at(t).flatten(0, 1) - self._range / 2  # (2 B, 2)
        maps = torch.eye(2, 3, dtype=torch.float64).repeat(len(from_centre), 1, 1)
        maps[:, :, 2] = -from_centre
        side = (self._side, self._side)
        frames = resample(self._sprites, side, maps, self.shape)
        return frames.view(self.streams, DIGITS, -1).amax(dim=1)

    def labels_at(self, t: float) -> Tensor:
        """Return the classes of both digits, shape (B, 2)."""
        return self._labels

    def _scaled(self, pixels: Tensor) -> Tensor:
        """Return digits of the size that the frame asks for."""
        shape, side = frame_of(self.images), (self._side, self._side)
        if side == shape:
            return pixels
        images = pixels.view(-1, 1, *shape)
        smaller = torch.nn.functional.interpolate(
            images, side, mode="bilinear", antialias=True, align_corners=False
        )
        return smaller.flatten(1)
