"""dt_check: what halving dt changes, against closed forms."""

import math

import numpy as np
import pytest
import torch
from brian2 import ms
from helpers.problems import FLOAT, random, random_weights

import ratenet as rn
from ratenet.simulation import dt_check


def test_the_change_is_that_of_two_runs() -> None:
    net, x = rn.Network("rate", random_weights(4, seed=57)), random(2, 4, seed=58)
    found = dt_check(net, x, 20 * ms, 1 * ms)
    coarse = rn.simulate(net, x, 20 * ms, 1 * ms).rates
    fine = rn.simulate(net, x, 20 * ms, 0.5 * ms, record_every=2).rates
    difference = (coarse - fine).abs()
    assert found.change == float(difference.max())
    where = round(found.t / 1e-3), found.stimulus, found.unit
    assert float(difference[where]) == found.change


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("exponential_euler", 1), ("rk4", 4)])
def test_the_order_is_the_methods(method: str, order: int) -> None:
    net, x = rn.Network("rate", random_weights(4, seed=57)), random(2, 4, seed=58)
    found = dt_check(net, x, 20 * ms, 0.5 * ms, method=method)
    assert found.order == pytest.approx(order, abs=0.1 * order)


def test_the_error_follows_from_the_change() -> None:
    """A leaky unit: Euler's error at dt is about change / (1 - 2^-1)."""
    net = rn.Network("linear", torch.zeros(1, 1, dtype=FLOAT))
    found = dt_check(net, [1.0], 20 * ms, 0.2 * ms)
    run = rn.simulate(net, [1.0], 20 * ms, 0.2 * ms)
    error = float((run.rates[:, 0, 0] - (1 - torch.exp(-run.t / 0.01))).abs().max())
    assert 2 * found.change == pytest.approx(error, rel=0.02)


def test_a_change_of_rounding_has_no_order() -> None:
    net = rn.Network("linear", torch.zeros(1, 1, dtype=FLOAT))
    for x in ([0.0], [1.0]):  # exponential Euler is exact without coupling
        found = dt_check(net, x, 20 * ms, 1 * ms, method="exponential_euler")
        assert math.isnan(found.order)
        assert "no more than rounding" in str(found)


def test_the_sentence_says_where_and_how_much() -> None:
    net = rn.Network("linear", torch.zeros(2, 2, dtype=FLOAT))
    sentence = str(dt_check(net, [0.5, 2.0], 20 * ms, 1 * ms))
    assert sentence.startswith("Halving dt = 0.001 s changes the rates by at most 0.0")
    assert "unit 1 of stimulus 0 at t = 0.01 s" in sentence  # t exp(-t/tau) is largest at tau
    assert "'euler' to be of order 1.0" in sentence
    assert "\n" not in sentence


@pytest.mark.brian2
def test_both_backends_say_the_same() -> None:
    net, x = rn.Network("rate", random_weights(3, seed=57)), np.ones(3)
    one, other = (
        dt_check(net, x, 5 * ms, 1 * ms, backend=backend) for backend in ("torch", "brian2")
    )
    assert one.change == pytest.approx(other.change, rel=1e-9)


def test_noise_and_adaptive_steps_are_refused() -> None:
    net = rn.Network("linear", torch.zeros(1, 1, dtype=FLOAT))
    with pytest.raises(NotImplementedError, match="'dopri5' chooses its steps.*rtol"):
        dt_check(net, [1.0], 20 * ms, 1 * ms, method="dopri5")
    model = rn.ModelSpec(
        equations="dr/dt = (-r + I_rec + I_ext)/tau + xi/sqrt(tau) : 1",
        output="r", recurrent="I_rec", drive="I_ext", parameters={"tau": "10*ms"},
    )  # fmt: skip
    with pytest.raises(NotImplementedError, match="the model has noise"):
        dt_check(rn.Network(model, [[0.0]]), [1.0], 20 * ms, 1 * ms)
