"""Drives that change in time: sampled, functions, TimedArray; the same in both backends."""

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import brian2
import numpy as np
import pytest
import torch
from brian2 import Hz, ms, mV, nA
from helpers.problems import FLOAT, random, random_weights, write_model
from torch import Tensor

import ratenet as rn
from ratenet.errors import InputError, RatenetWarning, UnsupportedError
from ratenet.simulation import SampledDrive
from ratenet.simulation.drives import drive_for

UNITS, STIMULI = 4, 3
# Two orders of summation of four terms, over 300 contracting steps of rates around 1.
AGREEMENT = {"rtol": 0.0, "atol": 1e-11}


def network(dtype: torch.dtype = FLOAT) -> rn.Network:
    return rn.Network("rate", random_weights(UNITS, seed=61).to(dtype))


def samples(count: int = 7, stimuli: int = STIMULI) -> Tensor:
    return random(count, stimuli, UNITS, seed=62)


class Wave:
    def at(self, t: float) -> Tensor:
        return random(STIMULI, UNITS, seed=63) * math.cos(300 * t)


def wave(t: float) -> np.ndarray:
    """The same for one stimulus, as a plain function that returns an array."""
    return np.arange(UNITS) * math.sin(200 * t)


def nan_later(t: float) -> Tensor:
    """Return tensors that need no conversion, and so are not looked at, NaN after a while."""
    return torch.full((1, UNITS), math.nan if t > 2.5e-3 else 1.0, dtype=FLOAT)


def euler_by_hand(net: rn.Network, at: Any, steps: int, dt: float) -> Tensor:
    W, tau = net.connectivity.dense(), 0.01
    r = torch.zeros_like(torch.as_tensor(at(0)).reshape(-1, UNITS).to(FLOAT))
    for n in range(steps):
        r = r + dt / tau * (-r + torch.tanh(r @ W.T + torch.as_tensor(at(n))))
    return r


def test_held_samples_hold_and_linear_ones_are_joined_by_lines() -> None:
    values = torch.tensor([[0.0], [1.0], [5.0]], dtype=FLOAT)
    held, linear = SampledDrive(values, 10 * ms), SampledDrive(values, 0.01, "linear")
    times = (-1.0, 0.0, 0.0025, 0.01, 0.019, 0.02, 0.05)
    assert [float(held.at(t)) for t in times] == [0, 0, 0, 1, 1, 5, 5]
    expected = [0, 0, 0.25, 1, 4.6, 5, 5]
    assert [float(linear.at(t)) for t in times] == pytest.approx(expected, rel=1e-12)


def test_before_a_jump_the_drive_is_still_the_old_one() -> None:
    drive = SampledDrive([[0.0], [1.0], [5.0]], 10 * ms)
    times = (0.0, 0.005, 0.01, 0.02, 0.03)
    assert [float(drive.before(t)) for t in times] == [0, 0, 0, 1, 5]
    assert drive.jumps(0.0, 0.02) == [0.01]
    assert drive.jumps(0.0, 1.0) == [0.01, 0.02]
    assert SampledDrive([[0.0], [1.0]], 10 * ms, "linear").jumps(0.0, 1.0) == []


@pytest.mark.parametrize("dt", [0.1, 1e-3, 0.7e-4, 1 / 3])
@pytest.mark.parametrize("per_sample", [1, 3, 10])
def test_step_n_meets_its_own_sample_whatever_the_rounding(dt: float, per_sample: int) -> None:
    assert 0.3 / 0.1 < 3
    drive = SampledDrive(torch.arange(1000, dtype=FLOAT)[:, None], per_sample * dt)
    met = [float(drive.at(n * dt)) for n in range(1000)]
    assert met == [n // per_sample for n in range(1000)]


@pytest.mark.parametrize("per_sample", [1, 4])
def test_a_held_drive_enters_each_step_with_its_sample(per_sample: int) -> None:
    net, values = network(), samples()
    drive = SampledDrive(values, per_sample * 0.5 * ms)
    run = rn.simulate(net, drive, 20 * ms, 0.5 * ms)
    expected = euler_by_hand(net, lambda n: values[min(n // per_sample, 6)], 40, 0.5e-3)
    torch.testing.assert_close(run.rates[-1], expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("form", ["array", "list", "quantity", "tensor", "one stimulus"])
def test_a_function_may_return_any_array(form: str) -> None:
    forms = {
        "array": wave,
        "list": lambda t: list(wave(t)),
        "quantity": lambda t: brian2.Quantity(wave(t)),
        "tensor": lambda t: torch.as_tensor(wave(t)).float(),  # another type than the network's
        "one stimulus": lambda t: wave(t)[None],
    }
    net = network()
    run = rn.simulate(net, forms[form], 10 * ms, 0.5 * ms)
    expected = euler_by_hand(net, lambda n: wave(n * 0.5e-3), 20, 0.5e-3)
    assert run.rates.shape == (21, 1, UNITS)
    # float32 carries 7 digits of drives up to 3
    torch.testing.assert_close(run.rates[-1], expected, rtol=0, atol=1e-6)


def test_brian2s_timed_array_is_a_held_drive() -> None:
    net, values = network(), samples(stimuli=1)[:, 0]
    two_columns = brian2.TimedArray(values.numpy(), dt=2 * ms)
    one_column = brian2.TimedArray(values[:, 0].numpy(), dt=2 * ms)
    assert torch.equal(drive_for(net, two_columns).at(0.004), values[2][None])
    assert torch.equal(drive_for(net, one_column).at(0.004), values[2, 0].expand(1, UNITS))


def test_gradients_reach_the_samples() -> None:
    values = samples(count=3, stimuli=1).requires_grad_()

    def last(values: Tensor) -> Tensor:
        return rn.simulate(network(), SampledDrive(values, 1 * ms), 5 * ms, 1 * ms).rates[-1]

    assert torch.autograd.gradcheck(last, (values,))


@pytest.mark.parametrize("method", ["rk4", "dopri5"])
def test_jumps_cost_no_order(method: str) -> None:
    """A held drive is constant between its jumps: the exact answer of a leaky unit is known."""
    net = rn.Network("linear", torch.zeros(1, 1, dtype=FLOAT))
    values = torch.tensor([[1.0], [-2.0], [4.0]], dtype=FLOAT)
    run = rn.simulate(net, SampledDrive(values, 7 * ms), 21 * ms, 1 * ms, method=method)
    r, exact = 0.0, []
    for n in range(21):
        exact.append(r)
        x = float(values[n // 7])
        r = x + (r - x) * math.exp(-0.1)
    # rk4: 21 steps of error (dt/tau)^5 / 120 times jumps of 6; dopri5: its tolerance of 1e-6
    np.testing.assert_allclose(run.rates[:, 0, 0], [*exact, r], rtol=0, atol=3e-6)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: SampledDrive([1.0, 2.0], 1 * ms), r"values: expected shape \(T, N\) .*got \(2,\)"),
        (lambda: SampledDrive(np.ones((0, 4)), 1 * ms), r"values: expected shape .* got \(0, 4\)"),
        (
            lambda: SampledDrive("bright", 1 * ms),
            "values: expected real numbers, got strings",
        ),
        (
            lambda: SampledDrive([[1.0]], 0 * ms),
            "SampledDrive, interval: expected a finite time above 0",
        ),
        (lambda: SampledDrive([[1.0]], 1 * mV), "SampledDrive, interval: expected a time"),
        (
            lambda: SampledDrive([[1.0]], 1 * ms, "cubic"),
            "expected 'held' or 'linear', got 'cubic'",
        ),
        (
            lambda: SampledDrive(np.ones((5, 3)), 1 * ms),
            r"drive: .* N = 4 units, got \(5, 3\)",
        ),
        (
            lambda: SampledDrive(np.ones((5, 4)) * mV, 1 * ms),
            "drive: expected numbers without a unit, got values in V",
        ),
        (lambda: SampledDrive([[math.nan] * 4], 1 * ms), "drive: NaN or infinite entries"),
        (lambda: lambda t: np.ones(3), r"drive: expected .*, got \(1, 3\)"),
        (lambda: lambda t: np.ones(4) * mV, "drive: expected numbers without a unit"),
        (lambda: lambda t: "bright", "drive: expected real numbers, got strings"),
        (lambda: lambda t: np.ones((1 + (t > 2e-3), 4)), r"shape is \(2, 4\) at t = 0.003 s"),
        (lambda: nan_later, "drive: it is NaN or infinite at t = 0.003 s for unit 0"),
    ],
)
def test_a_wrong_drive_is_refused_in_one_sentence(make: Any, sentence: str) -> None:
    with pytest.raises(rn.errors.InputError, match=sentence):
        rn.simulate(network(), make(), 10 * ms, 1 * ms)


DRIVES = {
    "held": lambda: SampledDrive(samples(), 3 * ms),
    "held, off the grid": lambda: SampledDrive(samples(), 1.23 * ms),
    "held, one stimulus": lambda: SampledDrive(samples()[:, 0], 3 * ms),
    "linear": lambda: SampledDrive(samples(), 4 * ms, "linear"),
    "function": lambda: wave,
    "object": Wave,
    "constant": lambda: samples()[0],
}


@pytest.mark.brian2
@pytest.mark.parametrize("method", ["euler", "exponential_euler"])
@pytest.mark.parametrize("name", DRIVES)
def test_both_backends_agree(name: str, method: str) -> None:
    one, other = (
        rn.simulate(network(), DRIVES[name](), 30 * ms, 0.1 * ms, backend=backend, method=method)
        for backend in ("torch", "brian2")
    )
    torch.testing.assert_close(one.rates, other.rates, **AGREEMENT)
    assert one.rates[-1].abs().max() > 0.01


@pytest.mark.brian2
def test_both_backends_agree_in_volts(tmp_path: Path) -> None:
    equations = """dv/dt = (-v + V_rec + V_ext) / tau : volt
    V_rec : volt
    V_ext : volt"""
    parameters = {"tau": "10*ms", "peak": "50*Hz", "scale": "10*mV"}
    roles = {"output": "peak*tanh(v/scale)", "recurrent": "V_rec", "drive": "V_ext"}
    path = write_model(tmp_path, equations, parameters=parameters, **roles)
    W = random_weights(UNITS, seed=61).numpy() * 10 * mV / (50 * Hz)
    net = rn.Network(rn.load_model(path), W)
    drive = SampledDrive(samples().numpy() * 20 * mV, 3 * ms, "linear")
    one, other = (
        rn.simulate(net, drive, 30 * ms, 0.1 * ms, backend=backend)
        for backend in ("torch", "brian2")
    )
    torch.testing.assert_close(one.rates, other.rates, rtol=1e-11, atol=1e-11)  # Hz, up to 50


# What a review found ----------------------------------------------------------------------------


@pytest.mark.brian2
def test_a_function_may_use_its_tensor_again() -> None:
    buffer = torch.zeros(1, 3, dtype=torch.float64)
    network = rn.Network("rate", torch.zeros(3, 3, dtype=torch.float64))

    def drive(t: float) -> torch.Tensor:
        return buffer.fill_(math.sin(300 * t))

    runs = [rn.simulate(network, drive, 0.01, 1e-3, backend=b).rates for b in ("torch", "brian2")]
    torch.testing.assert_close(*runs, rtol=0, atol=1e-12)


def test_until_settled_waits_for_the_last_sample() -> None:
    network = rn.Network("rate", torch.zeros(1, 1, dtype=torch.float64))
    step = rn.SampledDrive([[0.0], [1.0]], 0.05)
    run = rn.simulate(network, step, 1.0, 1e-3, until_settled=1e-3)
    assert 0.05 < float(run.t[-1]) < 0.2
    assert float(run.rates[-1]) == pytest.approx(math.tanh(1), abs=2e-3)


def test_until_settled_refuses_a_function() -> None:
    network = rn.Network("rate", torch.zeros(1, 1, dtype=torch.float64))
    with pytest.raises(UnsupportedError, match="needs a drive that is known to become constant"):
        rn.simulate(network, lambda t: [t], 0.1, 1e-3, until_settled=1e-3)


def test_a_gradient_that_only_a_later_value_needs_is_not_lost_in_silence() -> None:
    theta = torch.ones(1, 1, dtype=torch.float64, requires_grad=True)
    network = rn.Network("rate", torch.zeros(1, 1, dtype=torch.float64))

    def late(t: float) -> torch.Tensor:
        return theta * t if t > 0.003 else torch.zeros(1, 1, dtype=torch.float64)

    with pytest.raises(InputError, match="requires a gradient, that at the start did not"):
        rn.simulate(network, late, 0.01, 1e-3)
    with torch.no_grad():  # asked for
        assert not rn.simulate(network, late, 0.01, 1e-3).rates.requires_grad


@pytest.mark.brian2
def test_brian2_says_that_it_has_no_gradients() -> None:
    W = torch.zeros(1, 1, dtype=torch.float64, requires_grad=True)
    with pytest.warns(RatenetWarning, match="backend 'brian2' does not compute gradients"):
        rn.simulate(rn.Network("rate", W), [1.0], 0.01, 1e-3, backend="brian2")


@pytest.mark.parametrize(
    "make",
    [
        lambda: rn.Network("rate", np.zeros((2, 2)), parameters={"tau": [10 * mV, 20 * mV]}),
        lambda: rn.Network("rate", np.zeros((2, 2))).as_drive([1 * nA, 2 * nA]),
        lambda: rn.Network("rate", [[1 * nA, 0 * nA], [0 * nA, 0 * nA]]),
        lambda: rn.Network("rate", np.zeros((2, 2))).as_drive([1 * nA, 2 * mV]),
        lambda: rn.simulate(
            rn.Network("rate", np.zeros((2, 2))),
            rn.SampledDrive([[1 * nA, 2 * nA]], 0.01),
            0.1,
            0.01,
        ),
    ],
)
def test_units_of_lists_of_quantities_are_checked(make: Callable[[], object]) -> None:
    with pytest.raises(InputError, match="unit"):
        make()


def test_a_list_of_quantities_is_taken() -> None:
    network = rn.Network("rate", np.zeros((2, 2)), parameters={"tau": [10 * ms, 20 * ms]})
    assert network.parameters["tau"].tolist() == pytest.approx([0.01, 0.02])


def test_divergence_with_a_drive_that_needs_a_gradient_is_called_divergence() -> None:
    scale = torch.ones(1, dtype=torch.float64, requires_grad=True)
    net = rn.Network("linear", [[0.0]])
    with (
        pytest.warns(rn.errors.RatenetWarning, match="too large"),
        pytest.raises(rn.errors.DivergenceError, match="dt = 0.05 s is too large"),
    ):
        rn.simulate(net, lambda t: scale[None], 5.0, 0.05)


def test_an_infinite_drive_that_leaves_no_trace_in_the_rates_is_refused() -> None:
    """The tanh of it is 1: the rates stay finite."""
    fine = torch.ones(1, 1, dtype=torch.float64)

    def drive(t: float) -> Tensor:
        return fine * math.inf if abs(t - 3e-3) < 1e-9 else fine

    with pytest.raises(InputError, match="NaN or infinite at t = 0.003 s for unit 0 of stimulus 0"):
        rn.simulate(rn.Network("rate", [[0.0]]), drive, 10 * ms, 1 * ms, record_every=10)


def test_large_finite_values_whose_sum_overflows_are_taken() -> None:
    big = torch.full((1, 3), 1e308, dtype=torch.float64)
    net = rn.Network("rate", torch.zeros(3, 3, dtype=FLOAT))
    run = rn.simulate(net, lambda t: big, 10 * ms, 1 * ms)
    assert float(run.rates[-1].max()) == pytest.approx(1 - 0.9**10)


@pytest.mark.parametrize("interval", [0.5 * ms, 1 * ms])
def test_samples_between_steps_are_not_skipped_in_silence(interval: Any) -> None:
    drive = SampledDrive(np.ones((40, 4)), interval)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", RatenetWarning)
        rn.simulate(network(), drive, 10 * ms, 1 * ms)
    said = [str(each.message) for each in seen if issubclass(each.category, RatenetWarning)]
    assert bool(said) == (interval < 1 * ms)
    assert all("samples are 0.0005 s apart, less than dt = 0.001 s" in each for each in said)


def test_a_class_and_no_stimulus_are_refused_in_a_sentence() -> None:
    class Ramp:
        def at(self, t: float) -> list[float]:
            return [t, 0.0, 0.0, 0.0]

    with pytest.raises(InputError, match="drive: expected an instance, not a class"):
        rn.simulate(network(), Ramp, 10 * ms, 1 * ms)
    with pytest.raises(InputError, match="drive: expected a stimulus for backend 'brian2'"):
        rn.simulate(network(), np.ones((0, 4)), 10 * ms, 1 * ms, backend="brian2")
    assert rn.simulate(network(), np.ones((0, 4)), 10 * ms, 1 * ms).rates.shape == (11, 0, 4)


def test_a_drive_that_is_changed_in_place_is_checked_again() -> None:
    held = torch.zeros(1, UNITS, dtype=FLOAT)

    def drive(t: float) -> Tensor:
        if t > 2.5e-3:
            held[0, 1] = math.nan
        return held

    with pytest.raises(InputError, match="NaN or infinite at t = 0.003 s for unit 1"):
        rn.simulate(network(), drive, 5 * ms, 1 * ms)
