"""Step lengths chosen on validation, and means and paired differences with intervals over seeds.

Intervals are Student's, whose coverage is right for few seeds; a paired bootstrap stands beside
those of differences (docs/compare.md has the coverage of both).
"""

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
    """Return the mean over seeds and its interval."""
    return f"{values.mean():{form}}{_ends(mean_interval(values.to_numpy(), LEVEL), form)}"


def median_text(values: pd.Series, form: str = ".2g") -> str:
    """Return the median over seeds and the range."""
    low, middle, high = values.quantile([0, 0.5, 1])
    return f"{middle:{form}} ({low:{form}} to {high:{form}})"


def difference(
    name: str, mine: pd.Series, other_name: str, other: pd.Series, form: str = "+.3f"
) -> dict[str, str]:
    """Return the mean of mine - other, paired by seed, and its intervals, as two cells."""
    names = f"less {other_name}", f"less {other_name}, bootstrap"
    if name == other_name:
        return dict.fromkeys(names, "-")
    mine, other = mine.align(other, join="inner")
    pair = mine.to_numpy(), other.to_numpy()
    student, resampled = (_ends(paired_interval(*pair, LEVEL, how), form) for how in ("t", "bca"))
    mean = f"{(mine - other).mean():{form}}"
    return dict(zip(names, (mean + student, resampled.strip(" ()")), strict=True))


def _ends(interval: tuple[float, float], form: str) -> str:
    low, high = interval
    return f" ({low:{form}} to {high:{form}})" if np.isfinite(low) else ""


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
