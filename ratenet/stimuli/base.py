"""What stimuli have in common: images at a time, for B streams side by side.

    images (B, M) at t  --ReadIn-->  drive (B, N) at t  -->  simulate, measure_lag

A stimulus is a pure function of the time and its seed: it may be asked for any time in any order,
by either backend or by a run that is resumed, and has no state to be saved.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ratenet.errors import InputError, counted
from ratenet.simulation.time_grid import seconds
from ratenet.stimuli.images import Images


class AbstractStimulus(ABC):
    """Images that change in time, B streams side by side; final ones are frozen dataclasses.

    Examples
    --------
    >>> import torch
    >>> still = Still(Images(torch.rand(2, 9), torch.arange(2)))
    >>> isinstance(still, AbstractStimulus), still.at(0.0).shape
    (True, torch.Size([2, 9]))
    """

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Height and width of an image in pixels, after its channels; M is their product."""

    @property
    @abstractmethod
    def time_scale(self) -> float:
        """T, the time in which the images change, in seconds; each stimulus says what it means."""

    @abstractmethod
    def at(self, t: float) -> Tensor:
        """Return the images at time t in seconds, shape (B, M).

        Parameters
        ----------
        t : float
            Any time, in seconds.
        """

    @abstractmethod
    def labels_at(self, t: float) -> Tensor:
        """Return the class that each stream shows at time t, shape (B,); -1: none.

        For images with targets, these: shape (B, K), NaN for none.

        Parameters
        ----------
        t : float
            Any time, in seconds.
        """

    def speed(self, tau: Any) -> float:
        """Return tau / T, how fast the images change for a network.

        Parameters
        ----------
        tau : Quantity or float
            The network's time constant; a float is in seconds.
        """
        return seconds(tau, "tau") / self.time_scale


class AbstractModulation(AbstractStimulus):
    """A stimulus that changes the images of another one, `source`, and keeps their classes.

    Examples
    --------
    >>> import torch
    >>> import ratenet as rn
    >>> still = Still(Images(torch.rand(2, 9), torch.arange(2)))
    >>> turning = rn.stimuli.Rotate(still, period=1.0)
    >>> isinstance(turning, AbstractModulation), turning.labels_at(0.3)
    (True, tensor([0, 1]))
    """

    source: AbstractStimulus

    @property
    @abstractmethod
    def own_time_scale(self) -> float:
        """Time scale of the modulation by itself, in seconds."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Height and width, after the channels, those of the source."""
        return self.source.shape

    @property
    def time_scale(self) -> float:
        """The shorter one of the modulation's and the source's, in seconds."""
        return min(self.own_time_scale, self.source.time_scale)

    def labels_at(self, t: float) -> Tensor:
        """Return the classes of the source."""
        return self.source.labels_at(t)


@dataclass(frozen=True, eq=False)
class Delayed(AbstractModulation):
    """What another stimulus shows, some time later.

    Parameters
    ----------
    source : AbstractStimulus
        The stimulus that is shown later.
    delay : Quantity or float
        A float is in seconds.

    Examples
    --------
    >>> import torch
    >>> import ratenet as rn
    >>> still = Still(Images(torch.rand(2, 9), torch.arange(2)))
    >>> turning = rn.stimuli.Rotate(still, period=1.0)
    >>> bool((Delayed(turning, 0.2).at(0.5) == turning.at(0.3)).all())
    True
    """

    source: AbstractStimulus
    delay: Any

    def __post_init__(self) -> None:
        check_stimulus(self.source, "Delayed, source")
        delay = seconds(self.delay, "Delayed, delay", or_zero=True)
        object.__setattr__(self, "delay", delay)

    @property
    def own_time_scale(self) -> float:
        """Infinity."""
        return math.inf

    def at(self, t: float) -> Tensor:
        """Return the images of the source at t - delay, shape (B, M)."""
        return self.source.at(t - self.delay)

    def labels_at(self, t: float) -> Tensor:
        """Return the classes of the source at t - delay."""
        return self.source.labels_at(t - self.delay)


@dataclass(frozen=True, eq=False)
class Still(AbstractStimulus):
    """Images that do not change, one per stream: what the others move.

    Its time scale is infinite.

    Parameters
    ----------
    images : Images
        One image per stream, with its class.

    Examples
    --------
    >>> import torch
    >>> Still(Images(torch.zeros(3, 784), torch.arange(3))).at(0.1).shape
    torch.Size([3, 784])
    """

    images: Images

    def __post_init__(self) -> None:
        check_images(self.images, "Still")

    @property
    def shape(self) -> tuple[int, ...]:
        """Height and width in pixels, after the channels."""
        return frame_of(self.images)

    @property
    def time_scale(self) -> float:
        """Infinity."""
        return math.inf

    def at(self, t: float) -> Tensor:
        """Return the images, shape (B, M)."""
        return self.images.pixels

    def labels_at(self, t: float) -> Tensor:
        """Return their classes, shape (B,)."""
        return self.images.labels


@dataclass(frozen=True, eq=False)
class ReadIn:
    """The drive of a network by a stimulus: x(t) = W_in images(t) + b.

    Parameters
    ----------
    stimulus : AbstractStimulus
        What is shown, B streams of images.
    weights : Tensor, shape (N, M)
        W_in, of the network's dtype and device.
    bias : Tensor, shape (N,), optional
        b, as of the read-in that `from_rnn` returns.

    Raises
    ------
    InputError
        If the weights do not fit the images, or the bias the weights.

    Notes
    -----
    Each call of `at` takes a product with W_in. Where images are only held and faded, which is
    linear, they can be read in once instead: ``HeldImages(images.read_in(W_in), ...)`` is a drive
    itself.

    Examples
    --------
    >>> import torch
    >>> images = Images(torch.ones(2, 4), torch.arange(2))
    >>> ReadIn(Still(images), torch.eye(3, 4)).at(0.0)
    tensor([[1., 1., 1.],
            [1., 1., 1.]])
    """

    stimulus: AbstractStimulus
    weights: Tensor
    bias: Tensor | None = None

    def __post_init__(self) -> None:
        check_stimulus(self.stimulus, "ReadIn, stimulus")
        pixels = self.stimulus.at(0.0).shape[1]
        shape = tuple(getattr(self.weights, "shape", ()))
        if not isinstance(self.weights, Tensor) or len(shape) != 2 or shape[1] != pixels:
            raise InputError.at(
                "ReadIn, weights",
                got=shape,
                expected=f"a tensor (N, M) with M = {pixels} pixels",
            )
        found = None if self.bias is None else tuple(getattr(self.bias, "shape", ()))
        if found is not None and found != shape[:1]:
            expected = f"a tensor (N,) with N = {counted(shape[0], 'unit')}"
            raise InputError.at("ReadIn, bias", got=found, expected=expected)

    def at(self, t: float) -> Tensor:
        """Return the drive at time t in seconds, shape (B, N).

        Parameters
        ----------
        t : float
            Any time, in seconds.
        """
        drive = self.stimulus.at(t).to(self.weights) @ self.weights.T
        return drive if self.bias is None else drive + self.bias


def check_stimulus(stimulus: Any, where: str) -> None:
    """Refuse anything but a stimulus."""
    if not isinstance(stimulus, AbstractStimulus):
        raise InputError.at(
            where,
            got=stimulus,
            found=type(stimulus).__name__,
            expected="a stimulus, such as Still(images) or HeldImages(images, ...)",
        )


def check_images(images: Any, where: str) -> None:
    """Refuse anything but a set of images, and an empty one."""
    if not isinstance(images, Images) or not len(images):
        raise InputError.at(
            f"{where}, images",
            got=images,
            found=type(images).__name__,
            expected="Images with at least one image, such as load_images().train",
        )


def frame_of(images: Images) -> tuple[int, ...]:
    """Return height and width of images, after their channels where they have some."""
    if len(images.shape) == 1:
        raise InputError(
            f"images: {images.shape[0]} pixels make no square; only square images can be moved or "
            "drawn, or those of a known frame.",
            argument="images",
        )
    return images.shape
