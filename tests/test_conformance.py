"""Every shipped model, in both backends and against independent answers."""

import functools

import pytest
import torch
from helpers.problems import random, random_weights
from helpers.specs import spec

import ratenet as rn
from ratenet.conformance import check as conformance
from ratenet.network import JacobianBlocks
from ratenet.simulation.backends import torch_steps
from ratenet.simulation.plasticity import PlasticState

pytestmark = pytest.mark.brian2


@functools.cache
def case(name: str) -> conformance.Case:
    return conformance.Case(rn.load_model(name))


@pytest.mark.parametrize("check", conformance.CHECKS)
@pytest.mark.parametrize("name", rn.model_names())
def test_a_shipped_model_conforms(name: str, check: str) -> None:
    found = conformance.CHECKS[check](case(name))
    assert found.passed, found


@pytest.mark.parametrize("name", rn.plasticity_names())
@pytest.mark.parametrize("steps", [20, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_shipped_plasticity_rule_conforms(name: str, steps: int) -> None:
    found = rn.check_plasticity(name, steps=steps)
    assert [check for check in found if not check.passed] == []
    assert len([check for check in found if check.error is not None]) == 3


@pytest.mark.parametrize("right", ["eta - w/tau", "eta", "-w/tau", "eta*c"])
def test_a_rule_that_needs_no_rates_conforms(right: str) -> None:
    spec = rn.PlasticitySpec(
        equations=f"dw/dt = {right} : 1\ndc/dt = (w - c)/tau : 1",
        parameters={"eta": "5*Hz", "tau": "100*ms"},
    )
    assert [check for check in rn.check_plasticity(spec, steps=20) if not check.passed] == []


def test_a_rule_with_factors_of_a_synapse_conforms() -> None:
    """Soft bounds, two variables of a synapse that name each other, a third factor beside them."""
    spec = rn.PlasticitySpec(
        equations="""
        dw/dt = eta*bound*y_post*y_pre*reward + 0.1*eta*(c - w)*sin(nu*t) - eta*w*y_post**2 : 1
        bound = exp(-w/w_0) : 1
        dc/dt = (w**2 - c*reward)*eta + eta*c*w*(y_post - 0.5*y_pre) : 1
        """,
        parameters={"eta": "5*Hz", "w_0": 0.7, "nu": "20*Hz"},
        signals={"reward": "1"},
    )
    found = rn.check_plasticity(spec, steps=20)
    assert [check for check in found if not check.passed] == []
    assert len([check for check in found if check.error is not None]) == 3


def test_a_wrong_plasticity_rule_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(self: PlasticState, rates: torch.Tensor, t: float, dt: float) -> None:
        advance(self, rates, t, 1.00001 * dt)

    advance = PlasticState.advance
    monkeypatch.setattr(PlasticState, "advance", wrong)
    found = rn.check_plasticity("oja", steps=20)
    assert [check.passed for check in found] == [False, False, True]


def test_every_shipped_model_has_fixed_points_to_check() -> None:
    without = [name for name in rn.model_names() if case(name).settled is None]
    assert without == []


def test_a_wrong_backend_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(network: rn.Network, *arguments: object) -> torch.Tensor:
        return 1.001 * euler(network, *arguments)

    euler = torch_steps.STEPS["euler"]
    monkeypatch.setitem(torch_steps.STEPS, "euler", wrong)
    assert not conformance.check_euler(case("rate")).passed


def test_a_wrong_derivative_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = rn.Network.jacobian_blocks

    def wrong(network: rn.Network, *arguments: torch.Tensor) -> JacobianBlocks:
        blocks = right(network, *arguments)
        return blocks._replace(F_I=1.001 * blocks.F_I)

    found = conformance.Case(rn.load_model("rate"))
    monkeypatch.setattr(rn.Network, "jacobian_blocks", wrong)
    assert not conformance.check_jacobian(found).passed


def test_what_does_not_apply_passes_and_says_why() -> None:
    growing = spec(equations="dr/dt = (1 + r**2 + relu(I_rec + I_ext)) / tau : 1")
    found = conformance.check_fixed_points(conformance.Case(growing))
    assert found.passed
    assert "no fixed point" in found.sentence
    logistic = spec(equations="dr/dt = r*(1 - r + I_rec + I_ext) / tau : 1")
    refused = conformance.check_exponential_euler(conformance.Case(logistic))
    assert refused.error is None
    assert "use method='euler'" in refused.sentence


# The two forms of a network: tau dr/dt = -r + f(W r + x) and tau dv/dt = -v + W f(v) + x ---------

FORMS = {"tanh": "tanh(u)", "relu": "relu(u)", "softplus": "softplus(u)", "power": "relu(u)**1.5"}


def both_forms(body: str, **parameters: object) -> tuple[rn.Network, rn.Network, torch.Tensor]:
    W, x = random_weights(6, seed=1), random(3, 6, seed=2)
    forms = [
        spec(functions={"f": body}),
        spec(
            equations="dv/dt = (-v + I_rec + I_ext) / tau : 1",
            output="f(v)",
            functions={"f": body},
        ),
    ]
    first, second = (rn.Network(form, W, parameters=parameters) for form in forms)
    return first, second, x


@pytest.mark.parametrize("body", FORMS.values(), ids=FORMS)
def test_r_form_and_v_form_have_the_same_fixed_points(body: str) -> None:
    # whatever the time constants, one per unit
    r_form, v_form, x = both_forms(body, tau=[0.01, 0.02, 0.03, 0.01, 0.02, 0.03])
    rates = [rn.find_fixed_points(form, x, tol=1e-12).rates for form in (r_form, v_form)]
    torch.testing.assert_close(*rates, rtol=0, atol=1e-9)


@pytest.mark.parametrize("method", ["euler", "exponential_euler", "rk4"])
@pytest.mark.parametrize("body", FORMS.values(), ids=FORMS)
def test_r_form_and_v_form_have_the_same_trajectories(body: str, method: str) -> None:
    # v = W r + x, for one time constant and a constant drive; so v(0) = x where r(0) = 0.
    r_form, v_form, x = both_forms(body)
    steps = {"duration": 0.05, "dt": 0.001, "method": method}
    r_run = rn.simulate(r_form, x, **steps)
    v_run = rn.simulate(v_form, x, initial=x, **steps)
    W = r_form.connectivity.dense()
    torch.testing.assert_close(v_run.states["v"], r_run.rates @ W.T + x, rtol=0, atol=1e-11)


# Models of users -------------------------------------------------------------------------------


def volts(**changes: object) -> rn.ModelSpec:
    """A passive cell in volts, driven by amperes: no parameter says how large a current is."""
    return rn.ModelSpec(
        equations=(
            "dV/dt = (-V + V_0*tanh((R*(I_rec + I_ext))/V_0)) / tau : volt\n"
            "I_rec : amp\nI_ext : amp"
        ),
        output="V",
        recurrent="I_rec",
        drive="I_ext",
        parameters={"tau": "10*ms", "R": "100*Mohm", "V_0": "5*mV"},
    )


@pytest.mark.parametrize(
    "model",
    [
        spec(parameters={"tau": ["10*ms", "20*ms", "30*ms"]}),
        spec(
            parameters={"tau": {"E": ["10*ms", "20*ms"], "I": "5*ms"}},
            populations={"E": 2, "I": 4},
        ),
        spec(functions={"f": "g*tanh(h*u)"}, parameters={"tau": "10*ms", "g": 1.0, "h": 1.0}),
        volts(),
    ],
    ids=["list", "lists by population", "factors of one", "volts and amperes"],
)
def test_any_valid_model_can_be_checked(model: rn.ModelSpec) -> None:
    assert [check for check in conformance.check_model(model) if not check.passed] == []
