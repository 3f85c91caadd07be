"""Systems of all samples: matrices of more than 128 rows on two threads, and singular ones."""

import subprocess
import sys

import pytest
import torch
from helpers.problems import FLOAT, random

from ratenet.linear_algebra import solve_samples


@pytest.mark.parametrize("columns", [None, 3])
def test_each_sample_is_solved_by_its_own_matrix(columns: int | None) -> None:
    matrices = random(4, 20, 20, seed=301, scale=0.1) + torch.eye(20, dtype=FLOAT)
    shape = (4, 20) if columns is None else (4, 20, columns)
    x = random(*shape, seed=302)
    right = torch.einsum("bij,bj...->bi...", matrices, x)
    torch.testing.assert_close(solve_samples(matrices, right), x, rtol=0, atol=1e-12)


def test_a_singular_matrix_gives_nan_and_leaves_the_others_alone() -> None:
    matrices = torch.stack([torch.eye(3, dtype=FLOAT), torch.zeros(3, 3, dtype=FLOAT)])
    found = solve_samples(matrices, torch.ones(2, 3, dtype=FLOAT))
    assert (found[0] == 1).all()
    assert found[1].isnan().all()


@pytest.mark.slow
def test_large_matrices_on_two_threads() -> None:
    """In a process of its own: where oneMKL's batched LU is used, this hangs."""
    program = """if True:
        import torch
        from ratenet.linear_algebra import solve_samples
        torch.set_num_threads(2)
        torch.manual_seed(0)
        for N in (129, 300):
            A = torch.eye(N) + 0.5 * torch.randn(4, N, N) / N**0.5
            b = torch.randn(4, N, 5)
            assert ((A @ solve_samples(A, b) - b).norm() <= 1e-4 * b.norm()), N
        print("solved")
    """
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout == "solved\n"
    assert "oneMKL" not in done.stderr
