"""What alignment with a rule chance reaches: several kinds of chance, of which the best counts."""

import math
from collections.abc import Iterator

import numpy as np

DRAWS = 999  # changes by chance, at least
BLOCK = 2_000_000  # numbers that are drawn at once


def draws_needed(rules: int, level: float) -> int:
    """Return how many draws by chance resolve the level, divided by the number of rules."""
    return max(DRAWS, math.ceil(5 * rules / level))


def unit_rows(P: np.ndarray) -> np.ndarray:
    """Return predictions (..., M) of length 1; those that are 0 stay 0."""
    length = np.linalg.norm(P, axis=-1, keepdims=True)
    return np.where(length > 0, P / np.where(length > 0, length, 1.0), 0.0)


def shuffled(d: np.ndarray, P: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Return alignments (draws, K) of the changes, dealt anew to the places."""
    parts = [
        rng.permuted(np.broadcast_to(d, (some, len(d))), axis=1) @ P.T
        for some in _portions(draws, len(d))
    ]
    return np.concatenate(parts)


def flipped(d: np.ndarray, P: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Return alignments (draws, K) of the changes with random signs."""
    weighted = (d * P).T
    parts = [
        rng.integers(0, 2, size=(some, len(d)), dtype=np.int8) @ (2 * weighted)
        - weighted.sum(axis=0)
        for some in _portions(draws, len(d))
    ]
    return np.concatenate(parts)


def relabelled(
    d: np.ndarray,
    whole: np.ndarray,
    places: tuple[np.ndarray, np.ndarray],
    scale: np.ndarray | float,
    draws: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return alignments (draws, K) with predictions in which neurons have changed their places.

    Rows and columns of each prediction are permuted. What belongs to single neurons stays in
    the changes, so that it does not count for a rule.

    Parameters
    ----------
    d : ndarray, shape (M,)
        Changes of length 1, divided by `scale`.
    whole : ndarray, shape (K, R, C)
        Predictions for all pairs of the rows and columns that were measured.
    places : tuple of ndarray of int, shape (M,)
        Row and column of each change.
    scale : ndarray of shape (M,), or float
    draws : int
    rng : numpy.random.Generator
    """
    K, R, C = whole.shape
    flat = whole.reshape(K, -1)
    rows, columns = places
    parts = []
    for some in _portions(draws, K * len(d)):
        row, column = (
            rng.permuted(np.broadcast_to(np.arange(size), (some, size)), axis=1) for size in (R, C)
        )
        permuted = flat[:, row[:, rows] * C + column[:, columns]] / scale  # (K, some, M)
        parts.append((unit_rows(permuted) @ d).T)
    return np.concatenate(parts)


def _portions(draws: int, each: int) -> Iterator[int]:
    """Split a number of draws so that not too many numbers are held at once."""
    some = max(1, BLOCK // each)
    return (min(some, draws - begin) for begin in range(0, draws, some))
