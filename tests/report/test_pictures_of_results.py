"""Results of experiments and training in a notebook: their tables and what .plot() draws."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

import ratenet as rn
from ratenet.errors import InputError, UnknownNameError
from ratenet.hypotheses import Recording
from ratenet.hypotheses.inference.experiments import Design
from ratenet.hypotheses.inference.power import InferencePower
from ratenet.training import TrainingConfig, train


@pytest.fixture(autouse=True)
def _no_windows() -> Iterator[None]:
    mpl.use("Agg")
    yield
    plt.close("all")


def recording(**more: Any) -> Recording:
    """Return 30 times of 4 units, unit 2 unobserved, and weights that follow Hebb's rule."""
    generator = np.random.default_rng(0)
    rates = generator.random((30, 4))
    change = 0.1 * rates[:, :, None] * rates[:, None, :]
    weights = np.concatenate([np.zeros((1, 4, 4)), change[:-1].cumsum(axis=0)])
    rates[:, 2] = np.nan
    return Recording(time=np.arange(30.0), rates=rates, weights=weights, **more)


def plasticity_lag() -> rn.PlasticityLag:
    speeds = torch.tensor([0.01, 0.1, 1.0])
    one = torch.ones(3, 2, 2, 2)
    growing = speeds[:, None, None, None] * one
    return rn.PlasticityLag(
        speeds=speeds, plasticity_speeds=torch.ones(3), change=one + growing, at_fixed_points=one,
        from_rates=0.9 * growing, from_variables=0 * one, from_weights=0 * one,
        rates_lag=torch.ones(3, 2), rates_predicted=torch.ones(3, 2),
        fixed_points=rn.find_fixed_points(rn.Network("rate", [[0.1]]), [[0.1]]),
    )  # fmt: skip


def inference_power() -> InferencePower:
    design = {**asdict(Design()), "animals": 1}
    found = {
        "width": 0.1,
        "reached": 1.0,
        "identifiable": 1.0,
        "value": 1.0,
        "sd": 0.1,
        "failed": 0,
    }
    rows = [
        {**design, "synapses": n, "coefficient": c, **found, "failed": 0}
        for n in (20, 40)
        for c in "ab"
    ]
    return InferencePower(pd.DataFrame(rows), width=0.2, experiments=3)


@pytest.fixture(scope="module")
def inferred() -> Any:
    return rn.hypotheses.infer(recording(), "taylor(1, 1, 0)")


def group() -> Any:
    table = pd.DataFrame(
        {"frequency": [0.7, 0.3], "low": [0.4, 0.1], "high": [0.9, 0.6], "exceedance": [0.9, 0.1],
         "protected": [0.8, 0.2], "alignment": [0.9, 0.1], "p_value": [0.01, 0.5]},
        index=["hebb", "none"],
    )  # fmt: skip
    animals = pd.DataFrame({"sessions": [1, 1], "controls": [0, 0], "rule": ["hebb", None]})
    evidence = pd.DataFrame({"hebb": [3.0, 1.0], "none": [0.0, 0.0]}, index=["m1", "m2"])
    return rn.hypotheses.GroupIdentification(
        kind="weights", rule=None, best="hebb", confidence=0.8, frequencies=table, animals=animals,
        evidence=evidence, measured=10, unsettled=0, misfits=None, fits=None, level=0.05,
        smallest=0.25,
    )  # fmt: skip


def test_a_recording_is_drawn_as_it_was_observed() -> None:
    seen = recording(rate_unit="Hz", names=["a", "b", "c", "d"])
    axes = seen.plot()
    assert axes.get_ylabel() == "rate (Hz)"
    assert axes.get_legend_handles_labels()[1] == ["unit a", "unit b", "unit d"]
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), seen.rates[:, 1])
    weights = seen.plot(what="weights", units=2)
    assert weights.get_legend_handles_labels()[1] == [f"unit c from {pre}" for pre in "abcd"]
    np.testing.assert_array_equal(weights.lines[3].get_ydata(), seen.weights[:, 2, 3])
    shown = seen._repr_html_()
    assert shown.startswith("<table><caption>Recording: 30 times")
    assert "75 % observed" in shown


def test_single_observations_of_a_recording_are_dots() -> None:
    rates = np.full((5, 1), np.nan)
    rates[[1, 3]] = 1.0
    (line,) = Recording(time=np.arange(5.0), rates=rates).plot().lines
    assert line.get_marker() == "o"
    empty = Recording(time=np.arange(5.0), rates=np.full((5, 2), np.nan)).plot()
    assert not empty.lines
    assert recording().plot().lines[0].get_marker() == ""


def test_what_was_not_recorded_is_not_drawn() -> None:
    with pytest.raises(UnknownNameError, match=r"'drive'; available: rates, weights"):
        recording().plot(what="drive")
    with pytest.raises(InputError, match="units: expected some of the numbers 0 to 3"):
        recording().plot(units=[4])


def test_coefficients_are_drawn_with_their_intervals(inferred: Any) -> None:
    axes = inferred.plot()
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels == list(inferred.estimates["name"])
    shown = inferred._repr_html_()
    assert shown.startswith("<table><caption>taylor(1, 1, 0)")
    assert "y_pre" in shown.replace("&nbsp;", " ")


def test_differences_are_drawn_against_speed() -> None:
    axes = plasticity_lag().plot()
    np.testing.assert_allclose(axes.lines[0].get_xdata(), [0.01, 0.1, 1.0], rtol=1e-6)
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [1, 10, 100], rtol=1e-5)
    np.testing.assert_allclose(axes.lines[2].get_ydata(), [0.1, 1, 10], rtol=1e-4)


def test_widths_are_drawn_for_each_coefficient() -> None:
    axes = inference_power().plot()
    assert axes.get_legend_handles_labels()[1] == ["a", "b", "wanted, 0.2"]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["20", "40"]
    assert "<table" in inference_power()._repr_html_()


def test_frequencies_of_rules_are_drawn_beside_the_animals() -> None:
    left, right = group().plot()
    assert left.has_data()
    assert right.has_data()
    assert "hebb" in group()._repr_html_()


@pytest.mark.parametrize("make", [recording, plasticity_lag, inference_power])
def test_results_draw_on_given_axes(make: Any) -> None:
    _, (axes, other) = plt.subplots(1, 2)
    assert make().plot(axes) is axes
    assert axes.has_data()
    assert not other.has_data()
    with pytest.raises(InputError, match="ax: expected matplotlib axes"):
        make().plot("here")


def test_a_training_result_shows_itself_as_its_run_folder_does(few_digits: Any, tmp_path) -> None:
    config = TrainingConfig(epochs=1, units=12, batch_size=50, presentation="static")
    result = train(config, out=tmp_path / "run")
    run = rn.load_run(tmp_path / "run")
    assert repr(result).removeprefix("Training") == repr(run).replace("LoadedRun", "Result")
    assert (
        result._repr_html_().partition("</caption>")[2]
        == run._repr_html_().partition("</caption>")[2]
    )
    own, same = result.plot(), run.plot()
    assert len(own) == 4
    assert all(isinstance(axes, Axes) for axes in own)
    for one, other in zip(own, same, strict=True):
        for line, twin in zip(one.lines, other.lines, strict=True):
            np.testing.assert_array_equal(line.get_ydata(), twin.get_ydata())
