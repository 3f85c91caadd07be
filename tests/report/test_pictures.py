"""Objects in a notebook: their tables, and the pictures that .plot() draws."""

from collections.abc import Callable, Iterator
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

import ratenet as rn
from ratenet.errors import InputError, UnsupportedError
from ratenet.notebook import Html, frame, table

FLOAT = torch.float64


@pytest.fixture(autouse=True)
def _no_windows() -> Iterator[None]:
    mpl.use("Agg")
    yield
    plt.close("all")


def network(units: int = 4) -> rn.Network:
    generator = torch.Generator().manual_seed(1)
    W = torch.randn(units, units, dtype=FLOAT, generator=generator) / units**0.5
    return rn.Network("rate", 0.5 * W)


def drives(samples: int, units: int = 4) -> torch.Tensor:
    return torch.randn(samples, units, dtype=FLOAT, generator=torch.Generator().manual_seed(2))


def trajectory(samples: int = 2) -> rn.Trajectory:
    return rn.simulate(network(), drives(samples), duration=0.05, dt=0.001)


def excitation_and_inhibition() -> rn.Trajectory:
    circuit = rn.circuits.inhibition_stabilized()
    return rn.simulate(circuit.network, circuit.drive, 50 * circuit.dt, circuit.dt)


def fixed_points(samples: int = 2) -> rn.FixedPoints:
    return rn.find_fixed_points(network(), drives(samples))


def branch() -> rn.Branch:
    one = rn.Network("rate", [[1.0]])
    return rn.continue_fixed_points(one, [0.1], rn.WeightScale(), start=0.5, stop=2.0)


def sweep() -> rn.Sweep:
    one = rn.Network("rate", [[2.0]])
    return rn.sweep_fixed_points(one, [1.0], rn.DriveScale(), [-0.8, 0.0, 0.8])


def found(units: int = 2) -> rn.FixedPointSet:
    W = -2.0 * (1 - torch.eye(units, dtype=FLOAT))
    return rn.find_all_fixed_points(rn.Network("rate", W), [0.0] * units, starts=10)


def quasi_static() -> rn.QuasiStatic:
    class Ramp(rn.Drive):
        def at(self, t: float) -> torch.Tensor:
            return drives(2) * (1 + t)

    run = rn.simulate(network(), Ramp(), duration=0.05, dt=0.001, record_every=10)
    return rn.measure_lag(run, Ramp())


def lag() -> rn.Lag:
    return rn.predict_lag(fixed_points(), 0.1 * drives(2))


def certificate() -> rn.JointCertificate:
    return rn.certify_state(network(), drives(2), torch.zeros(2, 4, dtype=FLOAT))


DRAWN: dict[str, Callable[[], Any]] = {
    "model": lambda: rn.load_model("adaptation"),
    "model of populations": lambda: rn.load_model("wilson_cowan"),
    "plasticity": lambda: rn.load_plasticity("bcm"),
    "plasticity with a signal": lambda: rn.load_plasticity("three_factor"),
    "network": network,
    "circuit with a coordinate": lambda: rn.circuits.ring_attractor(),
    "circuit without": lambda: rn.circuits.wilson_cowan_oscillating(),
    "trajectory": lambda: trajectory(1),
    "fixed points": fixed_points,
    "many fixed points": lambda: fixed_points(9),
    "set of two units": found,
    "set of three units": lambda: found(3),
    "branch": branch,
    "sweep": sweep,
    "lag": lag,
    "lag over time": quasi_static,
}
TABLES = {
    **DRAWN,
    "rule": lambda: rn.plasticity.NodePerturbation(sigma=0.1),
    "certificate": certificate,
}


@pytest.mark.parametrize("name", TABLES)
def test_an_object_is_a_table_in_a_notebook(name: str) -> None:
    shown = TABLES[name]()._repr_html_()
    assert shown.startswith("<table><caption>")
    assert shown.endswith("</table>")
    assert "<th>" in shown


@pytest.mark.parametrize("name", DRAWN)
def test_an_object_draws_itself_on_new_axes(name: str) -> None:
    axes = DRAWN[name]().plot()
    assert isinstance(axes, Axes)
    assert axes.get_xlabel()
    assert axes.get_ylabel()
    assert axes.has_data()
    assert axes.figure.number in plt.get_fignums()  # pyplot's: a notebook shows it


@pytest.mark.parametrize("name", DRAWN)
def test_an_object_draws_itself_on_given_axes(name: str) -> None:
    figure, (axes, other) = plt.subplots(1, 2)
    figure.suptitle("mine")
    assert DRAWN[name]().plot(axes) is axes
    assert axes.has_data()
    assert not other.has_data()
    assert figure.get_suptitle() == "mine"
    assert plt.get_fignums() == [figure.number]


def test_a_rule_is_drawn_against_gradient_descent() -> None:
    fp, error = fixed_points(3), drives(3)
    rule = rn.plasticity.LinearizedReparameterized()
    (points,) = [line for line in rule.plot(fp, error).lines if len(line.get_xdata()) == 16]
    np.testing.assert_allclose(points.get_ydata(), rule.update(fp, error, 1.0).flatten())
    euclidean = rn.plasticity.Euclidean()
    np.testing.assert_allclose(points.get_xdata(), euclidean.update(fp, error, 1.0).flatten())


def test_stimuli_of_a_trajectory_are_columns() -> None:
    run = trajectory(5)
    assert len(run.plot()) == 3
    both = run.plot(stimuli=[4, 1])
    assert [axes.get_title() for axes in both] == ["stimulus 4", "stimulus 1"]
    for axes, stimulus in zip(both, (4, 1), strict=True):
        np.testing.assert_allclose(axes.lines[0].get_ydata(), run.rates[:, stimulus, 0])
    _, own = plt.subplots(2)
    assert run.plot(own, stimuli=[0, 1]) is own
    with pytest.raises(InputError, match="ax: expected 2 matplotlib axes, as a list"):
        run.plot(own[0], stimuli=[0, 1])
    with pytest.raises(InputError, match="ax: expected matplotlib axes"):
        run.plot("here", stimuli=0)


def test_units_and_populations_are_chosen() -> None:
    run = excitation_and_inhibition()
    one = run.plot(units=[1])
    assert [line.get_label() for line in one.lines] == ["unit 1"]
    np.testing.assert_allclose(one.lines[0].get_ydata(), run.rates[:, 0, 1])
    named = [line.get_label() for line in run.plot(populations="I").lines]
    assert [name for name in named if not name.startswith("_")] == ["I"]
    for choice, said in (
        ({"units": 99}, "units: expected some of the numbers 0 to"),
        ({"units": []}, "units: expected"),
        ({"stimuli": -1}, "stimuli: expected"),
        ({"stimuli": True}, "stimuli: expected"),
        ({"populations": "X"}, "populations: Unknown population 'X'"),
    ):
        with pytest.raises(InputError, match=said):
            run.plot(**choice)


def test_a_drive_that_changes_is_drawn_above() -> None:
    drive = rn.SampledDrive(torch.stack([drives(1), 2 * drives(1)]), 0.05)
    run = rn.simulate(network(), drive, duration=0.05, dt=0.001)
    above, below = run.plot(drive=drive)
    assert above.get_ylabel().startswith("drive $x$")
    assert below.get_ylabel().startswith("rate $y$")


def test_fixed_points_that_did_not_settle_are_marked() -> None:
    state = fixed_points(9).rates.clone()
    state[3] += 1.0
    partly = rn.fixed_points_at(network(), drives(9), state)
    assert not partly.converged[3]
    (marks,) = [line for line in partly.plot().lines if line.get_label() == "not settled"]
    assert marks.get_ydata().tolist() == [3]
    labels = partly.plot(stimuli=[2, 3]).get_legend_handles_labels()[1]
    assert labels == ["stimulus 2", "stimulus 3, not settled"]
    chosen = partly.plot(stimuli=[0], units=[2, 0])
    np.testing.assert_allclose(chosen.lines[0].get_ydata(), partly.rates[0, [2, 0]])


def test_the_curve_of_a_model_is_its_rate_at_rest() -> None:
    line = rn.load_model("rate").plot().lines[0]
    np.testing.assert_allclose(line.get_ydata(), np.tanh(line.get_xdata()), atol=1e-8)


def test_the_curves_of_a_plasticity_rule_are_its_equation() -> None:
    axes = rn.load_plasticity("hebb").plot()
    for line, pre in zip(axes.lines, (0.25, 0.5, 1.0), strict=False):
        np.testing.assert_allclose(line.get_ydata(), 0.1 * pre * line.get_xdata(), atol=1e-12)


def test_a_tuning_curve_is_drawn_over_the_coordinate() -> None:
    circuit = rn.circuits.ring_attractor()
    axes = circuit.plot()
    assert axes.get_xlabel() == circuit.coordinate.label
    assert (np.diff(axes.lines[0].get_xdata()) >= 0).all()
    with pytest.raises(InputError, match="stimuli: expected"):
        circuit.plot(stimuli=1000)


def test_results_of_identification_are_tables_and_pictures() -> None:
    setting = {"units": (10,), "stimuli": (4,), "experiments": 4, "seed": 1}
    power = rn.hypotheses.power(["euclidean", "hebb"], **setting)
    assert "<table" in power._repr_html_()
    assert len(power.plot()) == 2


def test_what_stands_in_a_table_is_escaped() -> None:
    shown = table("<b>", {"<i>": "a < b", "formula": Html("<div>x</div>")})
    assert "<b>" not in shown
    assert "<i>" not in shown
    assert "a &lt; b" in shown
    assert "<div>x</div>" in shown
    named = frame(pd.DataFrame({"<script>": [1.0]}))
    assert "<script>" not in named


def test_a_formula_is_latex_also_alone() -> None:
    for spec in (rn.load_model("rate"), rn.load_plasticity("oja")):
        latex = spec._repr_latex_()
        assert latex.startswith("$$\\begin{aligned}")
        assert latex.endswith("\\end{aligned}$$")


def test_a_rule_that_names_the_time_has_no_curve() -> None:
    spec = rn.PlasticitySpec(
        equations="dw/dt = y_pre*y_post*sin(t/tau)/tau : 1", parameters={"tau": "1*second"}
    )
    with pytest.raises(UnsupportedError, match="name t"):
        spec.plot()
