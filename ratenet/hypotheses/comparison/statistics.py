"""Which learning rate each rule gets, and how rules differ: paired bootstraps over seeds.

The learning rate is chosen by the mean validation score over the seeds, for each task and rule by
itself; test scores are reported for the rate that was chosen, and have no part in the choice.
"""

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd

RESAMPLES = 9_999
LEAST_SEEDS = 2  # with fewer there is nothing to resample
BEST = ["task", "rule", "learning_rate", "edge", "validation_score", "test_score", "low", "high",
        "test_score_before", "seeds", "failed"]  # fmt: skip
DIFFERENCES = ["task", "rule", "other", "difference", "low", "high", "seeds"]


def best_rates(cells: pd.DataFrame, level: float) -> pd.DataFrame:
    """Return a row for each task and rule: the learning rate that was chosen, and how it does.

    Parameters
    ----------
    cells : pandas.DataFrame
        A row for each cell: task, rule, learning_rate, seed, status, validation_score, test_score,
        test_score_before. A rule that is not defined for a task has no scores and no row.
    level : float
        Confidence level of the intervals.

    Returns
    -------
    pandas.DataFrame
        task, rule, learning_rate; edge ("lowest", "highest", "only" of the sweep, or ""); means
        over the seeds of validation_score, test_score and test_score_before; low, high (bootstrap
        interval of the mean test score); seeds; failed, how many of the cells with that rate
        ended early.
    """
    rows = [
        {"task": task, "rule": rule, **_best(group, level)}
        for (task, rule), group in _scored(cells).groupby(["task", "rule"], sort=False)
    ]
    return pd.DataFrame(rows, columns=BEST)


def _scored(cells: pd.DataFrame) -> pd.DataFrame:
    return cells[cells["validation_score"].notna()]


def _best(group: pd.DataFrame, level: float) -> dict[str, Any]:
    means = group.groupby("learning_rate")["validation_score"].mean()
    rate = float(means.index.to_numpy()[means.argmax()])  # the lowest of equally good ones
    chosen = group[group["learning_rate"] == rate]
    scores = chosen["test_score"].to_numpy()
    low, high = interval(scores, level)
    return {
        "learning_rate": rate,
        "edge": _edge(list(means.index), rate),
        "validation_score": means.max(),
        "test_score": scores.mean(),
        "low": low,
        "high": high,
        "test_score_before": chosen["test_score_before"].mean(),
        "seeds": len(chosen),
        "failed": int((chosen["status"] != "done").sum()),
    }


def _edge(rates: list[float], rate: float) -> str:
    if len(rates) == 1:
        return "only"
    return {min(rates): "lowest", max(rates): "highest"}.get(rate, "")


def rule_differences(cells: pd.DataFrame, best: pd.DataFrame, level: float) -> pd.DataFrame:
    """Return the mean difference of test scores for each task and pair of rules.

    Parameters
    ----------
    cells, best : pandas.DataFrame
        As of `best_rates`.
    level : float
        Confidence level of the interval of each pair by itself.

    Returns
    -------
    pandas.DataFrame
        task, rule, other; difference (rule less other, each at its own chosen rate, mean over the
        seeds that both have), low, high, seeds.
    """
    chosen = cells.merge(best[["task", "rule", "learning_rate"]])
    rows = []
    for task, group in chosen.groupby("task", sort=False):
        scores = group.pivot(index="seed", columns="rule", values="test_score")
        for rule, other in itertools.combinations(group["rule"].unique(), 2):
            pairs = scores[[rule, other]].dropna().to_numpy().T
            low, high = paired_interval(pairs[0], pairs[1], level)
            row = {"task": task, "rule": rule, "other": other, "low": low, "high": high}
            rows.append({**row, "difference": (pairs[0] - pairs[1]).mean(), "seeds": len(pairs.T)})
    return pd.DataFrame(rows, columns=DIFFERENCES)


def interval(values: np.ndarray, level: float) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a mean; NaN for a single value."""
    return paired_interval(values, np.zeros_like(values), level)


def paired_interval(a: np.ndarray, b: np.ndarray, level: float) -> tuple[float, float]:
    """Return the percentile bootstrap interval of mean(a - b), pairs kept together.

    The same each time that it is called. NaN for fewer than two pairs.
    """
    if len(a) < LEAST_SEEDS:
        return math.nan, math.nan
    from scipy.stats import bootstrap  # here: scipy.stats takes a second to import

    def difference(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
        found: np.ndarray = (a - b).mean(axis=axis)
        return found

    found = bootstrap(
        (a, b),
        difference,
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(found.low), float(found.high)
