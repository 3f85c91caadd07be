"""Rules that are made of rules or of functions, names on the command line, and the docs page."""

import pickle
import re
from pathlib import Path

import pytest
import torch
from helpers.problems import FLOAT, linear, random, tanh_rates
from helpers.rules import ReadOut, settled
from torch import Tensor

import ratenet as rn
from ratenet.connectivity import LowRank
from ratenet.errors import InputError, UnknownNameError
from ratenet.plasticity import (
    BCM,
    RULES,
    BackpropagationThroughTime,
    EquilibriumPropagation,
    Euclidean,
    Hebb,
    LinearizedReparameterized,
    Mixed,
    NodePerturbation,
    TruncatedAdjoint,
    rule_named,
)

PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text()


def test_a_mixture_is_a_weighted_sum() -> None:
    fp, error = settled(tanh_rates()), random(4, 12, seed=161)
    mixed = Mixed([(0.3, Euclidean()), (-2.0, LinearizedReparameterized()), (1, Hebb())])
    parts = [rule.update(fp, error, 0.1) for _, rule in mixed.rules]
    expected = 0.3 * parts[0] - 2.0 * parts[1] + parts[2]
    torch.testing.assert_close(mixed.update(fp, error, 0.1), expected, rtol=0, atol=1e-14)


def test_a_mixture_adds_each_of_several_parameters() -> None:
    factors = LowRank(random(12, 2, seed=162), random(12, 2, seed=163))
    fp = rn.find_fixed_points(rn.Network("linear", factors), linear().drive)
    error = random(4, 12, seed=164)
    delta = rule_named("2*euclidean+0.5*hebb").update(fp, error, 0.1)
    euclidean, hebb = (rule.update(fp, error, 0.1) for rule in (Euclidean(), Hebb()))
    for name in ("m", "n"):
        expected = 2 * euclidean[name] + 0.5 * hebb[name]
        torch.testing.assert_close(delta[name], expected, rtol=0, atol=1e-13)


def test_a_mixture_hands_on_the_loss_and_asks_for_it() -> None:
    fp, read_out = settled(tanh_rates()), ReadOut(4, 12)
    mixed, error = rule_named("node-perturbation+0.1*hebb"), torch.zeros(4, 12, dtype=FLOAT)
    delta = mixed.update(fp, error, 0.1, loss=read_out.losses)
    alone = NodePerturbation().update(fp, error, 0.1, loss=read_out.losses)
    torch.testing.assert_close(delta, alone + 0.1 * Hebb().update(fp, error, 0.1))
    assert mixed.traits.needs_loss
    assert not mixed.traits.uses_error
    assert not rule_named("euclidean+mirror-descent").traits.is_proportional
    with pytest.raises(InputError, match="Mixed requires update"):
        mixed.update(fp, error, 0.1)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("0.5*euclidean+0.5*hebb", Mixed([(0.5, Euclidean()), (0.5, Hebb())])),
        ("euclidean + -1e-2 * hebb", Mixed([(1.0, Euclidean()), (-0.01, Hebb())])),
        ("2*euclidean", Mixed([(2.0, Euclidean())])),
        ("1e+3*hebb", Mixed([(1000.0, Hebb())])),
        ("1E-3*hebb+.5*euclidean", Mixed([(0.001, Hebb()), (0.5, Euclidean())])),
        (" hebb ", Hebb()),
        ("hebb()", Hebb()),
        ("truncated-adjoint(terms=5)", TruncatedAdjoint(5)),
        (
            "0.5*truncated-adjoint( terms = 5 ) + 0.5*hebb",
            Mixed([(0.5, TruncatedAdjoint(5)), (0.5, Hebb())]),
        ),
        (
            "equilibrium-propagation(beta=1e-2, nudge=positive, follows_loss=true)",
            EquilibriumPropagation(0.01, "positive", follows_loss=True),
        ),
        (
            "bptt(duration=50*ms, dt=0.5*ms, start='fixed-point')",
            BackpropagationThroughTime(0.05, 0.0005, "fixed-point"),
        ),
        ("bcm(threshold=none)", BCM()),
    ],
)
def test_sums_are_read_by_name(name: str, expected: Mixed) -> None:
    assert rule_named(name) == expected


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "0.5*euclidean+0.5*hebbs",
            r"Unknown rule 'hebbs'; did you mean 'hebb'\? Available: euclidean,",
        ),
        (
            "0.5*euclidean+",
            r"rule '0.5\*euclidean\+': expected a name, or a number and '\*', got the end; write",
        ),
        (
            "half*euclidean+hebb",
            r"'half\*euclidean\+hebb': expected '\+' or the end, got '\*euclidean\+hebb'",
        ),
        ("nan*euclidean", r"expected '\+' or the end, got '\*euclidean'"),
        ("1e999*euclidean", "Mixed: expected pairs of a finite weight and a rule"),
        (
            "truncated-adjoint(term=5)",
            "Unknown setting .*; did you mean 'terms'",
        ),
        ("truncated-adjoint(terms=-1)", "terms: "),
        ("truncated-adjoint(terms=1.5)", "terms: "),
        ("truncated-adjoint(terms=5", r"expected name=value, and '\)' after the last one"),
        ("truncated-adjoint(terms=5)hebb", r"expected '\+' or the end, got 'hebb'"),
        ("truncated-adjoint(5)", "expected name=value"),
        ("bptt(dt=1*ms, dt=2*ms)", "dt is set twice"),
        ("bptt(dt=9**9**9*ms)", "dt"),
        ("bptt(dt=__import__('os'))", "expected name=value"),
        ("", r"rule '': expected a name"),
        ("hebb" * 500, "rule: more than 1000 characters"),
    ],
)
def test_bad_sums_are_one_sentence(name: str, sentence: str) -> None:
    with pytest.raises((UnknownNameError, InputError), match=sentence):
        rule_named(name)


@pytest.mark.parametrize("rules", [(), ((1.0, "hebb"),), ((Euclidean(), 1.0),), (Euclidean(),)])
def test_mixtures_are_of_weights_and_rules(rules: tuple) -> None:
    with pytest.raises(
        InputError, match="Mixed: expected (at least one|pairs of a finite weight and a rule)"
    ):
        Mixed(rules)


@rn.plasticity.rule(metric="Euclidean in W, if the loss is right")
def by_loss(fp: rn.FixedPoints, error: Tensor, learning_rate: float, loss: object) -> Tensor:
    return -learning_rate * torch.full_like(fp.network.connectivity.dense(), loss(fp.rates).mean())


def test_a_function_may_ask_for_the_loss() -> None:
    fp, read_out = settled(tanh_rates()), ReadOut(4, 12)
    delta = by_loss.update(fp, fp.rates, 0.1, loss=read_out.losses)
    expected = torch.full((12, 12), -0.1 * float(read_out.losses(fp.rates).mean()), dtype=FLOAT)
    torch.testing.assert_close(delta, expected)
    assert str(by_loss) == (
        "FunctionRule(name='by_loss'), metric: Euclidean in W, if the loss is right"
    )
    with pytest.raises(InputError, match="requires update"):
        by_loss.update(fp, fp.rates, 0.1)


def test_rules_travel_to_other_processes() -> None:
    for rule in (
        by_loss,
        rule_named("0.5*mirror-descent+bptt"),
        *(make() for make in RULES.values()),
    ):
        assert pickle.loads(pickle.dumps(rule)) == rule


def test_a_function_sees_settled_samples_only() -> None:
    seen = []

    @rn.plasticity.rule(metric="none")
    def looks(fp: rn.FixedPoints, error: Tensor, learning_rate: float) -> Tensor:
        seen.append(len(fp))
        return torch.zeros(12, 12, dtype=FLOAT)

    problem = linear()
    state = problem.rates.clone()
    state[1] += 5.0
    fp = rn.fixed_points_at(problem.network(), problem.drive, state)
    looks.update(fp, torch.ones(4, 12), 0.1)
    assert seen == [3]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (torch.zeros(12), r"rule other: expected .* \{'W': \(12, 12\)\}, got \{'W': \(12,\)\}"),
        ({"V": torch.zeros(12, 12)}, r"got \{'V': \(12, 12\)\}"),
        (None, "got None"),
    ],
)
def test_what_a_function_returns_is_checked(change: object, sentence: str) -> None:
    @rn.plasticity.rule(metric="none")
    def other(fp: rn.FixedPoints, error: Tensor, learning_rate: float) -> object:
        return change

    with pytest.raises(InputError, match=sentence):
        other.update(settled(linear()), torch.ones(4, 12), 0.1)


def test_other_functions_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"rule <lambda>: expected a function of \(fp, error, .*got \(fp\)"
    ):
        rn.plasticity.rule(metric="none")(lambda fp: fp)
    with pytest.raises(InputError, match=r"rule: expected a plain function.*got 3; put @rule"):
        rn.plasticity.rule(metric="none")(3)  # type: ignore[arg-type]
    with pytest.raises(
        InputError, match=r"metric: expected the geometry in which the rule descends.*got ''"
    ):
        rn.plasticity.rule(metric="")(lambda fp, error, learning_rate: error)


def test_the_page_names_every_rule() -> None:
    for name, make in RULES.items():
        assert f"`{name}`" in PAGE, name
        assert f"`{make.__name__}`" in PAGE, name


def test_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "docs/rules.md", "exec"), names)
    assert "metric: Euclidean in W" in capsys.readouterr().out
