"""How well each rule's prediction fits the measured changes, and what chance would do.

With the changes d and a rule's prediction p for unit learning rate,

    d = a p + noise,   a >= 0        a = max(0, d.p / p.p), the learning rate
    alignment = d.p / (|d| |p|)

All rules have this one free number, so their likelihoods can be compared.
"""

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ratenet.errors import counted
from ratenet.hypotheses.chance import draws_needed, flipped, relabelled, shuffled, unit_rows
from ratenet.hypotheses.held_out import fits, held_out
from ratenet.notebook import frame, table

if TYPE_CHECKING:
    import xarray

ROUNDING = 1e-6  # of the size of the changes: noise below this is not told from rounding
# Of the explainable variance, or of what a rule and a drift explain together: with less a rule is
# not the explanation; steps that are somewhat large leave no more than 1 %.
EXPLAINED = 0.98
NONE, DRIFT = "none", "drift"


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
        its confidence is at least 1 - level, and `fits` is not False.
    best : str
        The most probable rule, named or not.
    confidence : float
        Confidence in `best`: the smaller of its posterior probability and its share of wins.
    table : pandas.DataFrame
        A row for each rule: learning_rate, alignment (both with _low and _high: 95 %), chance (what
        alignment chance reaches with the probability level / K), p_value (times K, the number of
        rules), log_likelihood (held out), posterior, wins (share of draws in which it is best
        aligned); and the rows of what competes with the rules: drift (an offset, scaled weights, a
        gain that changes) and none (random changes).
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
    alone : float
        Variance that the best rule explains over that which it explains with a drift beside it; 1
        where a drift beside it is not better on held-out neurons.
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
    alone: float = 1.0

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

    @property
    def explained(self) -> float | None:
        """Variance that the best rule explains, over that which noise leaves; None: unknown."""
        if self.noise is None:
            return None
        explainable = self.size**2 - self.noise**2
        if explainable <= 0:
            return 1.0
        return (self.size**2 - self.residual**2) / explainable

    @property
    def fits(self) -> bool | None:
        """Whether the best rule explains the changes; None: untested, without the noise.

        It does not if it leaves more than noise (`misfit` below `level`) and less than 98 % of the
        explainable variance is explained; or, with or without the noise, if `alone` is below 98 %.
        """
        if self.alone < EXPLAINED:
            return False
        if self.misfit is None or self.explained is None:
            return None
        return self.misfit >= self.level or self.explained >= EXPLAINED

    def _repr_html_(self) -> str:
        return table(self._verdict(), {"evidence": frame(self.table)})

    def plot(self, ax: Any = None) -> Any:
        """Draw alignments with intervals and what chance reaches, beside probabilities.

        Parameters
        ----------
        ax : sequence of 2 matplotlib.axes.Axes, optional
            Where to draw; default new axes, which a notebook shows.

        Returns
        -------
        array of 2 matplotlib.axes.Axes
        """
        from ratenet.report.pictures import plot_identification

        return plot_identification(self, ax)

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
            f"{row.alignment_high:.3f}] with {counted(self.measured, 'change')} of {self.kind}; "
            f"chance reaches {row.chance:.3f}, p = {row.p_value:.2g}; learning rate "
            f"{row.learning_rate:.3g} [{row.learning_rate_low:.3g}, {row.learning_rate_high:.3g}].",
        ]
        if self.noise is not None:
            lines.append(
                f"With this noise a right rule has an alignment of {self.ceiling:.3f}; what is "
                f"left is {self.residual / self.noise:.2f} times the noise."
            )
        else:
            lines.append("Fit untested, since the noise is not known.")
        misfit, explained = self.misfit, self.explained
        is_beyond = row.p_value <= self.level
        if is_beyond and misfit is not None and explained is not None and misfit < self.level:
            lines.append(
                f"That is more than noise: {self.best} explains {100 * explained:.1f} % of the "
                "explainable variance. The rule may be one that is not among the candidates "
                "and resembles this one, or steps were large."
            )
        if self.unsettled:
            left = counted(self.unsettled, "stimulus")
            lines.append(f"Left out, since they have no fixed point: {left}.")
        return "\n".join(lines)

    def _verdict(self) -> str:
        if self.rule is not None:
            return f"{self.rule}, confidence {self.confidence:.3f}."
        if self.table["p_value"][self.best] > self.level:
            return "No rule is named: the changes are aligned with none beyond chance."
        rivals = self.table["posterior"].drop(self.best)
        if rivals.get(DRIFT, 0.0) > 0.5:
            return (
                "No rule is named: a drift without a rule (an offset, scaled weights or a changed "
                "gain) explains the changes better."
            )
        if self.alone < EXPLAINED and self.confidence >= 1 - self.level:
            return (
                f"No rule is named: {self.best} is the best of those offered, and it does not fit "
                f"alone: of what it and a drift explain it leaves {100 * (1 - self.alone):.0f} %."
            )
        if self.fits is False and self.confidence >= 1 - self.level:
            return (
                f"No rule is named: {self.best} is the best of those offered, and it does not fit."
            )
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
    whole : ndarray of shape (K, R, C), or None
        Predictions for all pairs of the rows and columns in which something was measured.
    places : tuple of ndarray of int, shape (M,), or None
        Row and column of each change in `whole`; post- and presynaptic neurons of weights.
    drift : ndarray of shape (q, M), or None
        Changes that come without a rule, which compete with the rules in any mixture.
    """

    kind: str
    names: tuple[str, ...]
    predictions: np.ndarray
    groups: np.ndarray
    chance: np.ndarray | None = None
    unsettled: int = 0
    whole: np.ndarray | None = None
    places: tuple[np.ndarray, np.ndarray] | None = None
    drift: np.ndarray | None = None

    @property
    def axes(self) -> tuple[np.ndarray, ...]:
        """Neurons that are held out together: post and pre of weights, the units of rates."""
        if self.places is not None and self.kind == "weights":
            return self.places
        return (self.groups,)


def weigh(
    candidates: Candidates,
    changes: np.ndarray,
    noise: float | np.ndarray | None,
    level: float,
    seed: int,
) -> Identification:
    """Compare the measured changes (M,) with the predictions of all rules.

    Changes whose noise differs, (M,), count by its inverse.
    """
    rng = np.random.default_rng(seed)
    typical, scale = None, np.ones_like(changes)
    if noise is not None:
        typical = float(np.sqrt(np.mean(np.square(noise))))
        scale *= noise / typical
    changes, predictions = changes / scale, candidates.predictions / scale
    size = float(np.sqrt(np.mean(changes**2)))
    rivals = {} if candidates.drift is None else {DRIFT: candidates.drift / scale}
    rivals[NONE] = np.empty((0, len(changes)))
    models = [*predictions[:, None], *rivals.values()]
    likelihood = held_out(changes, models, candidates.axes, typical or ROUNDING * size, rng)
    posterior = np.exp(likelihood - likelihood.max())
    posterior /= posterior.sum()
    table = pd.DataFrame(fits(changes, predictions, candidates.axes, rng))
    table.index = pd.Index(candidates.names, name="rule")
    wins = table.pop("wins")
    chance, p_value = _against_chance(candidates, changes, scale, level, rng)
    table = table.assign(chance=chance, p_value=p_value)
    table = table.reindex([*candidates.names, *rivals]).rename_axis("rule")
    table = table.assign(log_likelihood=likelihood, posterior=posterior, wins=wins)
    best = int(posterior[: len(wins)].argmax())
    confidence = float(min(posterior[best], wins.iloc[best]))
    left = changes - table["learning_rate"].iloc[best] * predictions[best]
    alone = 1.0
    if candidates.drift is not None:
        alone = _alone(changes, predictions[best], rivals[DRIFT], candidates.axes, level, rng)
    found = Identification(
        kind=candidates.kind,
        rule=None,
        best=candidates.names[best],
        confidence=confidence,
        table=table,
        measured=len(changes),
        unsettled=candidates.unsettled,
        noise=typical,
        residual=float(np.sqrt(np.mean(left**2))),
        size=size,
        level=level,
        alone=alone,
    )
    is_named = p_value[best] <= level and confidence >= 1 - level and found.fits is not False
    return replace(found, rule=found.best) if is_named else found


def _alone(
    changes: np.ndarray,
    prediction: np.ndarray,
    drift: np.ndarray,
    axes: tuple[np.ndarray, ...],
    level: float,
    rng: np.random.Generator,
) -> float:
    """Return what a rule explains over what it explains with a drift beside it, at most 1."""
    both = np.stack([prediction, *drift])
    floor = ROUNDING * float(np.sqrt(np.mean(changes**2)))
    alone, beside = held_out(changes, [prediction[None], both], axes, floor, rng)
    if beside - alone < math.log(1 / level):
        return 1.0
    slope = max(0.0, prediction @ changes) / max(prediction @ prediction, np.finfo(float).tiny)
    fitted = np.linalg.lstsq(both.T, changes, rcond=None)[0] @ both
    total = changes @ changes
    explained = total - np.sum((changes - fitted) ** 2)
    return float(min(1.0, (total - np.sum((changes - slope * prediction) ** 2)) / explained))


def _against_chance(
    candidates: Candidates,
    changes: np.ndarray,
    scale: np.ndarray | float,
    level: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Return what alignment chance reaches, and p-values times the number of rules, (K,) each.

    Chance is not one thing: the largest p-value of all its kinds is taken.
    """
    P = unit_rows(candidates.predictions / scale)
    d = changes / np.linalg.norm(changes)
    found, K = P @ d, len(P)
    draws = draws_needed(K, level)
    kinds = [shuffled(d, P, draws, rng), flipped(d, P, draws, rng)]
    if candidates.whole is not None and candidates.places is not None:
        kinds.append(relabelled(d, candidates.whole, candidates.places, scale, draws, rng))
    if candidates.chance is not None:
        kinds.append(candidates.chance)
    # Rounding must not make equal alignments differ, as where nothing is predicted.
    above = [(1 + (kind >= found - 1e-12).sum(axis=0)) / (1 + len(kind)) for kind in kinds]
    reached = [np.quantile(kind, 1 - level / K, axis=0) for kind in kinds]
    return np.max(reached, axis=0), np.minimum(1.0, K * np.max(above, axis=0))
