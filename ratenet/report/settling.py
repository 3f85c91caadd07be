"""Settling: an animation of a stimulus that changes and of the rates that run after it.

Each rate has a circle: its fixed point at the stimulus of that moment, which moves while the
stimulus does. Where the stimulus rests, the rates run onto their circles.
"""

import math
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from ratenet.errors import InputError
from ratenet.network import Network
from ratenet.quasi_static import QuasiStatic, measure_lag
from ratenet.report.animation import FRAMES, write_animation
from ratenet.report.figures import COLOURS, GREY
from ratenet.report.rates import time_axis, unit_name
from ratenet.simulation import simulate
from ratenet.stimuli import AbstractStimulus, ReadIn
from ratenet.stimuli.images import picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL import Image

STEPS = 20  # of the simulation in the shortest time constant, at least
MOST_STEPS = 200_000
SHOWN_UNITS = 5
SIZE = (7.0, 4.0)  # inches, of 100 screen pixels
LEAST_LAG = 1e-3  # the lowest on the axis


def follow(
    network: Network, read_in: Tensor, stimulus: AbstractStimulus, duration: float
) -> QuasiStatic:
    """Simulate a network that is shown a stimulus, and find the fixed points that it runs after.

    Parameters
    ----------
    network : Network
    read_in : Tensor, shape (N, M)
        From pixels to drives.
    stimulus : AbstractStimulus
        Its streams are the B stimuli.
    duration : float
        From t = 0, in seconds.

    Returns
    -------
    QuasiStatic
        At 91 times, evenly spaced: those of the frames of an animation, and the end.

    Raises
    ------
    InputError
        If the read-in does not fit, or the simulation would take more than 200,000 steps.

    Examples
    --------
    >>> import torch, ratenet as rn
    >>> digits = rn.stimuli.load_images("mnist-5k").train
    >>> stimulus = rn.stimuli.stimulus_named("morphing", digits, 1, 0.1)
    >>> network = rn.Network("rate", 0.1 * torch.eye(20), parameters={"tau": 0.01})
    >>> follow(network, torch.ones(20, 784) / 28, stimulus, 0.3).lag.shape
    torch.Size([91, 1, 20])
    """
    between = duration / FRAMES
    steps = math.ceil(STEPS * between / network.shortest_time_constant())
    if steps * FRAMES > MOST_STEPS:
        raise InputError.at(
            "duration",
            got=duration,
            expected="a time of at most "
            f"{MOST_STEPS / STEPS:,.0f} of the network's shortest time constants",
        )
    drive = ReadIn(stimulus, read_in)
    dt = between / steps
    run = simulate(network, drive, FRAMES * steps * dt, dt, record_every=steps)
    return measure_lag(run, drive)


def animate_settling(found: QuasiStatic, stimulus: AbstractStimulus, path: Path) -> None:
    """Draw how the rates of the first stream run after their fixed points.

    Parameters
    ----------
    found : QuasiStatic
        As from `follow`.
    stimulus : AbstractStimulus
        What was shown.
    path : Path
        Ends in .gif or .mp4.

    Raises
    ------
    InputError
        If the name ends in anything else.
    UnsupportedError
        If a video is asked for and imageio-ffmpeg is not installed.
    RunFolderError
        If the file cannot be written.
    """
    picture = SettlingPicture(found, stimulus)
    write_animation((picture.frame(n) for n in range(len(found.t) - 1)), path)


class SettlingPicture:
    """The stimulus, the rates of five units with their fixed points, and the distance of all.

    The units are those whose fixed points move most. Where none was found there is a gap.

    Parameters
    ----------
    found : QuasiStatic
        Its first stream is drawn.
    stimulus : AbstractStimulus
    """

    def __init__(self, found: QuasiStatic, stimulus: AbstractStimulus) -> None:
        self._found, self._stimulus = found, stimulus
        targets = found.rates - found.lag  # NaN where no fixed point was found
        self._targets = targets[:, 0].cpu().numpy()
        self._rates = found.rates[:, 0].cpu().numpy()
        self._lag = found.relative_lag[:, 0].cpu().numpy()
        moved = np.fmax.reduce(self._targets) - np.fmin.reduce(self._targets)
        self.units = sorted(np.argsort(-np.nan_to_num(moved))[:SHOWN_UNITS].tolist())
        self._t, self._unit = time_axis(found.t.cpu().numpy())
        self._figure, axes = _empty_figure()
        self._image = self._draw_stimulus(axes[0])
        self._lines = self._draw_rates(axes[1])
        self._distance = self._draw_distance(axes[2])
        self._still = _Background(self._figure)

    def set(self, number: int) -> None:
        """Let the artists show one of the times."""
        shown, now = slice(number + 1), slice(number, number + 1)
        self._image.set_data(self._pixels(number))
        self._label.set_text(f"{self._t[number]:.0f} {self._unit}")
        for unit, (rate, target, dot, circle) in zip(self.units, self._lines, strict=True):
            rate.set_data(self._t[shown], self._rates[shown, unit])
            target.set_data(self._t[shown], self._targets[shown, unit])
            dot.set_data(self._t[now], self._rates[now, unit])
            circle.set_data(self._t[now], self._targets[now, unit])
        line, dot = self._distance
        line.set_data(self._t[shown], self._lag[shown])
        dot.set_data(self._t[now], self._lag[now])

    def frame(self, number: int) -> "Image.Image":
        """Return the picture at one of the times."""
        from PIL import Image

        self.set(number)
        moving = [self._image, self._label, *chain(*self._lines), *self._distance]
        return Image.fromarray(self._still.drawn_with(moving))

    def _pixels(self, number: int) -> np.ndarray:
        shown = self._stimulus.at(float(self._found.t[number]))[0]
        return picture(shown, self._stimulus.shape)

    def _draw_stimulus(self, axis: Any) -> Any:
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_color(GREY)
        axis.set_title("stimulus", fontsize=10)
        self._label = axis.text(
            0.5, -0.06, "", transform=axis.transAxes, ha="center", va="top", animated=True
        )
        pixels = self._pixels(0)
        image = axis.imshow(pixels, cmap="gray_r", vmin=0, vmax=1, animated=True)
        height, width = pixels.shape[:2]
        axis.set(xlim=(-1, width), ylim=(height, -1))  # beside the frame, not over it
        return image

    def _draw_rates(self, axis: Any) -> list[tuple[Any, ...]]:
        rate = unit_name(self._found.fixed_points.network.model.output_dimensions)
        values = np.concatenate([self._rates[:, self.units], self._targets[:, self.units]])
        low, high = np.nanmin(values), np.nanmax(values)
        margin = 0.08 * (high - low or 1.0)
        axis.set(ylim=(low - margin, high + margin), ylabel=f"rate $y$ ({rate})")
        axis.plot([], [], "o-", color=GREY, lw=1.8, ms=4, label="rate")
        axis.plot([], [], "o:", color=GREY, lw=1, ms=9, mfc="none", label="its fixed point now")
        axis.legend(
            frameon=False, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 0.98), fontsize=9
        )
        looks = (
            {"ls": "-", "lw": 1.8},
            {"ls": ":", "lw": 1},
            {"ls": "", "marker": "o", "ms": 4, "clip_on": False},
            {"ls": "", "marker": "o", "ms": 9, "mfc": "none", "mew": 1.5, "clip_on": False},
        )
        return [
            tuple(axis.plot([], [], color=colour, animated=True, **look)[0] for look in looks)
            for colour in COLOURS[: len(self.units)]
        ]

    def _draw_distance(self, axis: Any) -> tuple[Any, Any]:
        axis.set(
            yscale="log", ylim=(100 * LEAST_LAG, 200), yticks=[0.1, 1, 10, 100],
            yticklabels=["0.1", "1", "10", "100"], xlabel=f"time ({self._unit})",
            ylabel="distance (%)", xlim=(self._t[0], self._t[-1]),
        )  # fmt: skip
        axis.minorticks_off()
        units = self._rates.shape[1]
        axis.set_title(
            f"all {units} rates from their fixed points, |y - y*| / |y*|", fontsize=9, loc="left"
        )
        self._lag = 100 * self._lag
        look = {"color": COLOURS[6], "animated": True}
        return axis.plot([], [], "-", lw=1.6, **look)[0], axis.plot([], [], "o", ms=4, **look)[0]


class _Background:
    """What stays the same in every frame, drawn once."""

    def __init__(self, figure: "Figure") -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        self._canvas = FigureCanvasAgg(figure)
        self._canvas.draw()  # without what is animated
        self._drawn = self._canvas.copy_from_bbox(figure.bbox)

    def drawn_with(self, artists: list[Any]) -> np.ndarray:
        """Return pixels (height, width, 3) of the background and what moves on it."""
        self._canvas.restore_region(self._drawn)
        for artist in artists:
            artist.axes.draw_artist(artist)
        return np.asarray(self._canvas.buffer_rgba())[..., :3].copy()


def _empty_figure() -> tuple["Figure", tuple[Any, Any, Any]]:
    """Return a figure with places for the stimulus, the rates and the distance."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE, dpi=100)
    stimulus = figure.add_axes((0.02, 0.3, 0.25, 0.4375))
    rates = figure.add_axes((0.375, 0.43, 0.6, 0.48))
    distance = figure.add_axes((0.375, 0.125, 0.6, 0.2), sharex=rates)
    rates.tick_params(labelbottom=False)
    for axis in (rates, distance):
        axis.spines[["top", "right"]].set_visible(False)
        axis.yaxis.set_label_coords(-0.11, 0.5)
    return figure, (stimulus, rates, distance)
