"""Figures of several draws of networks and stimuli, and how their range is drawn."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas.api.typing import SeriesGroupBy

DRAWS = 3


def draw_range(axis: Any, each: "SeriesGroupBy[Any, Any]", middle: str, **look: Any) -> None:
    """Draw a line through the middle of each group, and a band from its least to its largest.

    Parameters
    ----------
    axis : Axes
    each : SeriesGroupBy
        Values of all draws, grouped by what is on the horizontal axis.
    middle : {"mean", "median"}
    **look
        Look of the line, its color among it.
    """
    ends = each.min(), each.max()
    axis.plot(each.agg(middle), **look)
    axis.fill_between(ends[0].index, *ends, color=look["color"], alpha=0.2, lw=0)
