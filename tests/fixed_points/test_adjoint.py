"""The adjoint solve, against a dense solve of one sample at a time."""

import math

import pytest
import torch
from helpers.problems import FLOAT, PROBLEMS, random, random_weights

import ratenet as rn


def dense_adjoint(fp: rn.FixedPoints, error: torch.Tensor) -> torch.Tensor:
    """Return lambda = G (I - W^T G)^{-1} e, one matrix a sample."""
    W = fp.network.connectivity.dense()
    identity = torch.eye(len(W), dtype=W.dtype)
    rows = [
        g * torch.linalg.solve(identity - W.T * g, e) for g, e in zip(fp.gain, error, strict=True)
    ]
    return torch.stack(rows)


def relative_residual(
    fp: rn.FixedPoints, error: torch.Tensor, values: torch.Tensor
) -> torch.Tensor:
    """Return |G (e + W^T lambda) - lambda| / |G e|, written out."""
    left_over = fp.gain * (error + values @ fp.network.connectivity.dense()) - values
    return left_over.norm(dim=1) / (fp.gain * error).norm(dim=1)


def points(W: torch.Tensor, samples: int = 4) -> rn.FixedPoints:
    """Return states of a linear network (gains 1), whatever the stability of W."""
    drive, state = random(samples, len(W), seed=51), random(samples, len(W), seed=52)
    drive, state = drive.to(W.dtype), state.to(W.dtype)
    return rn.fixed_points_at(rn.Network("linear", W), drive, state, tol=math.inf)


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_dense_solution_is_found(name: str) -> None:
    problem = PROBLEMS[name]
    fp = rn.find_fixed_points(problem.network(), problem.drive)
    error = random(*fp.rates.shape, seed=53)
    adjoint = rn.solve_adjoint(fp, error)
    assert adjoint.converged.all()
    assert (adjoint.residual <= 1e-10).all()
    torch.testing.assert_close(adjoint.values, dense_adjoint(fp, error), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("units", [60, 100])
def test_more_units_than_basis_vectors(units: int) -> None:
    fp = points(random_weights(units, seed=54, scale=0.95))
    error = random(4, units, seed=55)
    adjoint = rn.solve_adjoint(fp, error)
    assert adjoint.converged.all()
    torch.testing.assert_close(adjoint.values, dense_adjoint(fp, error), rtol=0, atol=1e-7)


def test_what_gmres_leaves_is_solved_densely() -> None:
    fp = points(random_weights(30, seed=56, scale=3.0))
    error = random(4, 30, seed=57)
    adjoint = rn.solve_adjoint(fp, error, max_iterations=2)
    assert adjoint.iterations == 2
    assert adjoint.converged.all()
    torch.testing.assert_close(adjoint.values, dense_adjoint(fp, error), rtol=1e-9, atol=1e-9)


def test_residual_is_that_of_the_values_it_comes_with() -> None:
    fp, error = points(random_weights(20, seed=58)), random(4, 20, seed=59)
    adjoint = rn.solve_adjoint(fp, error, tol=1e-3)
    expected = relative_residual(fp, error, adjoint.values)
    assert (expected > 1e-9).all()  # it stopped early, as it was told
    assert (expected <= 1e-3).all()
    torch.testing.assert_close(adjoint.residual, expected, rtol=1e-6, atol=0)


def test_converged_means_that_the_residual_is_within_the_tolerance() -> None:
    """No solve can reach 1e-18, the dense one neither: that is said."""
    adjoint = rn.solve_adjoint(
        points(random_weights(20, seed=58)), random(4, 20, seed=59), tol=1e-18
    )
    assert (adjoint.residual < 1e-12).all()
    assert not adjoint.converged.any()


def test_float32_reaches_its_own_tolerance() -> None:
    fp, error = points(random_weights(20, seed=58).float()), random(4, 20, seed=59).float()
    adjoint = rn.solve_adjoint(fp, error)
    assert adjoint.values.dtype == torch.float32
    assert adjoint.converged.all()
    torch.testing.assert_close(adjoint.values, dense_adjoint(fp, error), rtol=0, atol=2e-4)


def test_no_error_gives_no_adjoint() -> None:
    fp, error = points(random_weights(8, seed=60)), random(4, 8, seed=61)
    error[1] = 0.0
    adjoint = rn.solve_adjoint(fp, error)
    assert adjoint.converged.all()
    assert (adjoint.values[1] == 0).all()
    assert adjoint.residual[1] == 0
    assert (adjoint.values[0] != 0).all()


@pytest.mark.parametrize("scale", [1e-150, 1e-12, 1e12])
def test_the_solve_is_linear_in_the_error(scale: float) -> None:
    fp, error = points(random_weights(8, seed=60)), random(4, 8, seed=61)
    one, scaled = rn.solve_adjoint(fp, error), rn.solve_adjoint(fp, scale * error)
    assert scaled.converged.all()
    torch.testing.assert_close(scaled.values / scale, one.values, rtol=1e-8, atol=1e-8)


def test_a_singular_matrix_is_reported() -> None:
    """W with an eigenvalue of exactly 1, and an error that it cannot answer."""
    W = torch.diag(torch.tensor([1.0, 0.5, -2.0], dtype=FLOAT))
    error = torch.tensor([[1.0, 1.0, 1.0], [0.0, 1.0, 1.0]], dtype=FLOAT)
    adjoint = rn.solve_adjoint(points(W, samples=2), error)
    assert adjoint.converged.tolist() == [False, True]  # the second does not ask for the inverse
    assert not adjoint.residual[0] <= 1e-10
    assert adjoint.condition[0] == math.inf
    assert "1 of 2 adjoints solved" in adjoint.summary()
    assert "singular to working precision" in adjoint.summary()
    torch.testing.assert_close(adjoint.values[1, 1:], torch.tensor([2.0, 1 / 3], dtype=FLOAT))


def test_a_nearly_singular_matrix_is_solved_or_reported() -> None:
    W = torch.diag(torch.tensor([1 - 1e-9, 0.5], dtype=FLOAT))
    error = torch.ones(1, 2, dtype=FLOAT)
    adjoint = rn.solve_adjoint(points(W, samples=1), error)
    assert adjoint.converged.all()
    torch.testing.assert_close(adjoint.values[0, 0].item(), 1e9, rtol=1e-6, atol=0)
    assert adjoint.condition[0] > 5e8  # |lambda| / |G e|, from below


def test_the_condition_of_what_is_solved_densely_is_lapacks() -> None:
    W = random_weights(30, seed=56, scale=3.0)
    adjoint = rn.solve_adjoint(points(W), random(4, 30, seed=57), max_iterations=2)
    exact = torch.linalg.cond(torch.eye(30, dtype=FLOAT) - W.T, 1)
    # the estimate is from below, and within a factor of three in practice (Higham 1992)
    assert (adjoint.condition <= exact * (1 + 1e-9)).all()
    assert (adjoint.condition > exact / 3).all()


@pytest.mark.parametrize("inhibition", [0.0, 3.0])
def test_a_preconditioner_saves_products(inhibition: float) -> None:
    W = random_weights(60, seed=64, scale=1.2) - inhibition * torch.eye(60, dtype=FLOAT)
    drive, error = random(20, 60, seed=65, scale=0.5), random(20, 60, seed=66)
    network = rn.Network("rate", W)
    fp = rn.find_fixed_points(network, drive)
    assert fp.mean_response is not None
    measured = rn.fixed_points_at(network, drive, fp.state)  # by no solver
    few = measured.select(torch.arange(14))  # below N / 4: none is made for so few
    fast, own = rn.solve_adjoint(fp, error), rn.solve_adjoint(measured, error)
    slow = rn.solve_adjoint(few, error[:14])
    assert fast.converged.all()
    assert max(fast.iterations, own.iterations) < 0.7 * slow.iterations
    torch.testing.assert_close(own.values, fast.values, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(fast.values, dense_adjoint(fp, error), rtol=1e-8, atol=1e-8)


def test_wrong_shapes_and_stale_points_are_refused() -> None:
    fp = points(random_weights(8, seed=60))
    for wrong in (torch.ones(8), torch.ones(1, 8), torch.ones(4, 7)):
        with pytest.raises(
            ValueError, match=r"error: expected the shape of the rates, \(B, N\) = \(4, 8\), got \("
        ):
            rn.solve_adjoint(fp, wrong)
    fp.network.connectivity.add_(torch.zeros(8, 8, dtype=FLOAT))
    with pytest.raises(rn.errors.StaleError):
        rn.solve_adjoint(fp, torch.ones(4, 8))


def test_samples_do_not_depend_on_their_batch() -> None:
    fp, error = points(random_weights(12, seed=62, scale=0.9)), random(4, 12, seed=63)
    error[2] *= 1e6
    together = rn.solve_adjoint(fp, error)
    alone = rn.solve_adjoint(fp.select(torch.tensor([1])), error[1:2])
    torch.testing.assert_close(alone.values[0], together.values[1], rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", [FLOAT, torch.float32], ids=str)
@pytest.mark.parametrize("seed", range(6))
def test_a_perfect_integrator_has_no_adjoint_whatever_rounding_says(seed: int, dtype) -> None:
    """I - u u^T is singular; rounded, LAPACK meets no pivot of exactly 0."""
    u = random(7, seed=seed)
    u /= u.norm()
    fp = rn.fixed_points_at(rn.Network("linear", torch.outer(u, u).to(dtype)), 0 * u, 0.3 * u)
    adjoint = rn.solve_adjoint(fp, random(1, 7, seed=100 + seed).to(dtype))
    assert not adjoint.converged.any()
    assert adjoint.condition.item() > 0.1 / torch.finfo(dtype).eps
    assert "singular to working precision" in adjoint.summary()
    allowed = rn.plasticity.LinearizedReparameterized().update(fp, torch.ones_like(fp.rates), 0.1)
    assert torch.isfinite(allowed).all()
