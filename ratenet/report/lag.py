"""Figure: lag, direction of learning and accuracy against the speed of the stimulus."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from ratenet.report.figures import COLOURS, GREY, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SPEED = "speed of the stimulus, tau / T"
RULES = {"rule 1": COLOURS[1], "rule 3": COLOURS[0]}
WAYS = {"moving": "o-", "moving, corrected": "s--", "held": "^:"}


def slowness_figure(lags: pd.DataFrame, accuracies: pd.DataFrame) -> "Figure":
    """Plot lag, errors, angles and accuracies against the speed tau / T, in four panels.

    Parameters
    ----------
    lags : pandas.DataFrame
        One row for each spectral radius of W, presentation ("moving" or "held") and speed tau / T,
        with lag, predicted, corrected (each over the size of the rates), vector_error, and
        "angle, RULE" and "angle, RULE, corrected" in degrees.
    accuracies : pandas.DataFrame
        One row for each rule, way ("moving", "moving, corrected", "held", or "fixed points" for the
        reference), speed and seed, with test_accuracy.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = new_figure(figsize=(10, 7.6), nrows=2, ncols=2)
    (lag, error), (angle, accuracy) = axes
    _draw_lags(lag, lags)
    _draw_errors(error, lags)
    _draw_angles(angle, lags)
    _draw_accuracies(accuracy, accuracies)
    for axis in (lag, error, angle, accuracy):
        place = {"ncols": 2, "loc": "lower left"} if axis is accuracy else {"loc": "upper left"}
        axis.set_xscale("log")
        axis.set_xlabel(SPEED)
        axis.legend(frameon=False, fontsize="x-small", **place)
    figure.suptitle("How slow is slow enough? Digits that fade into one another in the time T")
    return figure


def _part(lags: pd.DataFrame, radius: float, presentation: str) -> pd.DataFrame:
    chosen = (lags["radius"] == radius) & (lags["presentation"] == presentation)
    return lags[chosen].sort_values("speed")


def _cases(lags: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    """Return colour, label and rows of each network that is shown moving digits."""
    radii = sorted(lags.loc[lags["presentation"] == "moving", "radius"].unique())
    return [
        (COLOURS[(0, 3)[index % 2]], f"radius {radius:g}", _part(lags, radius, "moving"))
        for index, radius in enumerate(radii)
    ]


def _draw_lags(axis: Any, lags: pd.DataFrame) -> None:
    for colour, label, rows in _cases(lags):
        axis.plot(rows["speed"], 100 * rows["lag"], "o", color=colour, ms=4, label=label)
        axis.plot(rows["speed"], 100 * rows["predicted"], "--", color=colour, lw=1.2)
    axis.plot([], [], "--", color=GREY, label="predicted")
    held = _part(lags, lags["radius"].min(), "held")
    axis.plot(
        held["speed"],
        100 * held["lag"],
        "^:",
        color=COLOURS[2],
        ms=4,
        label="after a hold of 0.8 T",
    )
    axis.set_yscale("log")
    axis.set_ylim(1e-3, 300)
    axis.set_ylabel("lag |y - y*| (% of |y*|)")
    axis.set_title("Lag of the rates behind the moving fixed point", fontsize="medium")


def _draw_errors(axis: Any, lags: pd.DataFrame) -> None:
    for colour, label, rows in _cases(lags):
        shown = {"color": colour, "ms": 4}
        axis.plot(rows["speed"], 100 * rows["lag"], "o-", label=f"{label}, uncorrected", **shown)
        axis.plot(
            rows["speed"], 100 * rows["corrected"], "s--", label=f"{label}, corrected", **shown
        )
    axis.set_yscale("log")
    axis.set_ylim(1e-3, 300)
    axis.set_ylabel("fixed-point error (% of |y*|)")
    axis.set_title("Error of the rates, before and after correction", fontsize="medium")


def _draw_angles(axis: Any, lags: pd.DataFrame) -> None:
    rows = _part(lags, lags["radius"].min(), "moving")
    for rule, colour in RULES.items():
        for ending, style in (("", "o-"), (", corrected", "s--")):
            label = f"{rule}{ending}"
            axis.plot(
                rows["speed"], rows[f"angle, {label}"], style, color=colour, ms=4, label=label
            )
    axis.set_yscale("log")
    axis.set_ylabel("angle to the update at y* (degrees)")
    axis.set_title("Direction of the weight change", fontsize="medium")


def _draw_accuracies(axis: Any, accuracies: pd.DataFrame) -> None:
    mean = accuracies.groupby(["rule", "way", "speed"], as_index=False)["test_accuracy"].mean()
    for rule, colour in RULES.items():
        of_rule = mean[mean["rule"] == rule]
        for way, style in WAYS.items():
            rows = of_rule[of_rule["way"] == way].sort_values("speed")
            label = f"{rule}, {way}"
            axis.plot(rows["speed"], rows["test_accuracy"], style, color=colour, ms=4, label=label)
        static = of_rule.loc[of_rule["way"] == "fixed points", "test_accuracy"]
        for value in static:
            axis.axhline(value, color=colour, lw=0.8, alpha=0.6, label=f"{rule}, fixed points")
    axis.set_ylim(-0.35, 1)  # room for the legend below
    axis.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    axis.set_ylabel("test accuracy")
    axis.set_title("After training, tested at fixed points", fontsize="medium")
