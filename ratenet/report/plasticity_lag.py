"""Figure: plasticity in time against the rule at fixed points, over the speeds of both."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ratenet.report.figures import COLOURS, GREY, new_figure
from ratenet.report.rule_looks import looks

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plasticity_lag_figure(measured: pd.DataFrame, tolerance: float = 0.01) -> "Figure":
    """Plot the difference to the rule at fixed points against the speed of the stimulus and of it.

    Points are means over seeds, their bars reach from the smallest to the largest; lines are
    predictions of first order. A triangle marks where each reaches the tolerance.

    Parameters
    ----------
    measured : pandas.DataFrame
        Rows of `PlasticityLag.to_dataframe` with further columns: rule, presentation and seed;
        sweep, "stimulus" or "plasticity", what is varied; in place of the relative speeds ``speed``
        in units of tau / T, and ``moved``, the change of the weights over their size.
    tolerance : float
        The difference that is marked.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = new_figure(figsize=(10, 4.4), ncols=2, sharey=True)
    for axis, sweep, x, label in (
        (axes[0], "stimulus", "speed", r"speed of the stimulus, $\tau/T$; the weights hardly move"),
        (axes[1], "plasticity", "moved", r"change of $W$ in a showing, of $|W|$; $\tau/T$ = 0.01"),
    ):
        _draw(axis, measured[measured["sweep"] == sweep], x, tolerance)
        axis.set_xlabel(label)
    axes[0].legend(frameon=False, fontsize="x-small", loc="lower right")
    axes[0].set_ylabel("difference to the change at fixed points (%)")
    return figure


def speeds_figure(measured: pd.DataFrame, *, on: Any = None) -> "Figure":
    """Plot the difference to the rule at fixed points against speed, as measured and as predicted.

    Parameters
    ----------
    measured : pandas.DataFrame
        As of `PlasticityLag.to_dataframe`; lines are medians over its streams.
    on : Axes, optional
        As for `new_figure`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axis = new_figure(on=on, figsize=(5.8, 3.8))
    x = "speed" if measured["speed"].nunique() > 1 else "plasticity_speed"
    medians = measured.groupby(x).median(numeric_only=True)
    parts = (("difference", "measured", "o-"), ("predicted", "predicted", "s--"),
             ("remaining", "left after correction", "^:"))  # fmt: skip
    for colour, (name, label, style) in zip(COLOURS, parts, strict=False):
        axis.plot(medians.index, 100 * medians[name], style, color=colour, label=label)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel(
        {"speed": "speed of the stimulus", "plasticity_speed": "speed of plasticity"}[x]
    )
    axis.set_ylabel("difference of the change of weights (%)")
    axis.legend(frameon=False)
    return figure


def _draw(axis: Any, rows: pd.DataFrame, x: str, tolerance: float) -> None:
    """Draw points and predictions of each rule and presentation."""
    groups, by_rule = rows.groupby(["rule", "presentation"], sort=False), looks(rows["rule"])
    for index, (case, of_case) in enumerate(groups):
        rule, presentation = map(str, case)
        colour = by_rule[rule]["color"]
        step = of_case.groupby("seed").cumcount()
        means = of_case.groupby(step)[[x, "difference", "predicted", "rates_lag"]].mean()
        spread = of_case.groupby(step)["difference"].agg(["min", "max"])
        bars = abs(spread.T.to_numpy() - means["difference"].to_numpy())
        axis.errorbar(  # rules that agree stand one within the other
            means[x], 100 * means["difference"], 100 * bars, fmt=by_rule[rule]["marker"],
            color=colour, ms=max(3, 9 - 1.5 * index), lw=1,
            mfc=colour if presentation == "held" else "none", label=f"{rule}, {presentation}",
        )  # fmt: skip
        axis.plot(means[x], 100 * means["predicted"], "--", color=colour, lw=1)
        if index == 0 and x == "speed":
            axis.plot(
                means[x], 100 * means["rates_lag"], ":", color=GREY, label=r"rates, $|y - y^*|$"
            )
        _mark(axis, means[x].to_numpy(), means["predicted"].to_numpy(), tolerance, colour)
    axis.plot([], [], "--", color=GREY, label="predicted")
    axis.axhline(100 * tolerance, color=GREY, lw=0.7)
    axis.set_xscale("log")
    axis.set_yscale("log")


def _mark(axis: Any, x: np.ndarray, predicted: np.ndarray, tolerance: float, colour: str) -> None:
    """Mark where a prediction reaches the tolerance, on the axis and on the line."""
    order = np.argsort(x)
    x, predicted = np.log(x[order]), np.log(predicted[order])
    if predicted[0] <= np.log(tolerance) <= predicted[-1]:
        place = float(np.exp(np.interp(np.log(tolerance), predicted, x)))
        axis.plot([place], [100 * tolerance], "|", color=colour, ms=12, mew=1.5)
        below = axis.get_xaxis_transform()
        axis.plot([place], [0.0], marker=10, color=colour, ms=6, transform=below, clip_on=False)
