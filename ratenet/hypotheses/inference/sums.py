"""Sums of squares and products by cluster, from which everything else of a fit follows.

Around the fit the sum of squares is a parabola in the coefficients,

    R(theta) = r - 2 b^T (theta - found) + (theta - found)^T A (theta - found),

and so is its part of each cluster. Resampling, leaving out and leaving terms out are therefore sums
of few numbers, whatever the number of measurements. Where a fit is extrapolated from P fits to data
with more noise, the estimate is the weighted sum of theirs,

    theta = sum_p weight_p A_p^-1 c_p .
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ratenet.hypotheses.inference.tables import Fitted, solve

MOST_CLUSTERS = 400  # more are joined at random, which costs nothing but memory
RIDGE = 1e-9  # of the diagonal, so that of two equal terms either may be left out


@dataclass(frozen=True, eq=False)
class Sums:
    """Parabolas of clusters, those of P fits.

    Attributes
    ----------
    A : ndarray, shape (P, C, K, K)
    c : ndarray, shape (P, C, K)
        b + A found, so that theta = A^-1 c.
    squares : ndarray, shape (P, C)
        R(0) in this parabola.
    weights : ndarray, shape (P,)
        How the P fits are combined; their sum is 1.
    """

    A: np.ndarray
    c: np.ndarray
    squares: np.ndarray
    weights: np.ndarray

    @classmethod
    def mean(cls, fits: Sequence[Fitted], clusters: np.ndarray) -> "Sums":
        """Return the mean over fits of their sums over clusters, numbered from 0."""
        parts = [_sums(each, clusters) for each in fits]
        A, c, squares = (np.mean(each, axis=0)[None] for each in zip(*parts, strict=True))
        return cls(A, c, squares, np.ones(1))

    @classmethod
    def combined(cls, weights: Sequence[float], parts: Sequence["Sums"]) -> "Sums":
        """Return what combines the estimates of several sums over the same clusters."""
        A, c, squares = (
            np.concatenate([getattr(each, name) for each in parts])
            for name in ("A", "c", "squares")
        )
        return cls(A, c, squares, np.asarray(weights, dtype=float))

    @property
    def clusters(self) -> int:
        """C."""
        return self.c.shape[1]

    def theta(self, weights: np.ndarray, support: np.ndarray | None = None) -> np.ndarray:
        """Return the least-squares coefficients (R, K) for weights (R, C) of the clusters.

        Those outside of a support (K,) are 0.
        """
        some = self.weighed(weights)
        return np.tensordot(self.weights, solved(some.A, some.c, support), axes=1)

    def weighed(self, weights: np.ndarray) -> "Sums":
        """Return sums over the clusters with weights (R, C)."""
        return Sums(
            np.einsum("rc,pcij->prij", weights, self.A, optimize=True),
            weights @ self.c,
            self.squares @ weights.T,
            self.weights,
        )

    def one(self, cluster: int) -> "Sums":
        """Return those of a single cluster."""
        at = slice(cluster, cluster + 1)
        return Sums(self.A[:, at], self.c[:, at], self.squares[:, at], self.weights)

    def remaining(self, theta: np.ndarray) -> np.ndarray:
        """Return R(theta) of each, (C,), combined like the estimates; theta is (K,) or (C, K)."""
        theta = np.broadcast_to(theta, self.c.shape[1:])
        quadratic = np.einsum("ci,pcij,cj->pc", theta, self.A, theta, optimize=True)
        return self.weights @ (self.squares - 2 * (self.c * theta).sum(axis=-1) + quadratic)


def _sums(found: Fitted, clusters: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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
    return A, c, squares


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


def eliminated(sums: Sums) -> list[np.ndarray]:
    """Return supports with K, K - 1, ... 0 terms: each time the one that explains least is dropped.

    What a term explains is how much the sum of squares grows without it: theta_k^2 / (A^-1)_kk,
    with A that of the data as they are. The sums are those of a single cluster.
    """
    A, c = sums.A[:, 0], sums.c[:, 0]
    diagonal = np.einsum("pkk->pk", A)
    support = diagonal[0] > 0
    found = [support.copy()]
    whole = A + RIDGE * np.einsum("pk,kl->pkl", diagonal, np.eye(A.shape[1]))
    while support.any():
        at = np.nonzero(support)[0]
        scale = np.sqrt(diagonal[:, at])
        inverse = np.linalg.inv(whole[:, at[:, None], at] / (scale[:, :, None] * scale[:, None, :]))
        each = np.einsum("pkl,pl->pk", inverse, c[:, at] / scale) / scale
        theta = (sums.weights @ each) * scale[0]
        support[at[np.argmin(theta**2 / np.diagonal(inverse[0]))]] = False
        found.append(support.copy())
    return found


def selected(folds: Sums) -> np.ndarray:
    """Return the support that predicts what was held out, with as few terms as do as well.

    As well: within one standard error, over the folds, of the best number of terms.
    """
    F, K = folds.c.shape[1:]
    train = folds.weighed(1 - np.eye(F))
    losses = np.full((K + 1, F), np.inf)
    for fold in range(F):
        some, held = train.one(fold), folds.one(fold)
        for support in eliminated(some):
            theta = some.theta(np.ones((1, 1)), support)
            losses[support.sum(), fold] = held.remaining(theta)[0]
    losses = losses[np.isfinite(losses).all(axis=1)]  # fewer where terms have no effect at all
    mean = losses.mean(axis=1)
    differences = losses - losses[np.argmin(mean)]
    error = differences.std(axis=1, ddof=1) / np.sqrt(F)
    size = int(np.argmax(mean - mean.min() <= error))
    total = folds.weighed(np.ones((1, F)))
    return next(s for s in eliminated(total) if s.sum() <= size)
