"""What a step shows: images that stay as they are, or an excerpt of a stimulus that moves.

A stimulus is made once for a whole run, of all training images, and goes on from step to step: step
n shows what lies between n (hold + fade) and (n + 1) (hold + fade). It follows from the time and
the seed alone, so that a run can be resumed without anything about it in the checkpoint.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from ratenet.errors import InputError, RatenetError
from ratenet.simulation.time_grid import seed_of_step
from ratenet.stimuli import (
    HELD,
    STIMULI,
    AbstractModulation,
    AbstractStimulus,
    HeldImages,
    Images,
)
from ratenet.stimuli.images import is_answerable
from ratenet.training.options import TrainingOptions

JUST_BEFORE = 1e-5  # of a presentation: the end still shows the image that was shown, not the next


class Reader(Protocol):
    """What makes drives of images: a `Classifier` or a `Stack`."""

    def drive(self, pixels: Tensor, /) -> Tensor:
        """Return the drives (B, N) of images (B, M)."""


class AbstractShown(ABC):
    """Images for the streams of this process, in the course of one presentation."""

    @abstractmethod
    def at(self, t: float) -> Tensor:
        """Return the pixels t seconds after the presentation began, shape (B, M)."""

    @abstractmethod
    def labels_at(self, t: float) -> Tensor:
        """Return the classes of the images that are shown then, shape (B,); -1: none."""

    @abstractmethod
    def drive(self, reader: Reader) -> Any:
        """Return the drives that they make: (B, N), or what has at(t) -> (B, N)."""


@dataclass(frozen=True, eq=False)
class Batch(AbstractShown):
    """Images that do not change; how they fade in is the presentation's business."""

    pixels: Tensor
    labels: Tensor

    def at(self, t: float) -> Tensor:
        """Return the pixels, shape (B, M)."""
        return self.pixels

    def labels_at(self, t: float) -> Tensor:
        """Return their classes, shape (B,)."""
        return self.labels

    def drive(self, reader: Reader) -> Tensor:
        """Return their drives, (B, N)."""
        return reader.drive(self.pixels)


@dataclass(frozen=True, eq=False)
class Excerpt(AbstractShown):
    """What a stimulus shows in one presentation.

    Parameters
    ----------
    stimulus : AbstractStimulus
    start, duration : float
        In seconds.
    streams : slice
        Those of this process.
    """

    stimulus: AbstractStimulus
    start: float
    duration: float
    streams: slice

    def at(self, t: float) -> Tensor:
        """Return the pixels, shape (B, M)."""
        return self.stimulus.at(self._time(t))[self.streams]

    def labels_at(self, t: float) -> Tensor:
        """Return the classes, shape (B,)."""
        return self.stimulus.labels_at(self._time(t))[self.streams]

    def drive(self, reader: Reader) -> "_Drive":
        """Return the drive through the read-in."""
        return _Drive(self, reader)

    def _time(self, t: float) -> float:
        return self.start + min(t, (1 - JUST_BEFORE) * self.duration)


@dataclass(frozen=True, eq=False)
class _Drive:
    """What changes in time, through a read-in that may learn meanwhile."""

    shown: AbstractShown
    reader: Reader

    def at(self, t: float) -> Tensor:
        """Return the drive, (B, N)."""
        return self.reader.drive(self.shown.at(t))


class _InOrderOfRun(HeldImages):
    """Held images in the order in which a run without a stimulus shows them."""

    @property
    def _order_seed(self) -> int:
        return self.seed


def stimulus_of(config: TrainingOptions, images: Images) -> AbstractStimulus | None:
    """Return what a resolved configuration shows of its training images.

    None stands for images that are held and fade, linearly, or that do not change: `Batch`.

    Raises
    ------
    InputError, UnknownNameError
        If the stimulus cannot be made, or does not fit the data set and the streams.
    """
    if config.presentation == "static" or config.stimulus == HELD:
        return None
    source = _InOrderOfRun(images, config.batch_size, config.hold, config.fade, seed=config.seed)
    stimulus = _made(config.stimulus, source)
    _check_fits(stimulus, source)
    return stimulus


def excerpts_of_test(config: TrainingOptions, images: Images) -> Iterator[Excerpt] | None:
    """Return each test image once under the stimulus, less a remainder of under one per stream.

    None if the stimulus is an object with images of its own.
    """
    if isinstance(config.stimulus, AbstractStimulus):
        return None
    rounds = -(-len(images) // config.batch_size)
    source = HeldImages(
        images,
        len(images) // rounds,
        config.hold,
        config.fade,
        seed=seed_of_step(config.seed, -2),  # another course than that of the training images
        shuffle=False,
    )
    stimulus, duration = _made(config.stimulus, source), config.hold + config.fade
    return (Excerpt(stimulus, n * duration, duration, slice(None)) for n in range(rounds))


def time_scale_of(stimulus: AbstractStimulus) -> float:
    """Return T in seconds of what happens to images while they are held.

    Where nothing does, it is the time from one image to the next.
    """
    T, source = math.inf, stimulus
    while isinstance(source, AbstractModulation):
        T, source = min(T, source.own_time_scale), source.source
    return T if math.isfinite(T) else source.time_scale


def check_stimulus_of(config: TrainingOptions) -> None:
    """Check names, settings and their values, as far as this does not run the user's code.

    Raises
    ------
    InputError, UnknownNameError
    """
    STIMULI.check(config.stimulus)
    if isinstance(config.stimulus, str) and not STIMULI.names_own(config.stimulus):
        blank = Images(torch.zeros(2, 28, 28), torch.zeros(2, dtype=torch.int64))
        hold, fade = (1.0 if time is None else time for time in (config.hold, config.fade))
        _made(config.stimulus, HeldImages(blank, 2, hold, fade))


def check_teaches(config: TrainingOptions, taught: Iterable[Tensor], choices: str) -> None:
    """Refuse a stimulus that shows no class to any stream whenever the rule acts.

    Parameters
    ----------
    config : TrainingOptions
    taught : iterable of Tensor of bool, shape (B,)
        For each of these times, from which streams the rule can learn.
    choices : str
        What helps.
    """
    if not any(bool(streams.any()) for streams in taught):
        raise InputError(
            f"stimulus: {STIMULI.written(config.stimulus)} shows no class when the rule acts, so "
            f"that there is no error to learn from; choose {choices}.",
            argument="stimulus",
            got=config.stimulus,
        )


def _made(given: Any, source: HeldImages) -> AbstractStimulus:
    try:
        return STIMULI.read(given, source)
    except RatenetError as error:
        raise error if str(error).startswith("stimulus") else error.within("stimulus") from None


def _check_fits(stimulus: AbstractStimulus, source: HeldImages) -> None:
    """Refuse a stimulus of other streams, images or labels than a run takes."""
    images, labels, own = stimulus.at(0.0), stimulus.labels_at(0.0), source.images
    for what, found, like in (("images", images, own.pixels), ("labels", labels, own.labels)):
        wanted, shape = (source.streams, *like.shape[1:]), tuple(getattr(found, "shape", ()))
        if not isinstance(found, Tensor) or shape != wanted:
            raise InputError.at(
                f"stimulus, {what}",
                got=shape,
                expected=f"the shape {wanted}, one row per stream, as the data set has them",
            )
    if labels.is_floating_point() != own.labels.is_floating_point():
        raise InputError.at("stimulus, labels", got=labels.dtype, expected=f"{own.labels.dtype}")
    known = labels[is_answerable(labels)]
    if own.has_classes and len(known) and int(known.max()) > (highest := int(own.labels.max())):
        raise InputError.at(
            "stimulus, labels",
            got=int(known.max()),
            expected=f"classes from 0 to {highest}, or -1 for none",
        )
