"""How well each rule's prediction fits the measured changes, and what chance would do.

With the changes d and a rule's prediction p for unit learning rate,

    d = a p + noise,   a >= 0        a = max(0, d.p / p.p), the learning rate
    alignment = d.p / (|d| |p|)

All rules have this one free number, so their likelihoods can be compared.
"""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import xarray

FOLDS = 5
RESAMPLES = 400  # of the bootstrap
DRAWS = 999  # changes by chance, at least
BLOCK = 2_000_000  # numbers that are drawn at once
ROUNDING = 1e-6  # of the size of the changes: noise below this is not told from rounding
INTERVAL = (2.5, 97.5)  # percent
NONE = "none"


@dataclass(frozen=True, eq=False)
class Identification:
    """Which rule made the measured changes.

    Attributes
    ----------
    kind : str
        What was measured: weights or rates.
    rule : str or None
        The rule that is named; None where the data do not tell. Named is the most probable one, if
        chance would align the changes with any rule as well in at most a share `level` of cases,
        and its confidence is at least 1 - level.
    best : str
        The most probable rule, named or not.
    confidence : float
        Confidence in `best`: the smaller of its posterior probability and its share of wins.
    table : pandas.DataFrame
        A row for each rule: learning_rate, alignment (both with _low and _high: 95 % of the
        bootstrap), chance (what alignment chance reaches with the probability level / K), p_value
        (times K, the number of rules), log_likelihood (held out), posterior, wins (share of
        resamples in which it is best aligned); and the row none: random changes.
    measured : int
        Number of changes.
    unsettled : int
        Stimuli that have no fixed point, and were left out.
    noise : float or None
        Noise of a change, as it was given.
    residual : float
        Root mean square of what the best rule leaves.
    size : float
        Root mean square of the changes.
    level : float
    """

    kind: str
    rule: str | None
    best: str
    confidence: float
    table: pd.DataFrame = field(repr=False)
    measured: int
    unsettled: int
    noise: float | None
    residual: float
    size: float
    level: float

    @property
    def ceiling(self) -> float | None:
        """The alignment that a right rule has on average, with the noise that was given."""
        if self.noise is None:
            return None
        return math.sqrt(max(0.0, 1 - (self.noise / self.size) ** 2))

    @property
    def misfit(self) -> float | None:
        """Probability that noise alone leaves as much as the best rule does; None: noise unknown.

        Small values tell of a rule that is not among the candidates, of many or large steps, or of
        more noise than was given.
        """
        from scipy.stats import chi2  # here: scipy.stats takes a second to import

        if self.noise is None:
            return None
        return float(chi2.sf(self.measured * (self.residual / self.noise) ** 2, self.measured - 1))

    def to_xarray(self) -> "xarray.DataTree":
        """Return the table as an xarray data set by rule, with the verdict in the attributes."""
        import xarray  # imported where it is used: it takes half a second

        dataset = xarray.Dataset.from_dataframe(self.table.rename_axis("rule"))
        facts = ("kind", "rule", "best", "confidence", "measured", "unsettled", "noise",
                 "residual", "size", "level")  # fmt: skip
        values = {name: getattr(self, name) for name in facts}
        attributes = {name: value for name, value in values.items() if value is not None}
        return xarray.DataTree(dataset.assign_attrs(attributes), name="identification")

    def summary(self) -> str:
        """Return in a few lines which rule is named, how well it fits, and what is in doubt."""
        row = self.table.loc[self.best]
        lines = [
            self._verdict(),
            f"Best: {self.best}, alignment {row.alignment:.3f} [{row.alignment_low:.3f}, "
            f"{row.alignment_high:.3f}] with {self.measured} changes of {self.kind}; chance "
            f"reaches {row.chance:.3f}, p = {row.p_value:.2g}; learning rate "
            f"{row.learning_rate:.3g} [{row.learning_rate_low:.3g}, {row.learning_rate_high:.3g}].",
        ]
        if self.noise is not None:
            lines.append(
                f"With this noise a right rule has an alignment of {self.ceiling:.3f}; what is "
                f"left is {self.residual / self.noise:.2f} times the noise."
            )
        misfit = self.misfit
        if self.rule is not None and misfit is not None and misfit < self.level:
            lines.append(
                "That is more than noise: the rule may be one that is not among the candidates "
                "and resembles this one, or steps were large."
            )
        if self.unsettled:
            lines.append(f"Left out, since they have no fixed point: {self.unsettled} stimuli.")
        return "\n".join(lines)

    def _verdict(self) -> str:
        if self.rule is not None:
            return f"{self.rule}, confidence {self.confidence:.3f}."
        if self.table["p_value"][self.best] > self.level:
            return "No rule is named: the changes are aligned with none beyond chance."
        rivals = self.table["posterior"].drop(self.best)
        return (
            f"No rule is named: {self.best} and {rivals.idxmax()} cannot be told apart "
            f"(confidence {self.confidence:.3f}, required is {1 - self.level:.3f})."
        )


@dataclass(frozen=True, eq=False)
class Candidates:
    """Predictions of each rule for what was measured.

    Attributes
    ----------
    kind : str
    names : tuple of str
    predictions : ndarray, shape (K, M)
        For unit learning rate.
    groups : ndarray of int, shape (M,)
        Changes of the same group are resampled and held out together.
    chance : ndarray of shape (draws, K), or None
        Alignments of random changes that come about in another way than each by itself.
    unsettled : int
    """

    kind: str
    names: tuple[str, ...]
    predictions: np.ndarray
    groups: np.ndarray
    chance: np.ndarray | None = None
    unsettled: int = 0


def draws_needed(rules: int, level: float) -> int:
    """Return how many draws by chance resolve the level, divided by the number of rules."""
    return max(DRAWS, math.ceil(5 * rules / level))


def weigh(
    candidates: Candidates, changes: np.ndarray, noise: float | None, level: float, seed: int
) -> Identification:
    """Compare the measured changes (M,) with the predictions of all rules."""
    rng = np.random.default_rng(seed)
    predictions, names = candidates.predictions, candidates.names
    sums = GroupSums.of(changes, predictions, candidates.groups)
    size = float(np.sqrt(np.mean(changes**2)))
    likelihood = held_out(sums, noise or ROUNDING * size, rng)
    posterior = np.exp(likelihood - likelihood.max())
    posterior /= posterior.sum()
    table = pd.DataFrame(index=pd.Index([*names, NONE], name="rule"))
    for column, values in _bootstrapped(sums, rng).items():
        table[column] = [*values, math.nan]
    chance, p_value = _against_chance(candidates, changes, level, rng)
    table["chance"], table["p_value"] = [*chance, math.nan], [*p_value, math.nan]
    table["log_likelihood"], table["posterior"] = likelihood, posterior
    best = int(posterior[:-1].argmax())
    confidence = float(min(posterior[best], table["wins"].iloc[best]))
    is_named = p_value[best] <= level and confidence >= 1 - level
    left = changes - table["learning_rate"].iloc[best] * predictions[best]
    return Identification(
        kind=candidates.kind,
        rule=names[best] if is_named else None,
        best=names[best],
        confidence=confidence,
        table=table,
        measured=len(changes),
        unsettled=candidates.unsettled,
        noise=noise,
        residual=float(np.sqrt(np.mean(left**2))),
        size=size,
        level=level,
    )


@dataclass(frozen=True, eq=False)
class GroupSums:
    """Sums of products over each of n groups: all that the fits need."""

    count: np.ndarray  # (n,)
    dd: np.ndarray  # (n,)
    dp: np.ndarray  # (n, K)
    pp: np.ndarray  # (n, K)

    @classmethod
    def of(cls, changes: np.ndarray, predictions: np.ndarray, groups: np.ndarray) -> "GroupSums":
        """Sum the changes (M,) and predictions (K, M) up over groups (M,)."""
        _, places = np.unique(groups, return_inverse=True)
        n = int(places.max()) + 1

        def total(values: np.ndarray) -> np.ndarray:
            return np.bincount(places, values, n)

        return cls(
            np.bincount(places, minlength=n).astype(float),
            total(changes**2),
            np.stack([total(changes * p) for p in predictions], axis=1),
            np.stack([total(p**2) for p in predictions], axis=1),
        )

    def weighted(self, weights: np.ndarray) -> "GroupSums":
        """Return the sums over all groups with other weights, (R, n), R groups in their place."""
        return GroupSums(*(weights @ part for part in (self.count, self.dd, self.dp, self.pp)))


def held_out(sums: GroupSums, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Return the log-likelihood of each rule, and last of random changes, on held-out groups.

    Learning rate and variance are fitted to four fifths of the groups and judged on the last, in
    turn. The variance is at least that of the noise: more, where the rule does not explain it.
    """
    n = len(sums.count)
    fold = rng.permutation(n) % FOLDS
    is_in = (fold == np.arange(FOLDS)[:, None]).astype(float)  # (FOLDS, n)
    train, test = sums.weighted(1 - is_in), sums.weighted(is_in)
    rate = _rates(train)
    count = np.maximum(train.count, 1)[:, None]
    variance = np.maximum(_squares(train, rate) / count, noise**2)  # (FOLDS, K + 1)
    left = _squares(test, rate)
    each = test.count[:, None] * np.log(2 * np.pi * variance) + left / variance
    return -each.sum(axis=0) / 2


def _rates(sums: GroupSums) -> np.ndarray:
    """Return the learning rates (n, K) by least squares, at least 0; 0 if nothing is predicted."""
    return np.where(sums.pp > 0, np.maximum(sums.dp, 0) / np.where(sums.pp > 0, sums.pp, 1), 0.0)


def _squares(sums: GroupSums, rates: np.ndarray) -> np.ndarray:
    """Return sum (d - a p)^2 of each group and rule, and last for a = 0: (n, K + 1)."""
    dd = sums.dd[:, None]
    left = np.maximum(dd - 2 * rates * sums.dp + rates**2 * sums.pp, 0.0)
    return np.concatenate([left, dd], axis=1)


def _cosines(sums: GroupSums) -> np.ndarray:
    """Return the alignments (n, K); 0 where nothing is predicted."""
    length = np.sqrt(sums.dd[:, None] * sums.pp)
    return np.where(length > 0, sums.dp / np.where(length > 0, length, 1), 0.0)


def _bootstrapped(sums: GroupSums, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return learning rates and alignments with their intervals, and shares of wins, (K,) each."""
    n, K = sums.dp.shape
    whole, resampled = sums.weighted(np.ones((1, n))), _resampled(sums, rng)
    found: dict[str, np.ndarray] = {}
    for name, fit in {"learning_rate": _rates, "alignment": _cosines}.items():
        low, high = np.percentile(fit(resampled), INTERVAL, axis=0)
        found |= {name: fit(whole)[0], f"{name}_low": low, f"{name}_high": high}
    alignments = _cosines(resampled)
    winner = np.where(alignments.max(axis=1) > 0, alignments.argmax(axis=1), K)
    found["wins"] = np.bincount(winner, minlength=K + 1)[:K] / RESAMPLES
    return found


def _resampled(sums: GroupSums, rng: np.random.Generator) -> GroupSums:
    """Return the sums over groups drawn with replacement, one row per resample."""
    n = len(sums.count)
    parts = [
        sums.weighted(
            np.stack([np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(some)])
        )
        for some in _portions(RESAMPLES, n)
    ]
    columns = zip(*((part.count, part.dd, part.dp, part.pp) for part in parts), strict=True)
    return GroupSums(*(np.concatenate(column) for column in columns))


def _against_chance(
    candidates: Candidates, changes: np.ndarray, level: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return what alignment chance reaches, and p-values times the number of rules, (K,) each.

    Chance is not one thing: the largest p-value of all its kinds is taken.
    """
    P = candidates.predictions
    length = np.linalg.norm(P, axis=1, keepdims=True)
    P = np.where(length > 0, P / np.where(length > 0, length, 1.0), 0.0)
    d = changes / np.linalg.norm(changes)
    found, K = P @ d, len(P)
    draws = draws_needed(K, level)
    kinds = [_shuffled(d, P, draws, rng), _flipped(d, P, draws, rng)]
    if candidates.chance is not None:
        kinds.append(candidates.chance)
    # Rounding must not make equal alignments differ, as where nothing is predicted.
    above = [(1 + (kind >= found - 1e-12).sum(axis=0)) / (1 + len(kind)) for kind in kinds]
    reached = [np.quantile(kind, 1 - level / K, axis=0) for kind in kinds]
    return np.max(reached, axis=0), np.minimum(1.0, K * np.max(above, axis=0))


def _shuffled(d: np.ndarray, P: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Return alignments (draws, K) of the changes, dealt anew to the places."""
    parts = [
        rng.permuted(np.broadcast_to(d, (some, len(d))), axis=1) @ P.T
        for some in _portions(draws, len(d))
    ]
    return np.concatenate(parts)


def _flipped(d: np.ndarray, P: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Return alignments (draws, K) of the changes with random signs."""
    weighted = (d * P).T
    parts = [
        rng.integers(0, 2, size=(some, len(d)), dtype=np.int8) @ (2 * weighted)
        - weighted.sum(axis=0)
        for some in _portions(draws, len(d))
    ]
    return np.concatenate(parts)


def _portions(draws: int, each: int) -> list[int]:
    """Split a number of draws so that not too many numbers are held at once."""
    some = max(1, BLOCK // each)
    return [min(some, draws - begin) for begin in range(0, draws, some)]
