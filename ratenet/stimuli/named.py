"""Stimuli by name: what each makes of images that come one after another.

A named stimulus is a function of its `source`, the images as they are held and fade into one
another, and of its settings. It moves them, changes how one gives way to the next, or shows
something else in their place; a training run and the command line give it theirs.
"""

import math
from dataclasses import replace
from typing import Any, NamedTuple

from ratenet.equations.registry import Registry
from ratenet.equations.terms import parse_sum
from ratenet.equations.units import second
from ratenet.errors import InputError, RatenetError
from ratenet.simulation.time_grid import seconds
from ratenet.stimuli.base import AbstractStimulus, Delayed, Still
from ratenet.stimuli.batches import batches_of_epoch
from ratenet.stimuli.held_images import GammaDwell, HeldImages
from ratenet.stimuli.images import Images
from ratenet.stimuli.movement import Drift, Rotate, Scale, Shear
from ratenet.stimuli.moving_mnist import DIGITS, Bounce, MovingMNIST
from ratenet.stimuli.ornstein_uhlenbeck import Contrast, Walk
from ratenet.validation import check_seed

HELD = "hold-and-fade"
"""The stimulus of a slow presentation unless another is asked for."""
RESTING = (HELD, "gaps")  # at the end of a hold these have rested for all of it
GAP = 0.6  # of the time between two images


def hold_and_fade(source: HeldImages, profile: str = "linear") -> AbstractStimulus:
    """Images that are held and cross-fade."""
    return replace(source, profile=profile)


def morphing(source: HeldImages) -> AbstractStimulus:
    """Images that fade into one another without rest."""
    fade = source.time_scale
    return replace(source, dwell=0.0, fade=fade, profile="raised-cosine")


def random_dwell(source: HeldImages, sd: Any = None) -> AbstractStimulus:
    """Images held for gamma distributed times."""
    return replace(source, dwell=GammaDwell(source.dwell, source.dwell / 2 if sd is None else sd))


def gaps(source: HeldImages, gap: Any = None) -> AbstractStimulus:
    """Images with blank gaps between them."""
    between = source.fade
    blank = GAP * between if gap is None else seconds(gap, "gap")
    if not 0 < blank < between:
        raise InputError.at(
            "gap", got=gap, expected=f"less than the fade, {between:g} s, in which it lies"
        )
    fade = (between - blank) / 2  # one image fades out, the frame is blank, the next one fades in
    shown = replace(source, fade=fade, gap=blank, profile="raised-cosine")
    return Delayed(shown, fade + blank)


def drift(
    source: AbstractStimulus,
    period: Any = 1 * second,
    direction: float = 0.0,
    spread: bool = False,
) -> AbstractStimulus:
    """Drifting images."""
    return Drift(source, period, direction, _phase(source, spread))


def rotate(
    source: AbstractStimulus, period: Any = 1 * second, spread: bool = False
) -> AbstractStimulus:
    """Rotating images."""
    return Rotate(source, period, _phase(source, spread))


def scale(
    source: AbstractStimulus,
    period: Any = 1 * second,
    factor: float = 1.5,
    spread: bool = False,
) -> AbstractStimulus:
    """Images that grow and shrink."""
    return Scale(source, period, factor, _phase(source, spread))


def shear(
    source: AbstractStimulus,
    period: Any = 1 * second,
    amount: float = 0.5,
    spread: bool = False,
) -> AbstractStimulus:
    """Images that slant to and fro."""
    return Shear(source, period, amount, _phase(source, spread))


def contrast(
    source: AbstractStimulus, time_constant: Any = 0.1 * second, mean: float = 0.6, sd: float = 0.25
) -> AbstractStimulus:
    """Contrast follows an Ornstein-Uhlenbeck process."""
    return Contrast(source, mean, sd, time_constant, _seed_of(source))


def walk(
    source: HeldImages, time_constant: Any = 0.1 * second, components: int = 50
) -> AbstractStimulus:
    """Ornstein-Uhlenbeck walk in PCA coordinates."""
    return Walk(source.images, source.streams, time_constant, components, source.seed)


def moving_mnist(
    source: HeldImages, period: Any = 1 * second, digits: int = 1, size: int | None = None
) -> AbstractStimulus:
    """Digits that bounce off the edges of the frame."""
    if digits not in (1, DIGITS):
        raise InputError.at("digits", got=digits, expected=f"1 or {DIGITS}")
    frame = source.shape[-1] if size is None else size
    if digits == DIGITS:
        return MovingMNIST(source.images, source.streams, period, frame, source.seed)
    if frame != source.shape[-1]:
        expected = f"{source.shape[-1]} pixels, as the images have, for one digit"
        raise InputError.at("size", got=size, expected=expected)
    return Bounce(source, period, source.seed)


def _phase(source: AbstractStimulus, spread: Any) -> Any:
    """Return the phase of all streams; or those of each, spread evenly over the period."""
    if not isinstance(spread, bool):
        raise InputError.at("spread", got=spread, expected="true or false")
    streams = len(source.at(0.0))
    return [b / streams for b in range(streams)] if spread else 0.0


def _seed_of(source: AbstractStimulus) -> int:
    return source.seed if isinstance(source, HeldImages) else 0


STIMULI: Registry[AbstractStimulus] = Registry(
    noun="stimulus",
    kind=AbstractStimulus,
    built_in={
        HELD: hold_and_fade,
        "morphing": morphing,
        "random-dwell": random_dwell,
        "gaps": gaps,
        "drift": drift,
        "rotate": rotate,
        "scale": scale,
        "shear": shear,
        "contrast": contrast,
        "walk": walk,
        "moving-mnist": moving_mnist,
    },
    group="ratenet.stimuli",
    expected="a stimulus such as 'rotate(period=2*second)', or what makes one of held images",
    needs=1,
)
"""All stimuli by name: what makes each of its source and settings."""


class _Example(NamedTuple):
    """How `stimulus_named` makes an example of one period."""

    period: str  # what the period is
    hold: float | None = None  # share of the period for which images are held; None: for good
    setting: str | None = "period"  # which is a share of the period
    share: float = 1.0


_NEXT = "from one image to the next"
_SWING = "of a swing"
_CONSTANT = "2 pi time constants"
_EXAMPLES = {
    HELD: _Example(_NEXT, 0.8, None),
    "morphing": _Example(_NEXT, 0.8, None),
    "random-dwell": _Example(f"mean time {_NEXT}", 0.8, None),
    "gaps": _Example(_NEXT, 0.5, None),
    "drift": _Example("time to move by the frame's width"),
    "rotate": _Example("of a full turn"),
    "scale": _Example(_SWING),
    "shear": _Example(_SWING),
    "contrast": _Example(_CONSTANT, None, "time_constant", 1 / (2 * math.pi)),
    "walk": _Example(_CONSTANT, 0.8, "time_constant", 1 / (2 * math.pi)),
    "moving-mnist": _Example("time to move by a digit's width", 0.8),
}


def stimulus_names() -> dict[str, str]:
    """Return the named stimuli, each with one line on what it shows and what its period is.

    Examples
    --------
    >>> "rotate" in stimulus_names()
    True
    """
    return {name: _line(name) for name in STIMULI.names}


def _line(name: str) -> str:
    """Return what is said of a stimulus; of a package that cannot be imported, why."""
    try:
        about = STIMULI.about(name).rstrip(".")
    except RatenetError as error:
        return str(error)
    return f"{about}; period: {_example(name).period}"


def _example(name: str) -> "_Example":
    return _EXAMPLES.get(name, _Example(_NEXT, 0.8, None))


def stimulus_named(
    name: str, images: Images, streams: int, period: Any, seed: int = 0
) -> AbstractStimulus:
    """Return an example of a kind of stimulus.

    Parameters
    ----------
    name : str
        One of `stimulus_names`, with settings in brackets where they differ from the defaults,
        such as ``"drift(direction=90)"``; or the user's own, ``FILE.py:NAME``.
    images : Images
        The images that are shown.
    streams : int
        B.
    period : Quantity or float
        What it is, `stimulus_names` says; a float is in seconds.
    seed : int
        Fixes what is drawn at random.

    Returns
    -------
    AbstractStimulus
        B streams of images.

    Raises
    ------
    UnknownNameError
        If there is no such name or setting.
    InputError
        If the period is not a time, the seed not a seed, or a setting has a wrong value.

    Examples
    --------
    >>> import torch
    >>> images = Images(torch.rand(4, 9), torch.arange(4))
    >>> stimulus_named("drift(direction=90)", images, 2, period=1.0).at(0.5).shape
    torch.Size([2, 9])
    """
    make = STIMULI.maker(name)
    check_seed(seed, "stimulus, seed")
    time = seconds(period, "period")
    (term,) = parse_sum(name, "stimulus")
    example = _example(term.name)
    if example.setting is not None and example.setting not in term.settings:
        settings = {example.setting: example.share * time, **term.settings}
        make = STIMULI.maker({"name": term.name, **settings})
    if example.hold is not None:
        hold, fade = example.hold * time, (1 - example.hold) * time
        return make(HeldImages(images, streams, hold, fade, seed=seed))
    chosen = batches_of_epoch(len(images), streams, seed, 0)[0].to(images.labels.device)
    return make(Still(images[chosen]))


def comes_to_rest(stimulus: Any) -> bool:
    """Return whether what a configuration names is known to rest at the end of a hold.

    Parameters
    ----------
    stimulus : object, str or mapping
        As `STIMULI` takes it.

    Returns
    -------
    bool
        False where it is not known, as of your own stimuli.

    Raises
    ------
    InputError
        If a name is not written as `STIMULI` reads it.

    Examples
    --------
    >>> comes_to_rest("hold-and-fade"), comes_to_rest("rotate(period=2*second)")
    (True, False)
    """
    if not isinstance(stimulus, str):
        return False
    (term, *others) = parse_sum(stimulus, "stimulus")
    return not others and term.name in RESTING
