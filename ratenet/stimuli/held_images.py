"""HeldImages: streams of images, each held for a while, with fades or blank gaps between them."""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ratenet.errors import InputError
from ratenet.simulation.time_grid import seconds
from ratenet.stimuli.base import AbstractStimulus, check_images, frame_of
from ratenet.stimuli.batches import batches_of_epoch
from ratenet.stimuli.fades import profile_named
from ratenet.stimuli.images import Images, masked
from ratenet.stimuli.random_blocks import LENGTH, Blocks, generator_for
from ratenet.validation import check_seed, check_whole

ON_TIME = 1e-6  # of a mean period: nearer than that, an image has begun


@dataclass(frozen=True)
class GammaDwell:
    """Random dwell times, gamma distributed and independent, with a given mean and sd.

    Parameters
    ----------
    mean, sd : Quantity or float
        Floats are seconds. sd = mean makes them exponential.

    Examples
    --------
    >>> GammaDwell(mean=0.2, sd=0.1)
    GammaDwell(mean=0.2, sd=0.1)
    """

    mean: Any
    sd: Any

    def __post_init__(self) -> None:
        for name in ("mean", "sd"):
            value = seconds(getattr(self, name), f"GammaDwell, {name}")
            object.__setattr__(self, name, value)

    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Return dwell times in seconds.

        Parameters
        ----------
        generator : numpy.random.Generator
            Where randomness comes from.
        shape : tuple of int
            Shape of what is drawn.
        """
        return generator.gamma((self.mean / self.sd) ** 2, self.sd**2 / self.mean, shape)


class _Showing(NamedTuple):
    """What each stream shows, for as long as no stream moves on to its next image."""

    since: float  # s
    until: float
    begin: Tensor  # (B,) or, the same for all, (1,), s: when the image began to fade in
    end: Tensor  # likewise: when the next one will
    before: Tensor  # (B, M): what it faded in from
    current: Tensor  # (B, M)
    labels: Tensor  # (B,)
    common: float | None  # begin, where it is the same for all streams


@dataclass(frozen=True, eq=False)
class HeldImages(AbstractStimulus):
    """B streams of images: each image fades in, is held, and gives way to the next.

    Without a gap an image fades into the next one. With a gap it fades out, the frame is blank for
    a while, and the next one fades in. The first images fade in at t = 0.

    T is the mean time from the beginning of one image to that of the next.

    Parameters
    ----------
    images : Images
        Each is shown at most once an epoch. Images that have been read in (`Images.read_in`) make
        the stimulus a drive.
    streams : int
        B.
    dwell : Quantity, float or GammaDwell
        How long each image is held, fades not counted; floats are seconds. With `GammaDwell`
        every stream has its own times. 0 lets images fade into one another without rest.
    fade : Quantity or float
        Length of a fade; 0 is a step.
    gap : Quantity or float
        How long the frame is blank between two images.
    profile : {"linear", "raised-cosine"}
        The course of the fades. A raised cosine, (1 - cos(pi t / fade)) / 2, has no kinks.
    seed : int
        Seed of the order and the dwell times.
    shuffle : bool
        Whether the order is random, a new one each epoch. False: stream b shows the images b,
        b + B, b + 2 B and so on, again and again.
    before : Tensor, shape (B, M), optional
        What the first images fade in from; default a blank frame.

    Raises
    ------
    InputError, UnknownNameError
        If an argument has a wrong value, unit or shape.

    Examples
    --------
    >>> images = Images(torch.eye(4), torch.arange(4))
    >>> stimulus = HeldImages(images, streams=2, dwell=0.2, fade=0.05)
    >>> stimulus.at(0.1).sum(dim=1), stimulus.time_scale
    (tensor([1., 1.]), 0.25)
    """

    images: Images
    streams: int
    dwell: Any
    fade: Any = 0.0
    gap: Any = 0.0
    profile: str = "linear"
    seed: int = 0
    shuffle: bool = True
    before: Tensor | None = None
    _begins: Blocks = field(init=False, repr=False)
    _latest: list[_Showing] = field(init=False, repr=False, default_factory=list)  # one, at most

    def __post_init__(self) -> None:
        check_images(self.images, "HeldImages")
        check_whole(self.streams, "HeldImages, streams", most=len(self.images))
        check_seed(self.seed, "HeldImages, seed")
        profile_named(self.profile)
        if not isinstance(self.dwell, GammaDwell):
            dwell = seconds(self.dwell, "HeldImages, dwell", or_zero=True)
            object.__setattr__(self, "dwell", dwell)
        for name in ("fade", "gap"):
            value = seconds(getattr(self, name), f"HeldImages, {name}", or_zero=True)
            object.__setattr__(self, name, value)
        if self.time_scale == 0:
            raise InputError(
                "HeldImages: dwell, fade and gap cannot all be 0.", argument="HeldImages"
            )
        wanted = (self.streams, self.images.pixels.shape[1])
        if self.before is not None and tuple(self.before.shape) != wanted:
            raise InputError.at(
                "HeldImages, before", got=tuple(self.before.shape), expected=f"the shape {wanted}"
            )
        clocks = self.streams if isinstance(self.dwell, GammaDwell) else 1
        begins = Blocks("dwell", self.seed, np.zeros(clocks), self._next_begins)
        object.__setattr__(self, "_begins", begins)

    @property
    def shape(self) -> tuple[int, ...]:
        """Height and width in pixels, after the channels."""
        return frame_of(self.images)

    @property
    def time_scale(self) -> float:
        """Mean time from one image to the next, in seconds."""
        dwell = self.dwell.mean if isinstance(self.dwell, GammaDwell) else self.dwell
        return float(dwell + self._between)

    @property
    def _between(self) -> float:
        """Time of a period that is not dwell, in seconds."""
        return float(self.fade + (self.fade + self.gap if self.gap else 0.0))

    def at(self, t: float) -> Tensor:
        """Return the images at time t in seconds, shape (B, M)."""
        t, now = max(0.0, t), self._showing(t)
        if now.common is not None and not self.gap:
            if t - now.common >= self.fade:
                return now.current
            # A number as weight: rounded in double precision.
            return torch.lerp(now.before, now.current, float(self._weight(t - now.begin)))
        weight = self._weight(t - now.begin)
        if self.gap:
            weight = weight * self._weight(now.end - t - self.gap) * ~self._blank(now, t)
        return torch.lerp(now.before, now.current, weight[:, None].to(now.current))

    def kinks(self, begin: float, end: float) -> list[float]:
        """Return when fades without a gap begin and end, where all streams have the same times.

        Parameters
        ----------
        begin, end : float
            The ends of the span, in seconds.
        """
        if self.gap or isinstance(self.dwell, GammaDwell):
            return []
        first, last = (math.floor(t / self.time_scale) for t in (begin, end))
        begins = [n * self.time_scale for n in range(max(0, first), last + 1)]
        return [t + later for t in begins for later in (0.0, float(self.fade))]

    def labels_at(self, t: float) -> Tensor:
        """Return the label of the image that fades in, dwells or fades out; none in a gap."""
        t, now = max(0.0, t), self._showing(t)
        return masked(now.labels, self._blank(now, t).to(now.labels.device))

    def _blank(self, now: _Showing, t: float) -> Tensor:
        """Return which streams are in a gap, (B,)."""
        if self.gap == 0:
            return torch.zeros_like(now.end, dtype=torch.bool)
        return now.end - t <= self.gap + ON_TIME * self.time_scale

    def _weight(self, time: Tensor) -> Tensor:
        """Return the weight of an image some time after it began to fade in, (B,)."""
        if self.fade == 0:
            return torch.ones_like(time)
        return profile_named(self.profile)((time / self.fade).clamp(0.0, 1.0))

    def _showing(self, t: float) -> _Showing:
        """Return what is shown at a time; before t = 0 as at t = 0."""
        now = max(0.0, t) + ON_TIME * self.time_scale
        for latest in self._latest:  # another thread may replace it meanwhile
            if latest.since <= now < latest.until:
                return latest
        showing = self._look_up(now)
        self._latest[:] = [showing]
        return showing

    def _look_up(self, now: float) -> _Showing:
        number, begin, end = self._places(now)
        pixels, indices = self.images.pixels, self._indices(number)
        before = torch.zeros_like(pixels[indices])
        if self.before is not None:
            before = self.before.to(pixels).clone()
        others = (number > 0).to(pixels.device)
        before[others] = (
            0.0 if self.gap else pixels[self._indices((number - 1).clamp(min=0))][others]
        )
        return _Showing(
            since=float(begin.max()),
            until=float(end.min()),
            begin=begin,
            end=end,
            before=before,
            current=pixels[indices],
            labels=self.images.labels[indices],
            common=float(begin) if len(begin) == 1 else None,
        )

    def _places(self, now: float) -> tuple[Tensor, Tensor, Tensor]:
        """Return how many images each stream has had, (B,), and when this one begins and ends."""
        while self._begins.starts[-1].min() <= now:
            self._begins.block(len(self._begins.starts) - 1)
        begun = np.stack(self._begins.starts) <= now  # (blocks, B)
        block = torch.as_tensor(begun.sum(axis=0) - 1)
        number = torch.empty(len(block), dtype=torch.int64)
        begin, end = torch.empty(2, len(block), dtype=torch.float64)
        for each in block.unique().tolist():
            members = torch.nonzero(block == each)[:, 0]
            begins = self._begins.block(each)[:, members]  # (LENGTH + 1, b)
            within = (begins <= now).sum(dim=0).clamp(max=LENGTH) - 1
            number[members] = each * LENGTH + within
            begin[members] = begins.gather(0, within[None])[0]
            end[members] = begins.gather(0, within[None] + 1)[0]
        return number.expand(self.streams), begin, end

    def _next_begins(self, begin: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        shape = (LENGTH, len(begin))
        dwell = self.dwell
        times = (
            dwell.draw(generator, shape) if isinstance(dwell, GammaDwell) else np.full(shape, dwell)
        )
        return begin + np.cumsum(times + self._between, axis=0)

    def _indices(self, number: Tensor) -> Tensor:
        """Return which images are the streams' `number`-th ones, (B,)."""
        if not self.shuffle:
            in_turn = (number % self._rounds) * self.streams + torch.arange(self.streams)
            return in_turn.to(self.images.labels.device)
        epochs = torch.div(number, self._rounds, rounding_mode="floor")
        stream, result = torch.arange(self.streams), torch.empty_like(number)
        for epoch in epochs.unique().tolist():
            order = batches_of_epoch(len(self.images), self.streams, self._order_seed, epoch)
            members = epochs == epoch
            result[members] = order[number[members] % self._rounds, stream[members]]
        return result.to(self.images.labels.device)

    @property
    def _rounds(self) -> int:
        """Images that each stream shows in an epoch."""
        return len(self.images) // self.streams

    @cached_property
    def _order_seed(self) -> int:
        return int(generator_for("order", self.seed).integers(2**62))
