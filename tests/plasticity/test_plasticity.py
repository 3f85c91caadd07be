"""The identities of theory.md, sections 2 to 4, each by a route that ratenet does not take.

What all rules have in common, and how they refuse, is in test_plasticity_contract.py.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from brian2 import ms
from helpers.problems import (
    FLOAT,
    Problem,
    adaptation,
    linear,
    random,
    random_weights,
    tanh_rates,
    threshold_linear,
    voltage,
    write_model,
)
from helpers.rules import TIGHT, ReadOut, settled
from torch import Tensor

import ratenet as rn
from ratenet.plasticity import (
    Euclidean,
    GainFreeReparameterized,
    LinearizedReparameterized,
    Reparameterized,
)

NONLINEAR = [tanh_rates, adaptation, voltage]


def slope_by_differences(
    problem: Problem, read_out: ReadOut, direction: Tensor, state: Tensor
) -> float:
    """Return the slope of the mean settled loss along a direction of W, to order h^4."""
    h = 1e-3

    def loss(step: float) -> float:
        network = rn.Network(
            problem.model, problem.W + step * direction, parameters=problem.parameters
        )
        fp = rn.find_fixed_points(network, problem.drive, tol=TIGHT, initial=state)
        return float(read_out.losses(fp.rates).mean())

    return (8 * (loss(h) - loss(-h)) - (loss(2 * h) - loss(-2 * h))) / (12 * h)


def gradient_through_time(problem: Problem, read_out: ReadOut) -> Tensor:
    """Return dL/dW of the mean loss at the end of a long simulation, by autograd."""
    W = problem.W.clone().requires_grad_()
    network = rn.Network(problem.model, W, parameters=problem.parameters)
    run = rn.simulate(network, problem.drive, 2.0, 2 * ms, record_every=1000)
    (gradient,) = torch.autograd.grad(read_out.losses(run.rates[-1]).mean(), W)
    return gradient


@pytest.mark.parametrize("make", NONLINEAR)
def test_euclidean_is_the_gradient_by_finite_differences(make: Callable[[], Problem]) -> None:
    problem = make()
    fp, read_out, N = settled(problem), ReadOut(*problem.drive.shape), problem.drive.shape[1]
    delta = Euclidean().update(fp, read_out.error(fp.rates), learning_rate=0.3)
    for direction in torch.linalg.qr(random(N * N, 10, seed=70)).Q.T.unflatten(1, (N, N)):
        slope = slope_by_differences(problem, read_out, direction, fp.state)
        assert abs(slope) > 1e-4
        assert float((delta * direction).sum()) == pytest.approx(-0.3 * slope, rel=0, abs=1e-9)


@pytest.mark.parametrize("make", NONLINEAR)
def test_euclidean_is_the_gradient_through_time(make: Callable[[], Problem]) -> None:
    problem = make()
    fp, read_out = settled(problem), ReadOut(*problem.drive.shape)
    delta = Euclidean().update(fp, read_out.error(fp.rates), learning_rate=1.0)
    expected = gradient_through_time(problem, read_out)
    torch.testing.assert_close(delta, -expected, rtol=0, atol=1e-8)


def textbook(rule: str, fp: rn.FixedPoints, error: Tensor) -> Tensor:
    """Return dW / -eta by a loop over samples, in M = G^{-1} - W and its explicit inverse."""
    W, total = fp.network.connectivity.dense(), torch.zeros_like(fp.network.connectivity.dense())
    for g, y, e in zip(fp.gain, fp.rates, error, strict=True):
        G = g.diag()
        M = torch.linalg.inv(G) - W
        if rule == "euclidean":
            left, right = torch.linalg.inv(M).T @ e, y
        elif rule == "linearized":
            left, right = M @ G @ G @ e, M.T @ G @ G @ M @ y
        else:
            left, right = M @ G @ e, G @ M.T @ M @ G @ y
        total += torch.outer(left, right)
    return total / len(error)


@pytest.mark.parametrize("make", [*NONLINEAR, linear])
@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("euclidean", Euclidean()),
        ("linearized", LinearizedReparameterized()),
        ("gain-free", GainFreeReparameterized()),
    ],
)
def test_batched_rules_are_the_loop_over_samples(
    name: str, rule: rn.plasticity.AbstractRule, make: Callable[[], Problem]
) -> None:
    fp = settled(make())
    error = random(*fp.rates.shape, seed=72)
    expected = -0.1 * textbook(name, fp, error)
    torch.testing.assert_close(rule.update(fp, error, 0.1), expected, rtol=0, atol=1e-10)


def gain_network(folder: Path, units: int = 6) -> rn.Network:
    """Return a linear network whose units have gains of their own: y = g (W y + x)."""
    path = write_model(
        folder, "dr/dt = (-r + g*(I_rec + I_ext)) / tau : 1", parameters={"tau": "10*ms", "g": 1}
    )
    gains = torch.linspace(0.4, 1.4, units, dtype=FLOAT)
    W = random_weights(units, seed=73)
    return rn.Network(rn.load_model(path), W, parameters={"g": gains})


def response(network: rn.Network, W: Tensor) -> Tensor:
    """Return A(W) = (G^{-1} - W)^{-1}."""
    return torch.linalg.inv(torch.diag(1 / network.parameters["g"]) - W)


def test_reparameterized_is_exactly_a_gradient_step_in_the_response(tmp_path: Path) -> None:
    network, eta = gain_network(tmp_path), 0.2
    W, drive, error = network.connectivity.dense(), random(8, 6, seed=74), random(8, 6, seed=75)
    fp = rn.find_fixed_points(network, drive, tol=TIGHT)
    A, gradient = response(network, W), error.T @ drive / 8
    torch.testing.assert_close(fp.rates, drive @ A.T, rtol=0, atol=1e-12)
    delta = Reparameterized().update(fp, error, eta)
    assert delta.abs().max() > 0.05
    torch.testing.assert_close(response(network, W + delta), A - eta * gradient, rtol=0, atol=1e-12)


def test_a_reparameterized_step_of_the_right_length_solves_a_linear_task() -> None:
    """With x x^T / B = 1 and a squared loss, one step with eta = 1 reaches the target map."""
    problem = linear(units=6, samples=6)
    orthogonal = torch.linalg.qr(random(6, 6, seed=76)).Q * 6**0.5
    network, target = problem.network(), random(6, 6, seed=77)
    fp = rn.find_fixed_points(network, orthogonal, tol=TIGHT)
    error = fp.rates - orthogonal @ target.T  # of the loss |y - target|^2 / 2
    network.connectivity.add_(Reparameterized().update(fp, error, 1.0))
    W = network.connectivity.dense()
    reached = torch.linalg.inv(torch.eye(6, dtype=FLOAT) - W)
    torch.testing.assert_close(reached, target, rtol=0, atol=1e-9)


def test_the_linearized_rule_is_the_first_order_of_the_exact_one() -> None:
    fp = settled(linear())
    error = random(*fp.rates.shape, seed=78)

    def distance(eta: float) -> float:
        exact = Reparameterized().update(fp, error, eta)
        return float((exact - LinearizedReparameterized().update(fp, error, eta)).norm())

    size = float(LinearizedReparameterized().update(fp, error, 1e-4).norm())
    assert distance(1e-4) < 0.01 * size
    ratios = [distance(eta) / distance(eta / 2) for eta in (2e-4, 1e-4)]
    assert ratios == pytest.approx([4.0, 4.0], rel=0.02)


@pytest.mark.parametrize("make", [*NONLINEAR, threshold_linear])
def test_the_linearized_rule_is_the_gradient_under_a_metric(make: Callable[[], Problem]) -> None:
    """dW3 = -eta mean B lambda y^T C, with B and C of each sample."""
    fp = settled(make())
    error = random(*fp.rates.shape, seed=79)
    W, N = fp.network.connectivity.dense(), fp.network.units
    identity, total = torch.eye(N, dtype=FLOAT), torch.zeros(N, N, dtype=FLOAT)
    for g, y, e in zip(fp.gain, fp.rates, error, strict=True):
        adjoint = g * torch.linalg.solve(identity - W.T * g, e)
        left, right = identity - W * g, identity - g[:, None] * W
        total += left @ left.T @ torch.outer(adjoint, y) @ right.T @ right
    expected = -0.1 * total / len(error)
    delta = LinearizedReparameterized().update(fp, error, 0.1)
    torch.testing.assert_close(delta, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("make", [*NONLINEAR, linear])
def test_the_linearized_rule_descends_for_each_sample(make: Callable[[], Problem]) -> None:
    fp = settled(make())
    error = random(*fp.rates.shape, seed=80)
    for sample in range(len(fp)):
        one, e = fp.select(torch.tensor([sample])), error[sample : sample + 1]
        gradient = -Euclidean().update(one, e, 1.0)
        delta = LinearizedReparameterized().update(one, e, 1.0)
        assert float((delta * gradient).sum()) < -1e-4


@pytest.mark.parametrize(
    "rule", [Euclidean(), LinearizedReparameterized(), GainFreeReparameterized()]
)
def test_a_small_step_lowers_the_loss_of_one_sample(rule: rn.plasticity.AbstractRule) -> None:
    problem = tanh_rates()
    network, read_out = problem.network(), ReadOut(1, 12)
    fp = rn.find_fixed_points(network, problem.drive[:1], tol=TIGHT)
    delta = rule.update(fp, read_out.error(fp.rates), 1e-3)
    before = float(read_out.losses(fp.rates))
    network.connectivity.add_(delta)
    after = rn.find_fixed_points(network, problem.drive[:1], tol=TIGHT)
    assert float(read_out.losses(after.rates)) < before - 1e-5


def test_the_gain_free_rule_is_the_linearized_one_where_gains_are_1() -> None:
    linear_fp, tanh_fp = settled(linear()), settled(tanh_rates())
    error = random(*linear_fp.rates.shape, seed=81)
    rules = LinearizedReparameterized(), GainFreeReparameterized()
    one, other = (rule.update(linear_fp, error, 0.1) for rule in rules)
    torch.testing.assert_close(one, other, rtol=0, atol=1e-14)
    one, other = (rule.update(tanh_fp, error, 0.1) for rule in rules)
    assert (one - other).abs().max() > 1e-3


@pytest.mark.parametrize(
    "rule", [Euclidean(), LinearizedReparameterized(), GainFreeReparameterized()]
)
def test_silent_units_give_a_finite_change(rule: rn.plasticity.AbstractRule) -> None:
    fp = settled(threshold_linear())
    assert (fp.gain == 0).any()
    delta = rule.update(fp, random(*fp.rates.shape, seed=82), 0.1)
    assert torch.isfinite(delta).all()
    assert delta.abs().max() > 1e-3
