"""Stimuli that follow Ornstein-Uhlenbeck processes: contrast, and a walk in the space of digits.

    dz = -z dt / T + sqrt(2 / T) dW        stationary: mean 0, sd 1, correlation exp(-|s| / T)

An Ornstein-Uhlenbeck path has no derivative: a network's lag behind it shrinks like
sqrt(tau / T), not like tau / T, however slow it is.
"""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ratenet.simulation.time_grid import seconds
from ratenet.stimuli.base import (
    AbstractModulation,
    AbstractStimulus,
    check_images,
    check_stimulus,
    frame_of,
)
from ratenet.stimuli.images import Images, masked
from ratenet.stimuli.random_blocks import LENGTH, Blocks, generator_for
from ratenet.validation import check_positive, check_seed, check_whole

GRID = 200  # points of the grid in one time constant


class OrnsteinUhlenbeck:
    """Independent stationary processes of mean 0 and sd 1, at any time from 0 on.

    Exact on a grid of T / 200, z_{n+1} = a z_n + sqrt(1 - a^2) xi with a = exp(-1/200); linear
    between its points, where the variance is up to 0.25 % too small.

    Parameters
    ----------
    shape : tuple of int
        Shape of the array of processes.
    time_constant : float
        T in seconds.
    kind : str
        Processes of different kinds are independent although their seeds are equal.
    seed : int

    References
    ----------
    Uhlenbeck and Ornstein 1930, Phys. Rev. 36:823; Gillespie 1996, Phys. Rev. E 54:2084 (exact).
    """

    def __init__(self, shape: tuple[int, ...], time_constant: float, kind: str, seed: int) -> None:
        self._interval = time_constant / GRID
        first = generator_for(kind, seed).standard_normal(shape)
        self._blocks = Blocks(kind, seed, first, _next_values)

    def at(self, t: float) -> Tensor:
        """Return the values at time t in seconds, in float64; before t = 0 as at t = 0."""
        position = max(0.0, t / self._interval)
        n = math.floor(position)
        block = self._blocks.block(n // LENGTH)
        return torch.lerp(block[n % LENGTH], block[n % LENGTH + 1], position - n)


def _next_values(start: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    from scipy.signal import lfilter  # imported where it is used: it takes a while

    a = math.exp(-1 / GRID)
    noise = math.sqrt(1 - a * a) * generator.standard_normal((LENGTH, *start.shape))
    values, _ = lfilter([1.0], [1.0, -a], noise, axis=0, zi=a * start[None])
    return np.asarray(values)


@dataclass(frozen=True, eq=False)
class Contrast(AbstractModulation):
    """Images whose contrast wanders: pixels are multiplied by max(0, mean + sd z(t)).

    Each stream has an Ornstein-Uhlenbeck process z of its own. Contrast is clipped at 0, so where
    sd is not far below the mean, the contrast shown has a larger mean and a smaller sd than these.

    T is the time constant, in which the correlation falls to 1/e.

    Parameters
    ----------
    source : AbstractStimulus
        The stimulus whose contrast changes.
    mean, sd : float
        Mean and standard deviation of the contrast before clipping; 1 is the image as it is.
    time_constant : Quantity or float
        A float is in seconds.
    seed : int
        Fixes the path of the contrast.

    References
    ----------
    Hennequin et al. 2018, Neuron 98:846, for inputs of this kind (50 ms).

    Examples
    --------
    >>> import torch
    >>> from ratenet.stimuli import Images, Still
    >>> images = Images(torch.rand(2, 8, 8), [0, 1])
    >>> stimulus = Contrast(Still(images), mean=1.0, sd=0.3, time_constant=0.5)
    >>> stimulus.at(0.25).shape, round(stimulus.time_scale, 3)
    (torch.Size([2, 64]), 0.5)
    """

    source: AbstractStimulus
    mean: float
    sd: float
    time_constant: Any
    seed: int = 0
    _process: OrnsteinUhlenbeck = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_stimulus(self.source, "Contrast, source")
        for name in ("mean", "sd"):
            check_positive(getattr(self, name), f"Contrast, {name}")
        process = _process(self, (len(self.source.at(0.0)), 1), "contrast")
        object.__setattr__(self, "_process", process)

    @property
    def own_time_scale(self) -> float:
        """The time constant in seconds."""
        return float(self.time_constant)

    def contrast_at(self, t: float) -> Tensor:
        """Return the contrast of each stream at time t in seconds, shape (B, 1), float64.

        Parameters
        ----------
        t : float
            Any time, in seconds.
        """
        return (self.mean + self.sd * self._process.at(t)).clamp(min=0.0)

    def at(self, t: float) -> Tensor:
        """Return the images at time t in seconds, shape (B, M)."""
        images = self.source.at(t)
        return self.contrast_at(t).to(images) * images


@dataclass(frozen=True, eq=False)
class Walk(AbstractStimulus):
    """A random walk in the space of images: an Ornstein-Uhlenbeck process in PCA coordinates.

        image(t) = mean + sum_c sd_c z_c(t) u_c

    with the images' mean, their first principal components u_c and the sd along each. So the walk
    has the mean and, in these components, the covariance of the images; it is Gaussian, as is the
    drive that it makes. It shows no digit in particular (`labels_at` is -1), and pixels may be
    below 0 or above 1, since clipping would end both.

    T is the time constant, in which the correlation of every component falls to 1/e.

    Parameters
    ----------
    images : Images
        The images whose mixture is shown.
    streams : int
        B.
    time_constant : Quantity or float
        A float is in seconds.
    components : int
        Principal components, at most as many as there are pixels.
    seed : int
        Fixes the path of the weights of the mixture.

    References
    ----------
    Turk and Pentland 1991, J. Cogn. Neurosci. 3:71, for images in principal components.

    Examples
    --------
    >>> import torch
    >>> from ratenet.stimuli import Images
    >>> images = Images(torch.rand(2, 8, 8), [0, 1])
    >>> stimulus = Walk(images, streams=3, time_constant=0.5, components=2)
    >>> stimulus.at(0.25).shape, round(stimulus.time_scale, 3)
    (torch.Size([3, 64]), 0.5)
    """

    images: Images
    streams: int
    time_constant: Any
    components: int = 50
    seed: int = 0
    _process: OrnsteinUhlenbeck = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_images(self.images, "Walk")
        check_whole(self.streams, "Walk, streams")
        check_whole(self.components, "Walk, components", most=self.images.pixels.shape[1])
        process = _process(self, (self.streams, self.components), "walk")
        object.__setattr__(self, "_process", process)

    @property
    def shape(self) -> tuple[int, ...]:
        """Height and width in pixels, after the channels."""
        return frame_of(self.images)

    @property
    def time_scale(self) -> float:
        """The time constant in seconds."""
        return float(self.time_constant)

    def at(self, t: float) -> Tensor:
        """Return the images at time t in seconds, shape (B, M)."""
        mean, axes = self._mean_and_axes
        return torch.addmm(mean, self._process.at(t).to(axes), axes)

    @cached_property
    def _mean_and_axes(self) -> tuple[Tensor, Tensor]:
        """(M,) and, sd_c u_c, (components, M); found when they are asked for: it takes a while."""
        return _principal_axes(self.images.pixels, self.components)

    def labels_at(self, t: float) -> Tensor:
        """Return that no stream shows a label: the walk passes between the images."""
        labels = self.images.labels[:1].expand(self.streams, *self.images.labels.shape[1:])
        return masked(labels, torch.ones(self.streams, dtype=torch.bool, device=labels.device))


def _process(stimulus: Any, shape: tuple[int, ...], kind: str) -> OrnsteinUhlenbeck:
    """Check the time constant and the seed of a stimulus; return its process."""
    name = type(stimulus).__name__
    T = seconds(stimulus.time_constant, f"{name}, time_constant")
    check_seed(stimulus.seed, f"{name}, seed")
    object.__setattr__(stimulus, "time_constant", T)
    return OrnsteinUhlenbeck(shape, T, kind, stimulus.seed)


def _principal_axes(pixels: Tensor, components: int) -> tuple[Tensor, Tensor]:
    """Return the mean (M,), and principal components times their sd, (components, M)."""
    values = pixels.double().cpu().numpy()
    mean = values.mean(axis=0)
    variances, vectors = np.linalg.eigh(np.cov(values.T, bias=True))  # ascending
    sd = np.sqrt(variances[::-1][:components].clip(min=0.0))
    axes = sd[:, None] * vectors.T[::-1][:components]
    return torch.as_tensor(mean).to(pixels), torch.as_tensor(axes.copy()).to(pixels)
