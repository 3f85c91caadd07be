"""What a fit leaves: residuals, their derivatives, and the places that they are of.

Gauss-Newton with the damping of Levenberg and Marquardt is written once, for weights and for
activity; a problem gives residuals and derivatives with everything projected out that is not a
coefficient.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ratenet.errors import DivergenceError
from ratenet.hypotheses.inference.families import Family

BLOCKS = 10  # of time, in each recording
DAMPING = (0.0, 1e-8, 1e-6, 1e-4, 1e-2, 1.0, 100.0)
ITERATIONS = 20
SETTLED = 1e-7  # of the sum of squares, below which a step is not worth another
MOST_CHANGE = 0.7  # of a rule's parameter in one step: it keeps its sign, and the rule its form
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


@dataclass(frozen=True, eq=False)
class Fitted:
    """A problem's table at coefficients theta, and its other unknowns after a step."""

    theta: np.ndarray
    table: Table
    later: Callable[[np.ndarray], Any]


class Problem(Protocol):
    """Residuals as a function of the coefficients."""

    family: Family
    places: Places
    nuisance: int  # other unknowns that were fitted
    most_units: int  # N

    def pairs(self) -> np.ndarray:
        """Return y_post, y_pre and w of synapses at some rows, (n, 3)."""

    def mean_units(self, theta: np.ndarray) -> dict[str, float]:
        """Return the mean over rows and units of each variable of units."""

    def start(self) -> Any:
        """Return the other unknowns at the start."""

    def at(self, theta: np.ndarray, others: Any) -> Fitted:
        """Return the table for coefficients and the other unknowns."""


def fit(problem: Problem, theta: np.ndarray, *, iterations: int = ITERATIONS) -> Fitted:
    """Return the least-squares fit, from coefficients to begin with.

    Raises
    ------
    DivergenceError
        If the weights become infinite with these coefficients.
    """
    found = problem.at(theta, problem.start())
    if not np.isfinite(found.table.squares):
        raise DivergenceError("infer: the simulated weights become infinite from this start.")
    for _ in range(iterations):
        better = _better(problem, found)
        if better is None:
            break
        gained = found.table.squares - better.table.squares
        found = better
        if gained <= SETTLED * found.table.squares:
            break
    return found


def _better(problem: Problem, found: Fitted) -> Fitted | None:
    """Return the next iterate; None where no step lowers the sum of squares."""
    A, b = found.table.slopes.T @ found.table.slopes, found.table.slopes.T @ found.table.residual
    for damping in DAMPING:
        step = solve(A, b, damping)
        if b @ step <= SETTLED * found.table.squares:  # what it would gain at most
            return None
        if not problem.family.is_linear:
            far = np.where(found.theta == 0, np.inf, MOST_CHANGE * np.abs(found.theta))
            step = np.clip(step, -far, far)
        with np.errstate(all="ignore"):
            tried = problem.at(found.theta + step, found.later(step))
        if tried.table.squares <= found.table.squares:  # NaN is not
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
    largest = np.maximum(values[..., -1:], np.finfo(float).tiny)
    inverse = np.where(
        values > RANK * largest, 1 / np.maximum(values + damping, RANK * largest), 0.0
    )
    projected = np.einsum("...ij,...i->...j", vectors, b / scale)
    return np.einsum("...ij,...j->...i", vectors, inverse * projected) / scale
