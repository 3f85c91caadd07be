"""What simulated experiments found: how often which rule is named, for each truth."""

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ratenet.errors import InputError, counted
from ratenet.hypotheses.evidence import NONE
from ratenet.notebook import frame, table

DESIGN = ["units", "stimuli", "observed", "noise", "animals"]
CONFIDENCE = 0.95  # of the intervals


@dataclass(frozen=True, eq=False)
class Power:
    """What simulated experiments found.

    Attributes
    ----------
    rules : tuple of str
    table : pandas.DataFrame
        A row for each design (units, stimuli, observed, noise, animals), truth and named rule:
        count of experiments, share, and its 95 % interval low, high (Wilson); wrong is the count
        where a rule is named that is not the truth. Truth and named may be none.
    kind : str
        What is measured: weights or rates.
    level : float
    others : tuple of str
        Truths that are not among the candidates.
    """

    rules: tuple[str, ...]
    table: pd.DataFrame = field(repr=False)
    kind: str
    level: float
    others: tuple[str, ...] = ()

    @property
    def accuracy(self) -> pd.DataFrame:
        """A row for each design and truth: share of experiments in which just it was named.

        For the truth none, and for others, that is that no rule was named. The truth "any rule" is
        all candidates. The column wrong counts the experiments in which another rule was named.
        """
        quiet = [NONE, *self.others]
        said = self.table["truth"].mask(self.table["truth"].isin(quiet), NONE)
        right = self.table[self.table["named"] == said]
        keys = [*DESIGN, "truth"]
        wrong = self.table.groupby(keys, as_index=False, sort=False)["wrong"].sum()
        right = right[[*keys, "count", "experiments"]].merge(wrong, on=keys)
        pooled = right[~right["truth"].isin(quiet)].groupby(DESIGN, as_index=False, sort=False)
        together = pooled[["count", "experiments", "wrong"]].sum().assign(truth="any rule")
        found = with_intervals(pd.concat([together, right], ignore_index=True))
        return found[[*keys, "share", "low", "high", "wrong", "experiments"]]

    def designs(self) -> list[dict[str, Any]]:
        """Return the designs, in the order of the table."""
        return [
            {str(key): value for key, value in row.items()}
            for row in self.table[DESIGN].drop_duplicates().to_dict("records")
        ]

    def confusion(self, design: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return the share of each named rule (columns) for each truth (rows) of one design.

        Parameters
        ----------
        design : dict, optional
            One of `designs`; default the first.
        """
        wanted = self.designs()[0] if design is None else design
        chosen = self.table
        for key, value in wanted.items():
            chosen = chosen[chosen[key] == value]
        if chosen.empty:
            raise InputError.at("design", got=wanted, expected=f"one of {self.designs()}")
        named = [*self.rules, NONE]
        truths = [*self.rules, *self.others, NONE]
        return chosen.pivot(index="truth", columns="named", values="share").loc[truths, named]

    def _repr_html_(self) -> str:
        return table("power", {"accuracy": frame(self.accuracy)})

    def plot(self, ax: Any = None) -> Any:
        """Draw how often the right rule is named, and a rule without a signal.

        Parameters
        ----------
        ax : sequence of 2 matplotlib.axes.Axes, optional
            Where to draw; default new axes, which a notebook shows.

        Returns
        -------
        array of 2 matplotlib.axes.Axes
        """
        from ratenet.report.pictures import plot_power

        return plot_power(self, ax)

    def summary(self) -> str:
        """Return a line for each design: how often the right rule is named, and a wrong one."""
        rows = self.accuracy
        lines = []
        for design in self.designs():
            here = rows[(rows[DESIGN] == pd.Series(design)).all(axis=1)].set_index("truth")
            right, quiet = here.loc["any rule"], here.loc[NONE]
            animals = f"{design['animals']} animals, " if design["animals"] > 1 else ""
            line = (
                f"{animals}{counted(design['units'], 'unit')}, "
                f"{counted(design['stimuli'], 'stimulus')}, "
                f"{design['observed']} {things(self.kind)} observed, noise {design['noise']:g}: "
                f"the right rule named in {_percent(right)}, another rule in {right.wrong:.0f}; "
                f"without a signal a rule named in {_percent(quiet, but=True)}"
            )
            if self.others:
                outside = here.loc[list(self.others), ["wrong", "experiments"]].sum()
                line += (
                    f"; where the truth is another, a rule named in {outside.wrong:.0f} of "
                    f"{outside.experiments:.0f}"
                )
            lines.append(f"{line}.")
        return "\n".join(lines)


def _percent(row: Any, *, but: bool = False) -> str:
    """Return a share with its interval in words; or what is missing to 1."""
    values = (1 - row.share, 1 - row.high, 1 - row.low) if but else (row.share, row.low, row.high)
    share, low, high = (100 * value for value in values)
    return f"{share:.1f} % [{low:.1f}, {high:.1f}] of {row.experiments:.0f}"


def with_intervals(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of counts with shares and their Wilson intervals."""
    from scipy.stats import binomtest  # here: scipy.stats takes a second to import

    intervals = [
        binomtest(int(k), int(n)).proportion_ci(CONFIDENCE, method="wilson")
        for k, n in zip(table["count"], table["experiments"], strict=True)
    ]
    return table.assign(
        share=table["count"] / table["experiments"],
        low=[interval.low for interval in intervals],
        high=[interval.high for interval in intervals],
    )


def things(kind: str) -> str:
    """Return what is counted as observed."""
    return "synapses" if kind == "weights" else "neurons"
