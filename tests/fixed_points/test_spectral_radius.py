"""The spectral radius of the map, and the eigenvalues of the Jacobian, against closed forms."""

import math

import pytest
import torch
from helpers.problems import FLOAT, adaptation, random

import ratenet as rn
from ratenet.errors import InputError, StaleError
from ratenet.fixed_points import jacobian


def test_stable_in_time_and_unstable_as_a_map():
    fp = rn.find_fixed_points(rn.Network("linear", [[-2.0]]), [[1.0], [0.0]])
    assert fp.converged.all()
    assert fp.abscissa().tolist() == pytest.approx([-300.0, -300.0])
    assert fp.spectral_radius().tolist() == pytest.approx([2.0, 2.0])
    y = torch.zeros(2, 1, dtype=FLOAT)
    for _ in range(30):  # the map itself
        y = y @ fp.network.connectivity.dense().T + fp.drive
    assert (y - fp.rates).abs().max() > 1e5
    path = rn.simulate(fp.network, fp.drive, duration=0.2, dt=1e-3)  # the dynamics in time
    torch.testing.assert_close(path.final["r"], fp.rates, rtol=0, atol=1e-9)


def test_pitchfork_of_one_unit():
    network = rn.Network("rate", [[2.0]])
    all_found = rn.find_all_fixed_points(network, [0.0], starts=20)
    found = all_found.points
    assert torch.equal(all_found.spectral_radius(), found.spectral_radius())
    known = [2 * (1 - rate**2) for rate in found.rates[:, 0].tolist()]
    assert found.spectral_radius().tolist() == pytest.approx(known, abs=1e-7)
    assert found.spectral_radius([2]).tolist() == pytest.approx([2.0])  # the origin is last


def test_it_decides_whether_the_rnn_stays():
    torch.manual_seed(0)
    rnn = torch.nn.RNN(2, 15, dtype=FLOAT)
    with torch.no_grad():
        rnn.weight_hh_l0.mul_(3.0)
    network, read_in = rn.from_rnn(rnn)
    inputs = torch.randn(6, 2, dtype=FLOAT)
    fp = rn.find_fixed_points(
        network, read_in(inputs), solver=rn.NewtonKrylov(), on_failure="return"
    )
    start = fp.rates + 1e-6
    with torch.no_grad():
        end = rnn(inputs.expand(300, -1, -1), start[None])[1][0]
    stays = (end - fp.rates).abs().amax(dim=1) < 1e-6
    known = fp.residual <= 1e-9
    assert known.sum() >= 3
    assert ((fp.spectral_radius() < 1) == stays)[known].all()


def test_several_state_variables_have_the_map_of_their_static_gain():
    problem = adaptation()
    fp = rn.find_fixed_points(problem.network(), problem.drive)
    GW = fp.gain[0, :, None] * fp.network.connectivity.dense()
    known = torch.linalg.eigvals(GW).abs().max()
    torch.testing.assert_close(fp.spectral_radius([0])[0], known)
    assert len(fp.eigenvalues(0)) == 2 * fp.network.units


def test_eigenvalues_are_those_of_the_jacobian_rightmost_first():
    fp = rn.find_fixed_points(rn.Network("rate", 0.3 * random(6, 6, seed=0)), torch.ones(6))
    values = fp.eigenvalues(0)
    assert (values.real.diff() <= 0).all()
    torch.testing.assert_close(values.sum().real, fp.jacobian(0).trace())
    assert float(values[0].real) == pytest.approx(float(fp.abscissa([0])))


def test_products_give_what_the_matrix_gives(monkeypatch):
    network = rn.Network("rate", 0.8 * torch.randn(80, 80, dtype=FLOAT) / math.sqrt(80))
    fp = rn.find_fixed_points(network, torch.ones(2, 80))
    dense = fp.spectral_radius()
    monkeypatch.setattr(jacobian, "DENSE_EIGENVALUES", 10)
    torch.testing.assert_close(fp.spectral_radius(), dense, rtol=1e-7, atol=0)


def test_no_weights_have_radius_zero(monkeypatch):
    monkeypatch.setattr(jacobian, "DENSE_EIGENVALUES", 10)
    fp = rn.find_fixed_points(rn.Network("rate", torch.zeros(20, 20)), torch.ones(20))
    assert fp.spectral_radius().tolist() == [0.0]


def test_what_has_no_radius_is_refused():
    network = rn.Network("linear", [[0.5]])
    fp = rn.find_fixed_points(network, [1.0])
    with pytest.raises(InputError, match="samples: expected .*, got 3"):
        fp.spectral_radius([3])
    unknown = rn.fixed_points_at(network, [1.0], [float("nan")])
    assert unknown.spectral_radius().tolist() == pytest.approx([0.5])  # the gain is 1 everywhere
    lost = rn.fixed_points_at(rn.Network("rate", [[0.5]]), [1.0], [float("nan")])
    with pytest.raises(InputError, match="sample 0 has no static gain"):
        lost.spectral_radius()
    network.connectivity.add_(torch.ones(1, 1, dtype=FLOAT))
    with pytest.raises(StaleError):
        fp.spectral_radius()
