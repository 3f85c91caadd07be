"""What a certificate says: status and its causes, the solver, distances, predicted states.

Each is checked against problems whose fixed points, stable or not, are known in closed form, or
against a simulation.
"""

import math

import pytest
import torch
from brian2 import ms
from helpers.problems import (
    FLOAT,
    PROBLEMS,
    fast_inhibition,
    limit_cycle,
    no_fixed_point,
    random,
    random_weights,
    tanh_problem,
    tanh_rates,
)
from helpers.specs import spec

import ratenet as rn
from ratenet import circuits
from ratenet.fixed_points import Fallback

BISTABLE = torch.tensor([[2.0]], dtype=FLOAT)  # r = tanh(2 r): 0 repels, +-0.9575 attract


def test_each_status_has_its_own_sentence_and_settled_is_0() -> None:
    assert rn.Status.SETTLED == 0
    assert len({status.sentence for status in rn.Status}) == len(rn.Status)
    for status in rn.Status:
        assert status.sentence.endswith(".")


def test_relative_and_absolute_residual() -> None:
    network = rn.Network("linear", [[0.5]])
    fp = rn.fixed_points_at(network, [[1.0], [1.0]], [[0.0], [10.0]])
    # -r + 0.5 r + 1
    torch.testing.assert_close(fp.absolute_residual, torch.tensor([1.0, 4.0], dtype=FLOAT))
    torch.testing.assert_close(fp.residual, torch.tensor([1.0, 0.4], dtype=FLOAT))


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("displacement", [1e-3, 1e-5])
def test_distance_to_the_fixed_point_is_estimated(name: str, displacement: float) -> None:
    """Newton's step has an error of its square, and GMRES solves to 5 %."""
    problem = PROBLEMS[name]
    settled = rn.find_fixed_points(problem.network(), problem.drive, tol=1e-13)
    direction = random(*settled.state.shape, seed=81)
    kinks = problem.model == "threshold_linear"  # a silent unit may not cross its threshold
    away = settled.state + displacement * (direction.abs() * settled.rates if kinks else direction)
    moved = rn.fixed_points_at(problem.network(), problem.drive, away)
    distance = (away - settled.state).abs().amax(dim=(0, 2))
    torch.testing.assert_close(rn.estimate_distances(moved), distance, rtol=0.1, atol=0)


def test_distance_exceeds_the_residual_where_feedback_is_strong() -> None:
    network = rn.Network("linear", [[0.999]])  # y = 1000
    fp = rn.fixed_points_at(network, [1.0], [900.0])
    assert rn.estimate_distances(fp).item() == pytest.approx(100.0)
    assert fp.absolute_residual.item() == pytest.approx(0.1)


def test_distance_is_not_known_where_there_is_none() -> None:
    singular = rn.fixed_points_at(rn.Network("linear", [[1.0]]), [1.0], [0.0])
    infinite = rn.fixed_points_at(rn.Network("linear", [[0.5]]), [1.0], [math.inf])
    for fp in (singular, infinite):
        assert torch.isnan(rn.estimate_distances(fp)).all()


@pytest.mark.parametrize("name", ["tanh", "voltage", "adaptation", "linear", "fast_inhibition"])
def test_predicted_state_is_off_by_the_square_of_the_change(name: str) -> None:
    problem = PROBLEMS[name]
    network = problem.network()
    fp = rn.find_fixed_points(network, problem.drive, tol=1e-12)
    change = random(*problem.drive.shape, seed=82, scale=0.1)

    def error(size: float) -> float:
        drive = problem.drive + size * change
        there = rn.find_fixed_points(network, drive, tol=1e-12)
        return float((rn.predict_state(fp, drive) - there.state).abs().max())

    large, small = error(1.0), error(0.1)
    # A hundredth, were it not for GMRES, which solves to a hundredth of the change itself.
    assert small <= max(0.02 * large, 2e-3 * 0.1)


def test_predicted_state_is_y_plus_a_dx_and_saves_iterations() -> None:
    problem = tanh_rates()
    network, W = problem.network(), problem.W
    fp = rn.find_fixed_points(network, problem.drive, tol=1e-12)
    drive = problem.drive + random(*problem.drive.shape, seed=83, scale=1e-3)
    predicted = rn.predict_state(fp, drive)[0]
    for sample in range(len(fp)):
        G = problem.gain[sample].diag()
        A = torch.linalg.solve(torch.eye(12, dtype=FLOAT) - G @ W, G)
        expected = problem.rates[sample] + A @ (drive - problem.drive)[sample]
        # the change is 1e-3 and GMRES solves to a hundredth of it; the rest is its square
        torch.testing.assert_close(predicted[sample], expected, rtol=0, atol=3e-5)
    cold, old, new = (
        rn.find_fixed_points(network, drive, initial=initial).iterations.sum()
        for initial in (None, fp.state, rn.predict_state(fp, drive))
    )
    assert new < old < cold


def test_predictions_refuse_other_numbers_of_drives_and_stale_weights() -> None:
    problem = tanh_rates()
    network = problem.network()
    fp = rn.find_fixed_points(network, problem.drive)
    with pytest.raises(ValueError, match="drive: expected 1 or 4 drives, .* got 3"):
        rn.predict_state(fp, problem.drive[:3])
    network.connectivity.add_(torch.zeros_like(problem.W))
    for stale in (lambda: rn.predict_state(fp, problem.drive), lambda: rn.estimate_distances(fp)):
        with pytest.raises(rn.errors.StaleError):
            stale()


def test_a_root_that_repels_the_dynamics_is_never_called_reached() -> None:
    network = rn.Network("rate", BISTABLE)
    for solver in (None, rn.Anderson(), rn.NewtonKrylov(), rn.DampedIteration(), rn.Relaxation()):
        fp = rn.find_fixed_points(network, [0.0], solver=solver, on_failure="return")
        assert fp.status.tolist() == [rn.Status.UNSTABLE]
        assert fp.examined.all()
        assert fp.with_tolerance(math.inf).status.tolist() == [rn.Status.UNSTABLE]
        with pytest.raises(rn.errors.ConvergenceError, match="unstable fixed point"):
            rn.find_fixed_points(network, [0.0], solver=solver)


def test_the_default_follows_the_dynamics_away_from_a_repelling_root() -> None:
    """Newton's step from 0.2 goes to the root at 0; the network goes to 0.9575."""
    network = rn.Network("rate", BISTABLE)
    start = torch.tensor([[0.2], [-0.2]], dtype=FLOAT)
    root = rn.find_fixed_points(
        network, torch.zeros(2, 1), initial=start, solver=rn.NewtonKrylov(), on_failure="return"
    )
    reached = rn.find_fixed_points(network, torch.zeros(2, 1), initial=start)
    run = rn.simulate(network, torch.zeros(2, 1), 500 * ms, 0.5 * ms, initial=start)
    assert root.status.tolist() == [rn.Status.UNSTABLE] * 2 or root.converged.all()
    torch.testing.assert_close(reached.rates, run.rates[-1], rtol=0, atol=1e-8)


def test_certificates_of_residuals_only_do_not_look_at_stability() -> None:
    fp = rn.find_fixed_points(rn.Network("rate", BISTABLE), [0.0], certificate="residual")
    assert fp.converged.all()
    assert not fp.examined.any()


@pytest.mark.parametrize("solver", [None, rn.Relaxation(), rn.DampedIteration()])
def test_a_limit_cycle_oscillates_and_its_simulation_does(solver: object) -> None:
    problem = limit_cycle()
    fp = rn.find_fixed_points(
        problem.network(), problem.drive, initial=[0.3, -0.2], solver=solver,
        max_iterations=2000, on_failure="return",
    )  # fmt: skip
    assert fp.status.tolist() == [rn.Status.OSCILLATING]
    run = rn.simulate(problem.network(), problem.drive, 500 * ms, 0.1 * ms, initial=[0.3, -0.2])
    assert run.rates[-2000:].std(dim=0).min() > 0.15  # of oscillations between about -0.3 and 0.3


def test_the_published_limit_cycle_of_wilson_and_cowan_oscillates() -> None:
    circuit = circuits.load("wilson_cowan_oscillating")
    fp = rn.find_fixed_points(
        circuit.network, circuit.drive, initial=circuit.initial, max_iterations=2000,
        on_failure="return",
    )  # fmt: skip
    assert fp.status.tolist() == [rn.Status.OSCILLATING]


def test_the_published_multistable_network_settles_at_stable_points() -> None:
    circuit = circuits.load("wilson_cowan_multistable")
    fp = rn.find_fixed_points(circuit.network, circuit.drive, initial=circuit.initial)
    assert fp.examined.all()
    assert (fp.abscissa() < 0).all()


def test_growth_without_end_is_divergence() -> None:
    problem = no_fixed_point()
    fp = rn.find_fixed_points(
        problem.network(), problem.drive, max_iterations=500, on_failure="return"
    )
    assert fp.status.tolist() == [rn.Status.DIVERGED]


def test_slow_growth_is_divergence_too() -> None:
    """At 0.012 / tau a rate takes a thousand time constants to grow a millionfold."""
    network = rn.Network("threshold_linear", torch.diag(torch.tensor([1.012, 0.5], dtype=FLOAT)))
    fp = rn.find_fixed_points(
        network, [[0.1, 1.0], [-1.0, 1.0]], max_iterations=100, on_failure="return"
    )
    assert fp.status.tolist() == [rn.Status.DIVERGED, rn.Status.SETTLED]


def test_slow_dynamics_are_slow() -> None:
    """An eigenvalue of -1e-4 / tau: five hundred iterations are not enough to settle."""
    W = torch.tensor([[0.0, 1.0 - 1e-4], [1.0 - 1e-4, 0.0]], dtype=FLOAT)
    network = rn.Network("linear", W)
    fp = rn.find_fixed_points(
        network, [1.0, 0.5], solver=rn.DampedIteration(), max_iterations=100, on_failure="return"
    )
    assert fp.status.tolist() == [rn.Status.SLOW]


def test_what_the_dynamics_reach_at_once_ran_out_of_iterations() -> None:
    problem = tanh_rates()
    fp = rn.find_fixed_points(
        problem.network(), problem.drive, max_iterations=2, on_failure="return"
    )
    assert fp.status.tolist() == [rn.Status.OUT_OF_ITERATIONS] * 4
    assert "out of iterations" in fp.summary()


def test_the_summary_says_which_solver_settled_what() -> None:
    """The first solver gets no more than two iterations: enough for a sample that begins there."""
    problem = fast_inhibition()
    start = torch.stack([problem.rates[0], torch.zeros(2, dtype=FLOAT)])
    chain = Fallback((rn.Anderson(max_iterations=2), rn.Relaxation()))
    fp = rn.find_fixed_points(problem.network(), problem.drive, initial=start, solver=chain)
    assert fp.solver.tolist() == [0, 1]
    assert fp.solvers == ("Anderson", "relaxation along the dynamics")
    assert "Solved: 1 by Anderson, 1 by relaxation along the dynamics." in fp.summary()
    assert fp.select(torch.tensor([1])).solver.tolist() == [1]


def test_what_was_left_out_is_said() -> None:
    singular = rn.find_fixed_points(
        rn.Network("linear", torch.eye(2, dtype=FLOAT)), [0.0, 0.0], on_failure="return"
    )
    assert "I - G_mean W is singular" in singular.summary()
    large = rn.find_fixed_points(
        rn.Network("rate", random_weights(20, seed=84)),
        random(20, seed=85),
        solver=rn.Anderson(preconditioner=rn.MeanGain(max_units=10)),
    )
    assert "N = 20 is above max_units = 10" in large.summary()
    assert large.mean_response is None


def test_a_measured_state_was_found_by_no_solver() -> None:
    problem = tanh_rates()
    fp = rn.fixed_points_at(problem.network(), problem.drive, problem.rates)
    assert fp.solver.tolist() == [-1] * 4
    assert not fp.examined.any()
    assert "Solved" not in fp.summary()


def test_some_samples_can_be_replaced() -> None:
    problem = tanh_problem("t", random_weights(5, seed=86), 0.1 * random(4, 5, seed=87))
    fp = rn.find_fixed_points(problem.network(), problem.drive)
    zero = rn.fixed_points_at(problem.network(), problem.drive[1:2], torch.zeros(5))
    both = fp.replaced(torch.tensor([1]), zero)
    assert torch.equal(both.rates[[0, 2, 3]], fp.rates[[0, 2, 3]])
    assert (both.state[:, 1] == 0).all()
    assert both.status.tolist() == [0, rn.Status.UNSETTLED, 0, 0]


@pytest.mark.parametrize("dtype", [FLOAT, torch.float32], ids=str)
@pytest.mark.parametrize("units", [2, 6, 100])
def test_divergence_is_told_at_once(units: int, dtype: torch.dtype) -> None:
    """Growth by a millionfold takes a few dozen steps; all 10,150 iterations took seconds."""
    W = random_weights(units, seed=88, scale=2.0) + 1.5 * torch.eye(units, dtype=FLOAT)
    drive = torch.stack([torch.ones(units), torch.zeros(units)])
    fp = rn.find_fixed_points(rn.Network("linear", W.to(dtype)), drive, on_failure="return")
    assert fp.status.tolist() == [rn.Status.DIVERGED, rn.Status.UNSTABLE]
    assert fp.iterations.max() < 1000
    assert fp.solver[0] == -1


def test_a_large_fixed_point_is_not_taken_for_divergence() -> None:
    """Rates of 1e9 are a million times what the state began with, but no more than the drive."""
    for solver in (None, rn.Relaxation()):
        network = rn.Network("linear", torch.tensor([[0.5, 0.2], [0.2, 0.5]], dtype=FLOAT))
        fp = rn.find_fixed_points(network, [1e9, 1e9], solver=solver)
        torch.testing.assert_close(fp.rates / 1e9, torch.full((1, 2), 1 / 0.3, dtype=FLOAT))


@pytest.mark.parametrize("term", ["1 + r**2", "r**2 + 1 + relu(r)", "exp(r)", "r**3 + 1"])
def test_growth_beyond_all_bounds_within_a_finite_time_is_told_at_once(term: str) -> None:
    """At r = 0 no unit of r**2 depends on itself: the first step has no length from F_s."""
    model = spec(equations=f"dr/dt = ({term} + 0*(I_rec + I_ext)) / tau : 1")
    network = rn.Network(model, torch.eye(2, dtype=FLOAT))
    fp = rn.find_fixed_points(network, [1.0, 2.0], on_failure="return")
    assert fp.status.tolist() == [rn.Status.DIVERGED]
    assert fp.iterations.max() < 1000


def test_where_the_dynamics_are_not_defined_nothing_is_looked_for() -> None:
    model = spec(equations="dr/dt = (sqrt(r - 1) + 0*(I_rec + I_ext)) / tau : 1")
    network = rn.Network(model, torch.eye(2, dtype=FLOAT))
    fp = rn.find_fixed_points(network, [1.0, 2.0], on_failure="return")
    assert fp.status.tolist() == [rn.Status.DIVERGED]
    assert fp.iterations.max() < 200


def test_a_start_where_no_unit_depends_on_itself_is_left_along_the_dynamics() -> None:
    """dr/dt = r (1 - r) + 1: F_s = 1 - 2 r is 0 at the start, and r goes to 1.618."""
    model = spec(equations="dr/dt = (r - r**2 + I_ext + 0*I_rec) / tau : 1")
    network = rn.Network(model, torch.zeros(1, 1, dtype=FLOAT))
    fp = rn.find_fixed_points(network, [1.0], initial=0.5, solver=rn.Relaxation())
    assert fp.rates.item() == pytest.approx((1 + 5**0.5) / 2, rel=1e-8)
