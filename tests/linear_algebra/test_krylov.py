"""Krylov methods against all eigenvalues and singular values of explicit matrices."""

import math

import pytest
import torch
from helpers.problems import FLOAT, random

from ratenet.linear_algebra import (
    RightmostTracker,
    arnoldi,
    lanczos,
    largest_singular_value,
    random_start,
    rightmost_eigenvalue,
    rightmost_ritz,
    ritz_values_left_of,
)

A = random(5, 30, 30, seed=201, scale=0.2)  # (b, n, n)


def product(matrices: torch.Tensor):
    return lambda rows: torch.einsum("bij,bj->bi", matrices, rows)


def test_arnoldi_gives_an_orthonormal_basis_and_a_hessenberg_matrix() -> None:
    space = arnoldi(product(A), random(5, 30, seed=202), steps=12)
    V, H = space.basis.mT, space.H  # (b, n, m + 1)
    identity = torch.eye(13, dtype=FLOAT).expand(5, -1, -1)
    torch.testing.assert_close(V.mT @ V, identity, rtol=0, atol=1e-12)
    torch.testing.assert_close(A @ V[:, :, :12], V @ H, rtol=0, atol=1e-12)
    assert (H.tril(-2) == 0).all()


def test_arnoldi_over_the_whole_space_has_all_eigenvalues() -> None:
    H = arnoldi(product(A), random(5, 30, seed=202), steps=100).H
    assert H.shape == (5, 31, 30)
    found = torch.linalg.eigvals(H[:, :30]).abs().sort().values
    expected = torch.linalg.eigvals(A).abs().sort().values
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def test_arnoldi_stops_at_an_invariant_space() -> None:
    """The start is a sum of two eigenvectors: the third vector of the basis is zero or rounding."""
    B = torch.diag(torch.arange(1.0, 9.0, dtype=FLOAT))[None]
    start = torch.zeros(1, 8, dtype=FLOAT)
    start[0, [2, 5]] = 1.0
    H = arnoldi(product(B), start, steps=2).H
    values = torch.linalg.eigvals(H[0, :2]).real.sort().values
    torch.testing.assert_close(values, torch.tensor([3.0, 6.0], dtype=FLOAT))
    assert H[0, 2, 1].abs() < 1e-12


def test_the_rightmost_ritz_value_converges_to_the_abscissa_of_each_matrix() -> None:
    ahead = A.clone()
    ahead[:, 0, 0] += torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0], dtype=FLOAT)  # well separated
    expected = torch.linalg.eigvals(ahead).real.amax(dim=1)
    start = random_start(30, A).repeat(5, 1)
    for _ in range(6):
        found = rightmost_ritz(arnoldi(product(ahead), start))
        start = found.vector
    assert (found.error[2:] < 1e-6).all()
    torch.testing.assert_close(found.real[2:], expected[2:], rtol=1e-6, atol=0)
    assert ((found.real - expected).abs() <= 20 * found.error + 1e-9).all()


@pytest.mark.parametrize("dtype", [FLOAT, torch.float32], ids=str)
def test_lanczos_finds_the_largest_eigenvalue_from_below(dtype: torch.dtype) -> None:
    S = (A + A.mT).to(dtype)
    largest = torch.linalg.eigvalsh(S)[:, -1]
    few = lanczos(product(S), random_start(30, S).repeat(5, 1), steps=8)
    many = lanczos(product(S), random_start(30, S).repeat(5, 1), steps=25)
    assert (few <= largest * (1 + 1e-5)).all()
    assert (few > 0.8 * largest).all()
    torch.testing.assert_close(many, largest, rtol=1e-5, atol=0)


def test_random_start_is_the_same_at_each_call_and_leaves_the_generator_alone() -> None:
    state = torch.get_rng_state()
    assert torch.equal(random_start(9, A), random_start(9, A))
    assert torch.equal(torch.get_rng_state(), state)
    assert random_start(9, A.float()).dtype == torch.float32


def test_one_large_matrix_by_arpack() -> None:
    B = random(200, 200, seed=203, scale=200**-0.5)
    exact = torch.linalg.eigvals(B).real.max().item()
    found = rightmost_eigenvalue(lambda v: v @ B.T, 200, B, tol=1e-10)
    assert found == pytest.approx(exact, rel=1e-8)
    shifted = rightmost_eigenvalue(lambda v: v @ B.T, 200, B, tol=1e-10, shift=3.0)
    assert shifted == pytest.approx(exact, rel=1e-8)


def test_an_eigenvalue_of_zero_needs_a_size_that_errors_are_relative_to() -> None:
    """In float32 no product is exact to a share of an eigenvalue of 0."""
    u = random(200, seed=204)
    u /= u.norm()
    B = (torch.outer(u, u) - torch.eye(200, dtype=FLOAT)).float()
    found = rightmost_eigenvalue(lambda v: v @ B.T, 200, B, tol=1e-4, shift=1.0)
    assert found == pytest.approx(0.0, abs=1e-4)


def test_no_eigenvalue_is_nan() -> None:
    nothing = torch.full((50, 50), math.nan, dtype=FLOAT)
    assert math.isnan(rightmost_eigenvalue(lambda v: v @ nothing, 50, nothing, tol=1e-6))


def test_the_spectral_norm_of_a_rectangular_matrix() -> None:
    B = random(80, 50, seed=205)
    found = largest_singular_value(lambda v: v @ B.T, lambda v: v @ B, (80, 50), B, tol=1e-9)
    assert found == pytest.approx(torch.linalg.matrix_norm(B, 2).item(), rel=1e-7)


def test_the_tracker_agrees_with_arpack() -> None:
    B = random(120, 120, seed=206, scale=120**-0.5)
    pair = RightmostTracker(tol=1e-8, max_expansions=300).track(lambda rows: rows @ B.T, B[0])
    assert pair.value.real == pytest.approx(
        rightmost_eigenvalue(lambda v: v @ B.T, 120, B, tol=1e-10), rel=1e-6
    )


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.5])
def test_ritz_values_left_of_a_border_agree_with_the_eigenvalues_of_h(scale: float) -> None:
    """Non-normal matrices, some of them unstable; the space is whole, so that no error is left."""
    J = scale * random(60, 12, 12, seed=207) / 2 - torch.eye(12, dtype=FLOAT)
    J[:, 0, 1] += 5.0
    space = arnoldi(product(J), random(60, 12, seed=208), steps=12)
    outermost = torch.linalg.eigvals(J).real.amax(dim=1)
    border = torch.full((60,), 0.05, dtype=FLOAT)
    found = ritz_values_left_of(space, border, share=0.0)
    assert not (found & (outermost >= -0.05)).any()
    assert found[outermost < -0.2].all()


def test_ritz_values_are_left_of_twice_their_own_error_or_not_at_all() -> None:
    J = random(200, 40, 40, seed=209) / 8 - torch.eye(40, dtype=FLOAT)
    space = arnoldi(product(J), random(200, 40, seed=210), steps=8)
    ritz, nothing = rightmost_ritz(space), torch.zeros(200, dtype=FLOAT)
    left = ritz_values_left_of(space, nothing, share=2.0)
    assert 0 < left.sum() < 200
    clear = (ritz.real + 2 * ritz.error).abs() > 0.3  # a pair's two vectors are one plane
    assert torch.equal(left[clear], (ritz.real + 2 * ritz.error < 0)[clear])


def test_what_is_not_finite_is_not_left_of_any_border() -> None:
    start = torch.ones(3, 6, dtype=FLOAT)
    factors = torch.tensor([[-1.0], [math.inf], [math.nan]], dtype=FLOAT)
    space = arnoldi(lambda rows: factors * rows, start, steps=1)
    found = ritz_values_left_of(space, torch.zeros(3, dtype=FLOAT), share=1.0)
    assert found.tolist() == [True, False, False]


def test_a_basis_of_an_almost_invariant_space_stays_orthonormal_in_single_precision() -> None:
    values = torch.tensor([1.0, 1.001, 5.0, 5.001, 5.002] * 20)
    space = arnoldi(lambda rows: values * rows, random_start(100, values).repeat(3, 1), steps=20)
    V = space.basis[:, space.basis.norm(dim=2)[0] > 0.5]
    torch.testing.assert_close(V @ V.mT, torch.eye(V.shape[1]).expand(3, -1, -1), rtol=0, atol=1e-4)
