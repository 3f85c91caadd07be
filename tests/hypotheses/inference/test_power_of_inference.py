"""Power of infer: simulated experiments, kept and resumed, and how narrow intervals become."""

import importlib

import numpy as np
import pandas as pd
import pytest

from ratenet.equations import load_plasticity
from ratenet.errors import InputError, RunFolderError, UnknownNameError
from ratenet.hypotheses import InferencePower, power_of_inference
from ratenet.hypotheses.inference.experiments import Design, simulated
from ratenet.report.inference_power import width_figure

power = importlib.import_module("ratenet.hypotheses.inference.power")


def estimates(cell, data_root, own=None):
    """Return what an experiment would: intervals as wide as 1 over the minutes."""
    half = 0.5 / cell["design"]["minutes"]
    names = ("1", "y_post", "y_pre", "y_post*y_pre")
    rows = [{"name": name, "value": 1.0, "low": 1 - half, "high": 1 + half, "identifiable": True}
            for name in names]  # fmt: skip
    return {"failed": "", "estimates": rows}


def test_a_simulated_network_learns_by_the_rule_and_is_seen_in_part():
    spec = load_plasticity("oja(eta=0.05*Hz)")
    design = Design(
        units=6, recorded=4, synapses=10, sightings=3, minutes=0.5, noise=0.0, animals=2
    )
    first, second = simulated(design, spec, "rate", np.random.default_rng(0))
    assert (first.animal, second.animal) == ("1", "2")
    assert first.weights.shape == (31, 6, 6)
    assert np.sum(~np.isnan(first.weights)) == 3 * 10
    assert np.sum(~np.isnan(first.rates).all(axis=0)) == 4
    whole = Design(units=6, recorded=6, synapses=36, sightings=31, minutes=0.5, noise=0.0)
    (found,) = simulated(whole, spec, "rate", np.random.default_rng(0))
    y, w = found.rates[0], found.weights[0]
    change = 0.05 * (np.outer(y, y) - y[:, None] ** 2 * w)
    np.testing.assert_allclose(found.weights[1] - w, change, atol=1e-12)


def test_the_design_that_suffices_is_named(monkeypatch):
    monkeypatch.setattr(power, "run_experiment", estimates)
    found = power_of_inference("oja", "taylor(1, 1, 0)", width=0.5, minutes=[1, 2, 4])
    assert found.designs["reached"].tolist() == [0, 1, 1]
    np.testing.assert_allclose(found.designs["width"], [1, 0.5, 0.25])
    assert found.summary().endswith("minutes 2.0.")
    nothing = power_of_inference("oja", "taylor(1, 1, 0)", width=0.1, minutes=1)
    assert nothing.summary().startswith("No design gives intervals of at most 0.1")
    assert len(width_figure(found.table, 0.5).axes) == 1


def test_finished_experiments_are_not_run_again(monkeypatch, tmp_path):
    ran = []

    def counted(cell, data_root, own=None):
        ran.append(cell["experiment"])
        if len(ran) == 3:
            raise KeyboardInterrupt
        return estimates(cell, data_root)

    monkeypatch.setattr(power, "run_experiment", counted)
    call = {"width": 0.5, "experiments": 4, "out": tmp_path / "p"}
    with pytest.raises(KeyboardInterrupt, match="Interrupted after 2 of 4 cells"):
        power_of_inference("oja", "taylor(1, 1, 0)", **call)
    power_of_inference("oja", "taylor(1, 1, 0)", **call)
    assert ran == [0, 1, 2, 2, 3]
    with pytest.raises(RunFolderError, match="holds other results"):
        power_of_inference("oja", "taylor(1, 1, 0)", **call, units=7)
    power_of_inference("oja", "taylor(1, 1, 0)", **call, units=7, overwrite=True)
    assert len(ran) == 9


@pytest.mark.parametrize(
    ("given", "kind", "sentence"),
    [
        ({"width": 0}, InputError, "width: expected a finite number above 0"),
        ({"units": 0}, InputError, "units: expected a whole number"),
        ({"minutes": []}, InputError, "minutes: expected one value or several"),
        ({"minutes": "x"}, InputError, "minutes: expected"),
        ({"shown": "dim"}, InputError, "shown: expected one of dense, sparse, single"),
        ({"sightings": 1}, InputError, "sightings: expected a whole number of at least 2"),
        ({"weather": 1}, InputError, "design: expected one of units"),
        ({"rule": "ojja"}, UnknownNameError, "did you mean 'oja'"),
        ({"family": "taylor(1)"}, InputError, "taylor"),
        ({"experiments": 0}, InputError, "experiments: expected a whole number"),
        ({"seed": -1}, InputError, "seed: expected"),
        ({"noise": -1}, InputError, "noise: expected"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(given, kind, sentence):
    call = {"rule": "oja", "family": "taylor(1, 1, 0)", "width": 0.1, **given}
    with pytest.raises(kind, match=sentence) as error:
        power_of_inference(call.pop("rule"), call.pop("family"), **call)
    assert "\n" not in str(error.value)


def test_what_failed_is_counted():
    cells = [{"design": {"units": 3}, "experiment": n} for n in range(2)]
    row = {"name": "w", "value": 1.0, "low": 0.0, "high": 1.0, "identifiable": False}
    found = [{"failed": "", "estimates": [row]}, {"failed": "infinite", "estimates": []}]
    table = power._table(cells, found, ["w"], 2.0)
    assert table.loc[0, ["failed", "reached", "width"]].tolist() == [0.5, 0.5, 1.0]
    assert isinstance(InferencePower(table, 2.0, 2).table, pd.DataFrame)


@pytest.mark.slow
def test_longer_recordings_give_narrower_intervals():
    found = power_of_inference(
        "oja", "taylor(1, 1, 0)", width=0.1, units=8, minutes=[0.5, 4], experiments=2
    )
    short, long = found.designs["width"]
    assert long < short
