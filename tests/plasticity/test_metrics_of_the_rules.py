"""The metrics in which rules 3 and 4 descend, at gains that are not 1, and what a step gains.

For one stimulus with frozen gains G, the smallest |J dW| with a given decrease of the loss has
J^T J dW = -dL/dW: here J by differentiation of the response itself, and a dense solve.
"""

from collections.abc import Callable

import pytest
import torch
from helpers.rules import TIGHT
from torch import Tensor

import ratenet as rn
from ratenet.plasticity import (
    Euclidean,
    GainFreeReparameterized,
    LinearizedReparameterized,
    Reparameterized,
)

N = 5
EYE = torch.eye(N, dtype=torch.float64)


@pytest.fixture
def scene(generator: torch.Generator) -> tuple[rn.FixedPoints, Tensor]:
    """Return the fixed point of one stimulus, with gains from 0.3 to 1, and its error."""
    W = 0.8 * torch.randn(N, N, dtype=torch.float64, generator=generator) / N**0.5
    network = rn.Network("rate", W)
    fp = rn.find_fixed_points(network, torch.linspace(-1.2, 1.5, N, dtype=torch.float64), tol=TIGHT)
    assert fp.gain.min() < 0.6
    return fp, torch.randn(1, N, dtype=torch.float64, generator=generator)


def response(W: Tensor, gain: Tensor) -> Callable[[Tensor], Tensor]:
    """Return V -> G^-1 A(V) G^-1 with A(V) = (G^-1 - V)^-1."""
    inverse = torch.diag(1 / gain)
    return lambda V: inverse @ torch.linalg.inv(inverse - V) @ inverse


def without_gains(W: Tensor, gain: Tensor) -> Callable[[Tensor], Tensor]:
    """Return V -> G^(1/2) (I - W G)^-1 V (I - W G)^-1."""
    inverse = torch.linalg.inv(EYE - W * gain)
    return lambda V: gain.sqrt()[:, None] * (inverse @ V @ inverse)


@pytest.mark.parametrize(
    ("rule", "coordinates"),
    [(LinearizedReparameterized(), response), (GainFreeReparameterized(), without_gains)],
    ids=["rule 3", "rule 4"],
)
def test_a_rule_is_steepest_descent_in_its_metric(rule, coordinates, scene):
    fp, error = scene
    W = fp.network.connectivity.W
    gradient = -Euclidean().update(fp, error, 1.0)
    slopes = torch.autograd.functional.jacobian(coordinates(W, fp.gain[0]), W)
    slopes = slopes.reshape(N * N, N * N)  # |slopes dW| is the length of dW
    steepest = -torch.linalg.solve(slopes.T @ slopes, gradient.flatten()).view(N, N)
    torch.testing.assert_close(rule.update(fp, error, 1.0), steepest, rtol=1e-8, atol=1e-10)


def test_rule_3_is_not_the_first_order_of_rule_2_where_gains_are_not_1(tmp_path, generator):
    path = tmp_path / "gains.toml"
    path.write_text(
        'name = "gains"\nequations = "dr/dt = (-r + k*(I_rec + I_ext)) / tau : 1"\n'
        'output = "r"\nrecurrent = "I_rec"\ndrive = "I_ext"\n[parameters]\ntau = "10*ms"\nk = 1.0\n'
    )
    W = 0.3 * torch.randn(N, N, dtype=torch.float64, generator=generator) / N**0.5
    network = rn.Network(path, W, parameters={"k": torch.linspace(0.4, 1.4, N)})
    drive, error = torch.randn(2, 8, N, dtype=torch.float64, generator=generator)
    fp = rn.find_fixed_points(network, drive, tol=TIGHT)
    exact = Reparameterized().update(fp, error, 1e-6) / 1e-6
    rule_3 = LinearizedReparameterized().update(fp, error, 1.0)
    cosine = torch.nn.functional.cosine_similarity(exact.flatten(), rule_3.flatten(), dim=0)
    assert 20 < torch.rad2deg(torch.arccos(cosine)) < 80
    g = fp.gain[0]  # the family (I - W G) G^a e, with a = -1
    left = (error / g) @ (EYE - W * g).T
    right = ((fp.rates @ (EYE - g[:, None] * W).T) / g**2) @ (EYE - g[:, None] * W)
    torch.testing.assert_close(exact, -left.T @ right / 8, rtol=1e-4, atol=1e-6)


def test_the_first_order_decrease_of_the_loss(scene):
    fp, error = scene
    W, g, y, e = fp.network.connectivity.W, fp.gain[0], fp.rates[0], error[0]
    adjoint = rn.solve_adjoint(fp, error).values[0]
    decreases = {
        Euclidean(): adjoint.square().sum() * y.square().sum(),
        LinearizedReparameterized(): (g * e).square().sum() * (y - g * (W @ y)).square().sum(),
        GainFreeReparameterized(): (g * e.square()).sum() * (y - W @ (g * y)).square().sum(),
    }
    gradient = torch.outer(adjoint, y)
    for rule, decrease in decreases.items():
        change = rule.update(fp, error, 1.0)
        torch.testing.assert_close(-(gradient * change).sum(), decrease, rtol=1e-8, atol=0)
