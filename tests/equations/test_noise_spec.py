"""White noise in the equations: names, units, strengths; Brian2's own equations as a model."""

import brian2
import pytest
import torch
from brian2 import ms
from helpers.specs import EQUATIONS, spec, table

from ratenet import ModelSpec, Network
from ratenet.equations.files import parse_model
from ratenet.errors import ModelError

NOISY = "dr/dt = (-r + f(I)) / tau + sigma*sqrt(2/tau)*xi : 1\nI = I_rec + I_ext : 1"


def noisy(equations: str = NOISY, **parameters: object) -> ModelSpec:
    return spec(equations=equations, parameters={"tau": "10*ms", "sigma": 0.3, **parameters})


def strengths(model: ModelSpec, units: int = 2) -> torch.Tensor:
    network = Network(model, torch.zeros(units, units, dtype=torch.float64))
    states = len(model.states)
    state = torch.full((states, 1, units), 0.5, dtype=torch.float64)
    return network.noise_strengths(state, network.as_drive(torch.zeros(units)))


def test_a_model_without_noise() -> None:
    assert spec().noises == ()
    assert strengths(spec()).shape == (1, 0, 1, 2)


def test_the_strength_is_what_xi_is_multiplied_by() -> None:
    assert noisy().noises == ("xi",)
    expected = torch.full((1, 1, 1, 2), 0.3 * (2 / 0.01) ** 0.5, dtype=torch.float64)
    torch.testing.assert_close(strengths(noisy()), expected, rtol=1e-15, atol=0)


def test_noise_is_left_out_of_the_right_hand_side() -> None:
    assert noisy().right_hand_sides == spec().right_hand_sides
    assert noisy().state_derivatives == spec().state_derivatives


def test_brian2_gets_the_noise() -> None:
    assert "xi" in noisy().brian2_expression("r")


def test_several_noises_and_one_that_two_variables_share() -> None:
    equations = (
        "dr/dt = (-r + f(I)) / tau + sigma*tau**-0.5*(xi_1 + 2*xi_2) : 1\n"
        "da/dt = (-a + r) / tau + 3*sigma*tau**-0.5*xi_2 : 1\n"
        "I = I_rec + I_ext - a : 1"
    )
    model = noisy(equations)
    assert model.noises == ("xi_1", "xi_2")
    found = strengths(model)[:, :, 0, 0] / (0.3 * 0.01**-0.5)
    torch.testing.assert_close(found, torch.tensor([[1.0, 2], [0, 3]], dtype=torch.float64))


def test_a_strength_may_depend_on_the_state() -> None:
    model = noisy(NOISY.replace("sigma*", "sigma*r*"))
    expected = 0.5 * 0.3 * (2 / 0.01) ** 0.5
    assert float(strengths(model)[0, 0, 0, 0]) == pytest.approx(expected)


def test_noise_stands_in_the_equation_of_a_state() -> None:
    with pytest.raises(ModelError, match="equations, noise: the noise xi belongs into"):
        noisy(
            "dr/dt = (-r + f(I)) / tau + noise : 1\nI = I_rec + I_ext : 1\n"
            "noise = sigma*sqrt(2/tau)*xi : 1/second"
        )


@pytest.mark.parametrize(
    "term", ["+ {}", "+ 2*(-{})/3", "- {} + 0.1/tau", "+ (0.1/tau - {})*2", "+ ({} - 0.1/tau)/2"]
)
def test_without_noise_the_rest_stays(term: str) -> None:
    noise = "sigma*sqrt(2/tau)*xi"
    model = noisy(f"dr/dt = (-r + f(I)) / tau {term.format(noise)} : 1\nI = I_rec + I_ext : 1")
    silent = model.without_noise()
    assert silent.noises == ()
    assert silent.right_hand_sides == model.right_hand_sides
    assert "xi" not in silent.equations


def test_without_noise_a_variable_may_stand_still() -> None:
    model = noisy("dr/dt = (-r + I_rec + I_ext + w) / tau : 1\ndw/dt = sigma*tau**-0.5*xi : 1")
    assert [str(F) for F in model.without_noise().right_hand_sides][1] == "0"


@pytest.mark.parametrize(
    ("term", "sentence"),
    [
        ("sigma*xi*xi", "the noise does not enter linearly"),
        ("sigma/tau*tanh(tau**0.5*xi)", "the noise does not enter linearly"),
        ("sigma/tau*int(xi*tau**0.5 > 0)", "the noise does not enter linearly"),
        ("sigma*xi", "-0.5"),  # the unit that is found
    ],
)
def test_noise_that_is_refused(term: str, sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        noisy(NOISY.replace("sigma*sqrt(2/tau)*xi", term))


def test_an_output_has_no_noise() -> None:
    with pytest.raises(ModelError, match="output: unknown name 'xi'; available"):
        spec(output="r + 0.1*xi*tau**0.5")


# Brian2's own objects --------------------------------------------------------------------------


def test_the_equations_of_a_neuron_group() -> None:
    text = """dr/dt = (-r + tanh(I_rec + I_ext)) / tau : 1
              I_rec : 1
              I_ext : 1 (constant)
              tau : second (constant)"""
    for equations in (text, brian2.Equations(text)):
        model = ModelSpec(
            equations=equations,
            output="r",
            recurrent="I_rec",
            drive="I_ext",
            parameters={"tau": 10 * ms},
        )
        assert model.states == ("r",)
        assert str(model.right_hand_sides[0]) == "(-r + tanh(I_ext + I_rec))/tau"
        assert parse_model(model.to_table()) == model


def test_a_noise_that_brian2_finds_ambiguous() -> None:
    twice = EQUATIONS.replace("/ tau", "/ tau + tau**-0.5*xi") + "\nda/dt = tau**-0.5*xi : 1"
    with pytest.raises(ModelError, match="xi"):
        parse_model(table(equations=twice))
