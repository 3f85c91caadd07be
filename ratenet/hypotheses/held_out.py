"""Fits of rules to changes: on neurons that were held out, and how far sampling moves them.

Synapses of a neuron have more in common than a rule. So both post- and presynaptic neurons are
dealt to folds; each block of synapses is predicted from those that share no neuron with it. The
spread of an estimate with influences u allows for what a row or a column has in common (Cameron,
Gelbach and Miller 2011),

    var = sum_r (sum_c u)^2 + sum_c (sum_r u)^2 - sum u^2.
"""

from collections.abc import Sequence

import numpy as np

FOLDS = 5
SPLITS = 200  # over which the likelihood is averaged, so that it is not that of one seed
SPREADS = 2000  # draws of the alignments
BLOCK = 2_000_000  # numbers that are drawn at once
INTERVAL = 0.95


def held_out(
    changes: np.ndarray,
    models: Sequence[np.ndarray],
    axes: Sequence[np.ndarray],
    noise: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the log-likelihood of each model on held-out neurons, the mean over many splits.

    Parameters
    ----------
    changes : ndarray, shape (M,)
    models : sequence of ndarray, shape (q, M)
        A single row is a rule, whose rate is at least 0; several rows, or none, are fitted freely.
    axes : sequence of ndarray of int, shape (M,)
        Neuron of each change: one axis, or post and pre.
    noise : float
        The variance is at least that of the noise: more, where the model does not explain it.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (models,)
    """
    products = [np.ones_like(changes), changes**2]
    for model in models:
        products += [*(model * changes), *(model[:, None] * model[None]).reshape(-1, len(changes))]
    table = np.stack(products, axis=1)  # (M, Q)
    found, splits = [], max(1, BLOCK // table.size)
    for begin in range(0, SPLITS, splits):
        blocks = _block_sums(table, axes, min(splits, SPLITS - begin), rng)
        found.append(_log_likelihoods(blocks, _elsewhere(blocks), models, noise))
    return np.concatenate(found).mean(axis=0)


def _block_sums(
    table: np.ndarray, axes: Sequence[np.ndarray], splits: int, rng: np.random.Generator
) -> np.ndarray:
    """Return sums over blocks of the folds of each axis: (splits, folds, folds of pre, Q)."""
    from scipy.sparse import csc_array

    codes = [np.unique(axis, return_inverse=True)[1] for axis in axes]
    if len(codes) == 1:
        codes.insert(0, np.zeros_like(codes[0]))
    sizes = [int(code.max()) + 1 for code in codes]
    folds = [min(FOLDS, size) for size in sizes]
    place = np.arange(splits)[:, None] * folds[0] * folds[1]
    for code, size, fold, step in zip(codes, sizes, folds, (folds[1], 1), strict=True):
        dealt = rng.permuted(np.broadcast_to(np.arange(size) % fold, (splits, size)), axis=1)
        place = place + step * dealt[:, code]
    ends = np.arange(0, place.size + 1, splits)
    shape = (splits * folds[0] * folds[1], len(table))
    member = csc_array((np.ones(place.size), place.T.ravel(), ends), shape=shape)
    return (member @ table).reshape(splits, *folds, -1)


def _elsewhere(blocks: np.ndarray) -> np.ndarray:
    """Return for each block the sums over all that shares no fold with it."""
    rows, columns = blocks.sum(axis=2, keepdims=True), blocks.sum(axis=1, keepdims=True)
    total = rows.sum(axis=1, keepdims=True)
    if blocks.shape[1] == 1:
        return total - columns
    if blocks.shape[2] == 1:
        return total - rows
    return total - rows - columns + blocks


def _log_likelihoods(
    test: np.ndarray, train: np.ndarray, models: Sequence[np.ndarray], noise: float
) -> np.ndarray:
    """Return the log-likelihood (splits, models) of all blocks together."""
    count, begin, found = np.maximum(train[..., 0], 1), 2, []
    for model in models:
        q = len(model)
        middle, end = begin + q, begin + q + q * q
        push, square = (
            (part[..., begin:middle], part[..., middle:end].reshape(*part.shape[:-1], q, q))
            for part in (train, test)
        )
        rate = _fitted(push[0], push[1])
        variance = np.maximum(_left(train, *push, rate) / count, noise**2)
        each = test[..., 0] * np.log(2 * np.pi * variance) + _left(test, *square, rate) / variance
        found.append(-each.sum(axis=(1, 2)) / 2)
        begin = end
    return np.stack(found, axis=-1)


def _fitted(push: np.ndarray, square: np.ndarray) -> np.ndarray:
    """Return coefficients (..., q) by least squares; a single one is a rate, at least 0."""
    if push.shape[-1] == 1:
        length = square[..., 0]
        return np.where(length > 0, np.maximum(push, 0) / np.where(length > 0, length, 1), 0.0)
    return (np.linalg.pinv(square, rcond=1e-10, hermitian=True) @ push[..., None])[..., 0]


def _left(sums: np.ndarray, push: np.ndarray, square: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """Return the sum of squares that a fit leaves."""
    explained = 2 * (rate * push).sum(axis=-1)
    return np.maximum(
        sums[..., 1] - explained + np.einsum("...a,...ab,...b", rate, square, rate), 0.0
    )


def fits(
    changes: np.ndarray,
    predictions: np.ndarray,
    axes: Sequence[np.ndarray],
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Return learning rates and alignments with their intervals, and shares of wins, (K,) each."""
    from scipy.special import stdtrit

    d, pp = changes, (predictions**2).sum(axis=1)
    there, safe = pp > 0, np.where(pp > 0, pp, 1.0)
    size = np.linalg.norm(d)
    slope = np.where(there, predictions @ d / safe, 0.0)
    cosine = np.where(there, predictions @ d / np.sqrt(safe) / size, 0.0)
    by_slope = predictions * (d - slope[:, None] * predictions) / safe[:, None]
    unit = predictions / np.sqrt(safe)[:, None]
    by_cosine = unit * (d / size) - cosine[:, None] / 2 * (unit**2 + (d / size) ** 2)
    by_cosine *= there[:, None]
    freedom = min(len(np.unique(axis)) for axis in axes if len(np.unique(axis)) > 1) - 1
    reach = float(stdtrit(freedom, (1 + INTERVAL) / 2))
    spread = covariance(by_cosine, axes)
    off = [reach * np.sqrt(np.diag(each)) for each in (covariance(by_slope, axes), spread)]
    return {
        "learning_rate": np.maximum(slope, 0),
        "learning_rate_low": np.maximum(slope - off[0], 0),
        "learning_rate_high": np.maximum(slope + off[0], 0),
        "alignment": cosine,
        "alignment_low": np.maximum(cosine - off[1], -1),
        "alignment_high": np.minimum(cosine + off[1], 1),
        "wins": _wins(cosine, spread, freedom, rng),
    }


def covariance(influences: np.ndarray, axes: Sequence[np.ndarray]) -> np.ndarray:
    """Return the covariance (K, K) of estimates with influences (K, M), not below independence."""
    alone = influences @ influences.T
    common = np.zeros_like(alone)
    for axis in axes:
        _, code = np.unique(axis, return_inverse=True)
        sums = np.stack([np.bincount(code, each) for each in influences])
        if sums.shape[1] > 1:
            common += sums @ sums.T * sums.shape[1] / (sums.shape[1] - 1) - alone
    values, vectors = np.linalg.eigh(common)
    return alone + (vectors * np.maximum(values, 0)) @ vectors.T


def _wins(
    cosine: np.ndarray, spread: np.ndarray, freedom: int, rng: np.random.Generator
) -> np.ndarray:
    """Return in which share of draws each rule is best aligned."""
    values, vectors = np.linalg.eigh(spread)
    root = vectors * np.sqrt(np.maximum(values, 0))
    normal = rng.standard_normal((SPREADS, len(cosine)))
    tails = np.sqrt(freedom / rng.chisquare(freedom, (SPREADS, 1)))
    drawn = cosine + tails * (normal @ root.T)
    drawn[:, np.diag(spread) <= 0] = cosine[np.diag(spread) <= 0]
    winner = np.where(drawn.max(axis=1) > 0, drawn.argmax(axis=1), len(cosine))
    return np.bincount(winner, minlength=len(cosine) + 1)[:-1] / SPREADS
