"""Figures of a comparison: a column for each task, a colour and a line style for each rule."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ratenet.report.figures import GREY, new_figure
from ratenet.report.rule_looks import looks

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def course_figure(
    steps: pd.DataFrame, best: pd.DataFrame, column: str, label: str, *, is_log: bool
) -> "Figure":
    """Return a measured quantity against the step, by rule, at the learning rate of each.

    Thick: the median over the seeds. Thin: each seed.

    Parameters
    ----------
    steps, best : pandas.DataFrame
        Tables of a comparison.
    column, label : str
        Column of `steps`; label of the axis.
    is_log : bool
        Whether the axis is logarithmic.
    """
    chosen = steps.merge(best[["task", "rule", "learning_rate"]])
    figure, axes, tasks = _axes(best)
    for axis, task in zip(axes, tasks, strict=True):
        rows = chosen[chosen["task"] == task]
        for rule, look in looks(best["rule"]).items():
            each = rows[rows["rule"] == rule].pivot(index="step", columns="seed", values=column)
            line = {"color": look["color"], "ls": look["ls"]}
            axis.plot(each.index, each.to_numpy(), lw=0.8, alpha=0.5, **line)
            axis.plot(each.index, each.median(axis=1), lw=1.8, label=rule, **line)
        if is_log and (rows[column] > 0).any():  # the changes of a frozen network are zero
            axis.set_yscale("log")
        axis.set_xlabel("step")
        axis.set_title(task, fontsize="medium")
    axes[0].set_ylabel(label)
    _legend(figure, axes)
    return figure


def score_figure(
    judged: pd.DataFrame, best: pd.DataFrame, level: float, *, on: Any = None
) -> "Figure":
    """Return the test score of each rule at its learning rate, with intervals and single seeds.

    Parameters
    ----------
    judged, best : pandas.DataFrame
        Tables of a comparison.
    level : float
        Coverage of the intervals.
    on : Axes or sequence of Axes, optional
        As for `new_figure`, one for each task.
    """
    by_rule = looks(best["rule"])
    figure, axes, tasks = _axes(best, height=1.8 + 0.4 * len(by_rule), sharey=True, on=on)
    for axis, task in zip(axes, tasks, strict=True):
        of_task = best[best["task"] == task]
        for row in of_task.to_dict("records"):
            place, look = list(by_rule).index(row["rule"]), by_rule[row["rule"]]
            is_its = (judged["task"] == task) & (judged["rule"] == row["rule"])
            seeds = judged[is_its]["test_score"]
            single = {"color": look["color"], "ms": 4, "mfc": "none"}
            axis.plot(seeds, np.full(len(seeds), place + 0.25), look["marker"], **single)
            mean = row["test_score"]
            reach = np.array([[mean - row["low"]], [row["high"] - mean]])
            axis.errorbar(mean, place, xerr=np.maximum(reach, 0), capsize=4, color=look["color"],
                          marker=look["marker"])  # fmt: skip
        axis.axvline(
            of_task["test_score_before"].mean(), color=GREY, ls=":", label="before learning"
        )
        axis.set_yticks(range(len(by_rule)), list(by_rule))
        axis.set_ylim(len(by_rule) - 0.5, -0.5)
        axis.set_xlabel(f"test score, {100 * level:g} % intervals")
        axis.set_title(task, fontsize="medium")
    _legend(figure, axes)
    return figure


def rate_figure(cells: pd.DataFrame, best: pd.DataFrame) -> "Figure":
    """Return the validation score against the learning rate; rings mark what was chosen.

    Lines are means over the seeds, bands reach from the lowest to the highest of them.

    Parameters
    ----------
    cells, best : pandas.DataFrame
        Tables of a comparison.
    """
    scores = cells.groupby(["task", "rule", "learning_rate"])["validation_score"]
    means, lowest, highest = scores.mean(), scores.min(), scores.max()
    figure, axes, tasks = _axes(best)
    for axis, task in zip(axes, tasks, strict=True):
        for rule, look in looks(best["rule"]).items():
            chosen = best[(best["task"] == task) & (best["rule"] == rule)]
            if chosen.empty:
                continue
            course, rates = means[task][rule], chosen["learning_rate"]
            axis.plot(course, label=rule, ms=4, **look)
            ends = lowest[task][rule], highest[task][rule]
            axis.fill_between(course.index, *ends, color=look["color"], alpha=0.2, lw=0)
            axis.plot(rates, course[rates], "o", ms=11, mfc="none", color=look["color"])
        axis.set_xscale("log")
        axis.set_xlabel("learning rate")
        axis.set_title(task, fontsize="medium")
    axes[0].set_ylabel("validation score")
    _legend(figure, axes)
    return figure


def _axes(
    best: pd.DataFrame, height: float = 3.6, **options: Any
) -> tuple["Figure", list[Any], list[str]]:
    tasks = list(best["task"].unique())
    figure, axes = new_figure(figsize=(1.2 + 3.6 * len(tasks), height), ncols=len(tasks), **options)
    return figure, list(np.ravel(axes)), tasks


def _legend(figure: "Figure", axes: list[Any]) -> None:
    """Name each line once; a rule may be drawn for some of the tasks only."""
    named: dict[str, Any] = {}
    for axis in axes:
        handles, labels = axis.get_legend_handles_labels()
        named = {**dict(zip(labels, handles, strict=True)), **named}
    figure.legend(list(named.values()), list(named), loc="outside lower center", ncols=3,
                  frameon=False, fontsize="small")  # fmt: skip
