"""The benchmark of what identify can and cannot say, small."""

import importlib.util
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "benchmarks" / "calibration.py"


@pytest.fixture(scope="module")
def calibration():
    spec = importlib.util.spec_from_file_location("calibration", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_confidence_is_right_at_least_as_often_as_it_says(calibration):
    runs = calibration.of_rules(5)
    assert not runs["wrong"].any()
    assert runs[runs["noise"] == 1]["right"].all()
    bins = calibration.reliability(runs)
    assert bins["experiments"].sum() == len(runs)
    assert (bins["high"] >= bins["confidence"]).all()
    assert len(calibration.figure(bins).axes) == 1


@pytest.mark.parametrize(
    "truth", ["effects of neurons", "decay", "rates 5 % higher", "regression to the mean"]
)
def test_no_rule_is_named_where_none_is(calibration, truth):
    ask = calibration.without_a_rule()[truth]
    assert [ask(calibration.Scene.drawn(seed)).rule for seed in range(3)] == [None] * 3


@pytest.mark.slow
def test_tables_and_figure_are_made_by_one_command(calibration, tmp_path):
    out, figure = tmp_path / "calibration.md", tmp_path / "calibration.png"
    calibration.main(["--experiments", "1", "--out", str(out), "--figure", str(figure)])
    assert figure.stat().st_size > 1000
    text = out.read_text()
    assert text.count("\n## ") == 4
    for truth in calibration.without_a_rule():
        assert f"| {truth} | " in text
