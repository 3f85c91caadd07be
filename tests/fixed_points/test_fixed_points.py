"""Fixed points: every solver and problem, and what their certificates say.

Failures, statuses and options are in test_fixed_point_failures.py.
"""

import dataclasses

import pytest
import torch
from brian2 import ms
from helpers.problems import (
    FLOAT,
    PLAIN_MODELS,
    PROBLEMS,
    Problem,
    adaptation,
    inhibitory,
    limit_cycle,
    random,
    random_weights,
    rotation,
    tanh_rates,
    threshold_linear,
)

import ratenet as rn

SOLVERS = {
    "default": None,
    "anderson": rn.Anderson(),
    "preconditioned": rn.Anderson(preconditioner=rn.MeanGain()),
    "newton_krylov": rn.NewtonKrylov(),
    "damped": rn.DampedIteration(),
    "relaxation": rn.Relaxation(),
}
# Anderson from zero is thrown about by saturated units, which is why the default has a fallback;
# damping makes all units equally fast, and this pair is stable only since they are not.
NOT_EXPECTED = {
    ("anderson", "inhibitory_10"),
    ("anderson", "inhibitory_30"),
    ("preconditioned", "inhibitory_30"),  # the gains that it is made with are those of saturation
    ("damped", "fast_inhibition"),
}
# These share a mean gain, or the length of a Krylov basis: a neighbour costs or saves iterations.
SHARED = ("default", "preconditioned", "newton_krylov")
EXPECTED = [
    (solver, problem)
    for solver in SOLVERS
    for problem in PROBLEMS
    if (solver, problem) not in NOT_EXPECTED
]
# The error of the rates is the residual times |(I - G W)^{-1}|, which is largest, 10, in `diagonal`
# (an eigenvalue of 0.9), where also rates of size 20 scale the residual.
PRECISION = {FLOAT: (1e-9, 2e-7), torch.float32: (1e-5, 2e-3)}


def solve(problem: Problem, dtype: torch.dtype = FLOAT, **options: object) -> rn.FixedPoints:
    return rn.find_fixed_points(problem.network(dtype), problem.drive, **options)


@pytest.mark.parametrize("dtype", [FLOAT, torch.float32], ids=str)
@pytest.mark.parametrize(("solver", "name"), EXPECTED)
def test_the_exact_rates_and_gains_are_found(solver: str, name: str, dtype: torch.dtype) -> None:
    problem, (tol, precision) = PROBLEMS[name], PRECISION[dtype]
    fp = solve(problem, dtype, solver=SOLVERS[solver])
    assert fp.tol == tol
    assert fp.rates.dtype == dtype
    assert fp.converged.all()
    assert (fp.residual <= tol).all()
    assert (fp.iterations > 0).all()
    torch.testing.assert_close(fp.rates.to(FLOAT), problem.rates, rtol=0, atol=precision)
    torch.testing.assert_close(fp.gain.to(FLOAT), problem.gain, rtol=0, atol=precision)
    torch.testing.assert_close(fp.drive.to(FLOAT), problem.drive, rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_long_simulation_ends_at_the_same_rates_and_they_are_stable(name: str) -> None:
    problem = PROBLEMS[name]
    fp = solve(problem)
    assert (fp.abscissa() < 0).all()
    run = rn.simulate(
        problem.network(), problem.drive, 2.5, 0.5 * ms, method="rk4", record_every=5_000
    )
    torch.testing.assert_close(run.rates[-1], fp.rates, rtol=0, atol=2e-7)


def test_problems_that_an_undamped_iteration_would_lose_are_among_them() -> None:
    for problem in PROBLEMS.values():
        GW = problem.gain[:, :, None] * problem.W
        radius = torch.linalg.eigvals(GW).abs().amax()
        if problem.model != "adaptation":
            assert bool(radius < 1) == problem.undamped, problem.name
    eigenvalues = torch.linalg.eigvals(inhibitory(30.0).gain[0][:, None] * inhibitory(30.0).W)
    assert eigenvalues.real.min() < -20


def dense_abscissa(problem: Problem, taus: torch.Tensor) -> torch.Tensor:
    """The spectral abscissa of an r-form network, J = diag(1/tau) (-I + G W), written out."""
    identity = torch.eye(len(problem.W), dtype=FLOAT)
    jacobians = (problem.gain[:, :, None] * problem.W - identity) / taus[:, None]
    return torch.linalg.eigvals(jacobians).real.amax(dim=1)


@pytest.mark.parametrize("name", ["tanh", "rotation", "inhibitory_10", "fast_inhibition"])
def test_abscissa_of_the_r_form(name: str) -> None:
    problem = PROBLEMS[name]
    taus = torch.tensor(problem.parameters.get("tau", 0.01), dtype=FLOAT)
    expected = dense_abscissa(problem, taus.expand(len(problem.W)))
    torch.testing.assert_close(solve(problem).abscissa(), expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(solve(problem).abscissa([1]), expected[1:2], rtol=1e-6, atol=0)


def test_abscissa_of_the_v_form_is_that_of_the_r_form() -> None:
    problem = PROBLEMS["voltage"]  # J = (-I + W G) / tau has the eigenvalues of (-I + G W) / tau
    expected = dense_abscissa(problem, torch.full((10,), 0.01, dtype=FLOAT))
    torch.testing.assert_close(solve(problem).abscissa(), expected, rtol=1e-6, atol=0)


def test_jacobian_and_abscissa_with_two_state_variables() -> None:
    problem, tau, tau_a, b = adaptation(), 0.01, 0.1, 0.8
    fp = solve(problem)
    identity, W = torch.eye(9, dtype=FLOAT), problem.W
    expected = []
    for sample, rates in enumerate(problem.rates):
        slope = (1 - rates**2).diag()
        top = torch.cat([(-identity + slope @ W) / tau, -b * slope / tau], dim=1)
        bottom = torch.cat([identity / tau_a, -identity / tau_a], dim=1)
        jacobian = torch.cat([top, bottom])
        torch.testing.assert_close(fp.jacobian(sample), jacobian, rtol=1e-7, atol=1e-6)
        expected.append(torch.linalg.eigvals(jacobian).real.max())
    torch.testing.assert_close(fp.abscissa(), torch.stack(expected), rtol=1e-6, atol=0)


def test_time_constants_decide_on_stability_and_move_no_fixed_point() -> None:
    fast = PROBLEMS["fast_inhibition"]
    equal = dataclasses.replace(fast, parameters={"tau": 0.01})
    rest = solve(fast)
    same = rn.fixed_points_at(equal.network(), equal.drive, rest.state, tol=1e-8)
    assert same.converged.all()
    assert (rest.abscissa() < 0).all()
    assert (same.abscissa() > 0).all()


@pytest.mark.parametrize("model", PLAIN_MODELS)
def test_gain_is_the_slope_of_the_settled_rate_of_a_lone_unit(model: str) -> None:
    """dy/dI at rest, by central differences: with W = 0 the drive is the whole input."""
    network = rn.Network(model, torch.zeros(6, 6, dtype=FLOAT))
    drive, h = random(2, 6, seed=41), 1e-5

    def rates(shift: float) -> torch.Tensor:
        return rn.find_fixed_points(network, drive + shift, tol=1e-13).rates

    slope = (rates(h) - rates(-h)) / (2 * h)
    gain = rn.find_fixed_points(network, drive, tol=1e-13).gain
    assert gain.abs().max() > 0.1
    torch.testing.assert_close(gain, slope, rtol=0, atol=1e-8)


@pytest.mark.parametrize("model", PLAIN_MODELS)
def test_linear_response_of_the_network_follows_from_the_gain(model: str) -> None:
    """dy = (I - G W)^{-1} G dx, against central differences of the solved rates."""
    W, drive, h = random_weights(6, seed=42), random(1, 6, seed=43), 1e-5
    network, direction = rn.Network(model, W), random(1, 6, seed=44)

    def rates(shift: float) -> torch.Tensor:
        return rn.find_fixed_points(network, drive + shift * direction, tol=1e-13).rates[0]

    G = rn.find_fixed_points(network, drive, tol=1e-13).gain[0].diag()
    response = torch.linalg.solve(torch.eye(6, dtype=FLOAT) - G @ W, G @ direction[0])
    slope = (rates(h) - rates(-h)) / (2 * h)
    torch.testing.assert_close(response, slope, rtol=0, atol=1e-8)


def test_residual_of_the_r_form_is_the_largest_difference_over_the_scale() -> None:
    problem, state = tanh_rates(), random(4, 12, seed=45, scale=3.0)
    fp = rn.fixed_points_at(problem.network(), problem.drive, state)
    distance = (-state + torch.tanh(state @ problem.W.T + problem.drive)).abs().amax(dim=1)
    expected = distance / state.abs().amax(dim=1).clamp(min=1.0)
    torch.testing.assert_close(fp.residual, expected, rtol=1e-13, atol=0)


def test_residual_of_two_state_variables_is_a_unit_newton_step() -> None:
    problem, b = adaptation(), 0.8
    r, a = random(2, 3, 9, seed=46, scale=2.0)
    fp = rn.fixed_points_at(problem.network(), problem.drive, {"r": r, "a": a})
    value = torch.tanh(r @ problem.W.T + problem.drive - b * a)
    slope = 1 - value**2
    # Newton step of (-r + f, -a + r) with F_s = [[-1, -b f'], [1, -1]], time constants cancelled:
    step_r = ((value - r) - b * slope * (r - a)) / (1 + b * slope)
    step_a = ((r - a) + (value - r)) / (1 + b * slope)
    expected = torch.maximum(
        step_r.abs().amax(dim=1) / r.abs().amax(dim=1).clamp(min=1.0),
        step_a.abs().amax(dim=1) / a.abs().amax(dim=1).clamp(min=1.0),
    )
    torch.testing.assert_close(fp.residual, expected, rtol=1e-12, atol=0)


def test_a_measured_state_is_left_as_it_is() -> None:
    problem = tanh_rates()
    near = problem.rates.clone()
    near[1] += 0.01
    fp = rn.fixed_points_at(problem.network(), problem.drive, near, tol=1e-3)
    assert torch.equal(fp.rates, near)
    assert fp.converged.tolist() == [True, False, True, True]
    assert fp.iterations.tolist() == [0, 0, 0, 0]
    assert fp.unsettled == 1
    looser = fp.with_tolerance(0.1)
    assert looser.converged.all()
    assert torch.equal(looser.residual, fp.residual)


def test_a_simulated_state_is_certified_like_a_solved_one() -> None:
    problem = adaptation()
    run = rn.simulate(problem.network(), problem.drive, 3.0, 1 * ms, record_every=3000)
    fp = rn.fixed_points_at(problem.network(), problem.drive, run.final, tol=1e-9)
    assert fp.converged.all()
    torch.testing.assert_close(fp.gain, problem.gain, rtol=0, atol=1e-8)


@pytest.mark.parametrize("solver", SOLVERS)
def test_samples_do_not_depend_on_their_batch(solver: str) -> None:
    """Neither on easy neighbours nor on one that saturates; rounding may cost an iteration."""
    problem, method = tanh_rates(), SOLVERS[solver]
    drive = torch.cat([problem.drive, 30 * problem.drive[:1]])
    together = rn.find_fixed_points(problem.network(), drive, solver=method)
    for sample in range(5):
        alone = rn.find_fixed_points(problem.network(), drive[sample], solver=method)
        assert alone.rates.shape == (1, 12)
        if solver not in SHARED:
            assert abs(int(alone.iterations[0] - together.iterations[sample])) <= 1
        # Both are within |(I - G W)^{-1}|, here below 10, times the tolerance of 1e-9.
        torch.testing.assert_close(alone.rates[0], together.rates[sample], rtol=0, atol=2e-8)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_warm_start_takes_fewer_iterations(solver: str) -> None:
    problem = tanh_rates()
    cold = solve(problem, solver=SOLVERS[solver])
    near = problem.rates + 1e-6
    warm = solve(problem, solver=SOLVERS[solver], initial=near)
    at_rest = solve(problem, solver=SOLVERS[solver], initial=problem.rates)
    assert (warm.iterations < cold.iterations).all()
    assert (at_rest.iterations == 1).all()


def test_results_hold_no_matrix_for_each_sample() -> None:
    N = 12
    fp = rn.find_fixed_points(rn.Network("rate", random_weights(N, seed=4)), random(50, N, seed=5))
    for field in dataclasses.fields(fp):
        value = getattr(fp, field.name)
        if isinstance(value, torch.Tensor):
            assert value.numel() <= 50 * N, field.name


def test_select_takes_rows_by_mask_and_by_index() -> None:
    fp = solve(adaptation())
    one = fp.select(torch.tensor([False, True, False]))
    assert len(one) == 1
    assert torch.equal(one.rates, fp.rates[1:2])
    assert torch.equal(one.state, fp.select(torch.tensor([1])).state)


def test_silent_units_have_a_gain_of_exactly_zero() -> None:
    fp = solve(threshold_linear())
    assert (fp.gain[:, ::2] == 0).all()
    assert (fp.gain[:, 1::2] == 1).all()


@pytest.mark.parametrize("solver", ["damped", "relaxation"])
def test_a_limit_cycle_is_never_called_a_fixed_point(solver: str) -> None:
    problem = limit_cycle()
    fp = solve(problem, solver=SOLVERS[solver], initial=[0.3, -0.2], on_failure="return")
    roots = ("anderson", "preconditioned")  # they find the repelling root within the cycle
    expected = rn.Status.UNSTABLE if solver in roots else rn.Status.OSCILLATING
    assert fp.status.tolist() == [expected]
    assert not fp.converged.any()


def test_an_unstable_fixed_point_says_so_by_its_abscissa() -> None:
    fp = solve(limit_cycle(), on_failure="return")  # starts on it: zero
    assert fp.status.tolist() == [rn.Status.UNSTABLE]
    assert fp.abscissa().item() == pytest.approx(50.0)  # (-2 + w_EE) / (2 tau)


def test_given_damping_converges_where_it_is_small_enough_for_the_rotation() -> None:
    problem = rotation()
    fp = solve(problem, solver=rn.DampedIteration(damping=0.01))
    torch.testing.assert_close(fp.rates, problem.rates, rtol=0, atol=1e-8)
    failed = solve(problem, solver=rn.DampedIteration(damping=0.1), on_failure="return")
    assert not failed.converged.any()
