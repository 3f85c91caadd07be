"""Samples that a rule cannot use: counted, each by itself; and changes that are not finite."""

import warnings

import pytest
import torch

import ratenet as rn
from ratenet.errors import DivergenceError, LeftOutWarning
from ratenet.plasticity import (
    RULES,
    BackpropagationThroughTime,
    ContrastiveHebbian,
    EquilibriumPropagation,
    Euclidean,
    Hebb,
    MirrorDescent,
    Mixed,
    NodePerturbation,
    RecurrentBackpropagation,
)
from ratenet.plasticity.base import AbstractRule, Traits

FLOAT = torch.float64


def silent_units() -> rn.FixedPoints:
    """Rectified units that excite one another beyond bounds once one of them is active."""
    network = rn.Network("threshold_linear", torch.tensor([[2.0]], dtype=FLOAT))
    return rn.find_fixed_points(network, [[-1.0], [-1.0], [-1.0]])


def pushed(sample: int, size: float) -> torch.Tensor:
    error = torch.zeros(3, 1, dtype=FLOAT)
    error[sample] = size
    return error


def test_a_proposal_counts_without_a_warning_and_update_warns_once() -> None:
    rule, fp = EquilibriumPropagation(0.1, form="symmetric"), silent_units()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        proposal = rule.propose(fp, pushed(1, 30.0), 0.1)
    assert proposal.left_out == 1
    assert "1 of 3 samples are left out" in proposal.reason
    with pytest.warns(LeftOutWarning, match="1 of 3") as warned:
        delta = rule.update(fp, pushed(1, 30.0), 0.1)
    assert torch.equal(delta, proposal.delta)
    assert [warning.message.samples for warning in warned] == [1]


def test_a_rule_that_uses_all_proposes_its_change_alone() -> None:
    proposal = Hebb().propose(silent_units(), pushed(0, 1.0), 0.1)
    assert (proposal.left_out, proposal.reason) == (0, "")


@pytest.mark.parametrize("size", [1e3, 1e200, 1.7e308])
def test_a_sample_that_explodes_under_a_nudge_takes_no_other_along(size: float) -> None:
    """The others are learned from as if it were not there."""
    problem = rn.Network("threshold_linear", [[0.0, 0.3], [0.3, 2.0]])
    fp = rn.find_fixed_points(problem, [[0.5, -1.0], [0.7, -1.0], [0.9, -1.0]])
    error = torch.tensor([[0.1, 0.0], [0.2, -size], [-0.3, 0.0]], dtype=FLOAT)
    others = torch.tensor([True, False, True])
    for rule in (EquilibriumPropagation(), ContrastiveHebbian(1.0)):
        proposal = rule.propose(fp, error, 0.1)
        assert proposal.left_out == 1
        alone = rule.propose(fp.select(others), error[others], 0.1)
        torch.testing.assert_close(proposal.delta, alone.delta, rtol=1e-9, atol=1e-15)


def test_a_sample_that_explodes_along_the_loss_takes_no_other_along() -> None:
    fp, rule = silent_units(), ContrastiveHebbian(1.0, follows_loss=True)
    targets = torch.tensor([[0.5], [1e12], [0.25]], dtype=FLOAT)
    # A loss without bound: its sample is pushed harder the further it is.
    slopes = torch.tensor([[0.0], [-1e3], [0.0]], dtype=FLOAT)

    def loss(rates: torch.Tensor) -> torch.Tensor:
        return (slopes * rates**3 / 3 + slopes * rates).sum(dim=1) + 0 * targets[:, 0]

    proposal = rule.propose(fp, pushed(1, 1.0), 0.1, loss=loss)
    assert proposal.left_out == 1
    assert torch.equal(proposal.delta, torch.zeros(1, 1, dtype=FLOAT))


@pytest.mark.parametrize(
    "rule", [BackpropagationThroughTime(start="fixed-point"), RecurrentBackpropagation()]
)
def test_a_sample_whose_adjoint_overflows_is_left_out_alone(rule: AbstractRule) -> None:
    """An active unit with W = 2 has an adjoint that grows like exp(t / tau); a silent one none."""
    network = rn.Network("threshold_linear", [[2.0]])
    fp = rn.fixed_points_at(network, [[-1.0], [-1.0], [-1.0]], [[0.0], [1.0], [0.0]])
    assert fp.converged.all()  # 1 is a fixed point, which repels
    error = torch.tensor([[1.0], [1.7e308], [1.0]], dtype=FLOAT)
    proposal = rule.propose(fp, error, 0.1)
    assert proposal.left_out == 1
    assert "1 of 3 samples are left out" in proposal.reason
    assert torch.equal(proposal.delta, torch.zeros(1, 1, dtype=FLOAT))
    with pytest.raises(DivergenceError, match="NaN or infinite; use a smaller dt"):
        rule.propose(fp.select(torch.tensor([1])), error[1:2], 0.1)


def test_a_mixture_tells_of_the_rule_that_leaves_out_most() -> None:
    mixed = Mixed([(1.0, Hebb()), (0.5, EquilibriumPropagation(0.1, form="symmetric"))])
    assert mixed.propose(silent_units(), pushed(1, 30.0), 0.1).left_out == 1


def singular_beside_regular() -> rn.FixedPoints:
    """Two samples of a linear network whose second has I - G W = 0: W = 1 at its gain of 1."""
    network = rn.Network("threshold_linear", [[1.0]])
    return rn.fixed_points_at(network, [[-1.0], [0.0]], [[0.0], [1.0]])


@pytest.mark.parametrize("rule", [Euclidean(), MirrorDescent(), Mixed([(2.0, Euclidean())])])
def test_samples_without_an_adjoint_are_counted(rule: AbstractRule) -> None:
    proposal = rule.propose(singular_beside_regular(), torch.ones(2, 1, dtype=FLOAT), 0.1)
    assert proposal.left_out == 1
    assert "singular to working precision" in proposal.reason


@pytest.mark.parametrize("name", [name for name in RULES if name != "frozen"])
def test_a_huge_learning_rate_is_an_error_and_no_infinite_change(name: str) -> None:
    network = rn.Network("linear", torch.tensor([[0.2, 0.5], [0.1, 0.3]], dtype=FLOAT))
    fp = rn.find_fixed_points(network, [[10.0, 20.0], [20.0, 30.0]])
    with pytest.raises((DivergenceError, rn.errors.SingularError)):
        RULES[name]().update(fp, -fp.rates, 1e308, loss=lambda rates: -(rates**2).sum(dim=1) / 2)


def test_a_rule_of_ones_own_with_nan_is_an_error() -> None:
    class Broken(AbstractRule):
        traits = Traits("none")

        def change(self, fp, error, learning_rate, loss=None):
            return torch.full((1, 1), torch.nan, dtype=FLOAT)

    with pytest.raises(DivergenceError, match="rule Broken: the weight change has NaN"):
        Broken().update(silent_units(), pushed(0, 1.0), 0.1)


def test_node_perturbation_counts_each_sample_once_over_trials() -> None:
    network = rn.Network("threshold_linear", torch.tensor([[2.0]], dtype=FLOAT))
    fp = rn.find_fixed_points(network, torch.linspace(-3, -0.1, 40, dtype=FLOAT)[:, None])
    proposal = NodePerturbation(sigma=1.0, trials=5).propose(
        fp, torch.zeros_like(fp.rates), 0.1, loss=lambda rates: rates.sum(dim=1)
    )
    assert 0 < proposal.left_out < 40
