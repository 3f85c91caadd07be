"""Step lengths chosen on validation, and means and paired differences with bootstrap intervals."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from ratenet.hypotheses.comparison_statistics import mean_interval, paired_interval
from ratenet.report.rule_looks import Look, looks

LEVEL = 0.95
NAMES = {  # of ratenet's own rules
    "rule 1": "euclidean",
    "rule 2": "reparameterized",
    "rule 3": "linearized-reparameterized",
    "rule 4": "gain-free-reparameterized",
    "a = -1": "first-order-reparameterized",
}


def chosen(rows: pd.DataFrame, case: list[str]) -> pd.DataFrame:
    """Return the rows at the length with the best mean validation score, of each case.

    `edge` says whether that is the shortest or the longest length of the grid.
    """
    parts = []
    for _, part in rows.groupby(case, sort=False):
        means = part.groupby("length")["validation"].mean().dropna()
        length = means.idxmax() if len(means) else part["length"].min()
        grid = sorted(part["length"].unique())
        edge = {grid[0]: "shortest", grid[-1]: "longest"}.get(length, "")
        parts.append(part[part["length"] == length].assign(edge=edge))
    return pd.concat(parts)


def line_looks(rules: Sequence[str]) -> dict[str, Look]:
    """Return colour and line style of each rule, those that it has in every figure."""
    found = looks([NAMES.get(rule, rule) for rule in rules])
    return {
        rule: {"color": look["color"], "ls": look["ls"]}
        for rule, look in zip(rules, found.values(), strict=True)
    }


def mean_text(values: pd.Series, form: str = ".3f") -> str:
    """Return the mean and its interval: BCa bootstrap over seeds."""
    low, high = mean_interval(values.to_numpy(), LEVEL, "bca")
    return _text(float(values.mean()), low, high, form)


def difference_text(mine: pd.Series, other: pd.Series, form: str = "+.3f") -> str:
    """Return the mean of mine - other, paired by seed, and its interval."""
    mine, other = mine.align(other, join="inner")
    low, high = paired_interval(mine.to_numpy(), other.to_numpy(), LEVEL, "bca")
    return _text(float((mine - other).mean()), low, high, form)


def _text(mean: float, low: float, high: float, form: str) -> str:
    ends = f" ({low:{form}} to {high:{form}})" if np.isfinite(low) else ""
    return f"{mean:{form}}{ends}"


def scores(rows: pd.DataFrame, value: str = "score") -> pd.Series:
    """Return a column by seed."""
    return rows.set_index("seed")[value].sort_index()


def table(rows: list[dict[str, str]]) -> list[str]:
    """Return rows as Markdown."""
    head = list(rows[0])
    cells = [head, ["---"] * len(head), *([str(row[name]) for name in head] for row in rows)]
    return ["| " + " | ".join(row) + " |" for row in cells]


def by_case(
    rows: pd.DataFrame, case: list[str], told: Callable[[pd.DataFrame], dict[str, str]]
) -> list[str]:
    """Return a table with a row for each case: its names, and what is told of its rows."""
    return table([
        {**dict(zip(case, map(str, key), strict=True)), **told(part)}
        for key, part in rows.groupby(case, sort=False)
    ])  # fmt: skip
