"""ModelSpec: a value that can be compared and read, names and units, derivatives."""

import dataclasses
import keyword
import subprocess
import sys

import numpy as np
import pytest
import torch
from brian2 import Mohm, second, volt
from brian2.units.fundamentalunits import DIMENSIONLESS
from helpers.specs import EQUATIONS, gain_expressions, spec, value_and_slope

from ratenet import ModelSpec, load_model
from ratenet.equations.names import check_identifier
from ratenet.equations.torch_expressions import TorchExpressions
from ratenet.equations.torch_model import translate
from ratenet.errors import ModelError, UnsupportedError

FLOAT = torch.float64


def right_hand_side(model: ModelSpec, **values: float) -> float:
    """Return F of the first state variable at given values."""
    named = {name: torch.tensor(value, dtype=FLOAT) for name, value in values.items()}
    return float(TorchExpressions(model.right_hand_sides)(named)[0])


# A value ---------------------------------------------------------------------------------------


def test_a_spec_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec().name = "other"  # type: ignore[misc]


def test_specs_of_equal_content_are_equal_and_hash_alike() -> None:
    assert spec() == spec()
    assert hash(spec()) == hash(spec())
    assert spec() is not spec()


@pytest.mark.parametrize(
    "change",
    [{"name": "other"}, {"functions": {"f": "u"}}, {"parameters": {"tau": "20*ms"}}],
    ids=lambda change: next(iter(change)),
)
def test_specs_of_different_content_differ(change: dict[str, object]) -> None:
    assert spec(**change) != spec()


def test_a_spec_with_a_list_of_values_is_hashable() -> None:
    model = spec(parameters={"tau": ["10*ms", "20*ms"]})
    assert len({model, model}) == 1
    assert model.defaults["tau"].values({}, 2, seed=0).tolist() == [0.01, 0.02]


def test_str_shows_equations_functions_parameters_and_roles() -> None:
    shown = str(spec(parameters={"tau": ["10*ms", "20*ms"]})).splitlines()
    assert shown == [
        "test: A model of the tests (tests)",
        "dr/dt = (-r + f(I)) / tau : 1",
        "I = I_rec + I_ext : 1",
        "f(u) = tanh(u)",
        "tau = 10*ms, 20*ms",
        "output r, recurrent input I_rec, drive I_ext",
    ]


def test_a_spec_imports_no_simulator_and_no_torch() -> None:
    code = "import sys, ratenet.equations.spec; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# Units -----------------------------------------------------------------------------------------


def test_roles_are_dimensionless_unless_declared() -> None:
    model = spec()
    assert model.dimensions("I_rec") is DIMENSIONLESS
    assert model.weight_dimensions is DIMENSIONLESS
    assert model.dimensions("tau") == second.dim


def test_a_model_in_volts_has_weights_in_volts() -> None:
    model = spec(
        equations=(
            "dv/dt = (-v + I_rec + I_ext) / tau : volt\nI_rec : volt\nI_ext : volt\n"
            "y = f(v / scale) : 1"
        ),
        output="y",
        parameters={"tau": "10*ms", "scale": "5*mV"},
    )
    assert model.output_dimensions is DIMENSIONLESS
    assert model.weight_dimensions == volt.dim
    assert model.dimensions("v") == volt.dim
    assert model.defaults["scale"].values({}, 1, seed=0) == 0.005


def test_weights_have_the_unit_of_the_input_over_that_of_the_output() -> None:
    model = spec(
        equations="dv/dt = (-v + R*I_rec + I_ext) / tau : volt\nI_rec : amp\nI_ext : volt",
        output="v",
        functions={},
        parameters={"tau": "10*ms", "R": "2*Mohm"},
    )
    assert model.weight_dimensions == (1 / Mohm).dim


def test_an_infinite_bound_fits_every_unit() -> None:
    model = spec(
        equations="dv/dt = (-v + clip(I_rec, 0*v0, inf) + I_ext)/tau : volt\n"
        "I_rec : volt\nI_ext : volt",
        output="v",
        functions={},
        parameters={"tau": "10*ms", "v0": "1*mV"},
    )
    assert model.states == ("v",)


# Names -----------------------------------------------------------------------------------------


def test_u_is_local_to_functions() -> None:
    model = spec(
        equations="du/dt = (-u + f(2*I_rec) + I_ext) / tau : 1",
        output="u",
        functions={"f": "u**2"},
    )
    found = right_hand_side(model, u=3.0, I_rec=5.0, I_ext=0.5, tau=1.0)
    assert found == -3.0 + 100.0 + 0.5


def test_functions_of_functions_are_written_out_inside_first() -> None:
    model = spec(functions={"g": "u + 1", "f": "g(2*u)*g(g(u))"})
    # g(6) * g(g(3)) = 7 * 5
    assert right_hand_side(model, r=0.0, I_rec=3.0, I_ext=0.0, tau=1.0) == 35.0


def test_names_that_begin_alike_are_told_apart() -> None:
    model = spec(
        equations="dr/dt = (-r + II + I*I_recc) / tau : 1\nI = I_rec : 1\nII = 10*I_ext : 1\n",
        functions={},
        parameters={"tau": "1*second", "I_recc": 100.0},
    )
    found = right_hand_side(model, r=1.0, I_rec=2.0, I_ext=3.0, tau=1.0, I_recc=100.0)
    assert found == -1 + 30 + 200


def test_subexpressions_may_stand_in_any_order() -> None:
    forward = "a = I_rec + 1 : 1\nb = a**2 + I_ext : 1\ndr/dt = (-r + b) / tau : 1"
    models = [
        spec(equations=text, functions={})
        for text in (forward, "\n".join(reversed(forward.splitlines())))
    ]
    assert models[0].right_hand_sides == models[1].right_hand_sides
    assert right_hand_side(models[1], r=0.0, I_rec=2.0, I_ext=1.0, tau=1.0) == 10.0


@pytest.mark.parametrize("name", ["x0", "x1", "S", "E", "Q", "oo", "zoo", "LIKE", "_".join("ab")])
def test_names_that_sympy_uses_itself_are_ordinary_names(name: str) -> None:
    """cse() names shared parts x0, x1, ...; they must not hide a parameter of that name."""
    model = spec(
        equations=f"dr/dt = (-r + tanh(I_rec + I_ext)*{name} + tanh(I_rec + I_ext)**2) / tau : 1",
        functions={},
        parameters={"tau": "1*second", name: 7.0},
    )
    values = {"r": 0.0, "I_rec": 0.25, "I_ext": 0.25, "tau": 1.0, name: 7.0}
    y = torch.tanh(torch.tensor(0.5, dtype=FLOAT)).item()
    assert right_hand_side(model, **values) == pytest.approx(7 * y + y**2, rel=1e-14)


def test_a_negative_constant_keeps_its_brackets_for_brian2() -> None:
    model = spec(functions={"f": "u + (1 - 3)**n"}, parameters={"tau": "10*ms", "n": 2})
    assert "(-2.0) ** n" in model.brian2_expression("r")


# Time ------------------------------------------------------------------------------------------


def test_uses_time() -> None:
    assert not spec().uses_time
    assert spec(equations=EQUATIONS.replace("f(I)", "f(I)*sin(t/tau)")).uses_time


def test_time_in_a_subexpression_that_is_used_counts() -> None:
    assert spec(equations=EQUATIONS.replace("I_ext :", "I_ext*t/tau :")).uses_time


# Own rates (exponential_euler) -----------------------------------------------------------------


def test_own_rates_refuse_a_nonlinear_equation_in_a_sentence() -> None:
    model = spec(equations="dr/dt = (-r + tanh(0.5*r + I_rec + I_ext)) / tau : 1", functions={})
    with pytest.raises(UnsupportedError) as caught:
        _ = model.own_rates
    assert str(caught.value) == (
        "Model 'test': exponential_euler needs dr/dt to be linear in r (M*r + B with M and B free "
        "of r), and it is not; use method='euler'."
    )


@pytest.mark.parametrize(
    "term", ["sign(r)", "int(r)", "int(r > 0.5)", "int(0.5 >= r)", "abs(r)", "clip(r, 0, 1)"]
)
def test_own_rates_refuse_steps_and_kinks_in_the_own_variable(term: str) -> None:
    model = spec(equations=f"dr/dt = (-r + {term} + I_rec + I_ext) / tau : 1", functions={})
    with pytest.raises(UnsupportedError, match="exponential_euler"):
        _ = model.own_rates


def test_own_rates_of_a_linear_equation() -> None:
    model = spec(equations="dr/dt = (-r*(1 + I_rec**2) + 3*r + I_ext) / tau : 1", functions={})
    rates = TorchExpressions(model.own_rates)
    values = {"r": 5.0, "I_rec": 2.0, "I_ext": 1.0, "tau": 0.5}
    named = {name: torch.tensor(value, dtype=FLOAT) for name, value in values.items()}
    assert float(rates(named)[0]) == pytest.approx(-4.0)


def test_a_variable_without_decay_has_the_own_rate_zero() -> None:
    model = spec(equations="dr/dt = (I_rec + I_ext) / tau : 1", functions={})
    assert [float(rate) for rate in model.own_rates] == [0.0]


# Derivatives -----------------------------------------------------------------------------------

BODIES = [
    "tanh(u)",
    "clip(u, 0, inf)",
    "clip(u, -inf, 0.3)",
    "clip(2*u, -0.7, 0.9)",
    "clip(clip(u, -5, 5), 0, 1)",
    "clip(u, -exp(u), u**2)",
    "clip(u, 0, inf)**2.5",
    "clip(u, 0, inf)**n",
    "abs(u)",
    "abs(abs(u) - 0.5)",
    "abs(abs(abs(abs(abs(u) - 1) - 0.5) - 0.25) - 0.1)",
    "sign(u)*u**2",
    "int(u > 0.2)*u**3",
    "int(0.2 >= u)*exp(u)",
    "int(3*u)*u",
    "sqrt(u**2 + 1)",
    "sqrt(exp(u))",
    "u**3 - 2*u**-2",
    "(u**2 + 1)**-1.5",
    "(u**2)**0.5",
    "2**u",
    "e**(pi*u)",
    "(u**2 + 1)**u",
    "1 / (1 + exp(-u))",
    "log(1 + exp(u))",
    "log1p(u**2) + log10(u**2 + 1) + expm1(u)",
    "sin(u)*cos(2*u) + tan(u/2)",
    "sinh(u) - cosh(u)/3",
    "arcsin(u/3) + arccos(u/3) + arctan(u)",
    "tanh(sin(exp(tanh(u))))",
    "u/(1 + abs(u))",
    "-(-u)",
]


@pytest.mark.parametrize("body", BODIES)
def test_derivatives_agree_with_finite_differences(body: str) -> None:
    model = spec(functions={"f": body}, parameters={"tau": "1*second", "n": 2.5})
    drive = torch.linspace(-2.0317, 2.1141, 47, dtype=FLOAT)  # no kink among the points
    values = {"r": drive, "I_rec": torch.zeros_like(drive), "tau": torch.tensor(1.0, dtype=FLOAT)}
    values["n"] = torch.tensor(2.5, dtype=FLOAT)
    compiled = TorchExpressions([model.right_hand_sides[0], model.input_derivatives[0]])

    def at(shift: float) -> list[torch.Tensor]:
        return compiled({**values, "I_ext": drive + shift})

    step = 1e-6
    expected = (at(step)[0] - at(-step)[0]) / (2 * step)
    torch.testing.assert_close(at(0.0)[1].expand(47), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("body", "kink", "slope"),
    [
        ("clip(u, 0, inf)", 0.0, 0.0),
        ("clip(u, -1, 1)", 1.0, 1.0),
        ("clip(u, -1, 1)", -1.0, 0.0),
        ("abs(u)", 0.0, -1.0),
        ("int(u >= 0)*u", 0.0, 0.0),
        ("int(0 <= u)*u", 0.0, 0.0),
        ("int(u > 0)*u", 0.0, 0.0),
        ("int(0 < u)*u", 0.0, 0.0),
        ("int(u <= 0)*u", 0.0, 1.0),
        ("int(0 >= u)*u", 0.0, 1.0),
        ("int(u < 0)*u", 0.0, 1.0),
        ("int(0 > u)*u", 0.0, 1.0),
        ("sqrt(clip(u, 0, inf))", 0.0, 0.0),
        ("sign(u)", 0.0, 0.0),
    ],
)
def test_the_derivative_at_a_kink_is_the_one_from_the_left(
    body: str, kink: float, slope: float
) -> None:
    _, found = value_and_slope(body, torch.tensor([kink], dtype=FLOAT))
    assert found.tolist() == [slope]


def test_the_root_of_a_rectified_input_has_no_nan_slope_below_zero() -> None:
    u = torch.tensor([-1.0, 0.0, 0.25], dtype=FLOAT)
    _, slope = value_and_slope("clip(u, 0, inf)**0.5", u)
    assert slope.tolist() == [0.0, 0.0, 1.0]


def test_bounds_of_clip_may_be_moved_by_the_argument_of_a_derivative() -> None:
    u = torch.tensor([-3.0, 0.3, 3.0], dtype=FLOAT)
    _, slope = value_and_slope("clip(1, 2*u, 4*u)", u)
    assert slope.tolist() == [4.0, 0.0, 2.0]


def test_jacobian_entries_of_two_state_variables() -> None:
    model = load_model("adaptation")
    names = ("r", "a", "I_rec", "I_ext", "tau", "tau_a", "b")
    values = dict(zip(names, (0.3, 0.2, 0.1, 0.4, 0.01, 0.1, 0.5), strict=True))
    named = {name: torch.tensor(value, dtype=FLOAT) for name, value in values.items()}
    found = [float(entry) for entry in translate(model).blocks(named)]
    slope = 1 - torch.tanh(torch.tensor(0.4, dtype=FLOAT)).item() ** 2
    expected = [-100, -0.5 * slope * 100, 10, -10, slope * 100, 0, 1, 0]
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("body", ["tanh(" * 35 + "u" + ")" * 35, "abs(" * 35 + "u" + ")" * 35])
def test_deep_nests_are_differentiated_at_once(body: str) -> None:
    """SymPy's own tanh takes minutes for this one."""
    value, slope = gain_expressions(body)
    assert value.count_ops() >= 35
    assert slope != 0


def test_a_model_may_have_twenty_state_variables_and_no_more() -> None:
    def equations(k: int) -> str:
        return "\n".join(f"dr{i}/dt = (-r{i} + I_rec + I_ext) / tau : 1" for i in range(k))

    assert len(spec(equations=equations(20), output="r0", functions={}).states) == 20
    with pytest.raises(ModelError, match="at most 20 state variables per unit, got 21"):
        spec(equations=equations(21), output="r0", functions={})


# Arguments of another kind ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"equations": None}, "equations: expected a non-empty string, got None"),
        ({"output": 3}, "output: expected a non-empty string, got 3"),
        ({"functions": {"f": np.tanh}}, "functions, f: expected a string, got <ufunc 'tanh'>"),
        ({"parameters": 3}, "parameters: expected a table of values, got 3"),
        ({"populations": ["E", "I"]}, r"populations: expected a table .* got \['E', 'I'\]"),
        (
            {"parameters": {"tau": np.ones((2, 2)) * second}},
            r"parameters, tau: expected a number or an array .* got the shape \(2, 2\)",
        ),
        ({"parameters": {"tau": [1 * second, 2 * volt]}}, "the values have different units"),
    ],
)
def test_arguments_of_another_kind(changes: dict[str, object], sentence: str) -> None:
    texts = {"equations": EQUATIONS, "output": "r", "recurrent": "I_rec", "drive": "I_ext"}
    with pytest.raises(ModelError, match=sentence):
        ModelSpec(**{**texts, **changes})


def test_a_list_of_quantities() -> None:
    model = ModelSpec(
        equations="dr/dt = (-r + I_rec + I_ext) / tau : 1",
        output="r",
        recurrent="I_rec",
        drive="I_ext",
        parameters={"tau": [1 * second, 2 * second]},
    )
    assert model.defaults["tau"].values({}, 2, seed=0).tolist() == [1.0, 2.0]


def test_names_that_brian2_refuses_are_refused() -> None:
    from brian2.core.namespace import DEFAULT_CONSTANTS, DEFAULT_FUNCTIONS, DEFAULT_UNITS
    from brian2.equations.equations import Equations

    known = {*DEFAULT_CONSTANTS, *DEFAULT_FUNCTIONS, *DEFAULT_UNITS, *keyword.kwlist}
    special = {
        "t",
        "dt",
        "t_in_timesteps",
        "xi",
        "xi_1",
        "i",
        "N",
        "not_refractory",
        "refractory",
        "refractory_until",
    }
    for name in sorted(known | special | {"tau", "r", "I", "self", "double", "taux_"}):
        try:
            Equations.check_identifier(name)
            accepted = True
        except (SyntaxError, ValueError):
            accepted = False
        if accepted:
            check_identifier(name, "here")
        else:
            with pytest.raises(ModelError, match="here: "):
                check_identifier(name, "here")
