"""What data cannot say: directions of the coefficients in which the predictions hardly change.

With s_k the coefficient with which term k alone would explain a change as large as the observed
one, and C the Fisher information in these units, an eigenvector v of C with the eigenvalue l has a
standard deviation of l^-1/2. Where that leaves more than the whole change open, the direction
sum_k v_k s_k theta_k is not seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

OPEN = 0.5  # standard deviation, in units of the whole change: its 95 % interval is +- 1
SHOWN = 4  # terms of a direction, in a sentence
TAKES_PART = 0.1  # of the largest entry of an unseen direction


@dataclass(frozen=True)
class Direction:
    """A direction of the coefficients that the data do not see.

    Attributes
    ----------
    terms : dict of str to float
        How much of each coefficient; the largest is 1.
    deviation : float
        Standard deviation along it, in units of the coefficient that is 1; inf: no effect at all.
    point : dict of str to float
        Where it would show: rates and weight at which it changes the weight most.
    is_outside : bool
        Whether that is outside the ranges that were recorded, within which it has no effect.
    """

    terms: dict[str, float]
    deviation: float
    point: dict[str, float]
    is_outside: bool = False

    @property
    def advice(self) -> str:
        """Which stimuli would show it."""
        at = ", ".join(f"{name} = {value:.2g}" for name, value in self.point.items())
        where = "outside what was recorded, such as" if self.is_outside else "with more of"
        return f"; stimuli {where} {at} would show it."

    def __str__(self) -> str:
        shown = [_term(value, name) for name, value in [*self.terms.items()][:SHOWN]]
        more = ["+ ..."] if len(self.terms) > SHOWN else []
        return " ".join([*shown, *more]).removeprefix("+ ")


def _term(value: float, name: str) -> str:
    number = "" if round(abs(value), 2) == 1 else f"{abs(value):.2g} "
    return f"{'-' if value < 0 else '+'} {number}{name}"


def unseen(
    fisher: np.ndarray, change: float, labels: Sequence[str]
) -> tuple[list[tuple[dict[str, float], float]], np.ndarray]:
    """Return unseen directions with standard deviations, and which coefficients are identifiable.

    Parameters
    ----------
    fisher : ndarray, shape (K, K)
        Inverse variance of the noise times the sum of products of slopes.
    change : float
        Size of all observed changes, over the sd of the noise.
    labels : sequence of str
    """
    size = np.sqrt(np.diagonal(fisher))
    blind = ~(size > 1e-12 * max(size.max(), np.finfo(float).tiny))
    scale = np.where(blind, 1.0, change / np.where(blind, 1.0, size))
    values, vectors = np.linalg.eigh(fisher * np.outer(scale, scale))
    deviations = 1 / np.sqrt(np.maximum(values, 1e-12 * max(values.max(), 1e-300)))
    found, identifiable = [], ~blind
    for value, vector, deviation in zip(values, vectors.T, deviations, strict=True):
        is_blind = value <= 1e-11 * max(values.max(), 1e-300)
        if not (is_blind or deviation > OPEN):
            continue
        direction = vector * scale
        identifiable &= np.abs(vector) < TAKES_PART * np.abs(vector).max()
        largest = direction[np.argmax(np.abs(direction))]
        direction = direction / largest
        order = np.argsort(-np.abs(direction), kind="stable")
        terms = {labels[k]: float(direction[k]) for k in order if abs(direction[k]) > 0.02}
        found.append((terms, float("inf") if is_blind else float(abs(largest) * deviation)))
    return found, identifiable
