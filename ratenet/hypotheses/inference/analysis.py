"""From a fit to what is said of it: terms that are there, intervals, held-out R2, the unseen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ratenet.errors import RatenetError
from ratenet.hypotheses.inference.families import Family, constant_rule, scaled_rule
from ratenet.hypotheses.inference.identifiability import Direction, unseen
from ratenet.hypotheses.inference.intervals import bootstrap
from ratenet.hypotheses.inference.results import Inferred, Seen
from ratenet.hypotheses.inference.sums import Sums, eliminated, numbered, selected
from ratenet.hypotheses.inference.surface import Surface
from ratenet.hypotheses.inference.tables import AbstractProblem, Fitted

FOLDS = 5
RESAMPLES = 100  # for the stability of terms
WAYS = {"synapses": "synapse", "time": "block", "animals": "animal"}  # and what a place calls them
Refit = Callable[[Family], tuple[AbstractProblem, Fitted]]


@dataclass(frozen=True, eq=False)
class Fits:
    """A fit, and those to data with more noise from which it is extrapolated to none.

    Attributes
    ----------
    problem : AbstractProblem
    plain : Fitted
        To the data as they are.
    weights : tuple of float
        Those of the estimates from each part.
    parts : tuple of list of Fitted
        The sums of squares and products of each list are averaged.
    """

    problem: AbstractProblem
    plain: Fitted
    weights: tuple[float, ...]
    parts: tuple[list[Fitted], ...]

    def by(self, clusters: np.ndarray) -> Sums:
        """Return the sums over clusters, numbered from 0."""
        return Sums.combined(self.weights, [Sums.mean(part, clusters) for part in self.parts])


def analysed(
    fits: Fits,
    refit: Refit,
    *,
    against: Sequence[str],
    by: str,
    level: float,
    rng: np.random.Generator,
    say: Callable[[str], None],
    notes: Sequence[str] = (),
) -> Inferred:
    """Return everything that is said of a fit.

    Parameters
    ----------
    fits : Fits
    refit : callable
        From another family to its problem with the same data and its fit.
    against : sequence of str
        Named rules that held-out predictions are compared with.
    by : {"weights", "activity"}
    level : float
    rng : numpy.random.Generator
    say : callable
        Takes a sentence about what is done next.
    notes : sequence of str
    """
    family, places = fits.problem.family, fits.problem.places
    say("Intervals")
    ways = {name: fits.by(numbered(getattr(places, label), rng)) for name, label in WAYS.items()}
    single = fits.by(numbered(np.arange(len(places.row)), rng))
    folds = numbered(places.fold, rng, FOLDS)
    of_folds = fits.by(folds)
    support = np.ones(len(family.free), dtype=bool)
    if family.is_linear:
        support = _confirmed(selected(of_folds), ways, single, level, rng)
    intervals = bootstrap(ways, single, level, rng)
    everything = np.ones((1, of_folds.clusters))
    value = of_folds.theta(everything, support)[0]
    noise, directions, identifiable = _seen(fits, value)
    estimates = pd.DataFrame(
        {
            "name": family.labels,
            "value": value,
            "low": intervals.low,
            "high": intervals.high,
            "identifiable": identifiable,
            "kept": support,
            "stability": _stability(ways["synapses"], support, rng),
            "full": of_folds.theta(everything)[0],
        }
    )
    say("Named rules")
    table, predictions = _held_out(fits, folds, of_folds, support, refit, against)
    return Inferred(
        family, by, estimates, table, directions, predictions, noise, len(places.row), level,
        intervals, Seen(fits.problem.pairs(), fits.problem.mean_units(value)), tuple(notes),
    )  # fmt: skip


def _confirmed(
    support: np.ndarray,
    ways: Mapping[str, Sums],
    single: Sums,
    level: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the terms whose interval, with the others of them, excludes 0.

    The probability of missing 0 is shared out among all terms of the family (Bonferroni), since
    those that are asked are the ones that looked largest.
    """
    support, each = support.copy(), 1 - (1 - level) / len(support)
    while support.any():
        found = bootstrap(ways, single, each, rng, support=support)
        # From the middle to 0, over that to the end of the interval on this side.
        reach = np.where(found.middle > 0, found.middle - found.low, found.high - found.middle)
        share = np.abs(found.middle[support]) / np.maximum(reach[support], 1e-300)
        if share.min() > 1:
            break
        support[np.nonzero(support)[0][np.argmin(share)]] = False
    return support


def _stability(sums: Sums, support: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return in which share of resamples each term is among as many as were kept."""
    size, C = int(support.sum()), sums.clusters
    if support.all():
        return np.ones(len(support))
    counts = rng.multinomial(C, np.full(C, 1 / C), size=RESAMPLES).astype(float)
    some = sums.weighed(counts)
    kept = [
        next(each for each in eliminated(some.one(draw)) if each.sum() <= size)
        for draw in range(RESAMPLES)
    ]
    return np.asarray(np.mean(kept, axis=0))


def _seen(fits: Fits, value: np.ndarray) -> tuple[float, tuple[Direction, ...], np.ndarray]:
    """Return the noise, the directions that are not seen, and which coefficients are."""
    found, problem = fits.plain, fits.problem
    table, labels = found.table, problem.family.labels
    freedom = max(1, len(table.residual) - problem.nuisance - len(labels))
    noise = float(np.sqrt(table.squares / freedom))
    variance = max(noise, 1e-12 * float(np.sqrt(np.mean(table.change**2)))) ** 2 or 1.0
    fisher = table.slopes.T @ table.slopes / variance
    change = float(np.sqrt(table.change @ table.change / variance))
    found_directions, identifiable = unseen(fisher, change, labels)
    surface = Surface(problem.family, problem.mean_units(value))
    pairs = problem.pairs()
    ranges = [
        (float(low), float(high)) for low, high in zip(pairs.min(0), pairs.max(0), strict=True)
    ]
    directions = []
    for terms, deviation in found_directions:
        vector = np.array([terms.get(label, 0.0) for label in labels])
        point, is_outside = surface.where_shown(value, vector, ranges)
        directions.append(Direction(terms, deviation, point, is_outside))
    return noise, tuple(directions), identifiable


def _held_out(
    fits: Fits,
    folds: np.ndarray,
    of_folds: Sums,
    support: np.ndarray,
    refit: Refit,
    against: Sequence[str],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return held-out R2 of the rule and of each named one; and held-out predictions."""
    rest = 1 - np.eye(of_folds.clusters)
    theta = of_folds.theta(rest, support)  # (F, K)
    found = fits.plain
    table = found.table
    off = np.einsum("mk,mk->m", table.slopes, theta[folds] - found.theta)
    predicted = table.change - (table.residual - off)
    predictions = pd.DataFrame({"observed": table.change, "predicted": predicted})
    squares = {fits.problem.family.name: float(np.sum((table.residual - off) ** 2))}
    sizes = {fits.problem.family.name: int(support.sum())}
    constant = _squares(constant_rule(), folds, refit)
    units = fits.problem.most_units
    for name in against:
        try:
            squares.setdefault(name, _squares(scaled_rule(name, units), folds, refit))
        except RatenetError:  # a signal or unit is missing, or it cannot be inferred
            squares.setdefault(name, float("nan"))
        sizes.setdefault(name, 1)
    r2 = {name: 1 - value / constant if constant > 0 else float("nan")
          for name, value in squares.items()}  # fmt: skip
    found_table = pd.DataFrame({"r2": r2, "coefficients": sizes}).rename_axis("rule")
    return found_table, predictions


def _squares(family: Family, folds: np.ndarray, refit: Refit) -> float:
    """Return the squared error on held-out data of a family with all its coefficients."""
    _, found = refit(family)
    sums = Sums.mean([found], folds)
    return float(sums.remaining(sums.theta(1 - np.eye(sums.clusters))).sum())
