"""Node and weight perturbation: their expectation, their scatter, and their noise."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from helpers.problems import FLOAT, chosen_rates, random_weights, tanh_problem, tanh_rates
from helpers.rules import TIGHT, ReadOut, euclidean, settled
from torch import Tensor

import ratenet as rn
from ratenet.errors import InputError, RatenetWarning
from ratenet.plasticity import NodePerturbation, WeightPerturbation
from ratenet.plasticity.perturbation import noise_of

BOTH = pytest.mark.parametrize(
    "rule", [NodePerturbation(), WeightPerturbation()], ids=["node", "weight"]
)


def check_scatter(z: Tensor, signal: Tensor) -> None:
    """Expect scores of mean 0 and variance 1, where the mean itself stands out of the scatter."""
    assert float(signal.abs().max()) > 6
    assert float(z.abs().max()) < 5.0
    assert 0.1 < float((z**2).mean()) < 3.5  # as few as 9 entries, some of them correlated


def test_node_perturbation_scatters_about_the_gradient_as_theory_says() -> None:
    """Var of (lambda xi) xi_i y_j is y_j^2 (|lambda|^2 + lambda_i^2)."""
    fp, copies, B = settled(tanh_rates()), 4000, 4
    read_out = ReadOut(B, 12)
    error = read_out.error(fp.rates)
    many = fp.select(torch.arange(B).repeat(copies))
    delta = NodePerturbation(sigma=1e-3).update(
        many,
        torch.zeros_like(many.rates),
        1.0,
        loss=lambda y: torch.cat([read_out.losses(part) for part in y.split(B)]),
    )
    W, variance = fp.network.connectivity.dense(), torch.zeros(12, 12, dtype=FLOAT)
    for g, y, e in zip(fp.gain, fp.rates, error, strict=True):
        adjoint = g * torch.linalg.solve(torch.eye(12, dtype=FLOAT) - W.T * g, e)
        variance += torch.outer((adjoint**2).sum() + adjoint**2, y**2)
    scatter = (variance / B**2 / copies).sqrt()
    gradient = euclidean(fp, error)
    check_scatter((delta + gradient) / scatter, gradient / scatter)


def test_weight_perturbation_scatters_about_the_gradient_as_theory_says() -> None:
    """Var of (grad psi) psi_ij is |grad|^2 + grad_ij^2."""
    problem = tanh_problem("three", random_weights(3, seed=141), chosen_rates(2, 3, seed=142))
    fp, trials, read_out = settled(problem), 200, ReadOut(2, 3)
    rule = WeightPerturbation(sigma=1e-3, trials=trials, seed=5)
    delta = rule.update(fp, torch.zeros_like(fp.rates), 1.0, loss=read_out.losses)
    gradient = euclidean(fp, read_out.error(fp.rates))
    scatter = ((gradient**2).sum() + gradient**2).sqrt() / trials**0.5
    check_scatter((delta + gradient) / scatter, gradient / scatter)


def reward_of(fp: rn.FixedPoints) -> Callable[[Tensor], Tensor]:
    return ReadOut(*fp.rates.shape).losses


@BOTH
def test_the_noise_follows_from_seed_weights_and_drives(rule: NodePerturbation) -> None:
    """Whoever makes the same network anew, as a resumed run does, gets the same change."""
    problem, zero = tanh_rates(), torch.zeros(4, 12, dtype=FLOAT)

    def change(rule: NodePerturbation, shift: float = 0.0, weight: float = 0.0) -> Tensor:
        network = problem.network()
        network.connectivity.add_(torch.full((12, 12), weight, dtype=FLOAT))
        fp = rn.find_fixed_points(network, problem.drive + shift)
        return rule.update(fp, zero, 1.0, loss=reward_of(fp))

    once = change(rule)
    assert torch.equal(once, change(rule))
    others = [change(type(rule)(seed=1)), change(rule, shift=1e-6), change(rule, weight=1e-9)]
    for other in others:
        assert (other - once).abs().max() > 0.01


def written_out(rule: rn.plasticity.AbstractRule, fp: rn.FixedPoints, loss: Any) -> Tensor:
    """Return the rule's change / -eta by its formula, with the noise that it says it takes."""
    generator, W, total = noise_of(fp, rule.seed), fp.network.connectivity.dense(), 0.0

    def loss_at(W: Tensor, drive: Tensor) -> Tensor:
        network = rn.Network("rate", W)
        return loss(rn.find_fixed_points(network, drive, tol=TIGHT, initial=fp.state).rates)

    for _ in range(rule.trials):
        if isinstance(rule, NodePerturbation):
            xi = torch.randn(fp.rates.shape, generator=generator, dtype=FLOAT)
            up, down = (loss_at(W, fp.drive + sign * rule.sigma * xi) for sign in (1, -1))
            for b in range(len(fp)):
                slope = float(up[b] - down[b]) / (2 * rule.sigma)
                total += torch.outer(slope * xi[b], fp.rates[b]) / len(fp)
        else:
            psi = torch.randn(W.shape, generator=generator, dtype=FLOAT)
            up, down = (loss_at(W + sign * rule.sigma * psi, fp.drive) for sign in (1, -1))
            total += float((up - down).mean()) / (2 * rule.sigma) * psi
    return total / rule.trials


@pytest.mark.parametrize("kind", [NodePerturbation, WeightPerturbation])
def test_the_formula_with_the_noise_that_is_stated(kind: type) -> None:
    fp, rule = settled(tanh_rates()), kind(sigma=0.02, trials=3, seed=4)
    delta = rule.update(fp, torch.zeros_like(fp.rates), 0.1, loss=reward_of(fp))
    expected = -0.1 * written_out(rule, fp, reward_of(fp))
    assert delta.abs().max() > 0.01
    torch.testing.assert_close(delta, expected, rtol=0, atol=1e-9)


@BOTH
def test_reward_alone_teaches(rule: NodePerturbation) -> None:
    problem = tanh_problem("five", random_weights(5, seed=143), chosen_rates(3, 5, seed=144))
    network, read_out, losses = problem.network(), ReadOut(3, 5), []
    rate = 0.04 if isinstance(rule, NodePerturbation) else 0.02
    rule = type(rule)(trials=2)
    for _ in range(30):
        fp = rn.find_fixed_points(network, problem.drive)
        losses.append(float(read_out.losses(fp.rates).mean()))
        delta = rule.update(fp, torch.zeros_like(fp.rates), rate, loss=read_out.losses)
        network.connectivity.add_(delta)
    assert sum(losses[-5:]) / 5 < 0.92 * losses[0]  # seeds: 0.63 to 0.84


def test_the_error_is_not_looked_at() -> None:
    fp = settled(tanh_rates())
    loss, rule = reward_of(fp), NodePerturbation()
    one, other = (rule.update(fp, e, 0.1, loss=loss) for e in (fp.rates, 7 * fp.rates))
    assert torch.equal(one, other)


def test_samples_that_do_not_settle_when_perturbed_are_left_out() -> None:
    """Active units whose rates grow without end, beside silent ones; noise of 1 wakes some."""
    network = rn.Network("threshold_linear", torch.tensor([[2.0]], dtype=FLOAT))
    fp = rn.find_fixed_points(network, torch.linspace(-3, -0.1, 40, dtype=FLOAT)[:, None])
    with pytest.warns(RatenetWarning, match=r"NodePerturbation: \d+ of 40 samples are left out"):
        delta = NodePerturbation(sigma=1.0).update(
            fp, torch.zeros_like(fp.rates), 0.1, loss=lambda rates: rates.sum(dim=1)
        )
    assert torch.equal(delta, torch.zeros(1, 1, dtype=FLOAT))  # the others stay silent


@pytest.mark.parametrize("kind", [NodePerturbation, WeightPerturbation])
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"sigma": 0.0}, "sigma: expected a finite number above 0, got 0.0"),
        ({"trials": 0}, "trials: expected a whole number of at least 1, got 0"),
        ({"seed": 1.5}, "seed: expected a whole number from 0 to"),
    ],
)
def test_bad_settings_are_one_sentence(kind: type, options: dict, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        kind(**options)
