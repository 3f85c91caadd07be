"""Which rule several animals have: evidence of each, frequencies among them, controls."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from ratenet.errors import InputError, counted
from ratenet.hypotheses.evidence import NONE, Identification
from ratenet.hypotheses.frequencies import exchanged, rule_frequencies, sign_flips
from ratenet.hypotheses.identification.observation import Observation, Observations
from ratenet.notebook import frame, table

if TYPE_CHECKING:
    import xarray

FACTS = ("kind", "rule", "best", "confidence", "measured", "unsettled", "level")


@dataclass(frozen=True, eq=False)
class GroupIdentification:
    """Which rule is the most frequent one among several animals.

    Attributes
    ----------
    kind : str
        What was measured: weights or rates.
    rule : str or None
        The rule that is named; None where the data do not tell. Named is the most frequent one, if
        its p-value is at most `level`, its confidence at least 1 - `level`, and `fits` not False.
    best : str
        The most frequent rule, named or not.
    confidence : float
        The protected exceedance probability of `best`.
    frequencies : pandas.DataFrame
        A row for each rule: frequency among animals with low and high (95 %), exceedance
        (probability of being the most frequent one), protected (the same, allowing that all are
        equally frequent), alignment (mean over animals; less that of controls, where there are
        some) and p_value: the larger of that over animals (flips of their signs, for all rules
        together) and that of chance in each animal (combined by Fisher's method); and the rows of
        what competes with rules, such as none: random changes.
    animals : pandas.DataFrame
        A row for each animal: sessions and controls (how many), measured, rule (named by this
        animal alone, or None), best, posterior, alignment and p_value of best.
    evidence : pandas.DataFrame
        Log-likelihood (held out, summed over sessions) of each rule (columns) by each animal.
    measured, unsettled : int
        Changes, and stimuli without a fixed point, in all sessions but controls.
    misfits : int or None
        Number of sessions in which the best rule of the session leaves more than noise; None where
        the noise is not known, so that the fit is untested.
    fits : bool or None
        Whether `best` fits in most of the sessions in which it is the best rule, as
        `Identification.fits` says of each; None where most are untested, or half and half.
    level : float
    smallest : float
        The smallest p-value that this number of animals allows.
    sessions : dict of tuple to Identification
        By (animal, session), controls included.
    """

    kind: str
    rule: str | None
    best: str
    confidence: float
    frequencies: pd.DataFrame = field(repr=False)
    animals: pd.DataFrame = field(repr=False)
    evidence: pd.DataFrame = field(repr=False)
    measured: int
    unsettled: int
    misfits: int | None
    fits: bool | None
    level: float
    smallest: float
    sessions: dict[tuple[str | None, str | None], Identification] = field(
        repr=False, default_factory=dict
    )

    @property
    def posteriors(self) -> pd.DataFrame:
        """Probability of each rule (columns) by each animal alone (rows)."""
        weight = self.evidence.sub(self.evidence.max(axis=1), axis=0).apply(np.exp)
        return weight.div(weight.sum(axis=1), axis=0)

    def _repr_html_(self) -> str:
        rows = {"over animals": frame(self.frequencies), "animals": frame(self.animals)}
        return table(self._verdict(), rows)

    def plot(self, ax: Any = None) -> Any:
        """Draw how frequent each rule is, and its probability by each animal.

        Parameters
        ----------
        ax : sequence of 2 matplotlib.axes.Axes, optional
            Where to draw; default new axes, which a notebook shows.

        Returns
        -------
        array of 2 matplotlib.axes.Axes
        """
        from ratenet.report.pictures import plot_group

        return plot_group(self, ax)

    def to_xarray(self) -> "xarray.DataTree":
        """Return frequencies, animals and evidence as a tree, the verdict in its attributes."""
        import xarray  # imported where it is used: it takes half a second

        values = {name: getattr(self, name) for name in FACTS}
        root = xarray.Dataset(attrs={k: value for k, value in values.items() if value is not None})
        words = self.animals[["rule", "best"]].fillna("").astype(str)
        animals = self.animals.assign(**words)
        evidence = xarray.DataArray(self.evidence, dims=("animal", "rule"))
        parts = {
            "/": root,
            "frequencies": xarray.Dataset.from_dataframe(self.frequencies),
            "animals": xarray.Dataset.from_dataframe(animals),
            "evidence": evidence.to_dataset(name="log_likelihood"),
        }
        return xarray.DataTree.from_dict(parts, name="identification")

    def summary(self) -> str:
        """Return in a few lines which rule is named, how frequent it is, and what is in doubt."""
        row, number = self.frequencies.loc[self.best], len(self.animals)
        lines = [
            self._verdict(),
            f"Best: {self.best}, frequency {row.frequency:.2f} [{row.low:.2f}, {row.high:.2f}] "
            f"among {number} animals, protected exceedance probability {row.protected:.3f}; "
            f"alignment {row.alignment:.3f}{self._beyond()}, p = {row.p_value:.2g}.",
            f"Named by one animal alone: {self._named()}.",
        ]
        if self.misfits is None and self.fits is None:
            lines.append("Fit untested, since the noise is not known in all sessions.")
        elif self.misfits:
            number = int(self.animals["sessions"].sum())
            lines.append(
                f"In {self.misfits} of {number} sessions the best rule leaves more than noise: it "
                "may be one that is not among the candidates and resembles this one, or steps were "
                "large."
            )
        if self.unsettled:
            left = counted(self.unsettled, "stimulus")
            lines.append(f"Left out, since they have no fixed point: {left}.")
        return "\n".join(lines)

    def _verdict(self) -> str:
        if self.rule is not None:
            return f"{self.rule}, confidence {self.confidence:.3f}."
        top = self.frequencies["frequency"].idxmax()
        if top != self.best:
            what = "random changes are" if top == NONE else f"{top} is"
            return f"No rule is named: {what} more frequent among the animals than each rule."
        if self.smallest > self.level:
            return (
                f"No rule is named: {len(self.animals)} animals allow no p-value below "
                f"{self.smallest:.2g}; more are needed to name a rule for all."
            )
        if self.frequencies["p_value"][self.best] > self.level:
            chance = "controls" if self.animals["controls"].any() else "chance"
            return f"No rule is named: over animals, alignments are not beyond those of {chance}."
        if self.fits is False and self.confidence >= 1 - self.level:
            return (
                f"No rule is named: {self.best} is the best of those offered, and it does not fit: "
                "in most of its sessions it leaves more than noise, or a drift beside it explains "
                "more."
            )
        return (
            f"No rule is named: {self.best} may not be the most frequent one (confidence "
            f"{self.confidence:.3f}, required is {1 - self.level:.3f})."
        )

    def _beyond(self) -> str:
        controls = int(self.animals["controls"].sum())
        return f" (less that of {controls} control sessions)" if controls else ""

    def _named(self) -> str:
        learned = self.animals[self.animals["sessions"] > 0]
        counts = learned["rule"].fillna("no rule").value_counts()
        return ", ".join(f"{name} in {count} of {len(learned)}" for name, count in counts.items())


class _Verdict(NamedTuple):
    """What one animal says by all its sessions in which something was taught."""

    evidence: pd.Series  # by rule
    alignment: pd.Series  # by rule, mean over sessions
    p_value: pd.Series  # by rule, smallest of the sessions, times their number
    rule: str | None

    @classmethod
    def of(cls, found: Sequence[Identification], level: float) -> "_Verdict":
        tables = [each.table for each in found]
        evidence = sum((table["log_likelihood"] for table in tables[1:]), tables[0].log_likelihood)
        p_value = pd.concat([table["p_value"] for table in tables], axis=1).min(axis=1) * len(found)
        alignment = pd.concat([table["alignment"] for table in tables], axis=1).mean(axis=1)
        verdict = cls(evidence, alignment, p_value.clip(upper=1), None)
        named = {each.rule for each in found} - {None}
        best, posterior = verdict.best
        is_named = named == {best} and p_value[best] <= level and posterior >= 1 - level
        return verdict._replace(rule=best if is_named else None)

    @property
    def best(self) -> tuple[str, float]:
        """The most probable rule, with its posterior probability."""
        weight = np.exp(self.evidence - self.evidence.max())
        rules = weight[self.p_value.notna()]
        return str(rules.idxmax()), float(rules.max() / weight.sum())


def over_animals(
    observed: Observations, ask: Callable[[Observation], Identification], level: float, seed: int
) -> GroupIdentification:
    """Ask each session of each animal, and say what holds for the animals together.

    Raises
    ------
    InputError
        If fewer than two animals have learned, or some of them have control sessions and others
        have not.
    """
    names: dict[bool, dict[str, list[Observation]]] = {False: {}, True: {}}
    for part in observed:
        names[part.control].setdefault(str(part.animal), []).append(part)
    _check_animals(names[False], names[True])
    sessions = {(part.animal, part.session): ask(part) for part in observed}
    learned, controls = (
        {
            name: [sessions[part.animal, part.session] for part in parts]
            for name, parts in names[is_control].items()
        }
        for is_control in (False, True)
    )
    return replace(together(learned, controls, level, seed), sessions=sessions)


Sessions = Mapping[str, Sequence[Identification]]  # of each animal


def together(learned: Sessions, controls: Sessions, level: float, seed: int) -> GroupIdentification:
    """Say what holds for animals together, of which each session has been judged."""
    verdicts = {name: _Verdict.of(found, level) for name, found in learned.items()}
    evidence = pd.DataFrame({name: each.evidence for name, each in verdicts.items()}).T
    scores = pd.DataFrame({name: each.alignment for name, each in verdicts.items()}).T
    scores = scores.dropna(axis=1, how="all")
    chance = {
        name: pd.concat([each.table["alignment"] for each in found], axis=1).mean(axis=1)
        for name, found in controls.items()
    }
    beyond, over, smallest = _beyond_chance(scores, pd.DataFrame(chance).T, seed)
    within = pd.DataFrame({name: each.p_value for name, each in verdicts.items()}).T
    frequencies = rule_frequencies(evidence).assign(
        alignment=beyond, p_value=np.maximum(over, _combined(within[over.index]))
    )
    best = str(frequencies["frequency"][frequencies["p_value"].notna()].idxmax())
    confidence = float(frequencies["protected"][best])
    every = [each for found in learned.values() for each in found]
    fit = _fits([each.fits for each in every if each.best == best])
    is_beyond = frequencies["p_value"][best] <= level
    is_named = is_beyond and confidence >= 1 - level and fit is not False
    return GroupIdentification(
        kind=every[0].kind,
        rule=best if is_named else None,
        best=best,
        confidence=confidence,
        frequencies=frequencies,
        animals=_table(learned, controls, verdicts),
        evidence=evidence.rename_axis(index="animal", columns="rule"),
        measured=sum(each.measured for each in every),
        unsettled=sum(each.unsettled for each in every),
        misfits=_misfits(every, level),
        fits=fit,
        level=level,
        smallest=smallest,
    )


def _check_animals(
    learned: dict[str, list[Observation]], controls: dict[str, list[Observation]]
) -> None:
    if len(learned) < 2:
        raise InputError.at(
            "observed",
            found=f"{len(learned)} that learned",
            expected="two animals or more, for an interval over animals",
            remedy="give one observation, observed[0], to judge a session by itself",
        )
    both = set(learned) & set(controls)
    if both and len(both) < len(learned):
        raise InputError.at(
            "control",
            found=f"control sessions of {len(both)} of {len(learned)} animals that learned",
            expected="control sessions of all of them, or of other animals only",
        )


def _beyond_chance(
    scores: pd.DataFrame, controls: pd.DataFrame, seed: int
) -> tuple[pd.Series, pd.Series, float]:
    """Return mean alignments above those of controls, p-values, and the smallest possible one."""
    values = scores.to_numpy(dtype=float)
    smallest = 2.0 ** -len(scores)
    if controls.empty:
        beyond, p_values = values.mean(axis=0), sign_flips(values, seed)
    elif set(scores.index) <= set(controls.index):
        values = values - controls.loc[scores.index, scores.columns].to_numpy(dtype=float)
        beyond, p_values = values.mean(axis=0), sign_flips(values, seed)
    else:
        others = controls[scores.columns].to_numpy(dtype=float)
        beyond = values.mean(axis=0) - others.mean(axis=0)
        p_values = exchanged(values, others, seed)
        smallest = 1 / math.comb(len(values) + len(others), len(others))
    columns = scores.columns
    return pd.Series(beyond, columns), pd.Series(p_values, columns), smallest


def _misfits(found: list[Identification], level: float) -> int | None:
    """Return in how many sessions more is left than noise; None if it is not known in all."""
    known = [each.misfit for each in found if each.misfit is not None]
    return sum(value < level for value in known) if len(known) == len(found) else None


def _fits(verdicts: list[bool | None]) -> bool | None:
    """Return what more than half of the sessions say."""
    return next((fit for fit in (True, False) if 2 * verdicts.count(fit) > len(verdicts)), None)


def _combined(p_values: pd.DataFrame) -> pd.Series:
    """Return a p-value for each rule from those of the animals (rows), by Fisher's method."""
    from scipy.stats import combine_pvalues  # here: scipy.stats takes a second to import

    values = p_values.to_numpy(dtype=float)
    return pd.Series(combine_pvalues(values, method="fisher", axis=0).pvalue, p_values.columns)


def _table(learned: Sessions, controls: Sessions, verdicts: dict[str, _Verdict]) -> pd.DataFrame:
    """Return a row for each animal; one that has only control sessions has no verdict."""
    names, rows = list(dict.fromkeys([*learned, *controls])), []
    for name in names:
        found = learned.get(name, [])
        row = {"sessions": len(found), "controls": len(controls.get(name, []))}
        row["measured"] = sum(each.measured for each in found)
        rows.append(row | (_judged(verdicts[name]) if found else {}))
    table = pd.DataFrame(rows, index=pd.Index(names, name="animal"))
    named = [verdicts[name].rule if name in verdicts else None for name in names]
    return table.assign(rule=pd.Series(named, table.index, dtype=object))  # None, and not NaN


def _judged(verdict: _Verdict) -> dict[str, object]:
    best, posterior = verdict.best
    return {
        "rule": verdict.rule,
        "best": best,
        "posterior": posterior,
        "alignment": verdict.alignment[best],
        "p_value": verdict.p_value[best],
    }
