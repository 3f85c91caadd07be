"""Equilibrium propagation and contrastive Hebbian learning against the exact gradient."""

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from helpers.problems import FLOAT, Problem, adaptation, linear, random, tanh_rates
from helpers.rules import ReadOut, euclidean, settled, symmetric
from torch import Tensor

import ratenet as rn
from ratenet.errors import InputError, RatenetWarning, UnsettledError
from ratenet.plasticity import ContrastiveHebbian, EquilibriumPropagation


def symmetric_adaptation() -> Problem:
    """Two state variables: the energy's argument needs static gains and a symmetric W alone."""
    problem = adaptation()
    W = (problem.W + problem.W.T) / 2
    drive = problem.drive + problem.rates @ (problem.W - W).T
    return Problem("symmetric_adaptation", "adaptation", W, drive, problem.rates,
                   parameters=problem.parameters)  # fmt: skip


def expected(fp: rn.FixedPoints, error: Tensor, form: str) -> Tensor:
    """Return the gradient that the form tends to."""
    gradient = euclidean(fp, error)
    return gradient if form == "vector-field" else (gradient + gradient.T) / 2


def order(distance: Callable[[float], float], beta: float) -> float:
    """Return the order at which a distance vanishes with beta."""
    return math.log2(distance(beta) / distance(beta / 2))


@pytest.mark.parametrize("make", [symmetric, symmetric_adaptation])
@pytest.mark.parametrize("form", ["vector-field", "symmetric"])
@pytest.mark.parametrize(
    ("nudge", "expected_order"), [("both", 2), ("positive", 1), ("negative", 1)]
)
def test_it_tends_to_the_gradient_for_symmetric_weights(
    make: Callable[[], Problem], form: str, nudge: str, expected_order: int
) -> None:
    fp = settled(make())
    error = 0.3 * random(*fp.rates.shape, seed=121)
    gradient = expected(fp, error, form)

    def distance(beta: float) -> float:
        delta = EquilibriumPropagation(beta, nudge, form).update(fp, error, 1.0)
        return float((delta + gradient).norm() / gradient.norm())

    assert distance(0.05) < (0.01 if expected_order == 2 else 0.1)
    assert order(distance, 0.05) == pytest.approx(expected_order, abs=0.15)


@pytest.mark.parametrize(("nudge", "expected_order"), [("both", 2), ("positive", 1)])
def test_a_nudge_that_follows_the_loss_tends_to_it_as_well(nudge: str, expected_order: int) -> None:
    fp, read_out = settled(symmetric()), ReadOut(4, 12)
    error = read_out.error(fp.rates)
    gradient = euclidean(fp, error)

    def distance(beta: float) -> float:
        rule = EquilibriumPropagation(beta, nudge, follows_loss=True)
        delta = rule.update(fp, error, 1.0, loss=read_out.losses)
        return float((delta + gradient).norm() / gradient.norm())

    assert order(distance, 0.05) == pytest.approx(expected_order, abs=0.2)


def test_a_nudge_that_follows_the_loss_rests_where_the_equations_say() -> None:
    """For a linear network and L = |y - t|^2 / 2: (I - W + beta) y = x + beta t."""
    problem, target = linear(), random(4, 12, seed=122)
    fp, beta = settled(problem), 0.7
    identity = torch.eye(12, dtype=FLOAT)
    reached = torch.linalg.solve(
        (1 + beta) * identity - problem.W, (problem.drive + beta * target).T
    ).T
    rule = EquilibriumPropagation(beta, "positive", follows_loss=True)
    delta = rule.update(
        fp, fp.rates - target, 0.1, loss=lambda rates: ((rates - target) ** 2).sum(dim=1) / 2
    )
    wanted = 0.1 * (reached - fp.rates).T @ fp.rates / beta / 4
    torch.testing.assert_close(delta, wanted, rtol=0, atol=1e-8)


def test_asymmetric_weights_give_the_response_in_place_of_the_adjoint() -> None:
    """In a linear network: (y_b - y_-b) / (2 b) = -(I - W)^-1 e, not -(I - W^T)^-1 e."""
    problem = linear()
    fp, error = settled(problem), random(4, 12, seed=123)
    identity = torch.eye(12, dtype=FLOAT)
    response = torch.linalg.solve(identity - problem.W, error.T).T
    delta = EquilibriumPropagation(0.5).update(fp, error, 0.1)
    torch.testing.assert_close(delta, -0.1 * response.T @ fp.rates / 4, rtol=0, atol=1e-11)
    gradient = euclidean(fp, error)
    assert float((delta + 0.1 * gradient).norm() / (0.1 * gradient).norm()) > 0.1


def test_the_symmetric_form_keeps_weights_symmetric_and_descends() -> None:
    problem, read_out = symmetric(), ReadOut(4, 12)
    network, losses = problem.network(), []
    for _ in range(25):
        fp = rn.find_fixed_points(network, problem.drive)
        losses.append(float(read_out.losses(fp.rates).mean()))
        rule = EquilibriumPropagation(form="symmetric")
        network.connectivity.add_(rule.update(fp, read_out.error(fp.rates), 0.2))
    W = network.connectivity.dense()
    torch.testing.assert_close(W, W.T, rtol=0, atol=1e-14)
    assert (W - problem.W).norm() > 0.1
    assert all(after < before for before, after in pairwise(losses))


def test_contrastive_hebbian_is_a_difference_of_outer_products() -> None:
    problem = tanh_rates()
    fp, error = settled(problem), random(4, 12, seed=124)
    taught = rn.find_fixed_points(problem.network(), problem.drive - 0.8 * error, tol=1e-13).rates
    outer = torch.einsum("bi,bj->ij", taught, taught) - torch.einsum(
        "bi,bj->ij", fp.rates, fp.rates
    )
    delta = ContrastiveHebbian(0.8).update(fp, error, 0.1)
    torch.testing.assert_close(delta, 0.1 * outer / 4, rtol=0, atol=1e-11)
    nudged = EquilibriumPropagation(0.8, "positive", "symmetric").update(fp, error, 0.1)
    torch.testing.assert_close(delta, 2 * 0.8 * nudged, rtol=0, atol=1e-11)


def test_a_strong_teacher_clamps_the_rates() -> None:
    """(I - W + s) y = x + s t in a linear network: y tends to the target as s grows."""
    problem, target = linear(), random(4, 12, seed=125)
    fp, strength = settled(problem), 10.0
    clamped = torch.linalg.solve(
        11.0 * torch.eye(12, dtype=FLOAT) - problem.W, (problem.drive + strength * target).T
    ).T
    assert (clamped - target).norm() < 0.3 * (fp.rates - target).norm()
    rule = ContrastiveHebbian(strength, follows_loss=True)
    delta = rule.update(
        fp, fp.rates - target, 0.1, loss=lambda rates: ((rates - target) ** 2).sum(dim=1) / 2
    )
    wanted = 0.1 * (clamped.T @ clamped - fp.rates.T @ fp.rates) / 4
    torch.testing.assert_close(delta, wanted, rtol=0, atol=1e-7)


def test_samples_that_do_not_settle_under_a_nudge_are_left_out() -> None:
    """A rectified unit that a strong nudge makes grow without end."""
    W = torch.tensor([[2.0]], dtype=FLOAT)
    network = rn.Network("threshold_linear", W)
    fp = rn.find_fixed_points(network, [[-1.0], [-1.0]])  # silent: y = 0
    error = torch.tensor([[0.0], [30.0]], dtype=FLOAT)
    rule = EquilibriumPropagation(0.1, form="symmetric")
    with pytest.warns(RatenetWarning, match="1 of 2 samples are left out") as warned:
        delta = rule.update(fp, error, 0.1)
    assert warned[0].filename == __file__
    assert torch.equal(delta, torch.zeros(1, 1, dtype=FLOAT))
    with pytest.raises(UnsettledError, match=r"no sample settles again.* smaller"):
        rule.update(fp.select(torch.tensor([1])), error[1:], 0.1)


def test_a_loss_without_gradient_is_refused() -> None:
    fp, rule = settled(symmetric()), EquilibriumPropagation(follows_loss=True)
    with pytest.raises(InputError, match="loss: it has no gradient with respect to the rates"):
        rule.update(fp, torch.ones_like(fp.rates), 0.1, loss=lambda y: y.detach().sum(dim=1))
    with pytest.raises(InputError, match="EquilibriumPropagation requires update"):
        rule.update(fp, torch.ones_like(fp.rates), 0.1)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: EquilibriumPropagation(beta=0.0),
            "beta: expected a finite number above 0, got 0.0",
        ),
        (
            lambda: EquilibriumPropagation(nudge="up"),
            "nudge: expected one of both, positive",
        ),
        (
            lambda: EquilibriumPropagation(form="free"),
            "form: expected one of vector-field",
        ),
        (
            lambda: ContrastiveHebbian(strength=-1.0),
            "strength: expected a finite number above 0, got",
        ),
    ],
)
def test_bad_settings_are_one_sentence(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        make()
