"""A circuit of two units that is moved: its numbers are those of the library."""

import pytest
import torch

import ratenet as rn
from ratenet.app.plane import Plane, PlaneControls
from ratenet.errors import InputError, UnknownNameError, UnsupportedError


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
    plane = Plane(
        "inhibition_stabilized", PlaneControls(drive_0=2.0, drive_1=-1.0, weight_scale=0.5)
    )
    network, drive = plane.varied()
    assert drive.tolist() == [[32.0, 19.0]]
    assert torch.equal(
        network.connectivity.dense(), 0.5 * plane.circuit.network.connectivity.dense()
    )
    fp = rn.find_fixed_points(network, drive)
    assert torch.allclose(plane.portrait().found.rates, fp.rates)
    assert plane.unit_names == ["E", "I"] and plane.unit == "Hz"


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
        multistable.diagram("tau")
