"""Exponentiated gradient, mirror descent and the natural gradient against their definitions."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from helpers.problems import FLOAT, Problem, adaptation, linear, random, tanh_rates, voltage
from helpers.rules import TIGHT, ReadOut, euclidean, settled
from torch import Tensor

import ratenet as rn
from ratenet.connectivity import Signed
from ratenet.errors import InputError, SingularError, UnsupportedError
from ratenet.plasticity import (
    AbstractPotential,
    Euclidean,
    ExponentiatedGradient,
    MirrorDescent,
    NaturalGradient,
    NegativeEntropy,
    PNorm,
)

NONLINEAR = [tanh_rates, adaptation, voltage]


@dataclass(frozen=True)
class Hyperbolic(AbstractPotential):
    """A user's potential: psi' = asinh(w / scale) (Ghai, Hazan and Singer 2020)."""

    scale: float = 0.1

    @property
    def formula(self) -> str:
        return f"w asinh(w / {self.scale:g}) - sqrt(w^2 + {self.scale:g}^2)"

    def gradient(self, weights: Tensor) -> Tensor:
        return torch.asinh(weights / self.scale)

    def inverse(self, dual: Tensor, weights: Tensor) -> Tensor:
        return self.scale * torch.sinh(dual)


DUAL: dict[AbstractPotential, Callable[[Tensor], Tensor]] = {
    PNorm(1.5): lambda w: w.sign() * w.abs() ** 0.5,
    PNorm(3.0): lambda w: w.sign() * w**2,
    NegativeEntropy(): lambda w: w.sign() * (1 + w.abs().log()),
    Hyperbolic(): lambda w: torch.asinh(w / 0.1),
}
SECOND: dict[AbstractPotential, Callable[[Tensor], Tensor]] = {
    PNorm(1.5): lambda w: 0.5 * w.abs() ** -0.5,
    PNorm(3.0): lambda w: 2 * w.abs(),
    NegativeEntropy(): lambda w: 1 / w.abs(),
    Hyperbolic(): lambda w: 1 / (w**2 + 0.01).sqrt(),
}
every_potential = pytest.mark.parametrize("potential", list(DUAL), ids=lambda p: type(p).__name__)


@every_potential
@pytest.mark.parametrize("make", NONLINEAR)
def test_the_dual_weights_take_a_gradient_step(
    potential: AbstractPotential, make: Callable[[], Problem]
) -> None:
    fp = settled(make())
    error, W = random(*fp.rates.shape, seed=151), fp.network.connectivity.dense()
    delta, dual = MirrorDescent(potential).update(fp, error, 0.2), DUAL[potential]
    step = dual(W + delta) - dual(W)
    assert delta.abs().max() > 0.01
    torch.testing.assert_close(step, -0.2 * euclidean(fp, error), rtol=0, atol=1e-8)


@every_potential
def test_its_metric_is_the_potentials_hessian(potential: AbstractPotential) -> None:
    fp, error = settled(tanh_rates()), random(4, 12, seed=152)
    descended = euclidean(fp, error) / SECOND[potential](fp.network.connectivity.dense())

    def distance(eta: float) -> float:
        delta = MirrorDescent(potential).update(fp, error, eta)
        return float((delta + eta * descended).norm() / descended.norm())

    assert distance(1e-6) / distance(5e-7) == pytest.approx(4.0, rel=0.1)  # second order
    assert potential.formula in MirrorDescent(potential).metric


def test_the_square_is_euclidean() -> None:
    fp, error = settled(tanh_rates()), random(4, 12, seed=153)
    delta = MirrorDescent(PNorm(2.0)).update(fp, error, 0.2)
    torch.testing.assert_close(delta, Euclidean().update(fp, error, 0.2), rtol=0, atol=1e-14)


@pytest.mark.parametrize("make", NONLINEAR)
def test_exponentiated_gradient_multiplies_weights(make: Callable[[], Problem]) -> None:
    problem = make()
    network = problem.network()
    network.connectivity.dense()[2, 3] = 0.0
    fp = rn.find_fixed_points(network, problem.drive, tol=TIGHT)
    error, W = random(*fp.rates.shape, seed=154), network.connectivity.dense()
    delta = ExponentiatedGradient().update(fp, error, 0.5)
    expected = W * torch.exp(-0.5 * W.sign() * euclidean(fp, error))
    torch.testing.assert_close(W + delta, expected, rtol=0, atol=1e-10)
    assert delta[2, 3] == 0
    assert torch.equal((W + delta).sign(), W.sign())
    assert torch.equal(delta, MirrorDescent(NegativeEntropy()).update(fp, error, 0.5))


def test_exponentiated_gradient_keeps_dales_law_and_learns() -> None:
    signs = torch.where(torch.arange(12) < 8, 1.0, -1.0).to(FLOAT)
    W, read_out, losses = 0.1 * random(12, 12, seed=155).abs() * signs, ReadOut(4, 12), []
    network = rn.Network("rate", Signed(W, signs))
    for _ in range(100):
        fp = rn.find_fixed_points(network, tanh_rates().drive)
        losses.append(float(read_out.losses(fp.rates).mean()))
        delta = ExponentiatedGradient().update(fp, read_out.error(fp.rates), 0.5)
        assert ((network.connectivity.dense() + delta) * signs > 0).all()  # no need to project
        network.connectivity.add_(delta)
    assert losses[-1] < 0.6 * losses[0]


def all_jacobian(fp: rn.FixedPoints) -> Tensor:
    """Return dy_bi / dW, row after row, by dense solves."""
    B, N = fp.rates.shape
    every = torch.eye(N, dtype=FLOAT)
    rows = [
        euclidean(fp.select(torch.tensor([b])), every[[i]]).flatten()
        for b in range(B)
        for i in range(N)
    ]
    return torch.stack(rows)


@pytest.mark.parametrize("make", NONLINEAR)
@pytest.mark.parametrize("damping", [1e-3, 1.0])
def test_the_natural_gradient_solves_the_normal_equations(
    make: Callable[[], Problem], damping: float
) -> None:
    fp = settled(make())
    error, (B, N) = random(*fp.rates.shape, seed=156), fp.rates.shape
    J = all_jacobian(fp)
    metric = J.T @ J / B + damping * torch.eye(N * N, dtype=FLOAT)
    expected = -0.1 * torch.linalg.solve(metric, J.T @ error.flatten() / B)
    delta = NaturalGradient(damping).update(fp, error, 0.1)
    torch.testing.assert_close(delta, expected.view(N, N), rtol=0, atol=1e-9)


def test_its_jacobian_is_that_of_the_settled_rates() -> None:
    problem = tanh_rates()
    direction, h = random(12, 12, seed=157), 1e-5

    def rates(step: float) -> Tensor:
        network = rn.Network("rate", problem.W + step * direction)
        return rn.find_fixed_points(network, problem.drive, tol=TIGHT).rates

    slope = (rates(h) - rates(-h)) / (2 * h)
    found = all_jacobian(settled(problem)) @ direction.flatten()
    torch.testing.assert_close(found.view(4, 12), slope, rtol=0, atol=1e-7)


def test_without_damping_the_rates_move_against_the_error() -> None:
    problem, eta = tanh_rates(), 1e-5
    fp, error = settled(problem), 0.5 * random(4, 12, seed=158)
    delta = NaturalGradient(1e-9).update(fp, error, eta)
    network = rn.Network("rate", problem.W + delta)
    moved = rn.find_fixed_points(network, problem.drive, tol=TIGHT, initial=fp.state).rates
    torch.testing.assert_close((moved - fp.rates) / eta, -error, rtol=0, atol=1e-2)


def test_with_much_damping_it_is_euclidean() -> None:
    fp, error = settled(tanh_rates()), random(4, 12, seed=159)
    delta = 1e7 * NaturalGradient(1e7).update(fp, error, 0.1)
    torch.testing.assert_close(delta, -0.1 * euclidean(fp, error), rtol=0, atol=1e-4)


def test_the_natural_gradient_is_for_small_networks() -> None:
    network = rn.Network("linear", torch.zeros(100, 100))
    fp = rn.fixed_points_at(network, torch.zeros(51, 100), torch.zeros(51, 100))
    with pytest.raises(UnsupportedError, match="5100 rates .* by 10000 weights has more than"):
        NaturalGradient().update(fp, torch.ones(51, 100), 0.1)


def test_a_metric_that_rounding_makes_singular_is_refused() -> None:
    problem = linear()
    fp = rn.find_fixed_points(problem.network(torch.float32), problem.drive)
    twice = fp.select(torch.tensor([0, 0, 1, 1]))
    with pytest.raises(SingularError, match="NaturalGradient: .* use a larger damping"):
        NaturalGradient(1e-20).update(twice, torch.ones(4, 12), 0.1)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: PNorm(1.0), r"p: expected a number above 1 \(a convex potential\), got 1\.0"),
        (lambda: PNorm(float("nan")), "p: expected a finite number above 0, got nan"),
        (lambda: NaturalGradient(0.0), r"damping: expected a finite number above 0, got 0\.0"),
    ],
)
def test_bad_settings_are_one_sentence(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        make()
