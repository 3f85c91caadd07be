"""What tables of benchmarks make of runs: barrier.py and full_mnist.py on embedded digits."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest


@pytest.fixture(params=["barrier", "full_mnist"])
def benchmark_script(request, monkeypatch, tmp_path) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    module = importlib.import_module(request.param)
    monkeypatch.setattr(module, "DATA", "mnist-5k")
    monkeypatch.setattr(module, "RESULTS", tmp_path / "table.md")
    if request.param == "barrier":
        monkeypatch.setattr(module, "FIGURE", tmp_path / "figure.png")
    else:
        monkeypatch.setattr(module, "CELLS", module.CELLS[-2:])
    return module


def test_each_run_has_a_row_with_all_its_columns(
    benchmark_script: ModuleType, monkeypatch, tmp_path
) -> None:
    out = "runs" if benchmark_script.__name__ == "barrier" else "rows.csv"
    options = ["--data-root", str(tmp_path), "--out", str(tmp_path / out)]
    monkeypatch.setattr(sys, "argv", ["", *options, "--seeds", "1", "--epochs", "1"])
    benchmark_script.main()
    lines = (tmp_path / "table.md").read_text().splitlines()
    head, _, *rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]
    assert {*benchmark_script.MEANS, *benchmark_script.LARGEST} <= set(head)
    assert len(rows) == (4 if benchmark_script.__name__ == "barrier" else 2)
    for row in rows:
        found = dict(zip(head, row, strict=True))
        assert found["seeds"] == "1"
        assert "nan" not in "".join(row)
        accuracy = found.get("accuracy") or found["test accuracy"]
        assert 0 < float(accuracy) < 1


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([1.0, 2.0, 3.0], "2.00 (-0.48 to 4.48)"),  # 2 -+ 4.303 / sqrt(3)
        ([1.0, 2.0], "1.50 (1.00 to 2.00)"),
        ([1.0, 2.0, None], "1.50 (1.00 to 2.00), 1 missing"),
        ([None, None], "-"),
    ],
)
def test_a_mean_has_its_interval_and_says_what_is_missing(
    monkeypatch, values: list, text: str
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    tolerated = importlib.import_module("tolerated")
    assert tolerated.interval(pd.Series(values, dtype=float), "{:.2f}") == text
