"""Picture of a power analysis for `infer`: widths of intervals against what is recorded."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from ratenet.report.figures import COLOURS, GREY, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESULTS = ("coefficient", "width", "reached", "identifiable", "value", "sd", "failed")
STYLES = ("-", "--", ":", "-.")


def width_figure(table: pd.DataFrame, width: float, *, on: Any = None) -> "Figure":
    """Return a picture of the median width of each coefficient's interval in each design.

    Parameters
    ----------
    table : pandas.DataFrame
        That of `InferencePower`.
    width : float
        The wanted width.
    on : Axes, optional
        As for `new_figure`.
    """
    varied = [name for name in table.columns
              if name not in RESULTS and table[name].nunique() > 1]  # fmt: skip
    design = [name for name in table.columns if name not in RESULTS]
    places = {key: n for n, key in enumerate(table.groupby(design, sort=False).groups)}
    figure, axis = new_figure(on=on, figsize=(max(6.0, 2.5 + 0.6 * len(places)), 4.2))
    for index, (name, rows) in enumerate(table.groupby("coefficient", sort=False)):
        at = [places[tuple(row)] for row in rows[design].itertuples(index=False)]
        style = f"o{STYLES[index // len(COLOURS) % len(STYLES)]}"
        axis.plot(at, rows["width"], style, color=COLOURS[index % len(COLOURS)], label=name)
    axis.axhline(width, color=GREY, lw=0.8, ls=":", label=f"wanted, {width:g}")
    axis.set_yscale("log")
    axis.set_ylabel(r"median width of the interval (s$^{-1}$)")
    first = table.drop_duplicates(design)[varied]
    labels = ["\n".join(str(value) for value in row) for row in first.itertuples(index=False)]
    axis.set_xticks(range(len(places)), labels if varied else ["the design"])
    axis.set_xlabel(", ".join(varied) or "design")
    axis.legend(frameon=False, fontsize="small", ncols=2)
    return figure
