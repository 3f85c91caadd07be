"""The slowest mode along training: how well it is tracked, and that a barrier holds it."""

import json
import math

import pytest
import torch
from helpers.small_runs import small, weights

import ratenet as rn
from ratenet.errors import UnsupportedError
from ratenet.fixed_points.mode_tracking import (
    abscissa_gradient,
    batch_jacobians,
    left_eigenpair,
    own_decay,
    rightmost_of_jacobian,
)
from ratenet.linear_algebra import RightmostTracker
from ratenet.network import JacobianBlocks
from ratenet.training import step as step_module
from ratenet.training.stability import Stability


def random_weights(units: int, radius: float, generator) -> torch.Tensor:
    return (
        radius
        * torch.randn(units, units, generator=generator, dtype=torch.float64)
        / math.sqrt(units)
    )


def dense_jacobian(network: rn.Network, blocks: JacobianBlocks) -> torch.Tensor:
    """Return J from the definition, (k N, k N)."""
    F_s, F_I, rho = (block.squeeze(-2) for block in blocks)
    W, k = network.connectivity.dense(), len(F_I)
    rows = [
        [torch.diag(F_s[i, j]) + torch.diag(F_I[i]) @ W @ torch.diag(rho[j]) for j in range(k)]
        for i in range(k)
    ]
    return torch.cat([torch.cat(row, dim=1) for row in rows])


def abscissa(matrix: torch.Tensor) -> float:
    return float(torch.linalg.eigvals(matrix.double()).real.max())


def settled_network(model: str, generator, units: int = 40, radius: float = 0.9):
    network = rn.Network(model, random_weights(units, radius, generator))
    drive = torch.randn(8, units, generator=generator, dtype=torch.float64)
    return network, rn.find_fixed_points(network, drive)


@pytest.mark.parametrize("units", [1, 5, 100])
def test_rightmost_pair_from_a_cold_start(units, generator):
    """To the tolerance times a condition number of order 10."""
    W = random_weights(units, 1.0, generator)
    pair = RightmostTracker(tol=1e-8, max_expansions=300).track(lambda rows: rows @ W.T, W[0])
    assert pair.value.real == pytest.approx(abscissa(W), abs=1e-6)
    vector = torch.complex(pair.real, pair.imaginary)
    assert torch.allclose(W.to(vector.dtype) @ vector, pair.value * vector, atol=1e-7)
    assert pair.value.imag >= 0


def test_few_products_follow_a_matrix_that_drifts(generator):
    """Error at most 0.02 of the radius: ten times the tolerance, for a condition number of ten."""
    W, products, errors = random_weights(150, 0.8, generator), [], []
    tracker = RightmostTracker()

    def product(rows):
        products.append(len(rows))
        return rows @ W.T

    outer = random_weights(150, 1.0, generator)[:, :1] @ random_weights(150, 1.0, generator)[:1]
    for step in range(40):
        W = W + 0.05 * outer + random_weights(150, 0.002, generator)
        if step == 1:
            products.clear()  # the cold start
        errors.append(abs(tracker.track(product, W[0]).value.real - abscissa(W)))
    assert max(errors[1:]) < 0.02
    assert sum(products) / 39 < 16  # eight vectors kept, and one expansion by four on average


def test_a_matrix_that_is_not_finite_gives_nan(generator):
    W = random_weights(20, 1.0, generator)
    W[3, 4] = torch.inf
    assert math.isnan(RightmostTracker().track(lambda rows: rows @ W.T, W[0]).value.real)


@pytest.mark.parametrize("model", ["rate", "voltage", "adaptation"])
def test_jacobian_of_a_batch_has_its_definitions_eigenvalues(model, generator):
    network, fp = settled_network(model, generator)
    if model == "rate":
        mean = torch.diag(fp.gain.mean(dim=0)) @ network.connectivity.dense()
        wanted = (abscissa(mean) - 1) / 0.01  # T^-1 (-I + G_mean W) with tau = 10 ms
    else:
        wanted = abscissa(dense_jacobian(network, batch_jacobians(fp).mean))
    for blocks, value in (
        (batch_jacobians(fp).mean, wanted),
        (batch_jacobians(fp).excitable, None),
    ):
        tracker = RightmostTracker(tol=1e-9, max_expansions=500)
        found = rightmost_of_jacobian(tracker, network, blocks).value.real
        expected = abscissa(dense_jacobian(network, blocks)) if value is None else value
        assert found == pytest.approx(expected, rel=1e-6)  # 1e-9 times a condition number


def test_excitable_jacobian_takes_each_units_largest_gain(generator):
    _, fp = settled_network("rate", generator)
    blocks = batch_jacobians(fp).excitable
    assert torch.allclose(blocks.F_I[0, 0] * 0.01, fp.gain.amax(dim=0), rtol=1e-12)
    assert own_decay(blocks) == pytest.approx(100.0)


@pytest.mark.parametrize("model", ["rate", "adaptation"])
def test_gradient_of_the_abscissa_by_finite_differences(model, generator):
    """Central differences: error of order 1e-6 squared, and rounding / 1e-6 = 1e-8 of J's size."""
    network, fp = settled_network(model, generator, units=12, radius=1.2)
    blocks, W = batch_jacobians(fp).mean, network.connectivity.W
    exact = {"tol": 1e-13, "max_expansions": 500}
    right = rightmost_of_jacobian(RightmostTracker(**exact), network, blocks)
    left = left_eigenpair(RightmostTracker(**exact), network, blocks, right.value)
    gradient = abscissa_gradient(network, blocks, right, left)
    for index in ((0, 0), (3, 7), (11, 2)):
        values = []
        for step in (1e-6, -2e-6):
            W[index] += step
            values.append(abscissa(dense_jacobian(network, blocks)))
        W[index] += 1e-6
        slope = (values[0] - values[1]) / 2e-6
        assert float(gradient[index]) == pytest.approx(slope, abs=1e-5, rel=1e-5)


def test_a_correction_is_the_smallest_change(generator):
    """One real eigenvalue of a symmetric W: the projection is known, W - excess v v^T."""
    vector = torch.nn.functional.normalize(torch.arange(1.0, 9.0).double(), dim=0)
    W = 1.5 * torch.outer(vector, vector)
    network = rn.Network("linear", W.clone())
    fp = rn.fixed_points_at(network, torch.zeros(1, 8), torch.zeros(1, 1, 8))
    before = torch.zeros_like(W)
    held = Stability(0.25)._hold(network, batch_jacobians(fp).excitable, {"W": before})
    assert (held.corrections, held.refused) == (1, False)
    wanted = 0.75 - 0.05 * 0.25  # 1 - barrier, and a little beyond
    assert torch.allclose(network.connectivity.W, wanted / 1.5 * W, atol=1e-9)
    assert held.abscissa == pytest.approx((wanted - 1) / 0.01)


def test_a_step_that_cannot_be_corrected_is_refused(generator, monkeypatch):
    monkeypatch.setattr("ratenet.training.stability.MAX_CORRECTIONS", 1)
    before = random_weights(30, 0.5, generator)
    network = rn.Network("linear", random_weights(30, 3.0, generator))
    fp = rn.fixed_points_at(network, torch.zeros(1, 30), torch.zeros(1, 1, 30))
    held = Stability(0.2)._hold(network, batch_jacobians(fp).excitable, {"W": before})
    assert held.refused
    assert torch.equal(network.connectivity.W, before)
    assert held.abscissa == pytest.approx((abscissa(before) - 1) / 0.01, abs=2.0)


@pytest.mark.parametrize("barrier", [None, 0.4])
def test_a_run_is_tracked_and_held(barrier, few_digits, tmp_path, monkeypatch):
    exact, original = [], step_module._track

    def spying_apply(run, jacobians, before):
        row = original(run, jacobians, before)
        network = run.classifier.network
        both = (jacobians[""].mean, jacobians[""].excitable)
        exact.append([abscissa(dense_jacobian(network, blocks)) for blocks in both])
        return row

    monkeypatch.setattr(step_module, "_track", spying_apply)
    options = {"optimizer": "adam", "learning_rate": 0.01, "learn": ("read-in", "read-out")}
    config = small(epochs=4, rule="euclidean", barrier=barrier, **options)
    result = rn.train(config, out=tmp_path)
    mean, largest = torch.tensor(exact).T
    tracked = torch.tensor(result.metrics["abscissa_mean_gain"].to_numpy())
    # 2 % of the own rate 100/s: the tolerance 0.3 % times a condition number, as above
    assert float((tracked - mean).abs().max()) < 2.0
    assert result.metrics["weight_abscissa"].iloc[-1] == pytest.approx(
        abscissa(weights(result)), abs=0.02
    )
    summary = json.loads((tmp_path / "summary.json").read_text())
    if barrier is None:
        assert float(largest.max()) > -40.0
        assert "corrected_steps" not in summary
        return
    assert summary["corrected_steps"] > 0
    assert summary["abscissa_limit"] == pytest.approx(-40.0)
    if summary["refused_steps"] == 0:
        assert float(largest.max()) < -40.0 + 2.0
    assert result.metrics["abscissa_largest_gain"].notna().all()


GROWING = """
name = "growing"
title = "Units that grow by themselves near rest"
source = "a test"
equations = "dr/dt = (r - r**3 + 0*I_rec + 0*I_ext) / tau : 1"
output = "r"
recurrent = "I_rec"
drive = "I_ext"
[parameters]
tau = "10*ms"
"""


def test_barrier_needs_units_that_decay(few_digits, tmp_path):
    model = tmp_path / "growing.toml"
    model.write_text(GROWING)
    with pytest.raises(UnsupportedError, match="barrier: a unit of this model does not decay"):
        rn.train(small(model=str(model), barrier=0.1, learning_rate=1e-3), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_weights_that_do_not_learn_are_not_touched(generator):
    network, fp = settled_network("rate", generator, radius=0.5)
    before = network.connectivity.W.clone()
    Stability(0.1).after_step(network, batch_jacobians(fp), {"W": before})
    assert torch.equal(network.connectivity.W, before)
