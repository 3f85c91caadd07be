"""Images that move at constant speeds and bounce off the edges of a frame.

`MovingMNIST` shows two digits a frame, the same ones for good; `Bounce` moves what another stimulus
shows, one image a frame.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ratenet.errors import InputError
from ratenet.simulation.time_grid import seconds
from ratenet.stimuli.base import (
    AbstractModulation,
    AbstractStimulus,
    check_images,
    check_stimulus,
    frame_of,
)
from ratenet.stimuli.images import Images
from ratenet.stimuli.movement import resample
from ratenet.stimuli.random_blocks import generator_for
from ratenet.validation import check_seed, check_whole

DIGITS = 2
DIGIT, FRAME = 28, 64  # pixels; where the frame is another one, digits are scaled along with it
SPEEDS = (0.5, 1.5)  # slowest and fastest, of the mean speed


class _Paths:
    """Straight paths at constant speeds, folded back at the ends of a free range.

    Parameters
    ----------
    number : int
        Number of paths.
    free : int
        How far an image can move, in pixels.
    speed : float
        The mean one, in pixels per second.
    generator : numpy.random.Generator
    """

    def __init__(
        self, number: int, free: int, speed: float, generator: np.random.Generator
    ) -> None:
        self.free = free
        self._start = torch.as_tensor(generator.uniform(0.0, free, (number, 2)))  # unfolded
        angle = generator.uniform(0.0, 2 * math.pi, number)
        speeds = generator.uniform(*SPEEDS, number) * speed
        directions = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        self._velocity = torch.as_tensor(speeds[:, None] * directions)  # (number, 2)

    def at(self, t: float) -> Tensor:
        """Return where upper left corners are, shape (number, 2): (x, y), px."""
        folded = (self._start + t * self._velocity).remainder(2 * self.free)
        return torch.minimum(folded, 2 * self.free - folded)  # there and back

    def show(self, sprites: Tensor, side: int, frame: tuple[int, ...], t: float) -> Tensor:
        """Return frames with a sprite of side x side pixels in each, at its place."""
        from_centre = self.at(t) - self.free / 2
        maps = torch.eye(2, 3, dtype=torch.float64).repeat(len(from_centre), 1, 1)
        maps[:, :, 2] = -from_centre
        return resample(sprites, (side, side), maps, frame)


def _scaled(pixels: Tensor, shape: tuple[int, ...], side: int) -> Tensor:
    """Return images of side x side pixels."""
    if (side, side) == shape[-2:]:
        return pixels
    images = pixels.view(len(pixels), -1, *shape[-2:])
    smaller = torch.nn.functional.interpolate(
        images, (side, side), mode="bilinear", antialias=True, align_corners=False
    )
    return smaller.flatten(1)


@dataclass(frozen=True, eq=False)
class Bounce(AbstractModulation):
    """Images that move in a frame at constant speeds and bounce off its edges, one in each frame.

    Places and velocities are drawn as for `MovingMNIST`, and images are as much smaller than the
    frame as its digits are: 28 of 64 pixels.

    T is the time in which an image at the mean speed moves by its own width over 2 pi, the period
    over 2 pi.

    Parameters
    ----------
    source : AbstractStimulus
        Its images are scaled down, and put into a frame as large as they were.
    period : Quantity or float
        Time in which an image at the mean speed moves by its own width; a float is in seconds.
    seed : int
        Fixes places and velocities.

    Examples
    --------
    >>> import ratenet as rn
    >>> still = rn.stimuli.Still(Images(torch.rand(2, 784), torch.arange(2)))
    >>> Bounce(still, period=1.0, seed=0).at(0.5).shape
    torch.Size([2, 784])
    """

    source: AbstractStimulus
    period: Any
    seed: int = 0
    _paths: _Paths = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_stimulus(self.source, "Bounce, source")
        check_seed(self.seed, "Bounce")
        object.__setattr__(self, "period", seconds(self.period, "Bounce, period"))
        height, width = self.source.shape[-2:]
        if height != width or height < 4:
            expected = "square images of at least 4 x 4 pixels"
            raise InputError.at(
                "Bounce, source", found=f"{height} x {width} pixels", expected=expected
            )
        streams, side = len(self.source.at(0.0)), self._side
        generator = generator_for("bounce", self.seed)
        paths = _Paths(streams, height - side, side / self.period, generator)
        object.__setattr__(self, "_paths", paths)

    @property
    def own_time_scale(self) -> float:
        """Period over 2 pi, in seconds."""
        return float(self.period) / (2 * math.pi)

    @property
    def _side(self) -> int:
        """Height and width of an image in the frame, in pixels."""
        return round(self.source.shape[-1] * DIGIT / FRAME)

    def at(self, t: float) -> Tensor:
        """Return the frames at time t in seconds, shape (B, M)."""
        images = _scaled(self.source.at(t), self.source.shape, self._side)
        return self._paths.show(images, self._side, self.shape, t)


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
        The digits, grey squares.
    streams : int
        B.
    period : Quantity or float
        Time in which a digit at the mean speed moves by its own width; a float is in seconds.
    size : int
        Height and width of the frame in pixels. In a frame of 64 digits are as they are; in another
        one they are scaled in proportion (28: digits of 12 pixels, as many inputs as MNIST).
    seed : int
        Fixes the choice of digits, their places and velocities.

    References
    ----------
    Srivastava, Mansimov and Salakhutdinov 2015, arXiv 1502.04681, section 4.1. There a digit moves
    on a grid of whole pixels; here the images are interpolated.

    Examples
    --------
    >>> import torch
    >>> from ratenet.stimuli import Images
    >>> images = Images(torch.rand(2, 8, 8), [0, 1])
    >>> stimulus = MovingMNIST(images, streams=3, period=1.0, size=28)
    >>> stimulus.at(0.25).shape, round(stimulus.time_scale, 3)
    (torch.Size([3, 784]), 0.159)
    """

    images: Images
    streams: int
    period: Any
    size: int = FRAME
    seed: int = 0
    _sprites: Tensor = field(init=False, repr=False)  # (2 B, side * side)
    _paths: _Paths = field(init=False, repr=False)  # 2 B of them
    _labels: Tensor = field(init=False, repr=False)  # (B, 2)

    def __post_init__(self) -> None:
        check_images(self.images, "MovingMNIST")
        if len(frame := frame_of(self.images)) > 2 or frame[0] != frame[1]:
            raise InputError.at("MovingMNIST, images", got=frame, expected="grey squares")
        check_seed(self.seed, "MovingMNIST, seed")
        object.__setattr__(self, "period", seconds(self.period, "MovingMNIST, period"))
        for name, least in (("streams", 1), ("size", 16)):
            check_whole(getattr(self, name), f"MovingMNIST, {name}", least=least)
        generator = generator_for("moving", self.seed)
        number = DIGITS * self.streams
        chosen = torch.as_tensor(generator.integers(len(self.images), size=number))
        chosen = chosen.to(self.images.labels.device)
        paths = _Paths(number, self.size - self._side, self._side / self.period, generator)
        sprites = _scaled(self.images.pixels[chosen], frame_of(self.images), self._side)
        for name, made in (
            ("_sprites", sprites),
            ("_paths", paths),
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

    def places_at(self, t: float) -> Tensor:
        """Return where the digits' upper left corners are, shape (B, 2, 2): digit, (x, y), px.

        Parameters
        ----------
        t : float
            Any time, in seconds.
        """
        return self._paths.at(t).view(self.streams, DIGITS, 2)

    def at(self, t: float) -> Tensor:
        """Return the frames at time t in seconds, shape (B, size * size)."""
        frames = self._paths.show(self._sprites, self._side, self.shape, t)
        return frames.view(self.streams, DIGITS, -1).amax(dim=1)

    def labels_at(self, t: float) -> Tensor:
        """Return the classes of both digits, shape (B, 2)."""
        return self._labels
