"""How much must be measured, and how exactly, to tell plasticity rules apart.

Experiments are simulated whose rule is known: a random network learns from a random teacher in one
step of each rule in turn, changes are measured with noise, and `identify` is asked.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

from ratenet.connectivity.computation import shielded
from ratenet.errors import InputError
from ratenet.hypotheses.identification.identify import check_level
from ratenet.hypotheses.identification.model_comparison import FOLDS, NONE
from ratenet.hypotheses.identification.observation import LEAST
from ratenet.hypotheses.identification.prediction import Rules, named_rules
from ratenet.hypotheses.identification.simulated import Experiment, outcomes
from ratenet.validation import check_choice, check_positive, check_seed, check_whole

DESIGN = ["units", "stimuli", "observed", "noise"]
CONFIDENCE = 0.95  # of the intervals


@dataclass(frozen=True, eq=False)
class Power:
    """What simulated experiments found.

    Attributes
    ----------
    rules : tuple of str
    table : pandas.DataFrame
        A row for each design (units, stimuli, observed, noise), truth and named rule: count of
        experiments, share, and its 95 % interval low, high (Wilson). Truth and named may be none.
    kind : str
        What is measured: weights or rates.
    level : float
    """

    rules: tuple[str, ...]
    table: pd.DataFrame = field(repr=False)
    kind: str
    level: float

    @property
    def accuracy(self) -> pd.DataFrame:
        """A row for each design and truth: share of experiments in which just it was named.

        For the truth none that is that no rule was named. The truth "any rule" is all but none.
        """
        right = self.table[self.table["truth"] == self.table["named"]]
        right = right[[*DESIGN, "truth", "count", "experiments"]]
        pooled = right[right["truth"] != NONE].groupby(DESIGN, as_index=False, sort=False)
        together = pooled[["count", "experiments"]].sum().assign(truth="any rule")
        found = pd.concat([together, right], ignore_index=True)
        return _with_intervals(found)[[*DESIGN, "truth", "share", "low", "high", "experiments"]]

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
        order = [*self.rules, NONE]
        return chosen.pivot(index="truth", columns="named", values="share").loc[order, order]

    def summary(self) -> str:
        """Return a line for each design: how often the right rule is named."""
        rows = self.accuracy
        lines = []
        for design in self.designs():
            here = rows[(rows[DESIGN] == pd.Series(design)).all(axis=1)].set_index("truth")
            right, quiet = here.loc["any rule"], here.loc[NONE]
            lines.append(
                f"{design['units']} units, {design['stimuli']} stimuli, {design['observed']} "
                f"{_things(self.kind)} observed, noise {design['noise']:g}: the right rule named "
                f"in {100 * right.share:.1f} % [{100 * right.low:.1f}, {100 * right.high:.1f}] of "
                f"{right.experiments:.0f}; without a signal a rule named in "
                f"{100 * (1 - quiet.share):.1f} % [{100 * (1 - quiet.high):.1f}, "
                f"{100 * (1 - quiet.low):.1f}] of {quiet.experiments:.0f}."
            )
        return "\n".join(lines)


@shielded()
def power(
    rules: Rules,
    *,
    units: int | Sequence[int] = 50,
    stimuli: int | Sequence[int] = 20,
    observed: int | Sequence[int | None] | None = None,
    noise: float | Sequence[float] = 0.1,
    kind: Literal["weights", "rates"] = "weights",
    model: str = "rate",
    radius: float = 0.5,
    experiments: int = 100,
    level: float = 0.05,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Power:
    """Simulate experiments under each rule, and count which rule `identify` names.

    Parameters
    ----------
    rules : sequence of str, AbstractRule or mapping; or mapping of names to rules
        Two or more.
    units, stimuli : int or sequence of int
        N and B.
    observed : int, sequence of int or None, optional
        Number of synapses (of neurons, for rates) that are measured, chosen at random; None: all.
    noise : float or sequence of float
        Standard deviation of the measurement error of a change, over the root mean square of the
        changes. `identify` is told it.
    kind : {"weights", "rates"}
    model : str
        A name or the path of a model file.
    radius : float
        Spectral radius of W, in typical weights of the model.
    experiments : int
        For each design and each truth: the rules, and none (random changes of all weights).
    level : float
        As for `identify`.
    seed : int
    progress : callable, optional
        Told how many of the `number_of_steps` are done.

    Returns
    -------
    Power

    Raises
    ------
    InputError
        If a number does not fit.
    UnsettledError
        If none of the stimuli of an experiment settles.

    Notes
    -----
    Every combination of the numbers is a design. All designs with the same units and stimuli
    share their networks, stimuli and teachers, which are drawn anew in each experiment: W normal,
    a standard normal drive in typical inputs, and as targets the rates of another such network.
    For weights the change is one small step, exactly; for rates the fixed points are solved again
    after a step of 1 % of W. The network before is known exactly.

    Examples
    --------
    >>> found = power(["euclidean", "hebb"], units=20, stimuli=10, experiments=10)
    >>> found.confusion().loc["hebb", "hebb"]
    np.float64(1.0)
    """
    check_level(level)
    check_seed(seed)
    named = named_rules(rules)
    if len(named) < 2:
        raise InputError.at("rules", got=list(named), expected="two or more to tell apart")
    check_choice(kind, "kind", ("weights", "rates"))
    check_whole(experiments, "experiments")
    check_positive(radius, "radius")
    grid = _grid(units, stimuli, observed, noise, kind)
    counts: dict[tuple[Any, ...], int] = {}
    done = itertools.count(1)
    for (N, B), index in itertools.product(grid, range(experiments)):
        experiment = Experiment.drawn(named, model, N, B, radius, kind, [seed, N, B, index])
        for row in outcomes(experiment, grid[N, B], level):
            counts[row] = counts.get(row, 0) + 1
        if progress is not None:
            progress(next(done))
    return Power(tuple(named), _table(grid, counts, tuple(named), experiments), kind, level)


def number_of_steps(units: Any, stimuli: Any, experiments: int) -> int:
    """Return how often `power` reports its progress."""
    return len(_several(units)) * len(_several(stimuli)) * experiments


Grid = dict[tuple[int, int], list[tuple[int, float]]]  # (N, B) -> observed and noise


def _several(value: Any) -> list[Any]:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]


def _grid(units: Any, stimuli: Any, observed: Any, noise: Any, kind: str) -> Grid:
    """Return the designs, each once, after looking at the numbers."""
    for N in _several(units):
        check_whole(N, "units", least=FOLDS)
    for B in _several(stimuli):
        check_whole(B, "stimuli")
    for sd in _several(noise):
        check_positive(sd, "noise")
    return {
        (N, B): [
            (_number_observed(some, N, B, kind), float(sd))
            for some in _several(observed)
            for sd in _several(noise)
        ]
        for N in _several(units)
        for B in _several(stimuli)
    }


def _number_observed(observed: int | None, N: int, B: int, kind: str) -> int:
    is_weights = kind == "weights"
    most, least = (N * N, LEAST) if is_weights else (N, max(FOLDS, math.ceil(LEAST / B)))
    if observed is None:
        return most
    check_whole(observed, "observed", least=least)
    if observed > most:
        raise InputError.at(
            "observed",
            got=observed,
            expected=f"at most the {most} {_things(kind)} of {N} units",
            remedy="None observes all",
        )
    return int(observed)


def _things(kind: str) -> str:
    return "synapses" if kind == "weights" else "neurons"


def _table(
    grid: Grid, counts: dict[tuple[Any, ...], int], rules: tuple[str, ...], experiments: int
) -> pd.DataFrame:
    every = [*rules, NONE]
    rows = [
        (N, B, observed, noise, truth, named)
        for (N, B), designs in grid.items()
        for observed, noise in dict.fromkeys(designs)
        for truth in every
        for named in every
    ]
    table = pd.DataFrame(rows, columns=[*DESIGN, "truth", "named"])
    table["count"] = [counts.get(row, 0) for row in rows]
    table["experiments"] = experiments
    return _with_intervals(table)


def _with_intervals(table: pd.DataFrame) -> pd.DataFrame:
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
