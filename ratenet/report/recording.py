"""Figure of a recording: rates, weights or drive along time, as far as they were observed."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ratenet.report.figures import COLOURS, new_figure
from ratenet.report.rates import chosen_numbers, evenly, time_axis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 6
STYLES = ("-", "--", "-.", ":")


def recording_figure(
    time: np.ndarray,
    values: np.ndarray,
    label: str,
    *,
    units: Any = None,
    names: Any = None,
    on: Any = None,
) -> "Figure":
    """Plot what was recorded along time.

    Parameters
    ----------
    time : ndarray, shape (T,)
        In seconds.
    values : ndarray, shape (T, N) or, of weights, (T, N, N)
        NaN where nothing was observed; dots alone where both neighbours in time are NaN.
    label : str
        For the axis.
    units : int or sequence of int, optional
        Which are drawn, postsynaptic ones of weights; default at most 6 with an observation, evenly
        chosen. Of the weights of a unit at most 6 are drawn.
    names : sequence of str, optional
        Names of the N units.
    on : Axes, optional
        As for `new_figure`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If there is no such unit.
    """
    named = [str(each) for each in (range(values.shape[1]) if names is None else names)]
    figure, axis = new_figure(on=on, figsize=(6.4, 3.8))
    t, unit = time_axis(time)
    lines = _lines(values, units)
    for index, place in enumerate(lines):
        at: tuple[Any, ...] = (slice(None), *place)
        course = values[at]
        look = {"color": COLOURS[index % len(COLOURS)], "ls": STYLES[index % len(STYLES)]}
        said = " from ".join(f"unit {named[each]}" if n == 0 else named[each]
                             for n, each in enumerate(place))  # fmt: skip
        axis.plot(t, course, label=said, lw=1.4, marker=_marker(course), ms=3, **look)
    axis.set_xlabel(f"time ({unit})")
    axis.set_ylabel(label)
    if 1 < len(lines) <= 2 * len(COLOURS):
        axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _lines(values: np.ndarray, units: Any) -> list[tuple[int, ...]]:
    """Return the places of what is drawn: (unit,), or (post, pre) of weights."""
    seen = ~np.isnan(values).all(axis=0)
    if units is None:
        places = np.argwhere(seen)
        return [tuple(places[n].tolist()) for n in evenly(len(places), SHOWN)]
    chosen = chosen_numbers(units, range(values.shape[1]), "units")
    if values.ndim == 2:
        return [(unit,) for unit in chosen]
    ends = [(post, np.flatnonzero(seen[post])) for post in chosen]
    return [(post, int(pre[n])) for post, pre in ends for n in evenly(len(pre), SHOWN)]


def _marker(course: np.ndarray) -> str:
    """Return the mark of each value, for a course that has values without neighbours."""
    there = np.pad(~np.isnan(course), 1)
    is_alone = there[1:-1] & ~there[:-2] & ~there[2:]
    return "o" if is_alone.any() else ""
