"""Intervals by the bootstrap: over synapses, blocks of time and animals.

Whole clusters are drawn with replacement. What a synapse has in common and what a block of time has
in common add up (Cameron, Gelbach & Miller 2011),

    spread^2 = spread_synapses^2 + spread_time^2 - spread_single^2 .

With at least three animals their spread counts where it is larger: how far a rule holds for other
animals. Percentiles are stretched as for the mean of C clusters (Student's t, C / (C - 1)).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

from ratenet.hypotheses.inference.sums import Sums

DRAWS = 1000
LEAST = {"synapses": 1, "time": 5, "animals": 3}  # clusters


@dataclass(frozen=True, eq=False)
class Intervals:
    """Bounds of each coefficient.

    Attributes
    ----------
    middle, low, high : ndarray, shape (K,)
        The estimate, and the ends of its interval.
    over : tuple of str
        What was resampled.
    draws : ndarray, shape (R, K)
        Coefficients of resampled synapses.
    """

    middle: np.ndarray
    low: np.ndarray
    high: np.ndarray
    over: tuple[str, ...]
    draws: np.ndarray


def bootstrap(
    ways: Mapping[str, Sums],
    single: Sums,
    level: float,
    rng: np.random.Generator,
    draws: int = DRAWS,
    support: np.ndarray | None = None,
) -> Intervals:
    """Return intervals that allow for what synapses, times and animals have in common.

    Parameters
    ----------
    ways : mapping of str to Sums
        By what their clusters are: synapses, time, animals.
    single : Sums
        Over the measurements one by one.
    level : float
        Probability that an interval holds the coefficient.
    rng : numpy.random.Generator
    draws : int
        Resamples of each way.
    support : ndarray of bool, shape (K,), optional
        The terms that are fitted; default all.
    """
    used = {name: sums for name, sums in ways.items() if sums.clusters >= LEAST[name]}
    drawn = {name: _drawn(sums, rng, draws, support) for name, sums in used.items()}
    middle = single.theta(np.ones((1, single.clusters)), support)[0]
    spreads = {n: _spread(drawn[n], middle, level) for n in used}
    total = spreads["synapses"] ** 2
    if "time" in used:
        alone = _spread(_drawn(single, rng, draws, support), middle, level)
        total = total + np.maximum(spreads["time"] ** 2 - alone**2, 0)
    total = np.sqrt(total) * _stretch(used["synapses"].clusters, level)
    if "animals" in used:
        stretch = _stretch(used["animals"].clusters, level)
        total = np.maximum(total, spreads["animals"] * stretch)
    return Intervals(middle, middle - total[0], middle + total[1], tuple(used), drawn["synapses"])


def _drawn(
    sums: Sums, rng: np.random.Generator, draws: int, support: np.ndarray | None
) -> np.ndarray:
    """Return coefficients (R, K) of resamples of the clusters."""
    C = sums.clusters
    counts = rng.multinomial(C, np.full(C, 1 / C), size=draws).astype(float)
    return sums.theta(counts, support)


def _spread(drawn: np.ndarray, middle: np.ndarray, level: float) -> np.ndarray:
    """Return how far the percentiles lie below and above the estimate, (2, K)."""
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return np.maximum(np.stack([middle - low, high - middle]), 0)


def _stretch(clusters: int, level: float) -> float:
    if clusters < 2:
        return float("inf")
    upper = (1 + level) / 2
    ratio = t.ppf(upper, clusters - 1) / norm.ppf(upper)
    return float(ratio * np.sqrt(clusters / (clusters - 1)))
