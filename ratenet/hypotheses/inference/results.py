"""Inferred: the coefficients of a rule, what they predict, and what the data cannot say."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ratenet.errors import counted
from ratenet.hypotheses.inference.families import Family
from ratenet.hypotheses.inference.identifiability import Direction
from ratenet.hypotheses.inference.intervals import Intervals
from ratenet.hypotheses.inference.surface import Surface
from ratenet.notebook import frame, lines, table

GRID = 40  # points along each axis of a picture


@dataclass(frozen=True, eq=False)
class Seen:
    """Where in the space of rates and weights the data lie.

    Attributes
    ----------
    pairs : ndarray, shape (n, 3)
        y_post, y_pre and w of some of the synapses that were compared.
    units : dict of str to float
        Mean of each variable of units.
    """

    pairs: np.ndarray
    units: dict[str, float]


@dataclass(frozen=True, eq=False)
class Inferred:
    """A rule that was inferred from recordings.

    Attributes
    ----------
    family : Family
        Its equations.
    by : {"weights", "activity"}
        What was fitted.
    estimates : pandas.DataFrame
        A row for each coefficient: name; value, 0 where the term is left out; low, high, its
        interval, for the fit with all terms, which choosing terms does not change: of terms left
        out it may exclude `value`, 0; identifiable, whether the data see it by itself; kept;
        stability, the share of resamples in which it is among the terms that are kept; full, its
        value with all terms. All in SI units.
    held_out : pandas.DataFrame
        A row for each rule: r2, the share of the squared error of the best constant rule (dw/dt =
        c) that it explains on data held out; coefficients, how many were fitted.
    unseen : tuple of Direction
        Directions of the coefficients that the data do not see.
    predictions : pandas.DataFrame
        Columns observed and predicted: changes held out, as they were predicted from the others.
    noise : float
        Standard deviation of the residuals.
    measured : int
        Number of values that were compared.
    level : float
        Probability that an interval holds its coefficient.
    intervals : Intervals
        Those of the whole family, with the resampled coefficients.
    seen : Seen
        At which rates and weights the data lie.
    notes : tuple of str
        Sentences about the data and the fit.
    """

    family: Family
    by: str
    estimates: pd.DataFrame
    held_out: pd.DataFrame
    unseen: tuple[Direction, ...]
    predictions: pd.DataFrame = field(repr=False)
    noise: float
    measured: int
    level: float
    intervals: Intervals = field(repr=False)
    seen: Seen = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def theta(self) -> np.ndarray:
        """The coefficients (K,), in the order of `estimates`."""
        return self.estimates["value"].to_numpy(dtype=float)

    @property
    def r2(self) -> float:
        """Held-out R2 of this rule, against the best constant rule."""
        return float(self.held_out["r2"].iloc[0])

    def slope(self, post: Any, pre: Any, weight: Any = None) -> np.ndarray:
        """Return the estimated dw/dt in 1/s (SI) at some rates.

        Parameters
        ----------
        post, pre : array_like, of one shape
            Rates of the two units.
        weight : array_like, optional
            Default the median of the weights that were seen.
        """
        post, pre = np.broadcast_arrays(np.asarray(post, float), np.asarray(pre, float))
        W = float(np.median(self.seen.pairs[:, 2])) if weight is None else np.asarray(weight, float)
        flat = np.broadcast_to(W, post.shape).ravel()
        value, _ = Surface(self.family, self.seen.units).at(
            self.theta, post.ravel(), pre.ravel(), flat
        )
        return value.reshape(post.shape)

    def surface(self) -> dict[str, Any]:
        """Return what a picture of dw/dt shows: rates, estimate, spread, data and the weight."""
        ends = np.quantile(self.seen.pairs[:, :2], [0.005, 0.995], axis=0)
        post, pre = (np.linspace(low, high, GRID) for low, high in ends.T)
        rows, columns = (each.ravel() for each in np.meshgrid(post, pre, indexing="ij"))
        W = float(np.median(self.seen.pairs[:, 2]))
        surface = Surface(self.family, self.seen.units)
        value, slopes = surface.at(self.theta, rows, columns, W)
        draws = (self.intervals.draws - self.intervals.draws.mean(axis=0)) @ slopes.T
        low, high = np.quantile(draws, [(1 - self.level) / 2, (1 + self.level) / 2], axis=0)
        return {
            "post": post,
            "pre": pre,
            "slope": value.reshape(GRID, GRID),
            "spread": ((high - low) / 2).reshape(GRID, GRID),
            "pairs": self.seen.pairs,
            "weight": float(W),
        }

    def report(self) -> str:
        """Return what was found in a few lines."""
        kept = self.estimates[self.estimates["kept"]]
        said = [
            f"{self.family.name}, from {self.measured:,} observed "
            f"{'weights' if self.by == 'weights' else 'rates'}: "
            f"{len(kept)} of {counted(len(self.estimates), 'term')}."
        ]
        width = max((len(name) for name in kept["name"]), default=0)
        for row in kept.itertuples():
            mark = "" if row.identifiable else "  not identifiable by itself"
            said.append(
                f"  {row.name:{width}}  {row.value:+.4g}  [{row.low:.4g}, {row.high:.4g}]{mark}"
            )
        best = self.held_out["r2"].iloc[1:].dropna()
        line = f"Held-out R2 against the best constant rule: {self.r2:.3f}"
        if len(best):
            other = best.idxmax()
            line += f"; best named rule {other} {best.max():.3f}"
        said.append(f"{line}.")
        resampled = ", ".join(self.intervals.over)
        said.append(f"Intervals: {100 * self.level:g} %, bootstrap over {resampled}.")
        said.extend(self._doubtful())
        for direction in self.unseen[:3]:
            said.append(f"Not seen: {direction}{direction.advice}")
        if len(self.unseen) > 3:
            said.append(f"Not seen: {len(self.unseen) - 3} more directions (`unseen`).")
        return "\n".join([*said, *self.notes])

    def _doubtful(self) -> list[str]:
        """Return a sentence on terms that are left out although their interval excludes 0."""
        table = self.estimates
        holds = (table["low"] <= 0) & (table["high"] >= 0)
        names = [str(name) for name in table["name"][~table["kept"] & ~holds]]
        if not names:
            return []
        by_chance = (1 - self.level) * int((~table["kept"]).sum())
        return [
            f"Left out since they predict nothing more, with an interval that excludes 0: "
            f"{', '.join(names)} (by chance about {by_chance:.1g} of the terms left out)."
        ]

    def __str__(self) -> str:
        return self.report()

    def __repr__(self) -> str:
        return self.report()

    def _repr_html_(self) -> str:
        columns = ["name", "value", "low", "high", "identifiable", "kept"]
        rows = {
            "coefficients": frame(self.estimates[columns]),
            "held-out R2": frame(self.held_out),
            "report": lines(self.report()),
        }
        return table(f"{self.family.name}, held-out R2 {self.r2:.3f}", rows)

    def plot(self, ax: Any = None) -> Any:
        """Draw the coefficients with their intervals.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; default new axes, which a notebook shows.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from ratenet.report.pictures import plot_inferred

        return plot_inferred(self, ax)

    def summary(self) -> dict[str, Any]:
        """Return everything but the tables, as JSON takes it."""
        return {
            "family": self.family.name,
            "by": self.by,
            "r2": self.r2,
            "noise": self.noise,
            "measured": self.measured,
            "level": self.level,
            "resampled": list(self.intervals.over),
            "kept": list(self.estimates["name"][self.estimates["kept"]]),
            "unseen": [
                {"terms": d.terms, "deviation": d.deviation, "point": d.point} for d in self.unseen
            ],
            "notes": list(self.notes),
        }
