"""Sums of squares and products by cluster, from which everything else of a fit follows.

Around the fit the sum of squares is a parabola in the coefficients,

    R(theta) = r - 2 b^T (theta - found) + (theta - found)^T A (theta - found),

and so is its part of each cluster. Resampling, leaving out and leaving terms out are therefore sums
of few numbers, whatever the number of measurements.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ratenet.hypotheses.inference.tables import Fitted, solve

MOST_CLUSTERS = 400  # more are joined at random, which costs nothing but memory
RIDGE = 1e-9  # of the diagonal, so that of two equal terms either may be left out


@dataclass(frozen=True, eq=False)
class Sums:
    """Parabolas of clusters.

    Attributes
    ----------
    A : ndarray, shape (C, K, K)
    c : ndarray, shape (C, K)
        b + A found, so that theta = A^-1 c.
    squares : ndarray, shape (C,)
        R(0) in this parabola.
    """

    A: np.ndarray
    c: np.ndarray
    squares: np.ndarray

    @classmethod
    def mean(cls, fits: Sequence[Fitted], clusters: np.ndarray) -> "Sums":
        """Return the mean over fits of their sums over clusters, numbered from 0."""
        parts = [cls._of(each, clusters) for each in fits]
        return cls(*(np.mean([getattr(each, name) for each in parts], axis=0)
                     for name in ("A", "c", "squares")))  # fmt: skip

    @classmethod
    def _of(cls, found: Fitted, clusters: np.ndarray) -> "Sums":
        table, K = found.table, len(found.theta)
        C = int(clusters.max()) + 1
        A, c, squares = np.zeros((C, K, K)), np.zeros((C, K)), np.zeros(C)
        order = np.argsort(clusters, kind="stable")
        ends = np.searchsorted(clusters[order], np.arange(C + 1))
        aimed = table.residual + table.slopes @ found.theta
        for cluster in range(C):
            at = order[ends[cluster] : ends[cluster + 1]]
            slopes, aim = table.slopes[at], aimed[at]
            A[cluster], c[cluster], squares[cluster] = slopes.T @ slopes, slopes.T @ aim, aim @ aim
        return cls(A, c, squares)

    @classmethod
    def combined(cls, weights: Sequence[float], parts: Sequence["Sums"]) -> "Sums":
        """Return a weighted sum of sums over the same clusters."""
        return cls(*(
            sum(w * getattr(each, name) for w, each in zip(weights, parts, strict=True))
            for name in ("A", "c", "squares")
        ))  # fmt: skip

    @property
    def clusters(self) -> int:
        """C."""
        return len(self.c)

    def theta(self, weights: np.ndarray, support: np.ndarray | None = None) -> np.ndarray:
        """Return the least-squares coefficients (R, K) for weights (R, C) of the clusters.

        Those outside of a support (K,) are 0.
        """
        some = self.weighed(weights)
        return solved(some.A, some.c, support)

    def weighed(self, weights: np.ndarray) -> "Sums":
        """Return sums over the clusters with weights (R, C)."""
        return Sums(
            np.einsum("rc,cij->rij", weights, self.A, optimize=True),
            weights @ self.c,
            weights @ self.squares,
        )

    def remaining(self, theta: np.ndarray) -> np.ndarray:
        """Return R(theta) of each, (C,); theta is (K,) or (C, K)."""
        quadratic = np.einsum("...i,cij,...j->c", theta, self.A, theta) if theta.ndim == 1 else (
            np.einsum("ci,cij,cj->c", theta, self.A, theta)
        )  # fmt: skip
        linear = self.c @ theta if theta.ndim == 1 else (self.c * theta).sum(axis=1)
        return self.squares - 2 * linear + quadratic


def solved(A: np.ndarray, c: np.ndarray, support: np.ndarray | None = None) -> np.ndarray:
    """Return A^-1 c with the coefficients outside of a support held at 0."""
    if support is None or support.all():
        return solve(A, c)
    theta = np.zeros_like(c)
    if support.any():
        at = np.nonzero(support)[0]
        theta[..., at] = solve(A[..., at[:, None], at], c[..., at])
    return theta


def numbered(labels: np.ndarray, rng: np.random.Generator, most: int = MOST_CLUSTERS) -> np.ndarray:
    """Return labels as numbers from 0, in random order; more than `most` are joined."""
    unique, number = np.unique(labels, return_inverse=True)
    shuffled = rng.permutation(len(unique))
    return shuffled[number] % most if len(unique) > most else shuffled[number]


def eliminated(A: np.ndarray, c: np.ndarray) -> list[np.ndarray]:
    """Return supports with K, K - 1, ... 0 terms: each time the one that explains least is dropped.

    What a term explains is how much the sum of squares grows without it: theta_k^2 / (A^-1)_kk.
    """
    diagonal = np.diagonal(A)
    support = diagonal > 0
    found = [support.copy()]
    whole = A + RIDGE * np.diag(diagonal)
    while support.any():
        at = np.nonzero(support)[0]
        scale = np.sqrt(diagonal[at])
        inverse = np.linalg.inv(whole[np.ix_(at, at)] / np.outer(scale, scale))
        theta = inverse @ (c[at] / scale)
        support[at[np.argmin(theta**2 / np.diagonal(inverse))]] = False
        found.append(support.copy())
    return found


def selected(folds: Sums) -> np.ndarray:
    """Return the support that predicts what was held out, with as few terms as do as well.

    As well: within one standard error, over the folds, of the best number of terms.
    """
    F, K = folds.c.shape
    rest = 1 - np.eye(F)
    train = folds.weighed(rest)
    losses = np.full((K + 1, F), np.inf)
    for fold in range(F):
        for support in eliminated(train.A[fold], train.c[fold]):
            theta = solved(train.A[fold], train.c[fold], support)
            losses[support.sum(), fold] = folds.remaining(theta)[fold]
    losses = losses[np.isfinite(losses).all(axis=1)]  # fewer where terms have no effect at all
    mean = losses.mean(axis=1)
    differences = losses - losses[np.argmin(mean)]
    error = differences.std(axis=1, ddof=1) / np.sqrt(F)
    size = int(np.argmax(mean - mean.min() <= error))
    total = folds.weighed(np.ones((1, F)))
    return next(s for s in eliminated(total.A[0], total.c[0]) if s.sum() <= size)
