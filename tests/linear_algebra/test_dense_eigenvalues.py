"""Eigenvalues of matrices that may not be finite: LAPACK is not asked, and nothing crashes."""

import pytest
import torch

import ratenet as rn
from ratenet.fixed_points import Status
from ratenet.linear_algebra import all_eigenvalues, arnoldi, rightmost_ritz


@pytest.mark.parametrize("bad", [torch.inf, -torch.inf, torch.nan])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_one_matrix_that_is_not_finite_leaves_the_others_alone(bad: float, dtype) -> None:
    matrices = torch.tensor([[[0.0, 2.0], [-2.0, 0.0]], [[1.0, 0.0], [0.0, bad]]], dtype=dtype)
    found = all_eigenvalues(matrices)
    assert sorted(found[0].imag.tolist()) == pytest.approx([-2, 2])
    assert found[1].isnan().all()


def test_a_cycle_of_arnoldi_iteration_through_infinity() -> None:
    start = torch.ones(2, 6, dtype=torch.float64)
    factors = torch.tensor([[1.0], [torch.inf]], dtype=torch.float64)
    found = rightmost_ritz(arnoldi(lambda rows: factors * rows, start))
    assert found.real[0].item() == pytest.approx(1)
    assert found.real[1].isnan()


def test_weights_whose_jacobian_overflows() -> None:
    """1e308 / (10 ms) is infinite: such a state has no stability, and nothing is said of it."""
    network = rn.Network("linear", 1e308 * torch.eye(3, dtype=torch.float64).roll(1, 0))
    fp = rn.find_fixed_points(network, [0.0, 0.0, 0.0], on_failure="return")
    assert fp.examined.tolist() == [False]
    assert fp.status.tolist() == [Status.SETTLED]
    assert fp.abscissa().isnan().all()
