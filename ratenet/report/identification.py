"""Figures: how well each rule fits measured changes, and how often rules are told apart."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ratenet.errors import shorten
from ratenet.report.figures import COLOURS, GREY, entitle, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = {
    "units": "units",
    "stimuli": "stimuli",
    "observed": "number observed",
    "noise": "noise (sd over the size of the changes)",
    "animals": "animals",
}
COLUMNS = {"posterior": "posterior", "wins": "draws\nwon"}  # shares that stand beside the evidence


def alignment_figure(
    table: pd.DataFrame, *, ceiling: float | None, title: str = "", on: Any = None
) -> "Figure":
    """Return alignments with intervals and what chance reaches, beside the evidence.

    Parameters
    ----------
    table : pandas.DataFrame
        The table of an identification: a row per rule, then those of what competes with rules.
    ceiling : float or None
        The alignment that noise leaves a right rule.
    title : str
    on : Axes or sequence of Axes, optional
        As for `new_figure`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    height = 1.6 + 0.42 * len(table)
    figure, (left, right) = new_figure(on=on, figsize=(9.5, height), ncols=2, sharey=True)
    rules, places = table[table["chance"].notna()], np.arange(len(table))
    inner = places[: len(rules)]
    spread = [rules["alignment"] - rules["alignment_low"],
              rules["alignment_high"] - rules["alignment"]]  # fmt: skip
    left.errorbar(
        rules["alignment"], inner, xerr=np.maximum(spread, 0), fmt="o", color=COLOURS[0],
        capsize=3, label="observed, 95 %",
    )  # fmt: skip
    left.plot(rules["chance"], inner, "|", color=COLOURS[1], ms=14, mew=2, label="chance reaches")
    left.axvline(0, color=GREY, lw=0.8)
    if ceiling is not None:
        left.axvline(ceiling, color=COLOURS[2], ls="--", lw=1.2, label="a right rule, this noise")
    left.set_xlabel("alignment (cosine)")
    left.set_yticks(places, [str(name) for name in table.index])
    left.set_ylim(len(table) - 0.5, -0.5)
    best = table["log_likelihood"].max()
    right.plot((best - table["log_likelihood"]) / np.log(10), places, "o", color=COLOURS[0])
    right.set_xlim(left=min(0.0, right.get_xlim()[0]))
    right.set_xlabel(r"$\log_{10}$ odds of the best rule to it")
    for column, place in (("posterior", 1.09), ("wins", 1.29)):
        beside = {"transform": right.get_yaxis_transform(), "ha": "center", "fontsize": "small"}
        right.text(place, -0.8, COLUMNS[column], va="bottom", **beside)
        for row, share in zip(places, table[column], strict=True):
            right.text(place, row, _share(share), va="center", **beside)
    left.legend(frameon=False, fontsize="small", loc="lower center", ncols=2,
                bbox_to_anchor=(0.5, 1.0))  # fmt: skip
    entitle(figure, title)
    return figure


def _share(value: float) -> str:
    """Return a probability in words that fit beside a point; nothing where there is none."""
    if np.isnan(value):
        return ""
    return "< 0.01" if value < 0.005 else "> 0.99" if 0.995 < value < 1 else f"{value:.2f}"


def frequency_figure(
    frequencies: pd.DataFrame, posteriors: pd.DataFrame, *, title: str = "", on: Any = None
) -> "Figure":
    """Return how frequent each rule is among animals, beside what each animal says.

    Parameters
    ----------
    frequencies : pandas.DataFrame
        A row per rule: frequency, low, high, protected.
    posteriors : pandas.DataFrame, shape (animals, K)
        Probability of each rule by each animal.
    title : str
    on : Axes or sequence of Axes, optional
        As for `new_figure`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rules, animals = list(frequencies.index), list(posteriors.index)
    size = (6.0 + 0.5 * len(animals), 1.6 + 0.42 * len(rules))
    figure, (left, right) = new_figure(on=on, figsize=size, ncols=2, sharey=True)
    places = np.arange(len(rules))
    middle = frequencies["frequency"]
    spread = [middle - frequencies["low"], frequencies["high"] - middle]
    left.errorbar(
        middle, places, xerr=np.maximum(spread, 0), fmt="o", color=COLOURS[0], capsize=3,
        label="frequency, 95 %",
    )  # fmt: skip
    left.plot(frequencies["protected"], places, "|", color=COLOURS[1], ms=14, mew=2,
              label="protected exceedance")  # fmt: skip
    left.set_xlim(-0.02, 1.02)
    left.set_xlabel("share of animals, probability")
    left.set_yticks(places, [str(rule) for rule in rules])
    left.set_ylim(len(rules) - 0.5, -0.5)
    left.legend(frameon=False, fontsize="small", loc="lower center", ncols=2,
                bbox_to_anchor=(0.5, 1.0))  # fmt: skip
    shown = posteriors[rules].to_numpy(dtype=float).T
    image = right.imshow(shown, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    right.set_xticks(range(len(animals)), [shorten(str(name)) for name in animals], rotation=35)
    right.set_xlabel("animal")
    figure.colorbar(image, ax=right, label="posterior")
    entitle(figure, title)
    return figure


def confusion_figure(confusion: pd.DataFrame, *, title: str = "", on: Any = None) -> "Figure":
    """Return how often each rule was named (columns) for each truth (rows).

    Parameters
    ----------
    confusion : pandas.DataFrame
        Shares, from 0 to 1.
    title : str
    on : Axes or sequence of Axes, optional
        As for `new_figure`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    truths, named = confusion.shape
    figure, axis = new_figure(on=on, figsize=(2.6 + 0.85 * named, 2.4 + 0.6 * truths))
    shares = confusion.to_numpy(dtype=float)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(shares.shape):
        value = shares[row, column]
        shown = {"color": "white" if value > 0.5 else "black", "ha": "center", "va": "center"}
        axis.text(column, row, f"{100 * value:.0f} %", fontsize="small", **shown)
    axis.set_xticks(range(named), list(confusion.columns), rotation=35, ha="right")
    axis.set_yticks(range(truths), list(confusion.index))
    axis.set_xlabel("named")
    axis.set_ylabel("truth")
    entitle(figure, title)
    return figure


def power_figure(
    accuracy: pd.DataFrame, *, level: float, title: str = "", on: Any = None
) -> "Figure":
    """Return how often the right rule is named, and a rule without a signal.

    Parameters
    ----------
    accuracy : pandas.DataFrame
        A row for each design (units, stimuli, observed, noise, animals) and truth, with share, low
        and high. Drawn against what varies most of these; a line for each combination of the
        others.
    level : float
        The share of false positives that is allowed.
    title : str
    on : Axes or sequence of Axes, optional
        As for `new_figure`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, (power, false) = new_figure(on=on, figsize=(9.5, 4.4), ncols=2)
    abscissa = max(NAMES, key=lambda name: accuracy[name].nunique())
    # All synapses are another number for each number of units: that makes no line of its own.
    each = accuracy.groupby(abscissa)[list(NAMES)].nunique().max()
    others = [name for name in NAMES if each[name] > 1]
    quiet = accuracy[accuracy["truth"] == "none"]
    quiet = quiet.assign(share=1 - quiet["share"], low=1 - quiet["high"], high=1 - quiet["low"])
    _draw_lines(power, accuracy[accuracy["truth"] == "any rule"], abscissa, others)
    _draw_lines(false, quiet, abscissa, others)
    false.axhline(level, color=GREY, ls=":", label="level")
    power.set_ylabel("right rule named (share)")
    false.set_ylabel("a rule named without a signal (share)")
    for axis in (power, false):
        axis.set_xscale("log")
        axis.set_xlabel(NAMES[abscissa])
        ticks = sorted(accuracy[abscissa].unique())
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.minorticks_off()
    power.set_ylim(-0.02, 1.02)
    shown = [level, *quiet["high"].dropna()]
    false.set_ylim(-0.02 * max(shown), min(1.02, 1.3 * max(shown)))  # what is rare can be seen
    power.legend(frameon=False, fontsize="small", loc="best")
    false.legend(frameon=False, fontsize="small", loc="upper right", ncols=2)
    entitle(figure, title)
    return figure


def _draw_lines(axis: Any, rows: pd.DataFrame, abscissa: str, others: list[str]) -> None:
    groups = rows.groupby(others) if others else [((), rows)]
    for index, (values, part) in enumerate(groups):
        part = part.sort_values(abscissa)
        pairs = zip(others, values, strict=True)
        label = ", ".join(f"{name} {value:g}" for name, value in pairs) or "95 % interval"
        errors = [part["share"] - part["low"], part["high"] - part["share"]]
        aside = 1.06 ** (index - (len(groups) - 1) / 2)  # intervals stand beside one another
        axis.errorbar(
            aside * part[abscissa], part["share"], yerr=np.maximum(errors, 0), marker="o",
            capsize=3, color=COLOURS[index % len(COLOURS)], ls=("-", "--", "-.", ":")[index % 4],
            label=label,
        )  # fmt: skip
