"""The limits and exponents that benchmarks/depth.py reports, of accuracies that are made up."""

import importlib
import math
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

SPEEDS = (0.01, 0.03, 0.1, 0.3, 1.0)


@pytest.fixture
def tables(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    return importlib.import_module("depth_tables")


def accuracies(limit: float, depth: int, seed: int) -> list[dict]:
    """Return accuracies that fall with log(tau / T), through 95 % of 0.8 at the limit."""
    same = {"rule": "rule 3", "depth": depth, "feedback": "none", "seed": seed}
    rest = {**same, "way": "fixed points", "speed": 0.0, "accuracy": 0.8}
    return [rest] + [
        {**same, "way": "moving", "speed": speed,
         "accuracy": 0.8 * (0.95 - 0.1 * math.log10(speed / limit))}
        for speed in SPEEDS
    ]  # fmt: skip


def test_the_speed_that_is_tolerated_is_interpolated(tables: ModuleType) -> None:
    found = tables.limits(pd.DataFrame(accuracies(0.05, depth=1, seed=0)), tables.CASE)
    assert found["tau / T"].tolist() == [pytest.approx(0.05)]
    assert found["beyond"].tolist() == [""]


@pytest.mark.parametrize(("limit", "text"), [(0.001, "< 0.01"), (20.0, "> 1")])
def test_a_limit_beyond_the_speeds_is_marked(tables: ModuleType, limit: float, text: str) -> None:
    found = tables.limits(pd.DataFrame(accuracies(limit, depth=1, seed=0)), tables.CASE)
    assert tables.limit_text(found) == text


def test_the_exponent_of_depth_is_fitted_by_seed(tables: ModuleType) -> None:
    rows = [
        row
        for seed, scale in enumerate((0.2, 0.25, 0.3))
        for depth in (1, 2, 3, 5)
        for row in accuracies(scale / depth, depth, seed)
    ]
    found = tables.limits(pd.DataFrame(rows), tables.CASE)
    assert tables.exponent(found, "tau / T") == "-1.00 (n = 3)"
    assert tables.limit_text(found[found["depth"] == 5]).startswith("0.049 (")


def test_accuracies_at_rest_count_once_for_each_seed(tables: ModuleType) -> None:
    rows = pd.DataFrame([
        {**row, "accuracy": row["accuracy"] + 0.01 * seed}
        for seed in range(3)
        for row in accuracies(0.05, 1, seed)
    ])  # fmt: skip
    moved = tables.with_rest(rows, tables.CASE)
    told = tables.by_speed(moved, ["rule", "way", "depth"], "share", "{:.0f}")
    # 0.80, 0.81, 0.82: Student's t of 2 degrees of freedom times 0.01 / sqrt(3)
    assert "| 0.810 (0.785 to 0.835) |" in told[-1]
