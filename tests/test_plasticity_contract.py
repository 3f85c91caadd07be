"""What every plasticity rule promises: shapes, the mean over settled samples, refusals.

A new rule in RULES is one more row of these tests. They use a linear network, since rule 2 is
defined for shared gains only.
"""

import dataclasses
import math
from typing import Any

import pytest
import torch
from problems import FLOAT, linear, random, tanh_rates, threshold_linear

import ratenet as rn
from ratenet.errors import InputError, RatenetWarning, StaleError, UnsettledError
from ratenet.plasticity import RULES, AbstractRule, Euclidean, Reparameterized, rule_named

every_rule = pytest.mark.parametrize("rule", [make() for make in RULES.values()], ids=list(RULES))


def settled(dtype: torch.dtype = FLOAT) -> rn.FixedPoints:
    problem = linear()
    return rn.find_fixed_points(problem.network(dtype), problem.drive)


def errors() -> torch.Tensor:
    return random(4, 12, seed=91)


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
    delta = rule.update(fp, errors(), 0.01)  # float64 errors are taken by float32 networks
    assert delta.shape == (12, 12)
    assert delta.dtype == dtype
    assert not delta.requires_grad
    assert delta.abs().max() > 1e-4
    fp.network.connectivity.add_(delta)


@every_rule
def test_nothing_is_changed_by_computing(rule: AbstractRule) -> None:
    fp, error = settled(), errors()
    W, rates = fp.network.connectivity.dense().clone(), fp.rates.clone()
    one, other = rule.update(fp, error, 0.01), rule.update(fp, error, 0.01)
    assert torch.equal(one, other)
    assert torch.equal(fp.network.connectivity.dense(), W)
    assert torch.equal(fp.rates, rates)
    assert torch.equal(error, errors())


@every_rule
def test_a_change_is_a_mean_over_samples(rule: AbstractRule) -> None:
    fp, error = settled(), errors()
    twice = fp.select(torch.tensor([0, 1, 2, 3, 0, 1, 2, 3]))
    delta = rule.update(fp, error, 0.01)
    repeated = rule.update(twice, torch.cat([error, error]), 0.01)
    torch.testing.assert_close(repeated, delta, rtol=0, atol=1e-13)


@every_rule
def test_no_error_gives_no_change(rule: AbstractRule) -> None:
    delta = rule.update(settled(), torch.zeros(4, 12, dtype=FLOAT), 0.1)
    assert (delta == 0).all()


@every_rule
def test_arrays_and_lists_are_accepted(rule: AbstractRule) -> None:
    fp, expected = settled(), rule.update(settled(), errors(), 0.01)
    assert torch.equal(rule.update(fp, errors().numpy(), 0.01), expected)
    assert torch.equal(rule.update(fp, errors().tolist(), 0.01), expected)


@every_rule
def test_unsettled_samples_are_left_out_of_the_mean(rule: AbstractRule) -> None:
    fp, error = partly_settled(), errors()
    assert fp.converged.tolist() == [True, False, True, False]
    assert fp.unsettled == 2
    error[1] = math.nan  # the error of what has not settled does not matter
    delta = rule.update(fp, error, 0.01)
    kept = torch.tensor([0, 2])
    assert torch.isfinite(delta).all()
    assert torch.equal(delta, rule.update(fp.select(kept), error[kept], 0.01))


@every_rule
def test_none_settled_is_an_error(rule: AbstractRule) -> None:
    fp = partly_settled().select(torch.tensor([1, 3]))
    with pytest.raises(UnsettledError, match="None of the 2 samples is at a fixed point"):
        rule.update(fp, errors()[:2], 0.01)


@every_rule
def test_fixed_points_of_older_weights_are_refused(rule: AbstractRule) -> None:
    fp = settled()
    fp.network.connectivity.add_(rule.update(fp, errors(), 0.01))
    with pytest.raises(StaleError, match="find the fixed points again"):
        rule.update(fp, errors(), 0.01)


@every_rule
@pytest.mark.parametrize("learning_rate", [0.0, -0.1, math.nan, math.inf, "fast"])
def test_a_learning_rate_is_above_0(rule: AbstractRule, learning_rate: Any) -> None:
    with pytest.raises(InputError, match=r"learning_rate: .* is not a finite number above 0"):
        rule.update(settled(), errors(), learning_rate)


@every_rule
@pytest.mark.parametrize("shape", [(12,), (1, 12), (4, 11), (3, 12), (4, 12, 1)], ids=str)
def test_errors_are_one_row_a_sample(rule: AbstractRule, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"error: shape .* \(B, N\) = \(4, 12\)"):
        rule.update(settled(), torch.ones(shape), 0.1)


@every_rule
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_errors_of_settled_samples_are_finite(rule: AbstractRule, bad: float) -> None:
    error = errors()
    error[2, 3] = bad
    with pytest.raises(ValueError, match="error: NaN or infinite entries"):
        rule.update(settled(), error, 0.1)


@every_rule
def test_rules_are_frozen_values(rule: AbstractRule) -> None:
    assert dataclasses.is_dataclass(rule)
    assert rule == type(rule)()
    assert hash(rule) == hash(type(rule)())
    with pytest.raises(dataclasses.FrozenInstanceError):
        rule.learning_rate = 0.1


def test_rules_are_found_by_name() -> None:
    for name, make in RULES.items():
        assert rule_named(name) == make()
    with pytest.raises(KeyError, match=f"no rule 'hebb'; there are {', '.join(RULES)}"):
        rule_named("hebb")


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
