"""What solvers cost and remember: the preconditioner, its reuse, warm starts, products only."""

import pytest
import torch
from helpers.problems import FLOAT, PROBLEMS, chosen_rates, random, random_weights, tanh_problem

import ratenet as rn
from ratenet.connectivity import Dense
from ratenet.linear_algebra import gmres, solve_units

N, B = 60, 40


def trained_like(scale: float = 2.0) -> rn.Network:
    """A strongly inhibited tanh network: an undamped iteration does not converge in it."""
    W = random_weights(N, seed=91, scale=scale) - 1.5 * torch.eye(N, dtype=FLOAT)
    return rn.Network("rate", W)


DRIVE = random(B, N, seed=92, scale=0.5)


def test_the_preconditioner_saves_iterations() -> None:
    network = trained_like()
    plain = rn.find_fixed_points(network, DRIVE, solver=rn.Anderson())
    preconditioned = rn.find_fixed_points(
        network, DRIVE, solver=rn.Anderson(preconditioner=rn.MeanGain())
    )
    torch.testing.assert_close(plain.rates, preconditioned.rates, rtol=0, atol=1e-7)
    assert preconditioned.iterations.double().mean() < 0.6 * plain.iterations.double().mean()


def test_where_all_gains_are_one_the_preconditioned_step_is_newtons() -> None:
    problem = PROBLEMS["linear"]
    fp = rn.find_fixed_points(
        problem.network(), problem.drive, solver=rn.Anderson(preconditioner=rn.MeanGain())
    )
    assert fp.iterations.tolist() == [2] * len(fp)  # where it begins, and where it ends


@pytest.mark.parametrize("name", ["tanh", "voltage", "adaptation", "threshold_linear"])
def test_the_matrix_answers_for_the_mean_gain(name: str) -> None:
    """Q = W (I - diag(g) W)^{-1}: the change of input W dy when dy = b + g W dy, by its sum."""
    problem = PROBLEMS[name]
    gain = 0.3 * problem.gain
    Q = rn.MeanGain().make(problem.network(), gain).matrix
    g = gain.mean(dim=0)
    b = random(len(g), seed=93)
    dy = b.clone()
    for _ in range(200):  # the spectral radius is below 0.3: 1e-100 is left
        dy = b + g * (problem.W @ dy)
    torch.testing.assert_close(Q @ b, problem.W @ dy, rtol=1e-10, atol=1e-12)


def test_without_staleness_a_result_depends_on_the_weights_alone() -> None:
    network, keeper = trained_like(), rn.MeanGain()
    rn.find_fixed_points(network, DRIVE, solver=rn.Automatic(keeper))
    network.connectivity.add_(random(N, N, seed=94, scale=1e-3))
    used = rn.find_fixed_points(network, DRIVE, solver=rn.Automatic(keeper))
    fresh = rn.find_fixed_points(network, DRIVE)
    assert torch.equal(used.rates, fresh.rates)


def test_a_stale_matrix_costs_iterations_and_no_exactness() -> None:
    network = trained_like()
    solver = rn.Anderson(preconditioner=rn.MeanGain(stale_after=100))
    rn.find_fixed_points(network, DRIVE, solver=solver)
    network.connectivity.add_(random(N, N, seed=95, scale=0.01))
    stale = rn.find_fixed_points(network, DRIVE, solver=solver)
    fresh = rn.find_fixed_points(network, DRIVE)
    torch.testing.assert_close(stale.rates, fresh.rates, rtol=0, atol=1e-7)


@pytest.mark.parametrize("make", [rn.Anderson, rn.NewtonKrylov])
def test_a_singular_preconditioner_is_left_out_and_the_rest_goes_on(make) -> None:
    """At zero every gain is 1, and W has an eigenvalue of 1; at the fixed point it has none."""
    W = torch.diag(torch.tensor([1.0, 0.5], dtype=FLOAT))
    network, solver = rn.Network("rate", W), make(preconditioner=rn.MeanGain())
    start = torch.zeros(2, dtype=FLOAT)
    fp = rn.find_fixed_points(
        network, [0.0, 0.3], initial=start, solver=solver, max_iterations=5, on_failure="return"
    )
    assert "singular" in fp.notes[0]
    assert torch.isfinite(fp.rates).all()


def test_above_its_limit_the_default_goes_without_the_preconditioner() -> None:
    network = trained_like(0.5)
    solver = rn.Automatic(rn.MeanGain(max_units=N - 1))
    fp = rn.find_fixed_points(network, DRIVE, solver=solver)
    assert fp.mean_response is None
    assert fp.solvers[0] == "Anderson"
    torch.testing.assert_close(
        fp.rates, rn.find_fixed_points(network, DRIVE).rates, rtol=0, atol=1e-8
    )


class Counting(Dense):
    """W that counts the rows which it is multiplied with, and never shows itself."""

    rows = 0

    def apply(self, rates: torch.Tensor) -> torch.Tensor:
        type(self).rows += len(rates)
        return super().apply(rates)

    def dense(self) -> torch.Tensor:
        raise AssertionError("a dense matrix was asked for")


@pytest.mark.parametrize(
    "solver",
    [
        rn.Anderson(),
        rn.DampedIteration(),
        rn.Relaxation(),
        rn.NewtonKrylov(),
        rn.Automatic(rn.MeanGain(max_units=1)),
    ],
    ids=repr,
)
def test_solvers_see_products_only_and_settled_samples_leave(solver) -> None:
    Counting.rows = 0
    network = rn.Network("rate", Counting(0.5 * random_weights(N, seed=96)))
    drive = torch.cat([torch.zeros(30, N, dtype=FLOAT), DRIVE[:10]])  # 30 begin at rest
    fp = rn.find_fixed_points(network, drive, solver=solver)
    assert fp.converged.all()
    assert (fp.iterations[:30] == 1).all()
    most = int(fp.iterations.max())
    assert Counting.rows < 0.75 * 40 * most + 4 * 40 + 200  # with the certificate's own products


def test_iterations_count_the_products_of_newton_krylov() -> None:
    network = trained_like()
    fp = rn.find_fixed_points(network, DRIVE[:1], solver=rn.NewtonKrylov())
    assert fp.iterations[0] > 10
    short = rn.find_fixed_points(
        network, DRIVE[:1], solver=rn.NewtonKrylov(), max_iterations=9, on_failure="return"
    )
    assert not short.converged.any()


def test_stacked_populations_with_their_own_time_constants(tmp_path) -> None:
    rates = chosen_rates(3, 10, seed=97)
    problem = tanh_problem("populations", random_weights(10, seed=98), rates)
    tau = torch.tensor([0.02] * 8 + [0.005] * 2, dtype=FLOAT)
    network = rn.Network("rate", problem.W, parameters={"tau": tau})
    for solver in (None, rn.Anderson(), rn.NewtonKrylov(), rn.Relaxation()):
        fp = rn.find_fixed_points(network, problem.drive, solver=solver)
        torch.testing.assert_close(fp.rates, rates, rtol=0, atol=1e-8)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_small_systems_of_all_units(k: int) -> None:
    F_s, right = random(k, k, 5, 7, seed=99), random(k, 2, 5, 7, seed=100)
    F_s[0] *= 1e6  # equations of another unit
    if k > 1:
        F_s[0, 0, 0, 0] = 0.0  # needs an exchange of rows
    expected = torch.linalg.solve(F_s.permute(2, 3, 0, 1), right.permute(2, 3, 0, 1))
    found = solve_units(F_s, right)
    torch.testing.assert_close(found, expected.permute(2, 3, 0, 1), rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(solve_units(F_s, right[:, 1]), found[:, 1])


@pytest.mark.parametrize("leave_early", [False, True])
@pytest.mark.parametrize("preconditioned", [False, True])
def test_gmres_solves_each_row_by_itself(preconditioned: bool, leave_early: bool) -> None:
    scale = torch.tensor([0.0, 0.01, 0.1, 0.1, 0.15], dtype=FLOAT)  # easy rows leave first
    A = random(5, 30, 30, seed=101) * scale[:, None, None] + torch.eye(30, dtype=FLOAT)
    b = random(5, 30, seed=102)
    b[3] = 0.0
    inverse = torch.linalg.inv(A + 0.01)

    def product(matrices: torch.Tensor):
        return lambda samples, v: torch.einsum("bij,bj->bi", matrices[samples], v)

    undo = product(inverse) if preconditioned else None
    found = gmres(product(A), b, 1e-10, 200, undo, leave_early=leave_early)
    torch.testing.assert_close(found.values, torch.linalg.solve(A, b), rtol=0, atol=1e-8)
    assert (found.residual <= 1e-10).all()
    assert (found.values[3] == 0).all()
    if preconditioned:
        assert found.products <= 10


@pytest.mark.parametrize("leave_early", [False, True])
def test_slow_rows_do_not_wait_for_fast_ones(leave_early: bool) -> None:
    A = 0.01 * random(8, 30, 30, seed=103) + torch.eye(30, dtype=FLOAT)
    A[:3] += 0.12 * random(3, 30, 30, seed=104)
    b = random(8, 30, seed=105)

    def products(rows: slice) -> int:
        def operator(samples, v: torch.Tensor) -> torch.Tensor:
            return torch.einsum("bij,bj->bi", A[rows][samples], v)

        def undo(samples, v: torch.Tensor) -> torch.Tensor:
            return 0.98 * v

        found = gmres(operator, b[rows], 1e-10, 100, undo, leave_early=leave_early)
        residual = b[rows] - torch.einsum("bij,bj->bi", A[rows], found.values)
        torch.testing.assert_close(
            found.residual, residual.norm(dim=1) / b[rows].norm(dim=1), rtol=0, atol=1e-13
        )
        assert (found.residual <= 1e-10).all()
        return found.products

    assert products(slice(8)) <= products(slice(3)) + 1
    assert products(slice(3, 8)) < products(slice(3))
