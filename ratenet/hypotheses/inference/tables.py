"""What a fit leaves: residuals, their derivatives, and the places that they are of.

Gauss-Newton with the damping of Levenberg and Marquardt is written once, for weights and for
activity; a problem gives residuals and derivatives with everything projected out that is not a
coefficient.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ratenet.errors import DivergenceError, InputError
from ratenet.hypotheses.inference.families import Family
from ratenet.hypotheses.inference.recording import Recording

FAR = 2**40  # between the numbers of two recordings' synapses
BLOCKS = 10  # of time, in each recording
DAMPING = (0.0, 1e-8, 1e-6, 1e-4, 1e-2, 1.0, 100.0)
ITERATIONS = 20
SETTLED = 1e-7  # of the sum of squares, below which a step is not worth another
MOST_CHANGE = 0.7  # of a rule's parameter in one step: it keeps its sign, and the rule its form
PATIENCE = 1.5  # how far the held-out squares may grow before the fit is stopped
RANK = 1e-12  # of the largest eigenvalue, below which a direction has no effect at all


@dataclass(frozen=True, eq=False)
class Places:
    """To what each residual belongs: numbers that differ between recordings.

    Attributes
    ----------
    animal, synapse, block, fold : ndarray of int, shape (M,)
        The animal; the synapse, or the unit whose rate it is; the block of time; what is held out
        together: the postsynaptic unit of a weight, the block of time of a rate.
    row : ndarray of int, shape (M,)
        Row of the recording.
    """

    animal: np.ndarray
    synapse: np.ndarray
    block: np.ndarray
    fold: np.ndarray
    row: np.ndarray

    @classmethod
    def joined(cls, parts: Sequence["Places"]) -> "Places":
        """Return the places of several recordings, each with the same numbers for the same."""
        names = ("animal", "synapse", "block", "fold", "row")
        return cls(*(np.concatenate([getattr(each, name) for each in parts]) for name in names))


def animals_of(recordings: Sequence[Recording]) -> list[int]:
    """Return a number for the animal of each recording, the same for all sessions of one.

    A recording that names no animal is one of its own.
    """
    named = [each.animal or ("recording", n) for n, each in enumerate(recordings)]
    return [named.index(each) for each in named]


def block_of(rows: np.ndarray, T: int) -> np.ndarray:
    """Return to which of the blocks of time each row belongs."""
    return rows * BLOCKS // max(T, 1)


@dataclass(frozen=True, eq=False)
class Table:
    """Residuals at some coefficients.

    Attributes
    ----------
    residual, change : ndarray, shape (M,)
        Observed less predicted; observed less what would be there without plasticity.
    slopes : ndarray, shape (M, K)
        Derivatives of what is predicted.
    places : Places
    """

    residual: np.ndarray
    slopes: np.ndarray
    change: np.ndarray
    places: Places

    @property
    def squares(self) -> float:
        """The sum of the squared residuals."""
        return float(self.residual @ self.residual)

    def squared(self, kept: np.ndarray) -> float:
        """Return the sum over some of the squared residuals."""
        return float(np.sum(self.residual[kept] ** 2))


@dataclass(frozen=True, eq=False)
class Fitted:
    """A problem's table at coefficients theta, and its other unknowns after a step."""

    theta: np.ndarray
    table: Table
    later: Callable[[np.ndarray], Any]

    @property
    def others(self) -> Any:
        """The other unknowns at these coefficients."""
        return self.later(np.zeros_like(self.theta))


class AbstractProblem(ABC):
    """Residuals as a function of the coefficients."""

    family: Family
    places: Places
    nuisance: int  # other unknowns that were fitted
    most_units: int  # N
    _sessions: Sequence[Any]  # what is known of each recording, its signals among it

    def of(self, family: Family) -> Self:
        """Return the same data for another family.

        Raises
        ------
        InputError
            If a signal of it was not recorded, or not at all rows.
        """
        for name in family.signals:
            if not all(name in each.signals for each in self._sessions):
                raise InputError.at("signals", got=name, expected="signals that were recorded")
        return self._changed(family=family)

    def _changed(self, **changes: Any) -> Self:
        found = copy.copy(self)
        found.__dict__.update(changes)
        return found

    @abstractmethod
    def pairs(self) -> np.ndarray:
        """Return y_post, y_pre and w of synapses at some rows, (n, 3)."""

    @abstractmethod
    def mean_units(self, theta: np.ndarray) -> dict[str, float]:
        """Return the mean over rows and units of each variable of units."""

    @abstractmethod
    def start(self) -> Any:
        """Return the other unknowns at the start."""

    @abstractmethod
    def at(self, theta: np.ndarray, others: Any) -> Fitted:
        """Return the table for coefficients and the other unknowns."""


def fit(
    problem: AbstractProblem,
    theta: np.ndarray,
    others: Any = None,
    held: np.ndarray | None = None,
    iterations: int = ITERATIONS,
) -> Fitted:
    """Return the least-squares fit, from coefficients to begin with.

    Parameters
    ----------
    problem : AbstractProblem
    theta : ndarray, shape (K,)
    others : object, optional
        The other unknowns to begin with.
    held : ndarray of bool, shape (M,), optional
        Residuals that are held out: the fit stops early where they grow, and is the best by them.
    iterations : int
        At most.

    Raises
    ------
    DivergenceError
        If the weights become infinite with these coefficients.
    """
    found = best = problem.at(theta, problem.start() if others is None else others)
    held = np.zeros(len(found.table.residual), dtype=bool) if held is None else held
    if not np.isfinite(found.table.squares):
        raise DivergenceError("infer: the simulated weights become infinite from this start.")
    for _ in range(iterations):
        better = _better(problem, found, ~held)
        if better is None:
            break
        gained = found.table.squared(~held) - better.table.squared(~held)
        found = better
        if not held.any() or found.table.squared(held) <= best.table.squared(held):
            best = found
        elif found.table.squared(held) > PATIENCE * best.table.squared(held):
            break
        if gained <= SETTLED * found.table.squared(~held):
            break
    return best


def _better(problem: AbstractProblem, found: Fitted, kept: np.ndarray) -> Fitted | None:
    """Return the next iterate; None where no step lowers the sum of squares."""
    slopes, squares = found.table.slopes[kept], found.table.squared(kept)
    A, b = slopes.T @ slopes, slopes.T @ found.table.residual[kept]
    for damping in DAMPING:
        step = solve(A, b, damping)
        if b @ step <= SETTLED * squares:  # what it would gain at most
            return None
        if not problem.family.is_linear:
            far = np.where(found.theta == 0, np.inf, MOST_CHANGE * np.abs(found.theta))
            step = np.clip(step, -far, far)
        with np.errstate(all="ignore"):
            tried = problem.at(found.theta + step, found.later(step))
        if tried.table.squared(kept) <= squares:  # NaN is not
            return tried
    return None


def solve(A: np.ndarray, b: np.ndarray, damping: float = 0.0) -> np.ndarray:
    """Return the shortest solution of A x = b, each coefficient in its own scale.

    Parameters
    ----------
    A : ndarray, shape (..., K, K)
    b : ndarray, shape (..., K)
    damping : float
        What is added to the diagonal, relative to it.
    """
    scale = np.sqrt(np.diagonal(A, axis1=-2, axis2=-1))
    scale = np.where(scale > 0, scale, 1.0)
    C = A / (scale[..., :, None] * scale[..., None, :])
    values, vectors = np.linalg.eigh(C)
    largest = np.where(values[..., -1:] > 0, values[..., -1:], 1.0)  # A may be 0
    inverse = np.where(
        values > RANK * largest, 1 / np.maximum(values + damping, RANK * largest), 0.0
    )
    projected = np.einsum("...ij,...i->...j", vectors, b / scale)
    return np.einsum("...ij,...j->...i", vectors, inverse * projected) / scale
