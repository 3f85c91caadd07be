"""What every plasticity rule promises: shapes, the mean over settled samples, refusals.

A new rule in RULES is one more row of these tests. They use a linear network, since rule 2 is
defined for shared gains only, and the loss e^T y, whose slope is the error everywhere.
"""

import dataclasses
import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from helpers.problems import (
    FLOAT,
    adaptation,
    linear,
    random,
    tanh_rates,
    threshold_linear,
    voltage,
)
from helpers.rules import ReadOut
from torch import Tensor

import ratenet as rn
from ratenet.connectivity import Convolution, LowRank, Masked, Signed, Sum
from ratenet.connectivity.base import AbstractConnectivity, as_change
from ratenet.errors import InputError, RatenetWarning, SingularError, StaleError, UnsettledError
from ratenet.plasticity import (
    RULES,
    AbstractRule,
    Euclidean,
    ExponentiatedGradient,
    FirstOrderReparameterized,
    MirrorDescent,
    NodePerturbation,
    Reparameterized,
    WeightPerturbation,
    rule_named,
)


@rn.plasticity.rule(metric="none")
def two_factors(fp: rn.FixedPoints, error: Tensor, learning_rate: float) -> Tensor:
    return -learning_rate * error.T @ fp.rates / len(fp)


EVERY = {name: make() for name, make in RULES.items() if name != "frozen"}
EVERY["mixed"] = rule_named("0.5*euclidean+2*linearized-reparameterized")
EVERY["function"] = two_factors
FINITE = ("reparameterized", "exponentiated-gradient", "mirror-descent", "contrastive-hebbian")
TRIES = (NodePerturbation, WeightPerturbation)


def rows(rules: dict[str, AbstractRule]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("rule", rules.values(), ids=list(rules))


every_rule = rows(EVERY)
every_taught_rule = rows({name: rule for name, rule in EVERY.items() if rule.traits.uses_error})
every_given_rule = rows({n: r for n, r in EVERY.items() if not isinstance(r, TRIES)})


def settled(dtype: torch.dtype = FLOAT) -> rn.FixedPoints:
    problem = linear()
    return rn.find_fixed_points(problem.network(dtype), problem.drive)


def errors() -> torch.Tensor:
    return random(4, 12, seed=91)


class Slope:
    """The loss e_b^T y_b of each sample."""

    def __init__(self, error: Tensor) -> None:
        self.error = error

    def __call__(self, rates: Tensor) -> Tensor:
        return (rates * self.error.to(rates)).sum(dim=1)


def update(rule: AbstractRule, fp: rn.FixedPoints, error: Any, eta: Any = 0.01) -> Any:
    """Return the rule's change, with the loss that has this error."""
    return rule.update(fp, error, eta, loss=Slope(torch.as_tensor(error, dtype=FLOAT)))


def partly_settled() -> rn.FixedPoints:
    """Return four samples: settled, still moving, settled, NaN."""
    problem = linear()
    state = problem.rates.clone()
    state[1] += 5.0
    state[3] = math.nan
    return rn.fixed_points_at(problem.network(), problem.drive, state)


@every_rule
@pytest.mark.parametrize("dtype", [FLOAT, torch.float32], ids=str)
def test_the_change_is_shaped_like_the_weights(rule: AbstractRule, dtype: torch.dtype) -> None:
    fp = settled(dtype)
    delta = update(rule, fp, errors())  # float64 errors are taken by float32 networks
    assert delta.shape == (12, 12)
    assert delta.dtype == dtype
    assert not delta.requires_grad
    assert delta.abs().max() > 1e-4
    fp.network.connectivity.add_(delta)


@every_rule
def test_nothing_is_changed_by_computing(rule: AbstractRule) -> None:
    fp, error = settled(), errors()
    W, rates = fp.network.connectivity.dense().clone(), fp.rates.clone()
    one, other = update(rule, fp, error, 0.01), update(rule, fp, error, 0.01)
    assert torch.equal(one, other)
    assert torch.equal(fp.network.connectivity.dense(), W)
    assert torch.equal(fp.rates, rates)
    assert torch.equal(error, errors())


@every_given_rule
def test_a_change_is_a_mean_over_samples(rule: AbstractRule) -> None:
    fp, error = settled(), errors()
    twice = fp.select(torch.tensor([0, 1, 2, 3, 0, 1, 2, 3]))
    delta = update(rule, fp, error, 0.01)
    repeated = update(rule, twice, torch.cat([error, error]), 0.01)
    torch.testing.assert_close(repeated, delta, rtol=0, atol=1e-12)


@every_taught_rule
def test_no_error_gives_no_change(rule: AbstractRule) -> None:
    delta = update(rule, settled(), torch.zeros(4, 12, dtype=FLOAT), 0.1)
    assert (delta == 0).all()


@every_rule
def test_arrays_and_lists_are_accepted(rule: AbstractRule) -> None:
    fp, expected = settled(), update(rule, settled(), errors(), 0.01)
    assert torch.equal(update(rule, fp, errors().numpy(), 0.01), expected)
    assert torch.equal(update(rule, fp, errors().tolist(), 0.01), expected)


@every_rule
def test_unsettled_samples_are_left_out_of_the_mean(rule: AbstractRule) -> None:
    fp, error = partly_settled(), errors()
    assert fp.converged.tolist() == [True, False, True, False]
    assert fp.unsettled == 2
    error[1] = math.nan  # the error of what has not settled does not matter
    delta = update(rule, fp, error, 0.01)
    kept = torch.tensor([0, 2])
    assert torch.isfinite(delta).all()
    assert torch.equal(delta, update(rule, fp.select(kept), error[kept], 0.01))


@every_rule
def test_none_settled_is_an_error(rule: AbstractRule) -> None:
    fp = partly_settled().select(torch.tensor([1, 3]))
    with pytest.raises(UnsettledError, match="No sample is at a fixed point"):
        update(rule, fp, errors()[:2], 0.01)


@every_rule
def test_fixed_points_of_older_weights_are_refused(rule: AbstractRule) -> None:
    fp = settled()
    fp.network.connectivity.add_(update(rule, fp, errors(), 0.01))
    with pytest.raises(StaleError, match="find the fixed points again"):
        update(rule, fp, errors(), 0.01)


@every_rule
@pytest.mark.parametrize("learning_rate", [0.0, -0.1, math.nan, math.inf, "fast"])
def test_a_learning_rate_is_above_0(rule: AbstractRule, learning_rate: Any) -> None:
    with pytest.raises(InputError, match="learning_rate: expected a finite number above 0"):
        update(rule, settled(), errors(), learning_rate)


@every_rule
@pytest.mark.parametrize("shape", [(12,), (1, 12), (4, 11), (3, 12), (4, 12, 1)], ids=str)
def test_errors_are_one_row_a_sample(rule: AbstractRule, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"error: .* \(B, N\) = \(4, 12\), got"):
        update(rule, settled(), torch.ones(shape), 0.1)


@every_rule
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_errors_of_settled_samples_are_finite(rule: AbstractRule, bad: float) -> None:
    error = errors()
    error[2, 3] = bad
    with pytest.raises(ValueError, match="error: expected finite numbers .*, got NaN or infinite"):
        update(rule, settled(), error, 0.1)


@rows({n: r for n, r in EVERY.items() if r.traits.uses_error and n not in FINITE})
def test_changes_add_as_errors_do(rule: AbstractRule) -> None:
    fp, one, other = settled(), errors(), random(4, 12, seed=92)
    total = update(rule, fp, one) + update(rule, fp, other)
    torch.testing.assert_close(update(rule, fp, one + other), total, rtol=0, atol=1e-10)


@every_rule
def test_a_rule_says_whether_its_step_is_proportional_to_the_rate(rule: AbstractRule) -> None:
    fp, error = settled(), errors()
    twice, once = update(rule, fp, error, 0.2), update(rule, fp, error, 0.1)
    difference = float((twice - 2 * once).abs().max() / twice.abs().max())
    assert (difference < 1e-12) == rule.traits.is_proportional


@rows({n: r for n, r in EVERY.items() if n != "bptt"})  # with a loss, it takes its own error
def test_a_rule_says_whether_it_uses_the_error(rule: AbstractRule) -> None:
    fp, loss = settled(), Slope(errors())
    one, other = (rule.update(fp, error, 0.1, loss=loss) for error in (errors(), -errors()))
    assert torch.equal(one, other) != rule.traits.uses_error


@every_rule
def test_the_metric_is_a_text_that_is_printed(rule: AbstractRule) -> None:
    assert rule.metric == rule.traits.metric
    assert 4 <= len(rule.metric) <= 200
    assert str(rule) == f"{rule!r}, metric: {rule.metric}"


@rows({name: rule for name, rule in EVERY.items() if rule.traits.needs_loss})
def test_what_needs_a_loss_says_so(rule: AbstractRule) -> None:
    name = type(rule).__name__
    with pytest.raises(InputError, match=rf"{name} requires update\(\.\.\., loss=f\)"):
        rule.update(settled(), errors(), 0.1)


@every_rule
def test_a_loss_is_a_function(rule: AbstractRule) -> None:
    with pytest.raises(InputError, match=r"loss: expected a function.*got 'squared'"):
        rule.update(settled(), errors(), 0.1, loss="squared")  # type: ignore[arg-type]


def test_a_loss_gives_one_number_a_sample() -> None:
    fp = settled()
    with pytest.raises(InputError, match=r"loss: expected .* \(B,\) = \(4,\), got \(\)"):
        NodePerturbation().update(fp, errors(), 0.1, loss=lambda rates: rates.mean())
    with pytest.raises(InputError, match=r"loss: expected .*, got float"):
        NodePerturbation().update(fp, errors(), 0.1, loss=lambda rates: 1.0)  # type: ignore[arg-type, return-value]


DESCEND = ("euclidean", "bptt", "recurrent-backpropagation", "exponentiated-gradient",
           "mirror-descent", "natural-gradient")  # fmt: skip


@rows({name: EVERY[name] for name in DESCEND})
def test_a_small_step_lowers_the_loss_of_a_batch(rule: AbstractRule) -> None:
    """Of rules with one metric for all samples: not of rule 3, whose metric is each sample's."""
    problem, read_out = tanh_rates(), ReadOut(4, 12)
    network, losses = problem.network(), []
    for _ in range(4):
        fp = rn.find_fixed_points(network, problem.drive)
        losses.append(float(read_out.losses(fp.rates).mean()))
        network.connectivity.add_(rule.update(fp, read_out.error(fp.rates), 1e-3))
    assert all(after < before - 1e-6 for before, after in pairwise(losses))


def networks() -> dict[str, tuple[rn.Network, Any]]:
    """Return networks with several state variables, units, populations or noise; their drives."""
    found: dict[str, tuple[rn.Network, Any]] = {
        make.__name__: (make().network(), make().drive)
        for make in (adaptation, voltage, threshold_linear)
    }
    for make in (rn.circuits.ssn_stochastic, rn.circuits.ssn_four_types):
        circuit = make()
        found[make.__name__] = circuit.network, circuit.drive
    return found


@rows({name: rule for name, rule in EVERY.items() if name != "reparameterized"})
@pytest.mark.parametrize("model", list(networks()))
def test_every_model_is_taken(rule: AbstractRule, model: str) -> None:
    network, drive = networks()[model]
    fp = rn.find_fixed_points(network, drive, certificate="residual")
    if isinstance(rule, TRIES) and model == "ssn_stochastic":  # in volts
        rule = dataclasses.replace(rule, sigma=1e-5)
    error = 0.01 * random(*fp.rates.shape, seed=97)
    if isinstance(rule, FirstOrderReparameterized) and (fp.gain == 0).any(dim=1).all():
        with pytest.raises(SingularError, match="divides by gains"):
            update(rule, fp, error)
        return
    delta = update(rule, fp, error)
    assert delta.shape == (network.units, network.units)
    assert torch.isfinite(delta).all()
    assert delta.abs().max() > 0


def connectivities() -> dict[str, AbstractConnectivity]:
    W = linear().W
    mask = random(12, 12, seed=93) > 0
    signs = torch.where(torch.arange(12) < 8, 1.0, -1.0)
    factors = random(12, 2, seed=94), random(12, 2, seed=95)
    return {
        "masked": Masked(W * mask, mask),
        "signed": Signed(W.abs() * signs * 0.5, signs),
        "low rank": LowRank(*factors),
        "convolution": Convolution(0.1 * random(1, 1, 3, 3, seed=96), 3, 4),
        "sum": Sum({"dense": rn.Dense(W.clone()), "low rank": LowRank(*factors)}),
    }


@every_rule
@pytest.mark.parametrize("kind", list(connectivities()))
def test_every_connectivity_is_changed_in_its_parameters(rule: AbstractRule, kind: str) -> None:
    network = rn.Network("linear", connectivities()[kind])
    fp = rn.find_fixed_points(network, linear().drive)
    if isinstance(rule, Reparameterized):
        with pytest.raises(NotImplementedError, match="dense weights"):
            update(rule, fp, errors())
        return
    if isinstance(rule, ExponentiatedGradient | MirrorDescent) and kind in ("low rank", "sum"):
        with pytest.raises(NotImplementedError, match="W is not linear in them; use dense"):
            update(rule, fp, errors())
        return
    if rule is two_factors and kind in ("low rank", "convolution", "sum"):
        with pytest.raises(InputError, match=r"rule two_factors: expected tensors shaped like"):
            update(rule, fp, errors())
        return
    connectivity = network.connectivity
    change = connectivity.named(update(rule, fp, errors(), 1e-3))
    assert {n: t.shape for n, t in change.items()} == {
        n: t.shape for n, t in connectivity.parameters.items()
    }
    assert all(torch.isfinite(tensor).all() for tensor in change.values())
    before = connectivity.dense().clone()
    connectivity.add_(as_change(change))
    assert 0 < (connectivity.dense() - before).abs().max() < 0.5


@pytest.mark.parametrize("kind", list(connectivities()))
def test_the_control_changes_nothing(kind: str) -> None:
    W = connectivities()[kind]
    fp = rn.find_fixed_points(rn.Network("linear", W), linear().drive)
    named = W.named(update(rule_named("frozen"), fp, errors()))
    assert {name: part.shape for name, part in named.items()} == {
        name: part.shape for name, part in W.parameters.items()
    }
    assert all((part == 0).all() for part in named.values())


@rows({name: make() for name, make in RULES.items()})
def test_rules_are_frozen_values(rule: AbstractRule) -> None:
    assert dataclasses.is_dataclass(rule)
    assert rule == type(rule)()
    assert hash(rule) == hash(type(rule)())
    with pytest.raises(dataclasses.FrozenInstanceError):
        rule.learning_rate = 0.1


def test_rules_are_found_by_name() -> None:
    for name, make in RULES.items():
        assert rule_named(name) == make()
    with pytest.raises(KeyError, match=f"'rule-5'; .*vailable: {', '.join(RULES)}; sums"):
        rule_named("rule-5")


def test_the_exact_step_is_refused_where_gains_differ() -> None:
    problem = tanh_rates()
    fp = rn.find_fixed_points(problem.network(), problem.drive)
    with pytest.raises(NotImplementedError, match=r"gains differ.*use LinearizedReparameterized\."):
        Reparameterized().update(fp, errors(), 0.1)


def test_the_exact_step_is_refused_where_a_gain_is_0() -> None:
    problem = threshold_linear()
    fp = rn.find_fixed_points(problem.network(), problem.drive)
    assert (fp.gain == fp.gain[0]).all()
    with pytest.raises(ArithmeticError, match=r"gain 0.*LinearizedReparameterized\."):
        Reparameterized().update(fp, torch.ones_like(fp.rates), 0.1)


def test_an_exact_step_to_a_singular_response_is_refused() -> None:
    network = rn.Network("linear", torch.tensor([[0.5]], dtype=FLOAT))
    fp = rn.fixed_points_at(network, [1.0], [2.0])  # A = 2, grad_A = 1: eta = 2 makes A zero
    with pytest.raises(ArithmeticError, match="smaller learning rate"):
        Reparameterized().update(fp, torch.ones(1, 1, dtype=FLOAT), 2.0)


def near_singular() -> rn.FixedPoints:
    """Return two samples at W with an eigenvalue of exactly 1: at rest, with no adjoint."""
    W = torch.diag(torch.tensor([1.0, 0.5], dtype=FLOAT))
    state = torch.tensor([[3.0, 2.0], [1.0, 2.0]], dtype=FLOAT)
    fp = rn.fixed_points_at(rn.Network("linear", W), [[0.0, 1.0], [0.0, 1.0]], state)
    assert fp.converged.all()
    return fp


def test_euclidean_leaves_out_samples_without_an_adjoint_and_says_so() -> None:
    error = torch.tensor([[1.0, 1.0], [0.0, 1.0]], dtype=FLOAT)  # the second does not need it
    fp = near_singular()
    with pytest.warns(RatenetWarning, match="1 of 2 samples are left out") as warned:
        delta = Euclidean().update(fp, error, 0.1)
    assert warned[0].filename == __file__
    expected = torch.tensor([[0.0, 0.0], [-0.2, -0.4]], dtype=FLOAT)  # lambda = (0, 2)
    torch.testing.assert_close(delta, expected, rtol=0, atol=1e-12)


def test_euclidean_refuses_where_no_sample_has_an_adjoint() -> None:
    with pytest.raises(ArithmeticError, match="singular to working precision for every sample"):
        Euclidean().update(near_singular(), torch.ones(2, 2, dtype=FLOAT), 0.1)


def test_reparameterized_rules_need_no_adjoint() -> None:
    for name in ("linearized-reparameterized", "gain-free-reparameterized", "reparameterized"):
        delta = rule_named(name).update(near_singular(), torch.ones(2, 2, dtype=FLOAT), 0.1)
        assert torch.isfinite(delta).all()
