"""Figure: lag, direction of learning and accuracy against the speed of the stimulus."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from ratenet.report.figures import COLOURS, GREY, new_figure
from ratenet.report.rule_looks import look_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SPEED = r"speed of the stimulus, $\tau/T$"
RULES = {"rule 1": "euclidean", "rule 3": "linearized-reparameterized"}
WAYS = {
    "moving": {"marker": "o", "ls": "-"},
    "moving, corrected": {"marker": "s", "ls": "--"},
    "held": {"marker": "^", "ls": ":"},
}


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
        axis.set_xscale("log")
        axis.set_xlabel(SPEED)
        axis.legend(frameon=False, fontsize="x-small", loc="upper left")
    accuracy.legend(frameon=False, fontsize="x-small", loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _part(lags: pd.DataFrame, radius: float, presentation: str) -> pd.DataFrame:
    chosen = (lags["radius"] == radius) & (lags["presentation"] == presentation)
    return lags[chosen].sort_values("speed")


def _cases(lags: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    """Return colour, label and rows of each network that is shown moving digits."""
    radii = sorted(lags.loc[lags["presentation"] == "moving", "radius"].unique())
    return [
        (COLOURS[(3, 4)[index % 2]], f"radius {radius:g}", _part(lags, radius, "moving"))
        for index, radius in enumerate(radii)
    ]


def _draw_lags(axis: Any, lags: pd.DataFrame) -> None:
    for colour, label, rows in _cases(lags):
        axis.plot(rows["speed"], 100 * rows["lag"], "o", color=colour, ms=4, label=label)
        axis.plot(rows["speed"], 100 * rows["predicted"], "--", color=colour, lw=1.2)
    axis.plot([], [], "--", color=GREY, label="predicted")
    held = _part(lags, lags["radius"].min(), "held")
    look = {"color": COLOURS[2], "ms": 4, "label": "after a hold of $0.8\\,T$"}
    axis.plot(held["speed"], 100 * held["lag"], "^:", **look)
    axis.set(yscale="log", ylim=(1e-3, 300), ylabel=r"lag $|y - y^*|$ (% of $|y^*|$)")


def _draw_errors(axis: Any, lags: pd.DataFrame) -> None:
    for colour, label, rows in _cases(lags):
        shown = {"color": colour, "ms": 4}
        axis.plot(rows["speed"], 100 * rows["lag"], "o-", label=f"{label}, uncorrected", **shown)
        axis.plot(
            rows["speed"], 100 * rows["corrected"], "s--", label=f"{label}, corrected", **shown
        )
    axis.set(yscale="log", ylim=(1e-3, 300), ylabel="fixed-point error (% of $|y^*|$)")


def _draw_angles(axis: Any, lags: pd.DataFrame) -> None:
    rows = _part(lags, lags["radius"].min(), "moving")
    for rule, name in RULES.items():
        for ending, style in (("", "o-"), (", corrected", "s--")):
            label = f"{rule}{ending}"
            axis.plot(
                rows["speed"], rows[f"angle, {label}"], style, color=look_of(name)["color"], ms=4,
                label=label,
            )  # fmt: skip
    axis.set(yscale="log", ylabel="angle to the update at $y^*$ (degrees)")


def _draw_accuracies(axis: Any, accuracies: pd.DataFrame) -> None:
    """Draw means over seeds, and each seed as a small point."""
    for rule, name in RULES.items():
        of_rule, colour = accuracies[accuracies["rule"] == rule], look_of(name)["color"]
        for way, look in WAYS.items():
            rows = of_rule[of_rule["way"] == way]
            means = rows.groupby("speed")["test_accuracy"].mean()
            axis.plot(means, color=colour, ms=5, label=f"{rule}, {way}", **look)
            small = {"ms": 3, "ls": "none", "alpha": 0.5, "marker": look["marker"]}
            axis.plot(rows["speed"], rows["test_accuracy"], color=colour, **small)
        static = of_rule.loc[of_rule["way"] == "fixed points", "test_accuracy"]
        if len(static):
            label = f"{rule}, fixed points"
            axis.axhline(static.mean(), color=colour, lw=0.8, alpha=0.6, label=label)
    axis.set(ylim=(0, 1), ylabel="test accuracy at fixed points")
