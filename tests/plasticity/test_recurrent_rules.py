"""Rules whose adjoint is simulated, truncated or random: each against an independent answer."""

from collections.abc import Callable

import pytest
import torch
from brian2 import ms
from helpers.problems import (
    FLOAT,
    Problem,
    adaptation,
    fast_inhibition,
    inhibitory,
    linear,
    random,
    tanh_rates,
    voltage,
    write_model,
)
from helpers.rules import ReadOut, euclidean, settled
from torch import Tensor

import ratenet as rn
from ratenet.errors import DivergenceError, InputError
from ratenet.plasticity import (
    BackpropagationThroughTime,
    FeedbackAlignment,
    RecurrentBackpropagation,
    TruncatedAdjoint,
)

NONLINEAR = [tanh_rates, adaptation, voltage]


def distance(rule: rn.plasticity.AbstractRule, fp: rn.FixedPoints, error: Tensor) -> float:
    """Return how far a rule's direction is from the Euclidean gradient, over its norm."""
    gradient = euclidean(fp, error)
    return float((rule.update(fp, error, 1.0) + gradient).norm() / gradient.norm())


@pytest.mark.parametrize("make", NONLINEAR)
def test_bptt_is_autograd_through_a_simulation(make: Callable[[], Problem]) -> None:
    problem = make()
    fp, read_out = settled(problem), ReadOut(*problem.drive.shape)
    rule = BackpropagationThroughTime(duration=30 * ms, dt=0.5 * ms)
    delta = rule.update(fp, torch.zeros_like(fp.rates), 0.3, loss=read_out.losses)
    W = problem.W.clone().requires_grad_()
    network = rn.Network(problem.model, W, parameters=problem.parameters)
    run = rn.simulate(network, problem.drive, 0.03, 0.0005, record_every=60)
    (gradient,) = torch.autograd.grad(read_out.losses(run.rates[-1]).mean(), W)
    assert gradient.abs().max() > 1e-3
    torch.testing.assert_close(delta, -0.3 * gradient, rtol=0, atol=1e-12)


@pytest.mark.parametrize("make", NONLINEAR)
@pytest.mark.parametrize("rule", [BackpropagationThroughTime, RecurrentBackpropagation])
def test_it_tends_to_the_euclidean_gradient(make: Callable[[], Problem], rule: type) -> None:
    fp = settled(make())
    error = random(*fp.rates.shape, seed=101)
    slowest = 1 / -float(fp.abscissa().max())  # s
    steps = 0.002 if make is not adaptation else 0.005
    times = [steps * round(n * slowest / steps) for n in (2, 6, 12, 40)]
    far, nearer, near, there = (distance(rule(t, steps), fp, error) for t in times)
    assert 0.05 < far < 2.0
    assert nearer < 0.15 * far
    assert near < 0.1 * nearer
    assert there < 1e-9


@pytest.mark.parametrize("make", NONLINEAR)
def test_at_a_fixed_point_bptt_is_recurrent_backpropagation(make: Callable[[], Problem]) -> None:
    fp = settled(make())
    error = random(*fp.rates.shape, seed=102)
    through_time = BackpropagationThroughTime(0.05, 0.001, start="fixed-point")
    adjoint = RecurrentBackpropagation(0.05, 0.001)
    one, other = through_time.update(fp, error, 0.1), adjoint.update(fp, error, 0.1)
    assert distance(adjoint, fp, error) > 1e-3  # not merely both at their end
    torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("make", [lambda: inhibitory(10.0), fast_inhibition])
def test_the_adjoint_settles_where_the_network_does(make: Callable[[], Problem]) -> None:
    """Also where its fixed-point iteration, and so the Neumann series, diverges."""
    fp = settled(make())
    error = random(*fp.rates.shape, seed=103)
    slowest = 1 / -float(fp.abscissa().max())
    rule = RecurrentBackpropagation(duration=60 * slowest, dt=1e-4)
    assert distance(rule, fp, error) < 1e-9
    assert distance(TruncatedAdjoint(40), fp, error) > 1.0


def test_defaults_come_close_on_the_rate_model() -> None:
    fp = settled(tanh_rates())
    error = random(4, 12, seed=104)
    assert distance(BackpropagationThroughTime(), fp, error) < 0.03
    assert distance(RecurrentBackpropagation(), fp, error) < 0.03


def test_without_a_loss_the_given_error_stands_at_the_end() -> None:
    """Where e = dL/dy does not depend on y, both are the same."""
    fp, error = settled(tanh_rates()), random(4, 12, seed=105)
    rule = BackpropagationThroughTime(duration=0.02, dt=0.001)
    with_loss = rule.update(fp, error, 0.1, loss=lambda rates: (rates * error).sum(dim=1))
    torch.testing.assert_close(rule.update(fp, error, 0.1), with_loss, rtol=0, atol=1e-15)


def partial_sum(fp: rn.FixedPoints, error: Tensor, terms: int) -> Tensor:
    """Return mean(lambda y^T) with the matrices (G W^T)^j written out."""
    W, total = fp.network.connectivity.dense(), torch.zeros_like(fp.network.connectivity.dense())
    for g, y, e in zip(fp.gain, fp.rates, error, strict=True):
        powers = (torch.linalg.matrix_power(g.diag() @ W.T, j) for j in range(terms + 1))
        total += torch.outer(sum(powers) @ (g * e), y)
    return total / len(error)


@pytest.mark.parametrize("make", [*NONLINEAR, linear])
@pytest.mark.parametrize("terms", [0, 1, 5])
def test_the_truncated_adjoint_is_a_partial_sum(make: Callable[[], Problem], terms: int) -> None:
    fp = settled(make())
    error = random(*fp.rates.shape, seed=106)
    delta = TruncatedAdjoint(terms).update(fp, error, 0.1)
    torch.testing.assert_close(delta, -0.1 * partial_sum(fp, error, terms), rtol=0, atol=1e-12)


def test_no_term_is_the_jacobian_free_gradient() -> None:
    fp, error = settled(tanh_rates()), random(4, 12, seed=107)
    expected = -0.1 * (fp.gain * error).T @ fp.rates / 4
    torch.testing.assert_close(TruncatedAdjoint().update(fp, error, 0.1), expected)


def test_many_terms_are_the_euclidean_gradient() -> None:
    fp, error = settled(tanh_rates()), random(4, 12, seed=108)
    W = fp.network.connectivity.dense()
    radius = max(float(torch.linalg.eigvals(g[:, None] * W).abs().max()) for g in fp.gain)
    assert radius < 1
    first, second = (distance(TruncatedAdjoint(k), fp, error) for k in (20, 40))
    assert second / first == pytest.approx(radius**20, rel=1.0)  # geometric
    assert distance(TruncatedAdjoint(200), fp, error) < 1e-10


@pytest.mark.parametrize("make", [*NONLINEAR, lambda: inhibitory(10.0)])
def test_feedback_alignment_solves_with_its_random_matrix(make: Callable[[], Problem]) -> None:
    fp, rule = settled(make()), FeedbackAlignment(radius=0.7, seed=3)
    error, N = random(*fp.rates.shape, seed=109), fp.network.units
    B, total = rule.feedback(N), torch.zeros(N, N, dtype=FLOAT)
    for g, y, e in zip(fp.gain, fp.rates, error, strict=True):
        matrix = torch.eye(N, dtype=FLOAT) - g[:, None] * B
        total += torch.outer(torch.linalg.solve(matrix, g * e), y)
    delta = rule.update(fp, error, 0.1)
    torch.testing.assert_close(delta, -0.1 * total / len(error), rtol=0, atol=1e-11)


def test_the_feedback_is_drawn_by_its_seed_with_its_radius() -> None:
    B = FeedbackAlignment(radius=0.7, seed=1).feedback(400)
    assert torch.equal(B, FeedbackAlignment(radius=0.7, seed=1).feedback(400))
    assert not torch.equal(B, FeedbackAlignment(radius=0.7, seed=2).feedback(400))
    assert float(torch.linalg.eigvals(B).abs().max()) == pytest.approx(0.7, rel=0.1)


def test_feedback_alignment_learns_though_it_is_no_gradient() -> None:
    """The loss of the read-out falls along its own changes (Lillicrap et al. 2016)."""
    problem = tanh_rates()
    network, read_out = problem.network(), ReadOut(4, 12)
    losses, angles = [], []
    for _ in range(60):
        fp = rn.find_fixed_points(network, problem.drive)
        error = read_out.error(fp.rates)
        delta, gradient = FeedbackAlignment().update(fp, error, 0.2), euclidean(fp, error)
        angles.append(float(-(delta * gradient).sum() / delta.norm() / gradient.norm()))
        losses.append(float(read_out.losses(fp.rates).mean()))
        network.connectivity.add_(delta)
    assert min(angles[0], angles[-1]) < 0.99
    assert losses[-1] < 0.5 * losses[0]


def test_steps_that_are_too_long_are_refused() -> None:
    fp = settled(inhibitory(30.0))
    error = torch.ones_like(fp.rates)
    with pytest.raises(DivergenceError, match=r"RecurrentBackpropagation: .* smaller dt"):
        RecurrentBackpropagation(duration=5.0, dt=0.005).update(fp, error, 0.1)


def test_times_are_quantities_or_seconds() -> None:
    given, plain = RecurrentBackpropagation(100 * ms, 1 * ms), RecurrentBackpropagation(0.1, 0.001)
    assert given == plain
    assert hash(given) == hash(plain)


def test_a_model_without_time_constant_needs_times(tmp_path) -> None:
    path = write_model(tmp_path, "dr/dt = (-r + tanh(I_rec + I_ext)) * rate : 1",
                       parameters={"rate": "100*Hz"})  # fmt: skip
    network = rn.Network(rn.load_model(path), tanh_rates().W)
    fp = rn.find_fixed_points(network, tanh_rates().drive)
    error = random(4, 12, seed=110)
    with pytest.raises(InputError, match="no time constant"):
        RecurrentBackpropagation().update(fp, error, 0.1)
    assert distance(RecurrentBackpropagation(1.0, 0.001), fp, error) < 1e-9


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: RecurrentBackpropagation(duration="long"),
            "duration: expected a time",
        ),
        (
            lambda: BackpropagationThroughTime(dt=-1.0),
            "dt: expected a finite time above 0",
        ),
        (
            lambda: BackpropagationThroughTime(start="rest"),
            "start: expected one of zero, fixed-point",
        ),
        (lambda: TruncatedAdjoint(-1), "terms: expected a whole number of at least 0, got -1"),
        (lambda: TruncatedAdjoint(1.5), "terms: expected a whole number of at least 0, got 1.5"),
        (
            lambda: FeedbackAlignment(radius=0.0),
            "radius: expected a finite number above 0, got",
        ),
        (lambda: FeedbackAlignment(seed=-1), "seed: expected a whole number from 0 to"),
    ],
)
def test_bad_settings_are_one_sentence(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        make()
