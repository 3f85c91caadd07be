"""Figures: how they are begun and saved; learning curves, and drives and rates over time.

Every function returns a matplotlib Figure; `save` writes it, and what it shows as CSV. Colours are
those of Okabe and Ito, which colour-blind readers can tell apart; lines also differ in style.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ratenet.errors import InputError, RunFolderError
from ratenet.files import FIGURE_DATA, FIGURE_FORMATS, Write, write_whole
from ratenet.report.figure_data import figure_data

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
GREY = "#777777"
NOTEBOOK = object()
"""In place of axes: new ones of pyplot, which notebooks show."""


def new_figure(*, on: Any = None, **options: Any) -> tuple["Figure", Any]:
    """Return an empty figure and its axes, with letters where there are several.

    Without pyplot, so that there is no window and no state.

    Parameters
    ----------
    on : Axes, sequence of Axes or NOTEBOOK, optional
        Axes to be drawn on in place of new ones, as many as there would be; or `NOTEBOOK`: new
        ones of pyplot, which notebooks show.
    options
        As for `matplotlib.pyplot.subplots`, with the size.

    Raises
    ------
    InputError
        If the number of axes does not fit.
    """
    from matplotlib.figure import Figure  # here: matplotlib takes half a second to import

    size, is_given = options.pop("figsize"), on is not None and on is not NOTEBOOK
    if on is None:
        figure = Figure(figsize=size, layout="constrained", dpi=150)
        axes = figure.subplots(**options)
    elif on is NOTEBOOK:
        from matplotlib import pyplot as plt

        figure, axes = plt.subplots(figsize=size, layout="constrained", **options)
    else:
        axes = _given_axes(on, options)
        figure = np.ravel(axes)[0].figure
    panels = np.ravel(axes)
    for number, axis in enumerate(panels):
        axis.spines[["top", "right"]].set_visible(False)
        if len(panels) > 1 and not is_given:
            axis.annotate(
                chr(ord("A") + number), (0, 1), xycoords="axes fraction", xytext=(-26, 7),
                textcoords="offset points", ha="right", fontsize="large", fontweight="bold",
            )  # fmt: skip
    return figure, axes


def _given_axes(on: Any, options: dict[str, Any]) -> Any:
    """Return a user's axes in the shape in which they are drawn on."""
    from matplotlib.axes import Axes

    shape = options.get("nrows", 1), options.get("ncols", 1)
    given = np.ravel(np.asarray(on, dtype=object))
    if len(given) != shape[0] * shape[1] or not all(isinstance(each, Axes) for each in given):
        count = shape[0] * shape[1]
        expected = "matplotlib axes" if count == 1 else f"{count} matplotlib axes, as a list"
        raise InputError.at("ax", got=on, expected=expected, remedy="leave it out for new ones")
    if options.get("squeeze", True):
        return given[0] if len(given) == 1 else given.reshape(shape).squeeze()
    return given.reshape(shape)


def entitle(figure: "Figure", title: str) -> None:
    """Write a title above a figure, if there is one."""
    if title:
        figure.suptitle(title)


def figure_writes(figure: "Figure", name: str, form: str = "png") -> dict[str, Write]:
    """Return what writes a figure and its data, by the files' names, as `figure_files` has them.

    Parameters
    ----------
    figure : Figure
    name : str
        Name of the file, without its ending.
    form : {"png", "pdf", "svg"}
    """
    return {
        f"{name}.{form}": lambda path: _write(figure, path, form),
        f"{name}{FIGURE_DATA}": lambda path: figure_data(figure).to_csv(
            path, index=False, float_format="%.9g"
        ),
    }


def save(figure: "Figure", path: Path) -> None:
    """Write a figure, and beside it the numbers that it shows, as NAME-figure.csv.

    Parameters
    ----------
    figure : Figure
    path : Path
        Ends in .png, .pdf or .svg.

    Raises
    ------
    InputError
        If it ends otherwise.
    RunFolderError
        If the file cannot be written.
    """
    form = path.suffix.lower().removeprefix(".")
    if form not in FIGURE_FORMATS:
        expected = "a name that ends in .png, .pdf or .svg"
        raise InputError.at("path", got=path.name, expected=expected)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFolderError(f"{str(path)!r} cannot be written ({error.strerror}).") from None
    picture, data = figure_writes(figure, path.stem, form).values()
    write_whole(path, picture)
    write_whole(path.with_name(f"{path.stem}{FIGURE_DATA}"), data)


def _write(figure: "Figure", path: Path, form: str) -> None:
    """Write the same file for the same figure, its letters as letters that editors can change."""
    from matplotlib import rc_context

    undated = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}[form]
    settings = {"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "ratenet"}
    with rc_context(settings):
        figure.savefig(path, format=form, metadata=undated)


def learning_curve(
    metrics: pd.DataFrame,
    *,
    steps_per_epoch: int,
    control: float,
    test: float,
    test_slow: float | None,
    abscissa_limit: float | None,
    title: str = "",
    score: str = "accuracy",
    unit: str = "nats",
    on: Any = None,
) -> "Figure":
    """Return loss, accuracy and settled share, and the slowest modes, against epochs.

    For images with targets, the loss on test images takes the place of the accuracy.

    Parameters
    ----------
    metrics : pandas.DataFrame
        One row per step, as in metrics.csv.
    steps_per_epoch : int
    control : float
        Test accuracy, or loss, with all weights as they were drawn.
    test, test_slow : float
        After learning; at solved fixed points, and at the end of slow holds if measured.
    abscissa_limit : float or None
        What a barrier holds the Jacobian's abscissa below, in 1/s.
    title : str
    score : {"accuracy", "loss"}
        What the run is judged by.
    unit : str
        Unit of the loss; empty where it has none.
    on : sequence of 4 Axes, optional
        As for `new_figure`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, ((loss, judged), (modes, weights)) = new_figure(
        on=on, figsize=(9, 6.6), ncols=2, nrows=2, sharex=True
    )
    epochs = metrics["step"] / steps_per_epoch
    last = float(epochs.iloc[-1]) if len(epochs) else 0.0
    window = max(1, len(metrics) // 100)
    for axis, name in ((loss, "train_loss"), (judged, "train_accuracy")):
        if name in metrics:
            smooth = metrics[name].rolling(window, min_periods=1).mean()
            axis.plot(
                epochs, metrics[name], color=COLOURS[5], lw=0.6, alpha=0.7, label="each batch"
            )
            label = f"mean of {window} batches" if window > 1 else "training"
            axis.plot(epochs, smooth, color=COLOURS[0], lw=1.6, label=label)
    in_unit = f" ({unit})" if unit else ""
    loss.set_ylabel(f"training loss{in_unit}")
    if (metrics["train_loss"].dropna() >= 0).all():  # as is a loss of one's own unless it is not
        loss.set_ylim(bottom=0)
    loss.legend(frameon=False)
    label = (
        "accuracy (share classified correctly)" if score == "accuracy" else f"test loss{in_unit}"
    )
    judged.set_ylabel(label)
    _draw_scores(judged, epochs, metrics, score, (control, test, test_slow))
    _draw_modes(modes, weights, epochs, metrics, abscissa_limit)
    weights.set_xlim(0, max(1.0, last))
    entitle(figure, title)
    return figure


def _draw_scores(
    axis: Any,
    epochs: pd.Series,
    metrics: pd.DataFrame,
    score: str,
    at_end: tuple[float, float, float | None],
) -> None:
    """Draw test scores, along the way and at the end, the control and the settled share."""
    control, test, test_slow = at_end
    of_test, of_validation = metrics[f"test_{score}"], metrics[f"validation_{score}"]
    tested, held_out = of_test.notna(), of_validation.notna()
    axis.plot(epochs[tested], of_test[tested], ".--", color=COLOURS[1], lw=0.8)
    if held_out.any():
        axis.plot(
            epochs[held_out], of_validation[held_out], "^-", color=COLOURS[3], ms=4, lw=0.8,
            label="validation",
        )  # fmt: skip
    last = float(epochs.iloc[-1]) if len(epochs) else 0.0
    axis.plot(
        last, test, "o", color=COLOURS[1], ms=7, clip_on=False, zorder=5,
        label=f"test, fixed points: {test:.3f}",
    )  # fmt: skip
    if test_slow is not None:
        axis.plot(
            last, test_slow, "x", color=COLOURS[6], ms=7, mew=1.8, clip_on=False, zorder=6,
            label=f"test, slow: {test_slow:.3f}",
        )  # fmt: skip
    axis.axhline(
        control, color=GREY, ls="--", lw=1.2,
        label=f"control, weights as drawn (test): {control:.3f}",
    )  # fmt: skip
    if score == "accuracy":
        if (metrics["settled"] < 1).any():
            axis.plot(epochs, metrics["settled"], color=COLOURS[2], ls=":", label="settled share")
        axis.set_ylim(0, 1.02)
    axis.legend(frameon=False, loc="center right", fontsize="small")


def _draw_modes(
    modes: Any, weights: Any, epochs: pd.Series, metrics: pd.DataFrame, limit: float | None
) -> None:
    """Draw the largest real parts of the eigenvalues of the Jacobian and of W."""
    mean_gain = metrics["abscissa_mean_gain"]
    if mean_gain.notna().any():
        modes.plot(epochs, mean_gain, color=COLOURS[0], lw=1.2, label="mean gains")
    modes.plot(
        epochs, metrics["abscissa"], "s", color=COLOURS[1], ms=5, clip_on=False,
        label="single samples",
    )  # fmt: skip
    modes.axhline(0, color=COLOURS[6], lw=0.8, label="stability is lost")
    if limit is not None:
        largest = metrics["abscissa_largest_gain"]
        modes.plot(epochs, largest, color=COLOURS[2], ls=":", lw=1.4, label="largest gains")
        modes.axhline(limit, color=COLOURS[3], ls="--", lw=1.2, label="barrier for these")
    modes.set_ylabel("abscissa of the Jacobian (1/s)")
    known = metrics["weight_abscissa"].notna()
    weights.plot(
        epochs[known], metrics["weight_abscissa"][known], "-" if known.all() else ".-",
        color=COLOURS[0], lw=1.2,
    )  # fmt: skip
    weights.axhline(1, color=COLOURS[6], lw=0.8, label="1: unstable where gains are 1")
    weights.set_ylabel("largest real part of W's eigenvalues")
    for axis in (modes, weights):
        axis.set_xlabel("epoch")
        axis.legend(
            frameon=False, fontsize="small", ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0)
        )


def digits_through_time(
    t: np.ndarray,
    drive: np.ndarray,
    rates: np.ndarray,
    units: Sequence[int],
    *,
    images: Sequence[np.ndarray],
    starts: Sequence[float],
    fade: float,
    fixed_points: np.ndarray,
    captions: Sequence[str] = (),
) -> "Figure":
    """Return the drive and the rates of a few units while images fade into one another.

    Parameters
    ----------
    t : ndarray, shape (T,)
        Times in seconds.
    drive, rates : ndarray, shape (T, U)
        Drive and rates of the U chosen units.
    units : sequence of int
        Their numbers.
    images : sequence of ndarray, each (height, width), or (height, width, 3) in colour
    starts : sequence of float
        When each image begins to fade in, in seconds.
    fade : float
        Length of a fade in seconds.
    fixed_points : ndarray, shape (number of images, U)
        Rates at the solved fixed point of each image.
    captions : sequence of str, optional
        What stands beside each image.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, (top, above, below) = new_figure(
        figsize=(9, 6), nrows=3, sharex=True, height_ratios=(1, 2, 2)
    )
    ends = [*[1e3 * start for start in starts[1:]], 1e3 * float(t[-1])]
    _draw_images(top, images, starts, ends, fade)
    for caption, start, end in zip(captions, starts, ends, strict=False):
        top.text((1e3 * (start + fade) + end) / 2, -0.05, caption, ha="center", va="top")
    for index, unit in enumerate(units):
        style = {"color": COLOURS[index], "ls": ("-", "--", "-.", ":")[index % 4]}
        above.plot(1e3 * t, drive[:, index], label=f"unit {unit}", **style)
        below.plot(1e3 * t, rates[:, index], **style)
        below.plot(ends, fixed_points[:, index], "o", color=COLOURS[index], mfc="none", ms=8)
    below.plot([], [], "o", color=GREY, mfc="none", ms=8, label="fixed point (solved)")
    for axis in (above, below):
        for start in starts:
            axis.axvspan(1e3 * start, 1e3 * (start + fade), color=GREY, alpha=0.15, lw=0)
    below.fill_between([], [], color=GREY, alpha=0.15, label="cross-fade")
    above.set_ylabel("drive $x$ (dimensionless)")
    below.set_ylabel("rate $y$ (dimensionless)")
    below.set_xlabel("time (ms)")
    for axis in (above, below):
        axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _draw_images(
    axis: Any,
    images: Sequence[np.ndarray],
    starts: Sequence[float],
    ends: Sequence[float],
    fade: float,
) -> None:
    """Draw each image above the middle of its hold."""
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    axis.set_ylim(0, 1)
    axis.axis("off")
    for image, start, end in zip(images, starts, ends, strict=True):
        middle = (1e3 * (start + fade) + end) / 2
        zoom = 1.6 * 28 / max(image.shape[:2])  # as large as digits are
        thumbnail = OffsetImage(1 - image if image.ndim == 2 else image, cmap="gray", zoom=zoom)
        axis.add_artist(AnnotationBbox(thumbnail, (middle, 0.5), frameon=False))
