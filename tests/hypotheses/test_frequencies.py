"""Frequencies of rules among animals: against integrals over them, and by enumeration."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, binomtest

from ratenet.hypotheses.frequencies import exchanged, rule_frequencies, sign_flips


def strong(*counts: int) -> pd.DataFrame:
    """Return the evidence of animals of which each leaves no doubt about its rule."""
    rules = np.repeat(np.arange(len(counts)), counts)
    return pd.DataFrame(60.0 * np.eye(len(counts))[rules], columns=list("abcd"[: len(counts)]))


def test_animals_without_doubt_give_the_distribution_of_a_sample():
    found = rule_frequencies(strong(8, 1))
    exact = beta(9, 2)
    np.testing.assert_allclose(found.loc["a", "frequency"], exact.mean())
    np.testing.assert_allclose(found.loc["a", ["low", "high"]].tolist(), exact.interval(0.95))
    np.testing.assert_allclose(found["exceedance"], [exact.sf(0.5), exact.cdf(0.5)], atol=1e-6)


def test_protected_exceedance_weighs_by_the_evidence_that_frequencies_differ():
    found = rule_frequencies(strong(8, 1))
    differ = math.lgamma(9) + math.lgamma(2) - math.lgamma(11)  # log of the integral r^8 (1 - r)
    equal = 1 / (1 + math.exp(differ + 9 * math.log(2)))
    expected = (1 - equal) * found["exceedance"] + equal / 2
    np.testing.assert_allclose(found["protected"], expected, rtol=1e-6)


def test_exceedance_is_how_often_a_frequency_is_the_largest():
    found = rule_frequencies(strong(5, 3, 0, 1))
    drawn = np.random.default_rng(0).dirichlet([6, 4, 1, 2], 200_000).argmax(axis=1)
    np.testing.assert_allclose(found["exceedance"], np.bincount(drawn) / 200_000, atol=0.005)


def test_doubtful_animals_are_weighed():
    """The exact posterior of the frequency, by an integral over it, for two rules."""
    evidence = pd.DataFrame({"a": [2.0, 1.5, 0.3, 4.0, -1.0, 2.0], "b": 0.0})
    r = np.linspace(0, 1, 4001)[:, None]
    density = (r * np.exp(evidence["a"].to_numpy()) + (1 - r)).prod(axis=1)
    exact = float((r[:, 0] * density).sum() / density.sum())
    found = rule_frequencies(evidence)
    assert abs(found.loc["a", "frequency"] - exact) < 0.03


def test_one_animal_with_much_data_does_not_decide():
    evidence = pd.DataFrame({"a": [5000.0] + [0.0] * 7, "b": [0.0] + [9.0] * 7})
    assert rule_frequencies(evidence)["frequency"].idxmax() == "b"


def test_intervals_hold_the_frequency_that_was_drawn():
    rng, hits = np.random.default_rng(3), 0
    for _ in range(100):
        r = rng.dirichlet(np.ones(3))
        row = rule_frequencies(strong(*rng.multinomial(12, r))).iloc[0]
        hits += row.low < r[0] < row.high
    assert binomtest(hits, 100, 0.95).pvalue > 0.01


def test_sign_flips_are_enumerated_for_all_rules_together():
    scores = np.random.default_rng(1).normal(0.3, 1, (7, 3))
    flips = np.array(list(itertools.product([1, -1], repeat=7)))
    largest = (flips @ scores / 7).max(axis=1)
    expected = [(largest >= mean - 1e-12).mean() for mean in scores.mean(axis=0)]
    np.testing.assert_allclose(sign_flips(scores, seed=0), expected)


def test_animals_are_exchanged_with_controls_in_every_way():
    rng = np.random.default_rng(2)
    scores, controls = rng.normal(0.5, 1, (5, 2)), rng.normal(0, 1, (4, 2))
    both, largest = np.concatenate([scores, controls]), []
    for chosen in itertools.combinations(range(9), 5):
        mask = np.isin(np.arange(9), chosen)
        largest.append((both[mask].mean(axis=0) - both[~mask].mean(axis=0)).max())
    gaps = scores.mean(axis=0) - controls.mean(axis=0)
    expected = [(np.array(largest) >= gap - 1e-12).mean() for gap in gaps]
    np.testing.assert_allclose(exchanged(scores, controls, seed=0), expected)


@pytest.mark.parametrize("animals", [6, pytest.param(20, marks=pytest.mark.slow)])
def test_p_values_come_up_as_often_as_they_say(animals):
    rng = np.random.default_rng(4)
    below = sum(
        sign_flips(rng.standard_normal((animals, 3)), seed=seed).min() <= 0.1 for seed in range(150)
    )
    assert binomtest(below, 150, 0.1).pvalue > 0.01
