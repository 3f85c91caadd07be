"""Figures of fixed points along a number: bifurcation diagrams and hysteresis loops."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ratenet.errors import InputError
from ratenet.fixed_points.continuation.branch import Branch, SpecialKind
from ratenet.fixed_points.continuation.sweep import Sweep
from ratenet.report.figures import COLOURS, GREY, entitle, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKERS = {
    SpecialKind.FOLD: ("o", COLOURS[1]),
    SpecialKind.HOPF: ("D", COLOURS[2]),
    SpecialKind.BRANCH: ("s", COLOURS[3]),
    SpecialKind.KINK: ("^", COLOURS[4]),
}


def bifurcation_diagram(
    branches: Branch | Sequence[Branch],
    *,
    unit: int = 0,
    rate_unit: str = "dimensionless",
    title: str = "",
    on: Any = None,
) -> "Figure":
    """Return one unit's rate at fixed points against the varied number.

    Stable parts are solid, unstable ones dashed; folds, Hopf and other special points are marked.

    Parameters
    ----------
    branches : Branch or sequence of Branch
        All along the same number.
    unit : int
        Whose rate is drawn.
    rate_unit : str
        Physical unit of the rates.
    title : str
    on : Axes, optional
        As for `new_figure`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If there is no branch, no such unit, or the branches vary different numbers.

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("rate", [[1.0]])
    >>> branch = rn.continue_fixed_points(network, [0.1], rn.WeightScale(), start=0.5, stop=2.0)
    >>> bifurcation_diagram(branch).axes[0].get_xlabel()
    'scale of W'
    """
    every = [branches] if isinstance(branches, Branch) else list(branches)
    labels = {branch.label for branch in every}
    if len(labels) != 1:
        raise InputError.at(
            "branches", got=sorted(labels), expected="branches along one and the same parameter"
        )
    _check_unit(unit, every[0].rates.shape[1])
    figure, axis = new_figure(on=on, figsize=(7, 4.4))
    for branch in every:
        _draw_branch(axis, branch, unit)
    _draw_special(axis, every, unit)
    for name, style in (("stable", "-"), ("unstable", "--")):
        axis.plot([], [], color=COLOURS[0], ls=style, label=name)
    _finish(axis, labels.pop(), unit, rate_unit)
    entitle(figure, title)
    return figure


def hysteresis_loop(
    sweep: Sweep,
    *,
    unit: int = 0,
    rate_unit: str = "dimensionless",
    branch: Branch | None = None,
    title: str = "",
    on: Any = None,
) -> "Figure":
    """Return one unit's rate on the way up and on the way down.

    The values at which both ways settle at different rates are shaded; what did not settle is
    left out of the lines and marked by a cross.

    Parameters
    ----------
    sweep : Sweep
    unit : int
        Whose rate is drawn.
    rate_unit : str
        Physical unit of the rates.
    branch : Branch, optional
        Fixed points of the same network, drawn behind in grey.
    title : str
    on : Axes, optional
        As for `new_figure`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If there is no such unit, or the branch varies another number.

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("rate", [[2.0]])
    >>> sweep = rn.sweep_fixed_points(network, [1.0], rn.DriveScale(), [-0.8, 0.0, 0.8])
    >>> hysteresis_loop(sweep).axes[0].get_xlabel()
    'scale of the drive'
    """
    _check_unit(unit, sweep.up.rates.shape[1])
    if branch is not None and branch.label != sweep.label:
        raise InputError.at(
            "branch",
            found=f"one along {branch.label}",
            expected=f"a branch along {sweep.label}, as the sweep",
        )
    figure, axis = new_figure(on=on, figsize=(7, 4.4))
    values = sweep.values.cpu().numpy()
    if branch is not None:
        _draw_branch(axis, branch, unit, colour=GREY)
        axis.plot([], [], color=GREY, lw=1.2, label="fixed points")
    _shade(axis, values, sweep.differs().cpu().numpy())
    ways = (("up", sweep.up, COLOURS[0], ">"), ("down", sweep.down, COLOURS[1], "<"))
    for name, part, colour, marker in ways:
        settled = part.converged.cpu().numpy()
        rates = part.rates[:, unit].cpu().numpy()
        style = {"color": colour, "marker": marker, "ms": 4, "lw": 1.2}
        axis.plot(values, np.where(settled, rates, np.nan), label=name, **style)
        if not settled.all():
            label = f"{name}, not settled"
            axis.plot(values[~settled], rates[~settled], "x", color=colour, label=label)
    _finish(axis, sweep.label, unit, rate_unit)
    entitle(figure, title)
    return figure


def _draw_branch(axis: Any, branch: Branch, unit: int, colour: str = COLOURS[0]) -> None:
    """Draw runs of steps of equal stability; a special point counts as unstable."""
    values = branch.values.cpu().numpy()
    rates = branch.rates[:, unit].cpu().numpy()
    at_points = branch.stable.cpu().numpy()
    stable = at_points[:-1] | at_points[1:]  # (P - 1,)
    borders = np.flatnonzero(np.diff(stable)) + 1
    for run in np.split(np.arange(len(stable)), borders):
        if len(run):
            part = slice(run[0], run[-1] + 2)
            style = "-" if stable[run[0]] else "--"
            axis.plot(values[part], rates[part], color=colour, ls=style, lw=1.6)


def _draw_special(axis: Any, branches: Sequence[Branch], unit: int) -> None:
    for kind, (marker, colour) in MARKERS.items():
        points = [point for branch in branches for point in branch.of_kind(kind)]
        if points:
            places = [point.value for point in points], [float(p.rates[unit]) for p in points]
            shown = {"color": colour, "ms": 7, "ls": "none", "zorder": 5, "label": kind.value}
            axis.plot(*places, marker=marker, **shown)


def _shade(axis: Any, values: np.ndarray, differs: np.ndarray) -> None:
    """Shade the runs of values where both ways differ."""
    borders = np.flatnonzero(np.diff(differs)) + 1
    label = "up and down differ"
    for run in np.split(np.arange(len(values)), borders):
        if differs[run[0]]:
            axis.axvspan(values[run[0]], values[run[-1]], color=GREY, alpha=0.15, lw=0, label=label)
            label = "_nolegend_"


def _check_unit(unit: int, units: int) -> None:
    if not 0 <= unit < units:
        raise InputError.at("unit", got=unit, expected=f"a number from 0 to {units - 1}")


def _finish(axis: Any, label: str, unit: int, rate_unit: str) -> None:
    axis.set_xlabel(label)
    axis.set_ylabel(f"rate $y$ of unit {unit} ({rate_unit})")
    axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
