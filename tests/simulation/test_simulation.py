"""simulate on the torch backend: time grid, drives, initial states, orders, warnings, errors."""

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from brian2 import ms, mV, second
from helpers.problems import FLOAT, PLAIN_MODELS, random, random_weights, write_model
from torch import Tensor

import ratenet as rn

UNITS, STIMULI = 4, 3


def network(model: str = "rate", **parameters: Any) -> rn.Network:
    return rn.Network(model, random_weights(UNITS, seed=31), parameters=parameters)


def drive() -> Tensor:
    return random(STIMULI, UNITS, seed=32)


class Wave:
    """A drive that changes in time."""

    def at(self, t: float) -> Tensor:
        return drive() * math.cos(100 * t)


class Step(Wave):
    """A drive of one stimulus too few units."""

    def at(self, t: float) -> Tensor:
        return drive()[:, :-1]


def test_grid_starts_at_the_initial_state_and_ends_at_the_duration() -> None:
    initial = random(STIMULI, UNITS, seed=33)
    run = rn.simulate(network(), drive(), 20 * ms, 0.5 * ms, initial=initial, record_every=5)
    assert run.t.shape == (40 // 5 + 1,)
    assert run.rates.shape == run.states["r"].shape == (9, STIMULI, UNITS)
    torch.testing.assert_close(run.t, torch.arange(9, dtype=FLOAT) * 2.5e-3, rtol=0, atol=1e-15)
    assert run.t[0] == 0
    assert torch.equal(run.rates[0], initial)


@pytest.mark.parametrize("method", ["euler", "exponential_euler", "rk4"])
def test_recording_fewer_steps_changes_nothing(method: str) -> None:
    every = rn.simulate(network(), Wave(), 20 * ms, 0.5 * ms, method=method)
    some = rn.simulate(network(), Wave(), 20 * ms, 0.5 * ms, method=method, record_every=8)
    assert torch.equal(every.rates[::8], some.rates)


def test_times_are_quantities_or_seconds() -> None:
    one = rn.simulate(network(), drive(), 20 * ms, 0.5 * ms)
    other = rn.simulate(network(), drive(), 0.02, 0.0005)
    assert torch.equal(one.rates, other.rates)


def test_80_ms_are_800_steps_of_a_tenth() -> None:
    assert len(rn.simulate(network(), drive(), 80 * ms, 0.1 * ms).t) == 801


def test_a_ratio_that_rounds_below_a_whole_number_is_accepted() -> None:
    assert 0.3 / 0.1 < 3
    net = network(tau=1.0)
    assert len(rn.simulate(net, drive(), 0.3, 0.1).t) == 4


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"duration": 80.05 * ms, "dt": 0.1 * ms},
            r"duration: expected a whole .* got 80.05 ms; .*800.5",
        ),
        ({"dt": 20 * ms}, "duration: expected a whole number of steps of dt = 0.02 s"),
        ({"record_every": 3}, "expected a whole number that divides the 10 steps, got 3"),
        ({"record_every": 0}, "record_every: expected a whole number .* got 0"),
        ({"record_every": 2.0}, "record_every: expected a whole number .* got 2.0"),
        ({"record_every": "all"}, "record_every: expected a whole number .* got 'all'"),
        ({"duration": -1 * ms}, "duration: expected a finite time above 0, got -1. ms"),
        ({"duration": math.inf}, "duration: expected a finite time above 0, got inf"),
        ({"dt": math.nan}, "dt: expected a finite time above 0, got nan"),
        ({"dt": 1 * mV}, "dt: expected a time, such as .* got 1. mV"),
        ({"dt": [1e-3, 2e-3]}, "dt: expected a time, such as"),
        ({"drive": np.ones((2, 3))}, r"drive: expected .*shape .* N = 4 units, got \(2, 3\)"),
        ({"drive": [0.0, 1.0, math.nan, 0.0]}, "drive: NaN or infinite entries"),
        ({"drive": "bright"}, "drive: expected real numbers, got strings"),
        ({"drive": np.ones(UNITS) * mV}, "drive: expected numbers without a unit, got values in V"),
        ({"drive": Step()}, r"drive: expected .*shape .* got \(3, 3\)"),
        ({"initial": [1.0, 2.0]}, r"state, r: expected a number, or shape .* got \(2,\)"),
        ({"initial": {"v": 0.0}}, "state variables of .rate., r"),
        ({"initial": {"r": math.nan}}, "state, r: NaN or infinite entries"),
    ],
)
def test_wrong_arguments_give_one_clear_sentence(options: Mapping[str, Any], sentence: str) -> None:
    arguments = {"drive": drive(), "duration": 10 * ms, "dt": 1 * ms, **options}
    with pytest.raises(ValueError, match=sentence) as error:
        rn.simulate(network(), **arguments)
    assert isinstance(error.value, rn.errors.InputError)
    assert "\n" not in str(error.value)


def test_unknown_backends_and_methods_list_what_there_is() -> None:
    with pytest.raises(KeyError, match="Unknown backend 'nest'; available: torch, brian2"):
        rn.simulate(network(), drive(), 10 * ms, 1 * ms, backend="nest")
    with pytest.raises(
        NotImplementedError, match="'heun'; available: euler, exponential_euler, rk4"
    ):
        rn.simulate(network(), drive(), 10 * ms, 1 * ms, method="heun")


@pytest.mark.parametrize("method", ["euler", "exponential_euler", "rk4"])
@pytest.mark.parametrize("model", PLAIN_MODELS)
def test_the_final_state_continues_a_run_exactly(model: str, method: str) -> None:
    net = network(model)
    whole = rn.simulate(net, drive(), 20 * ms, 1 * ms, method=method)
    half = rn.simulate(net, drive(), 10 * ms, 1 * ms, method=method)
    rest = rn.simulate(net, drive(), 10 * ms, 1 * ms, method=method, initial=half.final)
    assert torch.equal(torch.cat([half.rates, rest.rates[1:]]), whole.rates)
    assert all(torch.equal(rest.final[name], whole.final[name]) for name in whole.states)


def test_a_drive_in_time_enters_at_the_start_of_each_step() -> None:
    net = network()
    run = rn.simulate(net, Wave(), 10 * ms, 0.5 * ms)
    W, r = net.connectivity.dense(), torch.zeros(STIMULI, UNITS, dtype=FLOAT)
    for n in range(20):
        r = r + 0.05 * (-r + torch.tanh(r @ W.T + Wave().at(n * 0.5e-3)))
    torch.testing.assert_close(run.rates[-1], r, rtol=0, atol=1e-14)


def error_of(method: str, steps: int) -> float:
    """Return the error at 30 ms against rk4 with 20 times as many steps."""

    def end(method: str, steps: int) -> Tensor:
        net = network("adaptation")
        return rn.simulate(net, Wave(), 0.03, 0.03 / steps, method=method).rates[-1]

    return float((end(method, steps) - end("rk4", 640)).abs().max())


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("exponential_euler", 1), ("rk4", 4)])
def test_halving_dt_divides_the_error_by_two_to_the_order(method: str, order: int) -> None:
    ratios = [error_of(method, steps) / error_of(method, 2 * steps) for steps in (8, 16)]
    assert ratios == pytest.approx([2**order] * 2, rel=0.25)


def test_exponential_euler_is_exact_without_coupling() -> None:
    net = rn.Network("linear", torch.zeros(1, 1, dtype=FLOAT))
    run = rn.simulate(net, [2.0], 30 * ms, 10 * ms, method="exponential_euler")
    expected = 2 * (1 - torch.exp(-run.t / 0.01))
    torch.testing.assert_close(run.rates[:, 0, 0], expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("method", ["euler", "exponential_euler", "rk4"])
def test_gradients_pass_through_the_simulated_time(method: str) -> None:
    W = random_weights(UNITS, seed=31).requires_grad_()

    def loss(W: Tensor) -> Tensor:
        run = rn.simulate(rn.Network("rate", W), drive(), 5 * ms, 1 * ms, method=method)
        return (run.rates[-1] ** 2).sum()

    (gradient,) = torch.autograd.grad(loss(W), W)
    direction, h = random(UNITS, UNITS, seed=34), 1e-6
    with torch.no_grad():
        slope = (loss(W + h * direction) - loss(W - h * direction)) / (2 * h)
    assert float((gradient * direction).sum()) == pytest.approx(float(slope), rel=1e-7)


def test_gradients_pass_where_the_own_rate_is_zero(tmp_path: Path) -> None:
    equations = "dr/dt = (-I_rec*r + I_ext) / tau : 1"
    model = rn.load_model(write_model(tmp_path, equations, parameters={"tau": "10*ms"}))
    W = torch.eye(1, dtype=FLOAT).requires_grad_()
    run = rn.simulate(rn.Network(model, W), [1.0], 3 * ms, 1 * ms, method="exponential_euler")
    (gradient,) = torch.autograd.grad(run.rates[-1].sum(), W)  # r = 0 at first: its own rate is 0
    assert torch.isfinite(gradient).all()
    assert gradient < 0


def test_a_large_step_is_warned_of_and_a_small_one_is_not() -> None:
    W = torch.tensor([[-9.0]], dtype=FLOAT)  # one mode, of rate 1000/s: dt below 2 ms
    net = rn.Network("linear", W)
    with pytest.warns(rn.errors.RatenetWarning, match="about 1e[+]03/s, .* 0.002 s"):
        rn.simulate(net, [1.0], 21 * ms, 2.1 * ms)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rn.simulate(net, [1.0], 19 * ms, 1.9 * ms)


def test_divergence_names_stimulus_unit_and_time() -> None:
    W = torch.diag(torch.tensor([0.0, -10.0], dtype=FLOAT))
    net = rn.Network("linear", W)
    initial = torch.tensor([[1.0, 0.0], [1.0, 1.0]], dtype=FLOAT)
    # Each step multiplies unit 1 of stimulus 1 by 1 - 5 * 11 = -54; alone it would go to -10, and
    # 54^3 is the first above 1,000 times 10.
    with (
        pytest.warns(rn.errors.RatenetWarning, match="too large"),
        pytest.raises(
            ArithmeticError,
            match=r"unit 1 of stimulus 1 at t = 0.15 s is at 1.6e\+05.* dt = 0.05 s is too large",
        ),
    ):
        rn.simulate(net, torch.zeros(2, 2), 10.0, 0.05, initial=initial)


def test_to_xarray_names_dimensions_and_coordinates() -> None:
    run = rn.simulate(network("adaptation"), drive(), 10 * ms, 1 * ms)
    data = run.to_xarray()
    assert dict(data.sizes) == {"t": 11, "stimulus": STIMULI, "unit": UNITS}
    assert set(data.data_vars) == {"rates", "r", "a"}
    assert data["t"].attrs["units"] == "s"
    np.testing.assert_array_equal(data["t"], run.t.numpy())
    np.testing.assert_array_equal(data["a"].isel(stimulus=1), run.states["a"][:, 1].numpy())


def test_to_xarray_of_a_run_with_gradients() -> None:
    W = random_weights(UNITS, seed=31).requires_grad_()
    run = rn.simulate(rn.Network("rate", W), drive(), 2 * ms, 1 * ms)
    assert run.to_xarray()["rates"].shape == (3, STIMULI, UNITS)


@pytest.mark.parametrize(
    ("duration", "dt"),
    [
        (np.float32(0.1), np.float32(1e-4)),
        (torch.tensor(0.1), torch.tensor(1e-4)),
        (np.array(0.1), 1e-4),
        (100 * ms, np.float32(1e-4)),
    ],
)
def test_times_in_single_precision_are_the_times_that_they_are_written_as(
    duration: Any, dt: Any
) -> None:
    run = rn.simulate(network(), drive(), duration, dt)
    assert len(run.t) == 1001
    assert float(run.t[-1]) == 0.1


@pytest.mark.parametrize("wrong", [True, "0.01", "10*ms", b"1", 0.01 + 0j, None, [], 10**400])
def test_what_is_not_a_number_is_not_a_time(wrong: Any) -> None:
    with pytest.raises(rn.errors.InputError, match="duration: expected a time, such as"):
        rn.simulate(network(), drive(), wrong, 1e-3)


@pytest.mark.parametrize("name", ["statistics", "progress"])
def test_options_of_another_kind_are_refused(name: str) -> None:
    with pytest.raises(rn.errors.InputError, match=f"{name}: expected .* got True"):
        rn.simulate(network(), drive(), 10 * ms, 1 * ms, **{name: True})


@pytest.mark.parametrize("method", ["euler", "exponential_euler", "rk4", "rkc", "dopri5"])
def test_rates_of_silent_units_end_at_zero_not_among_subnormal_numbers(method: str) -> None:
    silent = rn.Network("threshold_linear", torch.zeros(3, 3), parameters={"tau": 10 * ms})
    start = torch.tensor([1e-3, 1e-29, 1e-44]).expand(1, 2, 3).requires_grad_()
    after = rn.simulate(
        silent, -torch.ones(2, 3), 1 * second, 2 * ms, initial=start, method=method
    ).final["r"]
    assert ((after == 0) | (after.abs() >= torch.finfo(after.dtype).smallest_normal)).all()
    torch.autograd.grad(after.sum(), start)  # through what was set to 0, too
