"""Populations, parameters by population, distributions, and weights and drives by population."""

from typing import Any

import numpy as np
import pytest
import torch
from brian2 import ms, mV
from helpers.specs import spec

from ratenet import ModelSpec, Network
from ratenet.equations.files import parse_model
from ratenet.errors import InputError, ModelError

E_AND_I = {"E": 0.8, "I": 0.2}


def model(populations: dict[str, Any] = E_AND_I, **parameters: Any) -> ModelSpec:
    return spec(populations=populations, parameters={"tau": "10*ms", **parameters})


def network(units: int = 10, **options: Any) -> Network:
    by_population = {"E": "20*ms", "I": "5*ms"}
    return Network(model(tau=by_population), torch.zeros(units, units), **options)


# Sizes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("populations", "units", "expected"),
    [
        ({"E": 8, "I": 2}, 10, {"E": (0, 8), "I": (8, 10)}),
        ({"E": 0.8, "I": 0.2}, 10, {"E": (0, 8), "I": (8, 10)}),
        ({"E": 0.8, "I": 0.2}, 7, {"E": (0, 6), "I": (6, 7)}),  # 5.6 and 1.4
        ({"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}, 8, {"a": (0, 3), "b": (3, 6), "c": (6, 8)}),
        ({"all": 1.0}, 4, {"all": (0, 4)}),
    ],
)
def test_units_of_a_population_follow_one_another(
    populations: dict[str, Any], units: int, expected: dict[str, tuple[int, int]]
) -> None:
    found = Network(model(populations), torch.zeros(units, units)).populations
    assert {name: (place.start, place.stop) for name, place in found.items()} == expected


def test_a_network_may_have_sizes_of_its_own() -> None:
    found = network(5, populations={"I": 2, "E": 3})
    assert found.populations == {"E": slice(0, 3), "I": slice(3, 5)}  # in the model's order


@pytest.mark.parametrize(
    ("populations", "sentence"),
    [
        ({"E": 3, "I": 1}, "expected sizes that sum to the 5 units of W, got E 3, I 1"),
        ({"E": 0.95, "I": 0.05}, "leave one population empty"),
    ],
)
def test_sizes_that_do_not_fit_the_weights(populations: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Network(model(populations), torch.zeros(5, 5))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"E": 5}, r"populations: expected E, I, got \['E'\]"),
        ({"E": 4, "P": 1}, r"populations: expected E, I, got \['E', 'P'\]"),
        ({"E": 4.0, "I": 1}, "populations, E: expected a whole number of at least 1, got 4.0"),
        ({"E": 5, "I": 0}, "populations, I: expected a whole number of at least 1, got 0"),
        ({"E": 3, "I": 1}, "sum to the 5 units of W, got E 3, I 1"),
    ],
)
def test_given_sizes_are_checked(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Network(model(), torch.zeros(5, 5), populations=given)


# Parameters ------------------------------------------------------------------------------------


def test_a_parameter_by_population() -> None:
    assert network(5).parameters["tau"].tolist() == pytest.approx([0.02] * 4 + [0.005])


def test_an_override_by_population_leaves_the_others() -> None:
    tau = network(5, parameters={"tau": {"I": 7 * ms}}).parameters["tau"]
    assert tau.tolist() == pytest.approx([0.02] * 4 + [0.007])


def test_an_override_by_population_may_be_an_array_or_a_distribution() -> None:
    given = {"tau": {"E": [1, 2, 3, 4] * ms, "I": "uniform(6*ms, 7*ms)"}}
    tau = network(5, parameters=given).parameters["tau"]
    assert tau[:4].tolist() == pytest.approx([0.001, 0.002, 0.003, 0.004])
    assert 0.006 < float(tau[4]) < 0.007


def test_a_population_may_have_a_list_and_another_a_distribution() -> None:
    tau = {"E": ["1*ms", "2*ms"], "I": "normal(10*ms, 1*ms)"}
    values = Network(model({"E": 2, "I": 3}, tau=tau), torch.zeros(5, 5)).parameters["tau"]
    assert values[:2].tolist() == pytest.approx([0.001, 0.002])
    assert len(set(values[2:].tolist())) == 3


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"tau": {"P": 1 * ms}}, "parameters, tau: Unknown population 'P'; available: E, I"),
        (
            {"tau": {"E": [1, 2] * ms}},
            "parameters, tau, E: .*N = 8",
        ),
        ({"tau": {"E": 1 * mV}}, "parameters, tau, E: expected the unit s, got 1. mV"),
        ({"tau": {"E": -1 * ms}}, "parameters, tau: expected a time constant above 0"),
        ({"tau": "normal(1*ms, 1*mV)"}, "normal takes two quantities of the same unit"),
        ({"tau": "normal(0*ms, 1*ms)"}, "parameters, tau: expected a time constant above 0, got -"),
        ({"tau": ["1*ms"]}, "parameters, tau: expected real numbers, got strings"),
    ],
)
def test_bad_overrides(parameters: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        network(10, parameters=parameters)


def test_values_by_population_need_populations() -> None:
    with pytest.raises(InputError, match="Unknown population 'E'; available: none"):
        Network("rate", torch.zeros(2, 2), parameters={"tau": {"E": 1 * ms}})


def test_a_list_of_a_model_that_does_not_fit_the_units() -> None:
    tau = {"E": ["1*ms", "2*ms"], "I": "1*ms"}
    with pytest.raises(
        InputError,
        match="parameters, tau, E: .*N = 8",
    ):
        Network(model(tau=tau), torch.zeros(10, 10))


# Distributions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "mean", "sd"),
    [
        ("normal(10*ms, 1*ms)", 0.010, 0.001),
        ("uniform(4*ms, 10*ms)", 0.007, 0.006 / 12**0.5),
        ("lognormal(10*ms, 5*ms)", 0.010, 0.005),
        ("gamma(10*ms, 5*ms)", 0.010, 0.005),
    ],
)
def test_distributions_have_the_mean_and_deviation_that_they_say(
    text: str, mean: float, sd: float
) -> None:
    n = 20_000
    drawn = spec(parameters={"tau": text}).defaults["tau"].values({}, n, seed=1)
    assert drawn.shape == (n,)
    assert drawn.mean() == pytest.approx(mean, abs=4 * sd / n**0.5)  # 4 standard errors
    assert drawn.std() == pytest.approx(sd, rel=0.05)


def test_gamma_is_skewed_as_a_gamma_distribution_is() -> None:
    """Its skewness is 2 sd / mean; that of the lognormal with these moments is larger."""
    drawn = spec(parameters={"tau": "gamma(10*ms, 5*ms)"}).defaults["tau"].values({}, 200_000, 1)
    assert ((drawn - 0.010) ** 3).mean() / 0.005**3 == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("text", ["gamma(0*ms, 1*ms)", "gamma(1*ms, 0*ms)", "gamma(-1*ms, 1*ms)"])
def test_a_gamma_distribution_is_above_zero(text: str) -> None:
    with pytest.raises(ModelError, match=r"tau: expected gamma\(mean, sd\) .* above 0, got"):
        Network(spec(parameters={"tau": text}), torch.zeros(3, 3))


def test_draws_depend_on_the_seed_and_on_the_name_alone() -> None:
    text = "normal(10*ms, 1*ms)"

    def tau(seed: int, **others: str) -> list[float]:
        some = spec(parameters={**others, "tau": text})
        return Network(some, torch.zeros(3, 3), seed=seed).parameters["tau"].tolist()

    assert tau(1) == tau(1) == tau(1, another=text)
    assert tau(1) != tau(2)
    both = Network(spec(parameters={"tau": text, "b": text}), torch.zeros(3, 3)).parameters
    assert both["tau"].tolist() != both["b"].tolist()


# Weights and drives ----------------------------------------------------------------------------


def test_weights_by_population() -> None:
    W = {"E": {"E": 1.25, "I": -0.65}, "I": {"E": np.arange(6.0).reshape(2, 3)}}
    found = Network(model(), W, populations={"E": 3, "I": 2}).connectivity.dense()
    assert found[:3, :3].tolist() == [[1.25] * 3] * 3
    assert found[:3, 3:].tolist() == [[-0.65] * 2] * 3
    assert found[3:, :3].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found[3:, 3:].tolist() == [[0, 0]] * 2


@pytest.mark.parametrize(
    ("W", "sentence"),
    [
        ({"P": {"E": 1.0}}, "W: Unknown population 'P'; available: E, I"),
        ({"E": 1.0}, "W, E: expected a mapping from presynaptic populations"),
        ({"E": {"I": [[1.0]]}}, r"W, E from I: expected one number, or shape \(3, 2\)"),
        ({"E": {"I": 1 * mV}}, "W, E from I: expected numbers without a unit"),
    ],
)
def test_bad_blocks(W: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Network(model(), W, populations={"E": 3, "I": 2})


def test_blocks_need_sizes() -> None:
    with pytest.raises(InputError, match="need the sizes of the populations"):
        Network(model(), {"E": {"E": 1.0}})


def test_a_drive_by_population() -> None:
    net = network(5)
    assert net.as_drive({"E": 1.0, "I": [2.0]}).tolist() == [[1, 1, 1, 1, 2]]
    two = net.as_drive({"I": torch.tensor([[3.0], [4.0]]), "E": [1.0, 2.0, 3.0, 4.0]})
    assert two.tolist() == [[1, 2, 3, 4, 3], [1, 2, 3, 4, 4]]


@pytest.mark.parametrize(
    ("drive", "sentence"),
    [
        ({"E": 1.0}, "drive: values are missing for I"),
        ({"E": 1.0, "I": [1.0, 2.0]}, r"drive, I: expected a number, .* got \(2,\)"),
        ({"E": 1.0, "I": 1 * mV}, "drive, I: expected numbers without a unit, got 1. mV"),
    ],
)
def test_bad_drives_by_population(drive: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        network(5).as_drive(drive)


# As a value ------------------------------------------------------------------------------------


def test_a_model_with_populations_is_its_own_table() -> None:
    some = model(tau={"E": ["1*ms", "2*ms"], "I": "normal(10*ms, 1*ms)"})
    assert parse_model(some.to_table()) == some
    assert hash(some) == hash(parse_model(some.to_table()))
    assert "tau = E: 1*ms, 2*ms, I: normal(10*ms, 1*ms)" in str(some)
    assert "population E: 0.8" in str(some)


def test_a_spec_takes_mappings_and_quantities() -> None:
    given = ModelSpec(
        equations="dr/dt = (-r + f(I_rec + I_ext)) / tau : 1",
        output="r",
        recurrent="I_rec",
        drive="I_ext",
        functions={"f": "relu(u)"},
        parameters={"tau": {"E": 20 * ms, "I": np.array([1.0, 2.0]) * ms}},
        populations={"E": 1, "I": 2},
    )
    tau = Network(given, torch.zeros(3, 3)).parameters["tau"]
    assert tau.tolist() == pytest.approx([0.02, 0.001, 0.002])
    assert parse_model(given.to_table()) == given


def test_a_parameter_that_is_none_of_these() -> None:
    with pytest.raises(ModelError, match="parameters, tau: expected a number, a quantity such as"):
        spec(parameters={"tau": True})
