"""Network: conventions, what is taken at the door, Jacobian blocks."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from brian2 import Hz, ms, mV, second, volt
from helpers.problems import PLAIN_MODELS, random, random_weights
from helpers.specs import spec
from torch import Tensor

from ratenet import Dense, ModelSpec, Network, load_model, simulate
from ratenet.errors import InputError, UnknownNameError

FLOAT = torch.float64
W = [[0.0, 2.0], [0.0, 0.0]]  # unit 1 excites unit 0


def volt_model() -> ModelSpec:
    return spec(
        equations="dv/dt = (-v + I_rec + I_ext) / tau : volt\nI_rec : volt\nI_ext : volt",
        output="f(v/scale)",
        parameters={"tau": "10*ms", "scale": "5*mV"},
    )


# Conventions -----------------------------------------------------------------------------------


def test_weights_are_post_pre() -> None:
    network = Network("linear", W, parameters={"tau": 1.0})
    state = torch.tensor([[[0.0, 3.0]]], dtype=FLOAT)
    found = network.derivative(state, torch.zeros(1, 2, dtype=FLOAT))
    assert found.tolist() == [[[6.0, -3.0]]]


def test_batches_are_rows() -> None:
    network = Network("linear", W, parameters={"tau": 1.0})
    state = torch.tensor([[[0.0, 3.0], [1.0, 0.5]]], dtype=FLOAT)
    drive = torch.tensor([[0.0, 0.0], [10.0, 20.0]], dtype=FLOAT)
    assert network.derivative(state, drive).tolist() == [[[6.0, -3.0], [10.0, 19.5]]]


def test_the_equations_of_two_state_variables_are_rows_in_order() -> None:
    network = Network("adaptation", W, parameters={"tau": 1.0, "tau_a": 2 * second, "b": 0.5})
    r, a = torch.tensor([[0.1, 0.2]], dtype=FLOAT), torch.tensor([[0.3, 0.4]], dtype=FLOAT)
    drive = torch.tensor([[0.5, 0.6]], dtype=FLOAT)
    found = network.derivative(torch.stack([r, a]), drive)
    dr = -r + torch.tanh(torch.tensor([[0.4 + 0.5 - 0.15, 0.6 - 0.2]], dtype=FLOAT))
    torch.testing.assert_close(found, torch.stack([dr, (r - a) / 2]))


def test_the_voltage_model_transmits_a_function_of_its_state() -> None:
    network = Network("voltage", W)
    v = torch.tensor([[0.5, -1.0]], dtype=FLOAT)
    torch.testing.assert_close(network.output(v[None]), torch.tanh(v))


def test_time_enters_where_the_equations_name_it() -> None:
    model = spec(equations="dr/dt = (-r + I_rec + I_ext + t/tau) / tau : 1", functions={})
    network = Network(model, [[0.0]], parameters={"tau": 0.5})
    zero = torch.zeros(1, 1, 1, dtype=FLOAT)
    assert network.derivative(zero, zero[0], t=0.25).item() == 1.0


# Parameters ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tau", [20 * ms, 0.02, np.float64(0.02), torch.tensor(0.02), 20e-3 * second]
)
def test_a_parameter_is_a_number_or_a_quantity(tau: Any) -> None:
    network = Network("linear", W, parameters={"tau": tau})
    assert network.parameters["tau"].item() == pytest.approx(0.02, rel=1e-7)
    assert network.parameters["tau"].shape == ()


@pytest.mark.parametrize("tau", [[10, 20] * ms, [0.01, 0.02], np.array([0.01, 0.02])])
def test_a_parameter_may_have_one_value_a_unit(tau: Any) -> None:
    network = Network("linear", W, parameters={"tau": tau})
    state = torch.ones(1, 1, 2, dtype=FLOAT)
    found = network.derivative(state, torch.zeros(1, 2, dtype=FLOAT))
    torch.testing.assert_close(found, torch.tensor([[[100.0, -50.0]]], dtype=FLOAT))
    assert network.longest_time_constant() == pytest.approx(0.02)
    assert network.shortest_time_constant() == pytest.approx(0.01)


def test_defaults_hold_where_nothing_is_overridden() -> None:
    network = Network("adaptation", W, parameters={"b": 0.25})
    values = {name: value.item() for name, value in network.parameters.items()}
    assert values == pytest.approx({"tau": 0.01, "tau_a": 0.1, "b": 0.25})


def test_a_default_list_must_fit_the_number_of_units() -> None:
    model = spec(parameters={"tau": ["10*ms", "20*ms", "30*ms"]})
    assert Network(model, torch.zeros(3, 3)).parameters["tau"].shape == (3,)
    with pytest.raises(InputError, match=r"tau: expected one value, or one for each of the N = 2"):
        Network(model, W)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"tau": 10 * mV}, r"parameters, tau: expected the unit s, got 10. mV"),
        ({"tau": 10 * Hz}, "expected the unit s, got 10. Hz"),
        ({"b": 10 * ms}, "expected numbers without a unit, got 10. ms"),
        ({"tau": 0.0}, "parameters, tau: expected a time constant above 0, got 0. s"),
        ({"tau": -10 * ms}, "expected a time constant above 0, got -10. ms"),
        ({"tau": [0.01, -0.01]}, "expected a time constant above 0"),
        ({"tau": math.nan}, "parameters, tau: NaN or infinite entries"),
        ({"b": math.inf}, "parameters, b: NaN or infinite entries"),
        ({"b": [1.0, 2.0, 3.0]}, r"parameters, b: expected .* N = 2 units, got \(3,\)"),
        ({"b": [[1.0], [2.0]]}, r"parameters, b: expected .* N = 2 units, got \(2, 1\)"),
        ({"b": "0.5*ms"}, "parameters, b: expected numbers without a unit, got 0.5 ms"),
        ({"b": None}, "parameters, b: expected real numbers, got None"),
        ({"gain": 2.0}, "has no parameter 'gain'; available: tau, tau_a, b"),
        ({"I_ext": 2.0}, "has no parameter 'I_ext'"),
    ],
)
def test_bad_parameters_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Network("adaptation", W, parameters=parameters)


def test_a_model_without_time_constant_says_so() -> None:
    model = spec(equations="dr/dt = (-r + I_rec + I_ext)*k : 1", functions={},
                 parameters={"k": "5*Hz"})  # fmt: skip
    with pytest.raises(InputError, match="has no time constant: none of its parameters"):
        Network(model, W).longest_time_constant()


def test_an_unknown_model_name_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="Unknown model 'nonlinear'"):
        Network("nonlinear", W)


# Units of weights, drive and state -------------------------------------------------------------


def test_a_model_in_volts_takes_quantities_and_si_numbers_alike() -> None:
    with_units = Network(volt_model(), W * mV)
    plain = Network(volt_model(), np.array(W) * 1e-3)
    assert torch.equal(with_units.connectivity.dense(), plain.connectivity.dense())
    torch.testing.assert_close(
        with_units.as_drive([1, 2] * mV), torch.tensor([[1e-3, 2e-3]], dtype=FLOAT)
    )
    torch.testing.assert_close(
        with_units.as_state({"v": -60 * mV}, 1), torch.full((1, 1, 2), -0.06, dtype=FLOAT)
    )


def test_units_that_do_not_fit_are_refused() -> None:
    network = Network(volt_model(), W * mV)
    with pytest.raises(InputError, match="W: expected the unit V .*, got values in s"):
        Network(volt_model(), W * ms)
    with pytest.raises(InputError, match="W: expected numbers without a unit"):
        Network("rate", W * mV)
    with pytest.raises(InputError, match="drive: expected the unit V, got"):
        network.as_drive([1, 2] * ms)
    with pytest.raises(InputError, match="state, v: expected the unit V, got 1. s"):
        network.as_state({"v": 1 * second}, 1)
    with pytest.raises(InputError, match="drive: expected numbers without a unit, got values in V"):
        Network("rate", W).as_drive([1, 2] * volt)


# Weights ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([[0.0, math.nan], [0.0, 0.0]], r"1 NaN or infinite entry, the first at W\[0, 1\]"),
        ([[0.0, 0.0], [math.inf, 0.0]], r"the first at W\[1, 0\]"),
        (torch.zeros(2, 3), r"W: expected a square matrix.*got \(2, 3\)"),
        (torch.zeros(4), r"W: expected a square matrix.*got \(4,\)"),
        (torch.zeros(0, 0), "W: expected a square matrix"),
        (torch.zeros(2, 2, 2), "W: expected a square matrix"),
        ([[0.0, 1.0], [2.0]], "W: expected real numbers"),
        ("rate", "W: expected real numbers"),
        (None, "W: expected real numbers, got None"),
        (torch.zeros(2, 2, dtype=torch.complex128), "W: expected real numbers, got complex"),
    ],
)
def test_bad_weights_are_refused(weights: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Network("rate", weights)


def test_integer_weights_become_float64() -> None:
    for weights in ([[0, 2], [0, 0]], np.array([[0, 2], [0, 0]]), torch.tensor([[0, 2], [0, 0]])):
        network = Network("linear", weights)
        assert network.dtype == FLOAT
        assert network.connectivity.dense().tolist() == W


def test_a_dense_connectivity_refuses_integers() -> None:
    with pytest.raises(InputError, match="floating-point"):
        Dense(torch.tensor([[1]]))


def test_dtype_rules() -> None:
    single = torch.tensor(W, dtype=torch.float32)
    assert Network("rate", single).dtype == torch.float32
    assert Network("rate", single, dtype=FLOAT).dtype == FLOAT
    assert Network("rate", np.array(W, dtype=np.float32)).dtype == FLOAT
    assert Network("rate", W, dtype=torch.float32).dtype == torch.float32
    assert Network("rate", Dense(single)).dtype == torch.float32
    with pytest.raises(InputError, match="the connectivity is torch.float32"):
        Network("rate", Dense(single), dtype=FLOAT)
    with pytest.raises(InputError, match="dtype: expected torch.float64 .*, got torch.int64"):
        Network("rate", W, dtype=torch.int64)


@pytest.mark.parametrize("dtype", [FLOAT, torch.float32])
@pytest.mark.parametrize("name", PLAIN_MODELS)
def test_everything_has_the_dtype_of_the_weights(name: str, dtype: torch.dtype) -> None:
    network = Network(name, torch.tensor(W, dtype=dtype))
    drive = network.as_drive(np.array([0.5, -0.5]))
    state = network.as_state(None, 1)
    blocks = network.jacobian_blocks(state, drive)
    found = (drive, state, network.output(state), network.derivative(state, drive), *blocks)
    assert {tensor.dtype for tensor in found} == {dtype}
    assert network.own_rates(state, drive).dtype == dtype


def test_a_tensor_is_used_as_it_is() -> None:
    weights = torch.tensor(W, dtype=FLOAT)
    network = Network("linear", weights)
    weights[0, 1] = 5.0
    assert network.connectivity.dense()[0, 1] == 5.0


# Drives and states -----------------------------------------------------------------------------


def test_a_drive_may_be_a_row_or_a_batch() -> None:
    network = Network("rate", W)
    assert network.as_drive([1, 2]).tolist() == [[1.0, 2.0]]
    assert network.as_drive(0.5).tolist() == [[0.5, 0.5]]
    assert network.as_drive(torch.ones(3, 2)).shape == (3, 2)


@pytest.mark.parametrize(
    ("drive", "message"),
    [
        ([1.0, 2.0, 3.0], r"drive: expected .*N = 2 units, got \(1, 3\)"),
        (np.zeros((2, 2, 2)), r"drive: expected .*, got \(2, 2, 2\)"),
        ([1.0, math.nan], "drive: NaN or infinite entries"),
        ([1.0, -math.inf], "drive: NaN or infinite entries"),
        (["a", "b"], r"drive: expected real numbers, got strings"),
        ([1j, 2.0], "drive: expected real numbers"),
        (torch.tensor([1j, 2.0]), "drive: expected real numbers, got complex"),
    ],
)
def test_bad_drives_are_refused(drive: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Network("rate", W).as_drive(drive)


def test_states_by_name() -> None:
    network = Network("adaptation", W)
    state = network.as_state({"a": [3.0, 4.0], "r": 0.5}, stimuli=2)
    assert state.tolist() == [[[0.5, 0.5], [0.5, 0.5]], [[3.0, 4.0], [3.0, 4.0]]]


def test_states_without_names() -> None:
    one, two = Network("rate", W), Network("adaptation", W)
    assert one.as_state([1.0, 2.0], 2).tolist() == [[[1.0, 2.0], [1.0, 2.0]]]
    assert one.as_state([[1.0, 2.0], [3.0, 4.0]], 2).tolist() == [[[1.0, 2.0], [3.0, 4.0]]]
    assert two.as_state(None, 3).shape == (2, 3, 2)
    assert two.as_state(torch.ones(2, 3, 2), 3).shape == (2, 3, 2)


def test_a_state_is_a_copy() -> None:
    given = torch.ones(1, 1, 2, dtype=FLOAT)
    Network("rate", W).as_state(given, 1).zero_()
    assert given.sum() == 2


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"r": 0.0}, r"state: expected the state variables .* r, a, got \['r'\]"),
        ({"r": 0.0, "a": 0.0, "b": 0.0}, "state: expected the state variables"),
        ({"r": 0.0, "a": [1.0, 2.0, 3.0]}, r"state, a: expected a number, .*, got \(3,\)"),
        ({"r": 0.0, "a": math.nan}, "state, a: NaN"),
        ([1.0, 2.0], r"state: expected a mapping with r, a, or shape .*, got \(2,\)"),
        (np.zeros((2, 3, 2)), r"state: expected .*, got \(2, 3, 2\)"),
    ],
)
def test_bad_states_are_refused(state: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Network("adaptation", W).as_state(state, stimuli=1)


def test_a_state_that_is_not_finite_may_be_asked_for() -> None:
    state = Network("rate", W).as_state([math.nan, 1.0], 1, finite=False)
    assert state.isnan().tolist() == [[[True, False]]]


# Jacobian --------------------------------------------------------------------------------------


def finite_difference(function: Callable[[Tensor], Tensor], point: Tensor) -> Tensor:
    """Return the slopes of a function that works on each entry of the point by itself."""
    step = 1e-6
    return (function(point + step) - function(point - step)) / (2 * step)


@pytest.mark.parametrize("name", PLAIN_MODELS)
def test_jacobian_blocks_agree_with_finite_differences(name: str) -> None:
    """Without weights a unit sees its own state only, so each block is a plain slope."""
    units, stimuli = 4, 3
    network = Network(name, torch.zeros(units, units, dtype=FLOAT))
    k = len(network.model.states)
    state = random(k, stimuli, units, seed=1)
    drive = random(stimuli, units, seed=2)
    blocks = network.jacobian_blocks(state, drive)
    assert blocks.F_s.shape == (k, k, stimuli, units)
    for j in range(k):
        direction = torch.zeros_like(state)
        direction[j] = 1.0

        def moved(s: Tensor, j: int = j, direction: Tensor = direction) -> Tensor:
            return state + (s - state[j]) * direction

        F_j = finite_difference(lambda s: network.derivative(moved(s), drive), state[j])
        rho_j = finite_difference(lambda s: network.output(moved(s)), state[j])
        torch.testing.assert_close(blocks.F_s[:, j], F_j, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(blocks.rho_s[j], rho_j, rtol=1e-6, atol=1e-8)
    F_I = finite_difference(lambda x: network.derivative(state, x), drive)
    torch.testing.assert_close(blocks.F_I, F_I, rtol=1e-6, atol=1e-6)  # both inputs enter alike


@pytest.mark.parametrize("name", PLAIN_MODELS)
def test_the_blocks_and_weights_make_the_whole_jacobian(name: str) -> None:
    units = 3
    weights = random_weights(units, seed=3)
    network = Network(name, weights)
    k = len(network.model.states)
    state, drive = random(k, 1, units, seed=4), random(1, units, seed=5)
    F_s, F_I, rho_s = (block.squeeze(-2) for block in network.jacobian_blocks(state, drive))
    exact = torch.func.jacrev(lambda s: network.derivative(s, drive))(state)
    for i in range(k):
        for j in range(k):
            block = torch.diag(F_s[i, j]) + F_I[i][:, None] * weights * rho_s[j]
            torch.testing.assert_close(block, exact[i, 0, :, j, 0, :])


def test_recurrent_and_drive_need_not_enter_alike() -> None:
    model = spec(equations="dr/dt = (-r + I_rec**2 * I_ext) / tau : 1", functions={})
    network = Network(model, [[3.0]], parameters={"tau": 1.0})
    state, drive = torch.full((1, 1, 1), 2.0, dtype=FLOAT), torch.full((1, 1), 5.0, dtype=FLOAT)
    assert network.jacobian_blocks(state, drive).F_I.item() == 2 * 6 * 5


def test_models_by_name_and_as_a_spec_are_alike() -> None:
    assert Network("rate", W).model == Network(load_model("rate"), W).model


# Arguments of another kind ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"model": None}, "model: expected .*, got None"),
        ({"parameters": ["tau"]}, r"parameters: expected .*, got \['tau'\]"),
        ({"seed": 1.5}, "seed: expected a whole number .*, got 1.5"),
        ({"seed": None}, "seed: expected .*, got None"),
        ({"seed": -1}, "seed: expected .*, got -1"),
        ({"dtype": "float32"}, "dtype: expected .*, got 'float32'"),
    ],
)
def test_arguments_of_another_kind(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Network(**{"model": "rate", "W": torch.eye(2), **arguments})


def test_only_networks_are_simulated() -> None:
    with pytest.raises(InputError, match="network: expected .*, got 'rate'"):
        simulate("rate", [1.0], 0.1, 0.01)  # type: ignore[arg-type]
