"""compare: how learning rates are chosen, and intervals over seeds."""

import itertools

import numpy as np
import pandas as pd
import pytest

from ratenet.hypotheses.comparison.statistics import (
    best_rates,
    interval,
    paired_interval,
    rule_differences,
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
    (0.01, 0): (0.1, 0.9), (0.01, 1): (0.2, 0.9),
    (0.1, 0): (0.5, 0.3), (0.1, 1): (0.7, 0.6),
    (1.0, 0): (0.9, 0.8), (1.0, 1): (0.2, 0.9),
}  # fmt: skip


def test_the_rate_is_chosen_by_validation_alone():
    (row,) = best_rates(cells(SCORES), 0.95).to_dict("records")
    assert row["learning_rate"] == 0.1  # the best mean on validation, the worst on test samples
    assert row["validation_score"] == pytest.approx(0.6)
    assert row["test_score"] == pytest.approx(0.45)
    assert (row["edge"], row["seeds"], row["failed"]) == ("", 2, 0)
    other = {key: (v, t if key[0] == 0.1 else 5.0) for key, (v, t) in SCORES.items()}
    assert best_rates(cells(other), 0.95).equals(best_rates(cells(SCORES), 0.95))


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
    early = cells({(0.1, 2): (0.0, 0.0)}, status="diverged")
    nothing = cells({(0.1, 0): (np.nan, np.nan)}, rule="b", status="unsupported")
    table = pd.concat([cells(SCORES), early, nothing], ignore_index=True)
    (row,) = best_rates(table, 0.95).to_dict("records")
    assert row["learning_rate"] == 1.0  # 0.1 fell to 0.4 on average
    kept = best_rates(table[table["learning_rate"] == 0.1], 0.95).to_dict("records")[0]
    assert (kept["failed"], kept["seeds"]) == (1, 3)
    assert kept["test_score"] == pytest.approx(0.3)
    assert rule_differences(table, best_rates(table, 0.95), 0.95).empty


def test_two_seeds_have_the_interval_of_their_values():
    """Means of resamples are a, (a + b) / 2 and b with 1/4, 1/2 and 1/4."""
    assert interval(np.array([0.2, 0.6]), 0.95) == pytest.approx((0.2, 0.6))
    assert np.isnan(interval(np.array([0.2]), 0.95)).all()


def test_the_interval_is_that_of_all_resamples():
    values = np.random.default_rng(1).normal(size=6)
    every = [np.mean(drawn) for drawn in itertools.product(values, repeat=6)]
    low, high = interval(values, 0.9)
    np.testing.assert_allclose((low, high), np.quantile(every, [0.05, 0.95]), atol=0.03)
    wider = interval(values, 0.99)
    assert wider[0] < low < high < wider[1]


def test_differences_are_paired_by_seed():
    rng = np.random.default_rng(2)
    of_seed = rng.normal(scale=5.0, size=8)  # seeds differ far more than rules do
    a, b = of_seed + 0.3 + 0.01 * rng.normal(size=8), of_seed
    low, high = paired_interval(a, b, 0.95)
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
        [low, high], abs=2e-3
    )
    same = found.loc[("b", "c") if ("b", "c") in found.index else ("c", "b")]
    assert (same["low"], same["difference"], same["high"]) == (0, 0, 0)
    assert (found["seeds"] == 8).all()
