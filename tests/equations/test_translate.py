"""From expressions to torch: values and slopes of every function, dtypes, NaN."""

import contextlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers.specs import EQUATIONS, spec, value_and_slope
from scipy import special
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ratenet import Network, load_model, model_names
from ratenet.equations import functions
from ratenet.equations.symbolic import above, symbol
from ratenet.equations.torch_expressions import TorchExpressions
from ratenet.equations.torch_model import translate
from ratenet.errors import UnsupportedError

FLOAT = torch.float64

# name: (numpy's function, its derivative, interval)
FUNCTIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any], tuple[float, float]]] = {
    "sin": (np.sin, np.cos, (-4, 4)),
    "cos": (np.cos, lambda u: -np.sin(u), (-4, 4)),
    "tan": (np.tan, lambda u: 1 / np.cos(u) ** 2, (-1.4, 1.4)),
    "sinh": (np.sinh, np.cosh, (-4, 4)),
    "cosh": (np.cosh, np.sinh, (-4, 4)),
    "tanh": (np.tanh, lambda u: 1 / np.cosh(u) ** 2, (-3, 3)),
    "arcsin": (np.arcsin, lambda u: (1 - u**2) ** -0.5, (-0.95, 0.95)),
    "arccos": (np.arccos, lambda u: -((1 - u**2) ** -0.5), (-0.95, 0.95)),
    "arctan": (np.arctan, lambda u: 1 / (1 + u**2), (-4, 4)),
    "exp": (np.exp, np.exp, (-4, 4)),
    "expm1": (np.expm1, np.exp, (-4, 4)),
    "log": (np.log, lambda u: 1 / u, (0.1, 4)),
    "log10": (np.log10, lambda u: 1 / (u * math.log(10)), (0.1, 4)),
    "log1p": (np.log1p, lambda u: 1 / (1 + u), (-0.9, 4)),
    "sqrt": (np.sqrt, lambda u: 0.5 / np.sqrt(u), (0.1, 4)),
    "abs": (np.abs, np.sign, (-4, 4)),
    "sign": (np.sign, np.zeros_like, (-4, 4)),
    "int": (np.trunc, np.zeros_like, (-4, 4)),
    "relu": (lambda u: np.maximum(u, 0), lambda u: np.heaviside(u, 0), (-4, 4)),
    "sigmoid": (special.expit, lambda u: special.expit(u) * special.expit(-u), (-40, 40)),
    "softplus": (lambda u: np.logaddexp(0, u), special.expit, (-40, 40)),
    "erf": (special.erf, lambda u: 2 / np.sqrt(np.pi) * np.exp(-(u**2)), (-4, 4)),
    "exprel": (special.exprel, lambda u: (np.exp(u) * (u - 1) + 1) / u**2, (-4, 4)),
}


def test_every_function_of_the_language_is_tested() -> None:
    assert {*FUNCTIONS, "clip"} == set(functions.FUNCTIONS)


@pytest.mark.parametrize(("dtype", "tolerance"), [(FLOAT, 1e-13), (torch.float32, 2e-5)])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_and_slopes_against_numpy(
    name: str, dtype: torch.dtype, tolerance: float
) -> None:
    function, derivative, (low, high) = FUNCTIONS[name]
    u = torch.linspace(low, high, 42, dtype=dtype)
    value, slope = value_and_slope(f"{name}(u)", u)
    exact = u.double().numpy()
    assert value.dtype == dtype
    np.testing.assert_allclose(value.numpy(), function(exact), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(slope.numpy(), derivative(exact), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("name", "values", "slopes"),
    [
        ("sigmoid", [0.0, 1.0], [0.0, 0.0]),
        ("softplus", [0.0, 800.0], [0.0, 1.0]),
        ("erf", [-1.0, 1.0], [0.0, 0.0]),
        ("relu", [0.0, 800.0], [0.0, 1.0]),
    ],
)
def test_no_overflow_at_800(name: str, values: list[float], slopes: list[float]) -> None:
    value, slope = value_and_slope(f"{name}(u)", torch.tensor([-800.0, 800.0], dtype=FLOAT))
    assert value.tolist() == values
    assert slope.tolist() == slopes


def test_the_slope_of_sigmoid_is_exact_far_out_on_both_sides() -> None:
    # sigmoid (1 - sigmoid) would lose all digits above 36.
    _, slope = value_and_slope("sigmoid(u)", torch.tensor([-50.0, 50.0], dtype=FLOAT))
    torch.testing.assert_close(slope, torch.full_like(slope, math.exp(-50)), rtol=1e-12, atol=0)


def test_exprel_and_its_slope_near_zero() -> None:
    u = torch.tensor([-0.5, -1e-3, -1e-9, 0.0, 1e-9, 1e-3, 0.5], dtype=FLOAT)
    value, slope = value_and_slope("exprel(u)", u)
    # 40 terms of the series, summed without cancellation
    powers = u[:, None] ** torch.arange(40, dtype=FLOAT)
    factorials = torch.cumprod(torch.arange(1, 43, dtype=FLOAT), dim=0)  # 1!, 2!, ...
    torch.testing.assert_close(value, (powers / factorials[:40]).sum(1), rtol=1e-15, atol=0)
    terms = powers * torch.arange(1, 41, dtype=FLOAT) / factorials[1:41]
    torch.testing.assert_close(slope, terms.sum(1), rtol=1e-15, atol=0)


def test_the_kink_of_relu_has_the_left_derivative() -> None:
    _, slope = value_and_slope("relu(u)", torch.tensor([0.0], dtype=FLOAT))
    assert slope.tolist() == [0.0]


def test_tanh_in_float32_is_exact_to_3e_7() -> None:
    u = torch.linspace(-20, 20, 100_001, dtype=torch.float32)
    value, _ = value_and_slope("tanh(u)", u)
    assert value.dtype == torch.float32
    assert np.abs(value.double().numpy() - np.tanh(u.double().numpy())).max() < 3e-7


def test_clip_against_numpy_even_with_crossed_bounds() -> None:
    u = torch.linspace(-3, 3, 42, dtype=FLOAT)
    for low, high in ((-1.0, 1.0), (1.0, -1.0)):
        value, _ = value_and_slope(f"clip(u, {low}, {high})", u)
        np.testing.assert_array_equal(value.numpy(), np.minimum(np.maximum(u.numpy(), low), high))


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ("1/(1 + exp(-u))", special.expit),
        ("u**2.5", lambda u: u**2.5),
        ("u**-3", lambda u: u**-3.0),
        ("2**u", np.exp2),
        ("u**u", lambda u: u**u),
        ("int(u >= 1)", lambda u: (u >= 1).astype(float)),
        ("int(u > 1) - int(1 > u) + 2*int(u <= 2)", lambda u: np.sign(u - 1) + 2.0 * (u <= 2)),
        ("clip(u, 1, 2*u - 1)", lambda u: np.minimum(np.maximum(u, 1), 2 * u - 1)),
        ("pi*u - e", lambda u: np.pi * u - np.e),
        ("-u/3 + 1/u - 4/(u*u)", lambda u: -u / 3 + 1 / u - 4 / u**2),
        ("2.5", lambda u: np.full_like(u, 2.5)),
    ],
)
def test_expressions_against_numpy(body: str, answer: Callable[..., Any]) -> None:
    u = torch.linspace(0.25, 3, 23, dtype=FLOAT)
    value, _ = value_and_slope(body + " + 0*u", u)
    np.testing.assert_allclose(value.numpy(), answer(u.numpy()), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(
    "body",
    ["clip(u, 0, inf)", "clip(u, -inf, 1)", "clip(u, 0, 1)", "clip(u, 0, u)", "abs(u)", "sign(u)",
     "int(u)", "tanh(u)", "sqrt(u)", "u**3"],
)  # fmt: skip
@pytest.mark.parametrize("dtype", [FLOAT, torch.float32])
def test_nan_stays_nan(body: str, dtype: torch.dtype) -> None:
    value, _ = value_and_slope(body, torch.tensor([math.nan, 1.0], dtype=dtype))
    assert value.isnan().tolist() == [True, False]


@pytest.mark.parametrize("dtype", [FLOAT, torch.float32])
@pytest.mark.parametrize(
    "body", ["int(u > 0)", "sign(u)", "abs(u)", "clip(u, 0, 1)", "0.1*int(u > 0) + 0.2"]
)
def test_a_choice_between_two_numbers_keeps_the_dtype(body: str, dtype: torch.dtype) -> None:
    """torch.where of two Python numbers would take torch's default dtype."""
    compiled = TorchExpressions(spec(functions={"f": body}).input_derivatives)
    values = {name: torch.full((2,), 0.5, dtype=dtype) for name in ("r", "I_rec", "I_ext", "tau")}
    value, slope = value_and_slope(body, torch.tensor([-0.5, 0.5], dtype=dtype))
    assert value.dtype == dtype
    assert torch.as_tensor(compiled(values)[0], dtype=dtype).isfinite().all()
    assert slope.dtype in (dtype, torch.get_default_dtype())  # a slope of 0 is a plain number


def test_a_constant_of_0_1_is_not_rounded_to_float32() -> None:
    value, _ = value_and_slope("0.1*int(u > 0)", torch.tensor([1.0], dtype=FLOAT))
    assert value.item() == 0.1


@pytest.mark.parametrize("dtype", [FLOAT, torch.float32])
def test_time_as_a_number_keeps_the_dtype(dtype: torch.dtype) -> None:
    model = spec(equations=EQUATIONS.replace("f(I)", "sin(t/tau)*I"))
    named: dict[str, Tensor | float] = {
        name: torch.tensor([[0.5]], dtype=dtype) for name in ("r", "I_rec", "I_ext", "tau")
    }
    (found,) = TorchExpressions(model.right_hand_sides)({**named, "t": 0.25})
    assert found.dtype == dtype
    assert found.item() == pytest.approx((-0.5 + math.sin(0.5)) / 0.5, rel=1e-6)


def test_a_function_of_time_alone_is_exact_at_time_zero() -> None:
    model = spec(equations=EQUATIONS.replace("f(I)", "I + (t/tau - 1)**0.5 + 1/(t/tau)"))
    named: dict[str, Tensor | float] = {
        name: torch.tensor([[0.5]], dtype=FLOAT) for name in ("r", "I_rec", "I_ext", "tau")
    }
    (found,) = TorchExpressions(model.right_hand_sides)({**named, "t": 0.0})
    assert not found.isfinite().any()  # 1/0 is no exception, as in Brian2


class CountedCalls(TorchDispatchMode):
    """Counts what torch computes."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        self.names.append(function.overloadpacket.__name__)
        return function(*arguments, **(options or {}))


def test_shared_parts_are_computed_once() -> None:
    model = spec(equations=EQUATIONS.replace("f(I)", "exp(I)*(1 + exp(I))"), functions={})
    compiled = TorchExpressions(model.right_hand_sides + model.input_derivatives)
    with CountedCalls() as calls:
        compiled({name: torch.ones(1) for name in ("r", "I_rec", "I_ext", "tau")})
    assert calls.names.count("exp") == 1


def test_a_model_is_translated_once() -> None:
    assert translate(load_model("rate")) is translate(load_model("rate"))


def test_masks_of_derivatives_win_over_infinity() -> None:
    u = symbol("u")
    product = TorchExpressions([above(u, 0) / u, -3 * above(u, 0) * u**-2 / 2, above(u, 0) * 4])
    found = product({"u": torch.tensor([0.0, 2.0], dtype=FLOAT)})
    assert [row.tolist() for row in found] == [[0.0, 0.5], [0.0, -0.375], [0.0, 4.0]]


@pytest.mark.parametrize("dtype", [FLOAT, torch.float32])
def test_a_logistic_function_by_hand_has_a_slope_where_it_is_saturated(dtype: torch.dtype) -> None:
    u = torch.tensor([-1000.0, -100.0, 0.0, 100.0, 1000.0], dtype=dtype)
    value, slope = value_and_slope("2/(1 + exp(-u/2))", u)
    assert value.tolist() == pytest.approx([0, 0, 1, 2, 2], abs=1e-15)
    assert slope.tolist() == pytest.approx([0, 0, 0.25, 0, 0], abs=1e-15)


# Numbers, and tensors that are overwritten ------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [("u / a", [math.inf, -math.inf, math.nan]), ("u * (b / a)", [math.inf, -math.inf, math.nan])],
)
def test_a_parameter_of_zero_divides_as_in_torch(body: str, expected: list[float]) -> None:
    model = spec(
        equations="dr/dt = (-r + f(I_rec + I_ext)) / tau : 1",
        functions={"f": body},
        parameters={"tau": "1*second", "a": 0, "b": 1},
    )
    network = Network(model, torch.zeros(3, 3, dtype=FLOAT))
    found = network.derivative(torch.zeros(1, 1, 3, dtype=FLOAT), torch.tensor([[1.0, -1.0, 0.0]]))
    np.testing.assert_equal(found[0, 0].numpy(), expected)


def steps_of(network: Network) -> Callable[[Tensor, Tensor], list[Tensor]]:
    """Return a function that takes a step by each method that fits the model."""

    def steps(state: Tensor, drive: Tensor) -> list[Tensor]:
        found = [network.step(state, drive, 0.0, 1e-4)]
        with contextlib.suppress(UnsupportedError):
            found.append(network.step(state, drive, 0.0, 1e-4, "exponential_euler"))
        return found

    return steps


@pytest.mark.parametrize("dtype", [FLOAT, torch.float32])
@pytest.mark.parametrize("name", model_names())
def test_a_step_is_that_of_the_derivative(name: str, dtype: torch.dtype) -> None:
    # By another way: s + dt F, and with F = M s + B the solution of ds/dt = M s + B.
    generator = torch.Generator().manual_seed(4)
    sizes = [size for _, size in load_model(name).populations]
    N = sum(sizes) if sizes and all(isinstance(size, int) for size in sizes) else 4
    network = Network(name, 0.1 * torch.randn(N, N, generator=generator, dtype=dtype))
    state = torch.rand(len(network.model.states), 3, N, generator=generator, dtype=dtype)
    drive = torch.rand(3, N, generator=generator, dtype=dtype)
    dt, F = 1e-3, network.derivative(state, drive)
    close = {"rtol": 50 * torch.finfo(dtype).eps, "atol": 50 * torch.finfo(dtype).eps}
    with torch.no_grad():
        euler, *exponential = steps_of(network)(state, drive)
    torch.testing.assert_close(network.step(state, drive, 0.0, dt), state + dt * F, **close)
    torch.testing.assert_close(euler, state + 1e-4 * F, **close)
    for found in exponential:
        a = 1e-4 * network.own_rates(state, drive)
        growth = torch.where(a == 0, 1.0, torch.expm1(a) / torch.where(a == 0, 1.0, a))
        torch.testing.assert_close(found, state + 1e-4 * growth * F, **close)


MODELS = ["rate", "adaptation", "ssn", "wilson_cowan", "short_term_plasticity", "hopfield"]


@pytest.mark.parametrize("dtype", [FLOAT, torch.float32])
@pytest.mark.parametrize("name", MODELS)
def test_overwriting_changes_no_number_and_no_input(name: str, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(3)
    W = torch.randn(4, 4, generator=generator, dtype=dtype)
    network = Network(name, W)
    state = torch.rand(len(network.model.states), 3, 4, generator=generator, dtype=dtype)
    drive = torch.rand(3, 4, generator=generator, dtype=dtype)
    state_before, drive_before = state.clone(), drive.clone()
    calls = (
        network.derivative, network.jacobian_blocks, network.unit_response, steps_of(network)
    )  # fmt: skip
    with_gradients = [call(state, drive) for call in calls]
    with torch.no_grad():
        for _ in range(2):
            for call, expected in zip(calls, with_gradients, strict=True):
                torch.testing.assert_close(call(state, drive), expected, rtol=0, atol=0)
    assert torch.equal(state, state_before)
    assert torch.equal(drive, drive_before)


OVERWRITERS = [
    "tanh(g*I_ext)", "g*tanh(h*r)", "relu(g*a)", "g*r + h*I_ext - r", "exp(g*h*r)*a - a*r",
    "sigmoid(1.0*I_rec) + 1.0*a", "g*(h*(r))", "sqrt(g*r)*g*r", "tanh(-(g*r))",
]  # fmt: skip


@pytest.mark.parametrize("g", [1.0, -1.0, 0.0, 0.5])
@pytest.mark.parametrize("right", OVERWRITERS)
def test_no_value_of_a_parameter_makes_an_input_overwritten(right: str, g: float) -> None:
    # A factor of exactly 1 once handed the user's own tensor on, and it was overwritten.
    model = spec(
        equations=f"dr/dt = (-r + {right} + 0*I_rec + 0*I_ext) / tau : 1",
        functions={},
        parameters={"tau": "1*second", "g": g, "h": 1.0, "a": [0.5, 0.25]},
        output="g*r",
    )
    network = Network(model, torch.tensor([[0.1, 0.2], [0.3, 0.4]], dtype=FLOAT))
    state = torch.tensor([[[0.3, 0.7], [0.2, 0.4]]], dtype=FLOAT)
    drive = torch.tensor([[0.6, 0.1], [0.5, 0.9]], dtype=FLOAT)
    held = [state, drive, network.connectivity.dense(), *network.parameters.values()]
    before = [tensor.clone() for tensor in held]
    calls = (
        network.derivative, network.jacobian_blocks, network.unit_response, steps_of(network)
    )  # fmt: skip
    expected = [call(state, drive) for call in calls]
    rates = network.output(state)
    with torch.no_grad():
        for call, right_answer in zip(calls, expected, strict=True):
            torch.testing.assert_close(call(state, drive), right_answer, equal_nan=True)
        torch.testing.assert_close(network.output(state), rates)
    for tensor, original in zip(held, before, strict=True):
        assert torch.equal(tensor, original)


def test_a_replaced_parameter_is_noticed() -> None:
    network = Network("linear", torch.zeros(1, 1, dtype=FLOAT), parameters={"tau": 0.01})
    network.parameters["tau"] = torch.tensor(0.1, dtype=FLOAT)
    one = torch.ones(1, 1, 1, dtype=FLOAT)
    assert float(network.derivative(one, 0 * one[0])) == pytest.approx(-10)


def test_a_parameter_changed_in_place_is_noticed() -> None:
    network = Network("linear", torch.zeros(1, 1, dtype=FLOAT), parameters={"tau": 0.01})
    one = torch.ones(1, 1, 1, dtype=FLOAT)
    assert float(network.derivative(one, 0 * one[0])) == pytest.approx(-100)
    network.parameters["tau"].fill_(0.1)
    assert float(network.derivative(one, 0 * one[0])) == pytest.approx(-10)


def test_a_parameter_that_needs_a_gradient_gets_it() -> None:
    tau = torch.tensor(0.01, dtype=FLOAT, requires_grad=True)
    network = Network("linear", torch.zeros(1, 1, dtype=FLOAT), parameters={"tau": tau})
    one = torch.ones(1, 1, 1, dtype=FLOAT)
    network.derivative(one, 0 * one[0]).sum().backward()
    assert float(tau.grad) == pytest.approx(1 / 0.01**2)  # d(-1/tau)/dtau
