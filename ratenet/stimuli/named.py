"""Stimuli by name: one example of each kind, all with the same arguments, for the command line."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from ratenet.errors import UnknownNameError
from ratenet.simulation.time_grid import seconds
from ratenet.stimuli.base import AbstractStimulus, Still
from ratenet.stimuli.batches import batches_of_epoch
from ratenet.stimuli.held_images import GammaDwell, HeldImages
from ratenet.stimuli.images import Images
from ratenet.stimuli.movement import Drift, Rotate, Scale, Shear
from ratenet.stimuli.moving_mnist import MovingMNIST
from ratenet.stimuli.ornstein_uhlenbeck import Contrast, Walk
from ratenet.stimuli.random_blocks import check_seed

Make = Callable[[Images, int, float, int], AbstractStimulus]


class _Kind(NamedTuple):
    title: str
    period: str  # what the period is
    make: Make  # (images, streams, period in seconds, seed)


def _still(images: Images, streams: int, seed: int) -> Still:
    chosen = batches_of_epoch(len(images), streams, seed, 0)[0].to(images.labels.device)
    return Still(images[chosen])


def _held(images: Images, streams: int, period: float, seed: int) -> AbstractStimulus:
    return HeldImages(images, streams, 0.8 * period, 0.2 * period, seed=seed)


def _morphing(images: Images, streams: int, period: float, seed: int) -> AbstractStimulus:
    return HeldImages(images, streams, 0.0, period, profile="raised-cosine", seed=seed)


def _random_dwell(images: Images, streams: int, period: float, seed: int) -> AbstractStimulus:
    return HeldImages(images, streams, GammaDwell(0.8 * period, 0.4 * period), 0.2 * period,
                      seed=seed)  # fmt: skip


def _gaps(images: Images, streams: int, period: float, seed: int) -> AbstractStimulus:
    return HeldImages(images, streams, 0.5 * period, 0.1 * period, 0.3 * period,
                      profile="raised-cosine", seed=seed)  # fmt: skip


def _moved(movement: Callable[[AbstractStimulus, float], AbstractStimulus]) -> Make:
    return lambda images, streams, period, seed: movement(_still(images, streams, seed), period)


def _contrast(images: Images, streams: int, period: float, seed: int) -> AbstractStimulus:
    return Contrast(_still(images, streams, seed), 0.6, 0.25, period / (2 * math.pi), seed)


def _walk(images: Images, streams: int, period: float, seed: int) -> AbstractStimulus:
    return Walk(images, streams, period / (2 * math.pi), seed=seed)


def _moving(images: Images, streams: int, period: float, seed: int) -> AbstractStimulus:
    return MovingMNIST(images, streams, period, seed=seed)


_NEXT = "from one image to the next"
_SWING = "of a swing"
_CONSTANT = "2 pi time constants"
_KINDS = {
    "hold-and-fade": _Kind("Images that are held and cross-fade", _NEXT, _held),
    "morphing": _Kind("Images that fade into one another without rest", _NEXT, _morphing),
    "random-dwell": _Kind("Held for gamma distributed times", f"mean time {_NEXT}", _random_dwell),
    "gaps": _Kind("Images with blank gaps between them", _NEXT, _gaps),
    "drift": _Kind("Drifting images", "time to move by the frame's width", _moved(Drift)),
    "rotate": _Kind("Rotating images", "of a full turn", _moved(Rotate)),
    "scale": _Kind("Images that grow and shrink", _SWING, _moved(Scale)),
    "shear": _Kind("Images that slant to and fro", _SWING, _moved(Shear)),
    "contrast": _Kind("Contrast follows an Ornstein-Uhlenbeck process", _CONSTANT, _contrast),
    "walk": _Kind("Ornstein-Uhlenbeck walk in PCA coordinates", _CONSTANT, _walk),
    "moving-mnist": _Kind("Two bouncing digits", "time to move by a digit's width", _moving),
}


def stimulus_names() -> dict[str, str]:
    """Return the named stimuli, each with one line on what it shows and what its period is."""
    return {name: f"{kind.title}; period: {kind.period}" for name, kind in _KINDS.items()}


def stimulus_named(
    name: str, images: Images, streams: int, period: Any, seed: int = 0
) -> AbstractStimulus:
    """Return an example of a kind of stimulus.

    Parameters
    ----------
    name : str
        One of `stimulus_names`.
    images : Images
    streams : int
        B.
    period : Quantity or float
        What it is, `stimulus_names` says; a float is in seconds.
    seed : int

    Raises
    ------
    UnknownNameError
        If there is no such name.
    InputError
        If the period is not a time, or the seed not a seed.
    """
    if name not in _KINDS:
        raise UnknownNameError.among("stimulus", name, _KINDS)
    check_seed(seed, name)
    return _KINDS[name].make(images, streams, seconds(period, "period"), seed)
