"""How benchmarks/layers_runs.py chooses rates, and what the tables beside it say of runs."""

import importlib
import math
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest


@pytest.fixture
def runs(monkeypatch, tmp_path) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    module = importlib.import_module("layers_runs")
    monkeypatch.setattr(module, "RUNS", tmp_path / "runs.csv")
    return module


@pytest.fixture
def accuracy(monkeypatch, runs) -> ModuleType:
    module = importlib.import_module("layers_accuracy")
    row = runs.Row("feedback", "mnist", "two layers", 0.98, 6, (1e-4, 3e-4))
    monkeypatch.setattr(module, "ROWS", (row,))
    return module


def learn_best_at(runs: ModuleType, monkeypatch, peak: float, lost_from: float = math.inf) -> list:
    """Let runs have accuracies that fall by 0.01 a decade away from the peak; return the runs.

    From the rate `lost_from` on, runs in full lose a thousandth of their samples with seed 1.
    """
    made = []

    def run(self, row, key) -> dict:
        made.append(key)
        off = abs(math.log10(key.rate / peak)) if key.rate else 2.0
        score = 0.99 - 0.01 * off - 0.002 * key.seed
        lost = 330 if key.epochs == 6 and key.seed == 1 and key.rate >= lost_from else 0
        return {
            "status": "done", "test_accuracy": score, "best_validation_accuracy": score,
            "unsettled_samples": lost, "unsettled_share": lost / 330_000, "weight_abscissa": 0.5,
            "weight_norm": 1.0, "seconds": 60.0, "iterations": 5.0, "abscissa": -50.0,
        }  # fmt: skip

    monkeypatch.setattr(runs.Runs, "_made", run)
    return made


@pytest.mark.parametrize(("peak", "tried"), [(3e-3, 1e-2), (1e-5, 3e-6)])
def test_a_sweep_goes_on_until_the_best_rate_is_inside(
    accuracy: ModuleType, runs: ModuleType, monkeypatch, tmp_path, peak: float, tried: float
) -> None:
    made = learn_best_at(runs, monkeypatch, peak)
    means = runs.Runs(tmp_path, tmp_path).swept(accuracy.ROWS[0], "euclidean")
    assert runs.best_of(means) == peak
    assert tried in {float(means.index[0]), float(means.index[-1])}
    assert {run.seed for run in made} == set(runs.SWEEP_SEEDS)
    assert {run.epochs for run in made} == {2}


def test_a_run_is_made_once_and_differences_are_paired(
    accuracy: ModuleType, runs: ModuleType, monkeypatch, tmp_path
) -> None:
    made = learn_best_at(runs, monkeypatch, 2e-4)
    runs.Runs(tmp_path, tmp_path).in_full(accuracy.ROWS[0], "euclidean", [0, 1, 2])
    assert accuracy.table().empty  # the other rules are missing
    for _ in range(2):
        for rule in (*accuracy.RULES, accuracy.CONTROL):
            runs.Runs(tmp_path, tmp_path).in_full(accuracy.ROWS[0], rule, [0, 1, 2])
    assert len(made) == len(set(made))
    rows = accuracy.table().set_index("rule")
    control = rows.loc[accuracy.NAMES[accuracy.CONTROL]]
    # Seeds differ by 0.002, which pairing takes away; 3e-4 lies 0.176 decades from the peak.
    first = rows.loc[accuracy.NAMES["euclidean"]]
    assert first["less control, W frozen"] == "+0.0182"
    assert control["less rule 1, Euclidean"] == "-0.0182"
    assert control["rate"] == "-" and first["rate"] == "0.0003"
    assert first["seeds"] == "3" and "(" in first["test accuracy"]
    assert list(accuracy.sweeps()["edge"]) == ["-"] * 3
    assert accuracy.others().empty
    keys = [runs.Run(accuracy.ROWS[0].name, "euclidean", 1e-3, seed, 6) for seed in range(3)]
    runs.Runs(tmp_path, tmp_path).of(accuracy.ROWS[0], keys)
    (other,) = accuracy.others().to_dict("records")
    assert (other["rule"], other["rate"], other["seeds"]) == (first.name, "0.001", 3)
    less = float(other["less control, W frozen"])
    assert less < 0.0182 and float(other["less rule 1, Euclidean"]) == pytest.approx(less - 0.0182)


def test_a_rate_is_given_up_where_a_run_in_full_loses_its_fixed_points(
    accuracy: ModuleType, runs: ModuleType, monkeypatch, tmp_path
) -> None:
    made = learn_best_at(runs, monkeypatch, 1e-4, lost_from=1e-4)
    for rule in (*accuracy.RULES, accuracy.CONTROL):
        runs.Runs(tmp_path, tmp_path).in_full(accuracy.ROWS[0], rule, [0, 1, 2])
    full = [(run.rate, run.seed) for run in made if run.epochs == 6 and run.rule == "euclidean"]
    assert full == [(1e-4, 0), (1e-4, 1), (3e-5, 0), (3e-5, 1), (3e-5, 2)]
    assert any(run.rate == 1e-5 for run in made)  # 3e-5 is to lie inside, too
    assert {run.unsettled for run in made} == {"leave-out"}  # kept only at a rate that is shown
    assert accuracy.table().set_index("rule").loc[accuracy.NAMES["euclidean"], "rate"] == "3e-05"
    sweep = accuracy.sweeps().iloc[0]
    assert sweep.iloc[-1].count("(given up)") == 2 and sweep["edge"] == "stability"
    lost = accuracy.lost()
    assert list(lost["rate"]) == ["0.0001"] * 6 and list(lost["seed"]) == [0, 1] * 3
    assert list(lost["unsettled share"]) == ["0.000000", "0.001000"] * 3


def test_samples_are_kept_where_few_were_lost(
    accuracy: ModuleType, runs: ModuleType, monkeypatch, tmp_path
) -> None:
    made = learn_best_at(runs, monkeypatch, 1e-4, lost_from=0)
    monkeypatch.setattr(runs, "ONE_IN", 500)
    runs.Runs(tmp_path, tmp_path).in_full(accuracy.ROWS[0], "euclidean", [0, 1, 2])
    kept = [(run.rate, run.seed) for run in made if run.unsettled == "include"]
    assert kept == [(1e-4, 1)]


def test_slow_runs_are_compared_with_static_ones_of_their_seeds(
    runs: ModuleType, monkeypatch, tmp_path
) -> None:
    slow = importlib.import_module("slow_full_mnist")
    monkeypatch.setattr(slow, "RUNS", tmp_path / "slow.csv")
    network, rule = slow.NETWORKS[0], "euclidean"
    assert slow.row(network, rule)["accuracy"] == "not finished"
    made = {"unsettled_share": 0.25, "seconds": 120.0, "processor_seconds": math.nan,
            "slow_accuracy": 0.5, "ended": "as planned", "made": "2026-11-30"}  # fmt: skip
    found = [
        {**slow.key_of(network, rule, seed), "accuracy": 0.9 + 0.01 * seed, **made}
        for seed in range(3)
    ]
    pd.DataFrame(found).to_csv(slow.RUNS, index=False)
    static = [
        {**vars(network.static_run(rule, seed)), "test_accuracy": 0.91 + 0.01 * seed}
        for seed in (3, 2, 1, 0)
    ]
    pd.DataFrame(static).to_csv(runs.RUNS, index=False)
    row = slow.row(network, rule)
    assert (row["seeds"], row["difference"]) == ("3", "-0.0100")
    assert row["accuracy"].startswith("0.9100 (") and row["static accuracy"].startswith("0.9200 (")
    assert (row["settled (%)"], row["minutes"]) == ("75.00", "2")
