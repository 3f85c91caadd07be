"""How frequent each rule is among animals, and whether animals go beyond chance.

    r ~ Dirichlet(1, ..., 1)                frequencies of the K rules among all animals
    m_n ~ r,   p(data_n | m_n = k) = exp(evidence[n, k])
    q(r) = Dirichlet(alpha),   alpha_k = 1 + sum_n u_nk,
    u_nk = exp(evidence_nk + psi(alpha_k)) / sum_j exp(evidence_nj + psi(alpha_j))

Animals may differ in their rule, so one animal with much data does not decide for all: random
effects (Stephan et al. 2009, NeuroImage 46:1004). Exceedance is the probability that a rule is the
most frequent one; protected exceedance also allows that all are equally frequent, and differ by
chance (Rigoux et al. 2014, NeuroImage 84:971).
"""

import math

import numpy as np
import pandas as pd

CONFIDENCE = 0.95  # of the intervals
NODES = 256  # of the quadrature
DRAWS = 9999  # permutations, if not all can be made


def rule_frequencies(evidence: pd.DataFrame) -> pd.DataFrame:
    """Return how frequent each rule is among animals.

    Parameters
    ----------
    evidence : pandas.DataFrame, shape (animals, K)
        Log-evidence of each rule (columns) by each animal (rows).

    Returns
    -------
    pandas.DataFrame
        A row per rule: frequency (posterior mean), low and high (95 %), exceedance, protected.

    Examples
    --------
    >>> evidence = pd.DataFrame({"a": [9.0] * 8 + [0.0], "b": [0.0] * 8 + [9.0]})
    >>> rule_frequencies(evidence).loc["a"].round(2).to_dict()
    {'frequency': 0.82, 'low': 0.56, 'high': 0.97, 'exceedance': 0.99, 'protected': 0.92}
    """
    from scipy.special import betaincinv

    L = evidence.to_numpy(dtype=float)
    L = L - L.max(axis=1, keepdims=True)
    alpha, shares = _fitted(L)
    others, tail = alpha.sum() - alpha, (1 - CONFIDENCE) / 2
    exceedance = _exceedance(alpha)
    equal = 1 / (1 + math.exp(min(700.0, _evidence_for_differences(L, alpha, shares))))
    return pd.DataFrame(
        {
            "frequency": alpha / alpha.sum(),
            "low": betaincinv(alpha, others, tail),
            "high": betaincinv(alpha, others, 1 - tail),
            "exceedance": exceedance,
            "protected": (1 - equal) * exceedance + equal / len(alpha),
        },
        index=pd.Index(evidence.columns, name="rule"),
    )


def _fitted(L: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return alpha (K,), and the share of each rule in each animal (n, K)."""
    from scipy.special import digamma, softmax

    alpha = np.ones(L.shape[1])
    for _ in range(10_000):
        shares = softmax(L + digamma(alpha), axis=1)
        new = 1 + shares.sum(axis=0)
        moved, alpha = np.abs(new - alpha).max(), new
        if moved < 1e-10:
            break
    return alpha, shares


def _exceedance(alpha: np.ndarray) -> np.ndarray:
    """Return the probability that each of Dirichlet's variables is the largest.

    These are gamma variables over their sum, so it is the integral over the quantiles of one of the
    probability that all others are smaller.
    """
    from scipy.special import gammainc, gammaincinv

    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    quantiles, weights = (nodes + 1) / 2, weights / 2
    found = np.array([
        weights @ np.prod(gammainc(np.delete(alpha, k)[:, None], gammaincinv(a, quantiles)), axis=0)
        for k, a in enumerate(alpha)
    ])  # fmt: skip
    return found / found.sum()


def _evidence_for_differences(L: np.ndarray, alpha: np.ndarray, shares: np.ndarray) -> float:
    """Return the log-evidence (its lower bound) for frequencies that differ, over equal ones."""
    from scipy.special import digamma, gammaln, logsumexp, xlogy

    K = len(alpha)
    expected = digamma(alpha) - digamma(alpha.sum())  # of log r
    entropy = gammaln(alpha).sum() - gammaln(alpha.sum()) - ((alpha - 1) * expected).sum()
    differ = gammaln(K) + (shares * (expected + L)).sum() - xlogy(shares, shares).sum() + entropy
    same = (logsumexp(L, axis=1) - math.log(K)).sum()
    return float(differ - same)


def sign_flips(scores: np.ndarray, seed: int) -> np.ndarray:
    """Return p-values (K,) of means over animals above 0, if each animal's sign is by chance.

    The largest mean of all rules in each flip is compared with, so the p-values hold for all K
    together (Westfall & Young 1993). All 2^n flips are made if there are at most 9,999.

    Parameters
    ----------
    scores : ndarray, shape (animals, K)
    seed : int
        Seed of the flips, where not all are made.

    Examples
    --------
    >>> sign_flips(np.ones((5, 1)), 0)  # 1 / 2**5
    array([0.03125])
    """
    from scipy.stats import permutation_test  # here: scipy.stats takes a second to import

    found = permutation_test(
        (scores.T,), lambda x, axis: x.mean(axis=axis), axis=-1, permutation_type="samples",
        vectorized=True, alternative="greater", n_resamples=DRAWS, rng=np.random.default_rng(seed),
    )  # fmt: skip
    return _against_largest(found.statistic, found.null_distribution, 2.0 ** len(scores))


def exchanged(scores: np.ndarray, controls: np.ndarray, seed: int) -> np.ndarray:
    """Return p-values (K,) of a mean over animals above that of other animals, the controls.

    Parameters
    ----------
    scores : ndarray, shape (animals, K)
    controls : ndarray, shape (control animals, K)
    seed : int
        Seed of the exchanges, where not all are made.
    """
    from scipy.stats import permutation_test

    found = permutation_test(
        (scores.T, controls.T), lambda x, y, axis: x.mean(axis=axis) - y.mean(axis=axis), axis=-1,
        vectorized=True, alternative="greater", n_resamples=DRAWS, rng=np.random.default_rng(seed),
    )  # fmt: skip
    every = math.comb(len(scores) + len(controls), len(scores))
    return _against_largest(found.statistic, found.null_distribution, every)


def _against_largest(found: np.ndarray, null: np.ndarray, every: float) -> np.ndarray:
    """Return the share of permutations whose largest statistic is at least that which was found."""
    largest = null.reshape(len(null), -1).max(axis=1)
    # Rounding must not make a permutation differ from the same one.
    above = (largest[:, None] >= np.atleast_1d(found) - 1e-12).sum(axis=0)
    is_exact = every <= DRAWS
    return above / len(null) if is_exact else (above + 1) / (len(null) + 1)
