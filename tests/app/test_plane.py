"""A circuit of two units that is moved: its numbers are those of the library."""

import dataclasses

import pytest
import torch

import ratenet as rn
from ratenet import circuits
from ratenet.app.plane import Plane
from ratenet.errors import InputError, UnknownNameError, UnsupportedError

CIRCUITS = [
    "balanced_amplification",
    "inhibition_stabilized",
    "wilson_cowan_multistable",
    "wilson_cowan_oscillating",
]


def as_numbers(network, drive):
    """Return weights, parameters and drive as lists."""
    parameters = {name: value.tolist() for name, value in network.parameters.items()}
    return network.connectivity.dense().tolist(), parameters, drive.tolist()


@pytest.fixture(scope="module")
def multistable():
    return Plane("wilson_cowan_multistable")


@pytest.fixture(scope="module")
def portrait(multistable):
    return multistable.portrait()


def test_portrait_holds_the_fixed_points_of_the_circuit(multistable, portrait):
    circuit = multistable.circuit
    known = rn.find_all_fixed_points(circuit.network, circuit.drive[0], span=(0, 1), starts=50)
    assert torch.allclose(portrait.found.rates, known.rates, atol=1e-7)
    assert portrait.found.stability == ("stable", "stable", "unstable")


def test_basins_are_where_the_dynamics_go(multistable, portrait):
    low, high = multistable.span
    axis = torch.linspace(low, high, 40, dtype=torch.float64)
    for i, j in ((1, 1), (20, 3), (35, 5), (38, 38)):
        end = multistable.path([float(axis[i]), float(axis[j])]).states[-1]
        goal = portrait.found.points.state[0, portrait.basins[i, j]]
        assert torch.allclose(end, goal, atol=1e-3)


def test_nullclines_cross_at_the_fixed_points(portrait):
    for point in portrait.found.points.state[0, 1:]:  # the first is in a corner
        for lines in portrait.nullclines:
            line = torch.cat([torch.as_tensor(each) for each in lines])
            assert float((line - point).norm(dim=1).min()) < 0.01


def test_diagram_shows_the_folds_of_the_published_hysteresis(multistable):
    branches = multistable.diagram("drive_0")
    folds = [point.value for branch in branches for point in branch.special]
    known = rn.continue_fixed_points(
        multistable.circuit.network, multistable.circuit.drive[0], rn.DriveShift([1.0, 0.0]),
        start=-2, stop=2,
    )  # fmt: skip
    assert len(branches) == 1
    assert sorted(folds) == pytest.approx(sorted(point.value for point in known.special))


def test_sliders_move_drive_and_weights():
    plane = Plane("inhibition_stabilized")
    plane.controls = dataclasses.replace(plane.start, drive_0=32, drive_1=19, weight_scale=0.5)
    network, drive = plane.moved()
    assert drive.tolist() == [[32.0, 19.0]]
    assert torch.equal(
        network.connectivity.dense(), 0.5 * plane.circuit.network.connectivity.dense()
    )
    fp = rn.find_fixed_points(network, drive)
    assert torch.allclose(plane.portrait().found.rates, fp.rates)
    assert plane.unit_names == ["E", "I"] and plane.unit == "Hz"


@pytest.mark.parametrize("name", CIRCUITS)
def test_every_knob_moves_the_network_or_the_drive_and_none_does_at_its_start(name):
    plane = Plane(name)
    network, drive = plane.moved()
    assert as_numbers(network, drive) == as_numbers(plane.circuit.network, plane.circuit.drive[:1])
    for knob in plane.knobs.values():
        for value in (knob.low, knob.high):
            assert as_numbers(*plane.moved(**{knob.name: value})) != as_numbers(network, drive)


def test_an_argument_is_moved_as_far_as_the_circuit_takes_it():
    plane = Plane("inhibition_stabilized")
    w = plane.knob("w_EE")
    assert w.start == 2 and w.low == pytest.approx(0.2) and 2.74 < w.high <= 2.75
    network, _ = plane.moved(w_EE=w.high)
    assert float(network.connectivity.dense()[0, 0]) == w.high


def test_axes_reach_beyond_every_fixed_point():
    plane = Plane("inhibition_stabilized")
    assert plane.portrait().span == plane.span
    plane.controls = dataclasses.replace(plane.start, w_EE=2.7)
    portrait = plane.portrait()
    furthest = float(portrait.found.points.state.max())
    assert plane.span[1] < furthest < portrait.span[1]


def test_parameters_have_names_and_units():
    labels = {name: knob.label for name, knob in Plane("wilson_cowan_oscillating").knobs.items()}
    assert labels["tau"] == "tau (s)" and labels["a_0"] == "a of E" and labels["w_II"] == "w_II"


@pytest.mark.slow
def test_diagram_along_an_argument_ends_where_the_library_s_does():
    plane = Plane("wilson_cowan_oscillating")
    (branch,) = plane.diagram("w_II")
    low = circuits.wilson_cowan_oscillating(w_II=float(branch.values[0]))
    fp = rn.find_fixed_points(
        low.network, low.drive, initial=branch.states[0, :1], on_failure="return"
    )
    assert torch.allclose(fp.rates[0], branch.rates[0], atol=1e-6)
    assert float(branch.values[-1]) == plane.knob("w_II").high


@pytest.mark.slow
def test_a_limit_cycle_has_no_basin_and_its_path_goes_round():
    plane = Plane("wilson_cowan_oscillating")
    portrait = plane.portrait()
    assert portrait.found.stability == ("unstable",)
    assert (portrait.basins == -1).all()
    late = plane.path([0.1, 0.05]).states[500:]
    assert float(late.std(dim=0).min()) > 0.01


@pytest.mark.parametrize("start", [[0.1], [0.1, float("nan")], ["a", "b"], None, [[1, 2], [3, 4]]])
def test_wrong_starts_are_refused(multistable, start):
    with pytest.raises(InputError, match="start"):
        multistable.path(start)


def test_wrong_circuits_and_controls_are_refused(multistable):
    with pytest.raises(UnknownNameError, match="did you mean 'wilson_cowan_multistable'"):
        Plane("wilson_cowan_multistabel")
    with pytest.raises(UnsupportedError, match="two units with one state variable each, got 360"):
        Plane("ssn_ring")
    with pytest.raises(InputError, match="along: expected one of drive_0"):
        multistable.diagram("w_II")
