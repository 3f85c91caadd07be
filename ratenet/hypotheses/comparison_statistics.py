"""Which learning rate each rule gets, and how rules differ, by statistics over seeds.

A third of the seeds choose the learning rates, by validation scores; the others judge them, by test
scores. Judged on the seeds that chose it, the rate of the more variable of two equal rules would
look better; judged by leaving one seed out, each seed's score is unbiased, but their mean spreads
more than its interval says. Intervals are Student's, over seeds; p-values come from all changes of
sign, and are adjusted for the number of pairs (Holm 1979, Scand J Stat 6:65).
"""

import itertools
import math
import warnings
from typing import Any

import numpy as np
import pandas as pd

from ratenet.hypotheses.comparison.config import Interval

RESAMPLES = 9_999  # of a bootstrap; of changes of sign, where there are more
ROUNDING = 1e-12  # relative; scores that differ by less are equal
LEAST_SEEDS = 2  # with fewer there is no spread
JUDGING_SEEDS = 6  # with fewer no change of sign has a p-value below 0.05
BEST = ["task", "rule", "learning_rate", "edge", "validation_score", "test_score", "low", "high",
        "test_score_before", "seeds", "failed"]  # fmt: skip
DIFFERENCES = ["task", "rule", "other", "difference", "low", "high", "p", "p_holm", "p_least",
               "seeds"]  # fmt: skip


def best_rates(cells: pd.DataFrame, level: float, interval: Interval = "t") -> pd.DataFrame:
    """Return a row for each task and rule: the learning rate that was chosen, and how it does.

    Parameters
    ----------
    cells : pandas.DataFrame
        A row for each cell: task, rule, learning_rate, seed, status, validation_score, test_score,
        test_score_before. A rule that is not defined for a task has no scores and no row.
    level : float
        Coverage of the intervals.
    interval : {"t", "bca"}
        How they are made.

    Returns
    -------
    pandas.DataFrame
        task, rule; learning_rate, by the mean validation_score over the seeds that choose, and
        that score; edge ("lowest", "highest", "only" of the sweep, or ""); means of test_score and
        test_score_before over the seeds that judge; low, high (interval of the mean test score);
        seeds and failed: how many judge, with a test score, and how many of these cells ended
        early.
    """
    rows = []
    for task, of_task in _scored(cells).groupby("task", sort=False):
        choosing = choosing_seeds(of_task)
        rows += [
            {"task": task, "rule": rule, **_best(group, choosing, level, interval)}
            for rule, group in of_task.groupby("rule", sort=False)
            if not choosing or group["seed"].isin(choosing).any()
        ]
    return pd.DataFrame(rows, columns=BEST)


def choosing_seeds(cells: pd.DataFrame) -> list[int]:
    """Return the seeds that choose the learning rates of a task: the first third, at least one.

    A third of those that all rules have, where there are two or more. None where there is nothing
    to choose. A single seed both chooses and judges.

    Parameters
    ----------
    cells : pandas.DataFrame
        Cells of one task, as of `best_rates`.

    Examples
    --------
    >>> table = {"rule": "hebb", "seed": [*range(10)] * 2, "learning_rate": [1.0, 0.1] * 10}
    >>> choosing_seeds(pd.DataFrame(table))
    [0, 1, 2]
    """
    of_rules = [set(seeds) for _, seeds in cells.groupby("rule")["seed"]]
    common = set.intersection(*of_rules)
    seeds = sorted(common if len(common) >= LEAST_SEEDS else set.union(*of_rules))
    return seeds[: len(seeds) - judging(len(seeds), cells["learning_rate"].nunique())]


def judging(seeds: int, rates: int) -> int:
    """Return how many of so many seeds judge, if they have so many learning rates to choose from.

    Examples
    --------
    >>> judging(10, rates=8), judging(10, rates=1)
    (7, 10)
    """
    if seeds < LEAST_SEEDS or rates == 1:
        return seeds
    return seeds - max(1, round(seeds / 3))


def judged(cells: pd.DataFrame, best: pd.DataFrame) -> pd.DataFrame:
    """Return the cells by which rules are judged: at the chosen rates, of seeds that chose none.

    Parameters
    ----------
    cells, best : pandas.DataFrame
        As of `best_rates`, and what it returned.
    """
    scored = _scored(cells)
    if best.empty:
        return scored.iloc[:0]
    choosing = {task: choosing_seeds(group) for task, group in scored.groupby("task")}
    pairs = zip(scored["task"], scored["seed"], strict=True)
    is_judging = np.array([seed not in choosing[task] for task, seed in pairs], dtype=bool)
    return scored[is_judging].merge(best[["task", "rule", "learning_rate"]])


def _scored(cells: pd.DataFrame) -> pd.DataFrame:
    return cells[cells["validation_score"].notna()]


def _best(
    group: pd.DataFrame, choosing: list[int], level: float, interval: Interval
) -> dict[str, Any]:
    is_choosing = group["seed"].isin(choosing)
    scores = group[is_choosing | (not choosing)].groupby("learning_rate")["validation_score"]
    # A rate at which some of these seeds have no score is none to choose.
    means = scores.mean()[scores.count() == scores.count().max()]
    rate = float(means.index.to_numpy()[means.argmax()])  # the lowest of equally good ones
    chosen = group[(group["learning_rate"] == rate) & ~is_choosing]
    tested = chosen["test_score"].dropna().to_numpy()
    low, high = mean_interval(tested, level, interval)
    return {
        "learning_rate": rate,
        "edge": _edge(sorted(group["learning_rate"].unique()), rate),
        "validation_score": means.max(),
        "test_score": chosen["test_score"].mean(),
        "low": low,
        "high": high,
        "test_score_before": chosen["test_score_before"].mean(),
        "seeds": len(tested),
        "failed": int((chosen["status"] != "done").sum()),
    }


def _edge(rates: list[float], rate: float) -> str:
    if len(rates) == 1:
        return "only"
    return {min(rates): "lowest", max(rates): "highest"}.get(rate, "")


def rule_differences(
    cells: pd.DataFrame, best: pd.DataFrame, level: float, interval: Interval = "t"
) -> pd.DataFrame:
    """Return the mean difference of test scores for each task and pair of rules.

    Parameters
    ----------
    cells : pandas.DataFrame
        As of `best_rates`.
    best : pandas.DataFrame
        From `best_rates`.
    level : float
        Coverage of the intervals of all pairs of a task together.
    interval : {"t", "bca"}
        How they are made.

    Returns
    -------
    pandas.DataFrame
        task, rule, other; difference (rule less other, each at its own rate, mean over the
        judging seeds that both have); low, high: for P pairs of a task, intervals of level
        1 - (1 - level) / P each, so that all of them hold at once with probability `level`; p
        (exact, two-sided, by all changes of sign); p_holm, adjusted for the P pairs; p_least, the
        smallest p that so many seeds allow; seeds.
    """
    rows = []
    for _, group in judged(cells, best).groupby("task", sort=False):
        rows += _pairs(group, level, interval)
    return pd.DataFrame(rows, columns=DIFFERENCES)


def _pairs(group: pd.DataFrame, level: float, interval: Interval) -> list[dict[str, Any]]:
    """Return a row for each pair of rules of a task."""
    table = group.pivot(index="seed", columns="rule", values="test_score")
    pairs = list(itertools.combinations(group["rule"].unique(), 2))
    rows = []
    for rule, other in pairs:
        a, b = table[[rule, other]].dropna().to_numpy().T
        a = np.where(np.isclose(a, b, rtol=ROUNDING, atol=0.0), b, a)
        low, high = paired_interval(a, b, 1 - (1 - level) / len(pairs), interval)
        rows.append({
            "task": group["task"].iloc[0], "rule": rule, "other": other,
            "difference": (a - b).mean() if len(a) else math.nan, "low": low, "high": high,
            "p": sign_flip_p(a - b), "p_least": least_p(len(a)), "seeds": len(a),
        })  # fmt: skip
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p
    return rows


def mean_interval(
    values: np.ndarray, level: float, interval: Interval = "t"
) -> tuple[float, float]:
    """Return an interval of a mean.

    Student's holds what it states for normal values; "bca" is SciPy's bias-corrected and
    accelerated bootstrap, for many seeds whose scores are skewed. The same each time that it is
    called.

    Parameters
    ----------
    values : ndarray, shape (n,)
    level : float
        Coverage.
    interval : {"t", "bca"}
        How it is made.

    Returns
    -------
    tuple of float
        Low and high; NaN for fewer than two values, or where one is not finite.

    Examples
    --------
    >>> low, high = mean_interval(np.array([1.0, 2.0, 3.0]), 0.95)
    >>> round(low, 2), round(high, 2)
    (-0.48, 4.48)
    """
    if len(values) < LEAST_SEEDS or not np.isfinite(values).all():
        return math.nan, math.nan
    from scipy import stats  # here: it takes a second to import

    mean = float(np.mean(values))
    if np.ptp(values) == 0:  # nothing to resample, and no spread
        return mean, mean
    if interval == "bca":
        with warnings.catch_warnings():  # of few values it says that the interval is degenerate
            warnings.simplefilter("ignore", stats.DegenerateDataWarning)
            found = stats.bootstrap(
                (values,), np.mean, n_resamples=RESAMPLES, confidence_level=level, method="BCa",
                rng=np.random.default_rng(0),
            ).confidence_interval  # fmt: skip
    else:
        found = stats.ttest_1samp(values, 0.0).confidence_interval(level)
    return float(found.low), float(found.high)


def paired_interval(
    a: np.ndarray, b: np.ndarray, level: float, interval: Interval = "t"
) -> tuple[float, float]:
    """Return an interval of mean(a - b), pairs kept together; otherwise as `mean_interval`."""
    return mean_interval(np.asarray(a) - np.asarray(b), level, interval)


def sign_flip_p(differences: np.ndarray) -> float:
    """Return the two-sided p-value of a mean difference, if each sign came up by chance.

    Exact for up to 13 differences: all 2^n changes of sign are made; beyond, 9,999 of them.

    Parameters
    ----------
    differences : ndarray, shape (n,)

    Returns
    -------
    float
        NaN for fewer than two differences, or where one is not finite.

    Examples
    --------
    >>> sign_flip_p(np.array([0.3, 0.1, 0.2]))  # 2 of 8
    0.25
    """
    if len(differences) < LEAST_SEEDS or not np.isfinite(differences).all():
        return math.nan
    from scipy.stats import permutation_test  # here: scipy.stats takes a second to import

    found = permutation_test(
        (differences,), np.mean, permutation_type="samples", vectorized=True,
        n_resamples=RESAMPLES, rng=np.random.default_rng(0),
    )  # fmt: skip
    return float(found.pvalue)


def least_p(seeds: int) -> float:
    """Return the smallest p-value that changes of sign can give; NaN for fewer than two seeds."""
    return 2.0 / min(2**seeds, RESAMPLES + 1) if seeds >= LEAST_SEEDS else math.nan


def holm(p: list[float]) -> np.ndarray:
    """Return p-values adjusted for their number, so that any of them is wrong at their level.

    Parameters
    ----------
    p : list of float
        NaN: no test, and not counted.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, dtype=float)
    order = np.argsort(values)[: np.count_nonzero(~np.isnan(values))]
    factors = np.arange(len(order), 0, -1)
    adjusted = np.full(len(values), math.nan)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(factors * values[order]))
    return adjusted
