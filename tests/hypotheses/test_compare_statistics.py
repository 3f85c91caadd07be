"""compare: how learning rates are chosen, and intervals over seeds."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ratenet.hypotheses.comparison_statistics import (
    best_rates,
    choosing_seeds,
    holm,
    judged,
    least_p,
    mean_interval,
    paired_interval,
    rule_differences,
    sign_flip_p,
)


def cells(scores, rule="a", task="t", status="done"):
    """Return a table from (learning rate, seed) -> (validation score, test score)."""
    rows = [
        {"task": task, "rule": rule, "learning_rate": rate, "seed": seed, "status": status,
         "validation_score": validation, "test_score": test, "test_score_before": 0.1}
        for (rate, seed), (validation, test) in scores.items()
    ]  # fmt: skip
    return pd.DataFrame(rows)


SCORES = {
    (0.01, 0): (0.1, 0.9), (0.01, 1): (0.2, 0.9), (0.01, 2): (0.2, 0.9),
    (0.1, 0): (0.5, 0.3), (0.1, 1): (0.1, 0.6), (0.1, 2): (0.1, 0.7),
    (1.0, 0): (0.4, 0.8), (1.0, 1): (0.9, 0.9), (1.0, 2): (0.9, 0.9),
}  # fmt: skip


def test_the_rate_is_chosen_by_validation_of_the_first_third_and_judged_on_the_others():
    (row,) = best_rates(cells(SCORES), 0.95).to_dict("records")
    assert row["learning_rate"] == 0.1  # seed 0 prefers it on validation samples
    assert row["validation_score"] == 0.5
    assert (row["test_score"], row["seeds"]) == (pytest.approx(0.65), 2)  # seeds 1 and 2
    assert (row["edge"], row["failed"]) == ("", 0)
    other = {key: (v, t if key[0] == 0.1 else 5.0) for key, (v, t) in SCORES.items()}
    assert best_rates(cells(other), 0.95).equals(best_rates(cells(SCORES), 0.95))
    assert choosing_seeds(cells(SCORES)) == [0]
    found = judged(cells(SCORES), best_rates(cells(SCORES), 0.95))
    assert found["seed"].tolist() == [1, 2]
    assert set(found["learning_rate"]) == {0.1}


def test_one_rate_is_judged_by_every_seed_and_one_seed_by_itself():
    only = {key: scores for key, scores in SCORES.items() if key[0] == 0.1}
    (row,) = best_rates(cells(only), 0.95).to_dict("records")
    assert (row["seeds"], row["edge"]) == (3, "only")
    assert row["test_score"] == pytest.approx((0.3 + 0.6 + 0.7) / 3)
    single = {key: scores for key, scores in SCORES.items() if key[1] == 0}
    (row,) = best_rates(cells(single), 0.95).to_dict("records")
    assert (row["seeds"], row["learning_rate"], row["test_score"]) == (1, 0.1, 0.3)
    assert np.isnan([row["low"], row["high"]]).all()


@pytest.mark.parametrize(
    ("rates", "edge"),
    [([0.1, 0.01], "highest"), ([0.1, 1.0], "lowest"), ([0.1], "only"), ([0.01, 0.1, 1.0], "")],
)
def test_a_best_rate_at_the_edge_of_the_sweep_is_told(rates, edge):
    swept = {key: scores for key, scores in SCORES.items() if key[0] in rates}
    assert best_rates(cells(swept), 0.95)["edge"].tolist() == [edge]


def test_each_task_and_rule_has_a_rate_of_its_own_and_equal_ones_the_lowest():
    table = pd.concat([
        cells(SCORES),
        cells({(0.01, 0): (0.5, 0.0), (0.1, 0): (0.5, 1.0)}, rule="b"),
        cells({(0.01, 0): (0.0, 0.0), (0.1, 0): (0.2, 1.0)}, task="u"),
    ])  # fmt: skip
    found = best_rates(table, 0.95).set_index(["task", "rule"])["learning_rate"]
    assert found.to_dict() == {("t", "a"): 0.1, ("t", "b"): 0.01, ("u", "a"): 0.1}


def test_cells_that_ended_early_count_and_rules_without_scores_have_no_row():
    early = cells({(0.1, 3): (0.0, 0.0)}, status="diverged")
    nothing = cells({(0.1, 0): (np.nan, np.nan)}, rule="b", status="unsupported")
    table = pd.concat([cells(SCORES), early, nothing], ignore_index=True)
    (row,) = best_rates(table, 0.95).to_dict("records")
    assert (row["failed"], row["seeds"]) == (1, 3)
    assert row["test_score"] == pytest.approx((0.6 + 0.7 + 0.0) / 3)
    assert rule_differences(table, best_rates(table, 0.95), 0.95).empty


def test_a_task_without_scores_of_its_first_seeds_is_chosen_by_later_ones():
    lost = {key: (np.nan, np.nan) if key[1] == 0 else scores for key, scores in SCORES.items()}
    (row,) = best_rates(cells(lost), 0.95).to_dict("records")
    assert (row["learning_rate"], row["test_score"], row["seeds"]) == (1.0, 0.9, 1)


def test_students_interval_is_that_of_its_formula():
    values = np.random.default_rng(1).normal(size=6)
    reach = stats.t.ppf(0.95, 5) * values.std(ddof=1) / math.sqrt(6)
    expected = (values.mean() - reach, values.mean() + reach)
    assert mean_interval(values, 0.9) == pytest.approx(expected)
    assert np.isnan(mean_interval(np.array([0.2]), 0.95)).all()
    assert np.isnan(mean_interval(np.array([0.2, math.nan]), 0.95)).all()
    assert mean_interval(np.full(4, 0.3), 0.95) == (0.3, 0.3)


def test_the_bootstrap_is_between_the_values_and_repeats():
    values = np.random.default_rng(2).exponential(size=30)
    low, high = mean_interval(values, 0.95, "bca")
    assert values.min() < low < values.mean() < high < values.max()
    assert values.mean() - low < high - values.mean()  # it follows the skew
    assert mean_interval(values, 0.95, "bca") == (low, high)
    assert np.isfinite(mean_interval(np.array([0.1, 0.2]), 0.95, "bca")).all()


@pytest.mark.parametrize("n", [5, 10])
@pytest.mark.parametrize("kind", ["normal", "t3"])
def test_intervals_cover_what_they_state(n, kind):
    rng = np.random.default_rng(n)
    draws = rng.normal(size=(2000, n)) if kind == "normal" else rng.standard_t(3, size=(2000, n))
    found = np.array([mean_interval(draw, 0.95) for draw in draws])
    covered = ((found[:, 0] <= 0) & (found[:, 1] >= 0)).mean()
    assert abs(covered - 0.95) < 0.03


def test_every_change_of_sign_is_made():
    d = np.array([0.5, -0.1, 0.3, 0.2, 0.4])
    every = [np.mean(signs * d) for signs in itertools.product([1, -1], repeat=5)]
    assert sign_flip_p(d) == np.mean(np.abs(every) >= d.mean() - 1e-12)
    assert sign_flip_p(np.arange(1.0, 7.0)) == least_p(6) == 2 / 64
    assert sign_flip_p(np.zeros(5)) == 1
    assert sign_flip_p(np.arange(1.0, 31.0)) == least_p(30) == 2 / 10_000
    assert np.isnan([sign_flip_p(d[:1]), least_p(1), sign_flip_p(d * np.nan)]).all()


def test_holm_adjusts_step_by_step():
    adjusted = holm([0.04, 0.001, math.nan, 0.03, 0.9])
    np.testing.assert_allclose(adjusted, [0.09, 0.004, math.nan, 0.09, 0.9])
    assert holm([]).tolist() == []


def test_a_chosen_rate_does_not_flatter_the_more_variable_rule():
    """Nine rates of two rules, all equally good: neither wins more often than stated."""
    rng, wins = np.random.default_rng(3), []
    for _ in range(150):
        rows = []
        for rule, spread in (("a", 1.0), ("b", 0.3)):
            true = spread * rng.normal(size=(9, 6))
            seen = true + 0.1 * rng.normal(size=(2, 9, 6))
            scores = {
                (10.0**k, seed): (seen[0, k, seed], seen[1, k, seed])
                for k, seed in itertools.product(range(9), range(6))
            }
            rows.append(cells(scores, rule=rule))
        table = pd.concat(rows)
        row = rule_differences(table, best_rates(table, 0.95), 0.95).iloc[0]
        wins.append(row["low"] > 0)
    assert np.mean(wins) <= 0.06


def test_among_five_equal_rules_some_pair_differs_at_most_as_often_as_stated():
    rng, some = np.random.default_rng(4), []
    for _ in range(60):
        table = pd.concat([
            cells({(1.0, seed): (0.0, rng.normal()) for seed in range(6)}, rule=rule)
            for rule in "abcde"
        ])  # fmt: skip
        found = rule_differences(table, best_rates(table, 0.95), 0.95)
        some.append([((found.low > 0) | (found.high < 0)).any(), (found.p_holm <= 0.05).any()])
        assert len(found) == 10
        assert (found.p_holm >= found.p).all()
    assert (np.mean(some, axis=0) <= 0.1).all()


def test_differences_are_paired_by_seed():
    rng = np.random.default_rng(2)
    of_seed = rng.normal(scale=5.0, size=8)  # seeds differ far more than rules do
    a, b = of_seed + 0.3 + 0.01 * rng.normal(size=8), of_seed
    low, high = paired_interval(a, b, 1 - 0.05 / 3)
    assert 0.28 < low < high < 0.32
    table = pd.concat([
        cells({(0.1, seed): (1.0, score) for seed, score in enumerate(scores)}, rule=rule)
        for rule, scores in (("a", a), ("b", b), ("c", b))
    ])  # fmt: skip
    table = table.sample(frac=1, random_state=0)  # the order of the rows is no matter
    found = rule_differences(table, best_rates(table, 0.95), 0.95).set_index(["rule", "other"])
    assert len(found) == 3
    key = ("a", "b") if ("a", "b") in found.index else ("b", "a")
    sign = 1 if key == ("a", "b") else -1
    assert sign * found.loc[key, "difference"] == pytest.approx((a - b).mean())
    assert sorted([sign * found.loc[key, "low"], sign * found.loc[key, "high"]]) == pytest.approx(
        [low, high]
    )
    assert found.loc[key, "p"] == found.loc[key, "p_least"] == 2 / 256
    assert found.loc[key, "p_holm"] == 6 / 256
    same = found.loc[("b", "c") if ("b", "c") in found.index else ("c", "b")]
    assert (same["low"], same["difference"], same["high"], same["p"]) == (0, 0, 0, 1)
    assert (found["seeds"] == 8).all()


def test_a_rate_without_a_score_for_some_choosing_seed_is_not_chosen():
    scores = {(rate, seed): (rate, rate) for rate in (0.1, 1.0) for seed in range(6)}
    scores[1.0, 0] = (np.nan, 1.0)
    (row,) = best_rates(cells(scores), 0.95).to_dict("records")
    assert row["learning_rate"] == 0.1


def test_seeds_without_a_test_score_are_not_counted():
    scores = {(0.1, seed): (0.0, float(seed) if seed < 4 else np.nan) for seed in range(6)}
    (row,) = best_rates(cells(scores), 0.95).to_dict("records")
    assert (row["seeds"], row["test_score"]) == (4, 1.5)
    assert (row["low"], row["high"]) == pytest.approx(mean_interval(np.arange(4.0), 0.95))


def test_rules_with_other_seeds_are_compared_at_those_that_both_have():
    of_a = {(rate, seed): (rate, 2.0) for rate in (0.1, 1.0) for seed in range(6)}
    of_b = {(rate, seed + 3): (rate, 0.0) for rate in (0.1, 1.0) for seed in range(6)}
    table = pd.concat([cells(of_a), cells(of_b, rule="b")])
    (row,) = rule_differences(table, best_rates(table, 0.95), 0.95).to_dict("records")
    assert (row["difference"], row["seeds"]) == (2.0, 2)  # seed 3 chooses, 4 and 5 judge


def test_rounding_is_no_difference():
    table = pd.concat([
        cells({(0.1, seed): (0.0, score) for seed in range(8)}, rule=rule)
        for rule, score in (("a", 0.1 + 0.2), ("b", 0.3))
    ])  # fmt: skip
    (row,) = rule_differences(table, best_rates(table, 0.95), 0.95).to_dict("records")
    assert (row["difference"], row["low"], row["high"], row["p"]) == (0, 0, 0, 1)
