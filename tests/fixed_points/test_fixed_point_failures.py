"""What fixed points say where there are none, and how wrong arguments are refused."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from brian2 import second
from helpers.problems import FLOAT, fast_inhibition, no_fixed_point, tanh_rates, write_model

import ratenet as rn
from ratenet.errors import ConvergenceError, InputError, StaleError

SOLVERS = [
    None,
    rn.Anderson(),
    rn.Anderson(preconditioner=rn.MeanGain()),
    rn.NewtonKrylov(),
    rn.DampedIteration(),
    rn.Relaxation(),
]
NAMES = ["default", "anderson", "preconditioned", "newton_krylov", "damped", "relaxation"]
every_solver = pytest.mark.parametrize("solver", SOLVERS, ids=NAMES)

SINGULAR = {
    "integrator": "dr/dt = (I_rec + I_ext) / tau : 1",
    "own rate 0": "dr/dt = (-b*r + I_rec + I_ext) / tau : 1",
    "two variables": """dr/dt = (-r + a + I_rec + I_ext) / tau : 1
        da/dt = (r - a) / tau : 1""",
}


def network_of(folder: Path, equations: str) -> rn.Network:
    parameters = {"tau": "7*ms"} | ({"b": 0.0} if "b*r" in equations else {})
    path = write_model(folder, equations, parameters=parameters)
    return rn.Network(rn.load_model(path), torch.tensor([[-0.5, 0.1], [0.0, -0.5]], dtype=FLOAT))


@every_solver
@pytest.mark.parametrize("dtype", [FLOAT, torch.float32], ids=str)
def test_a_rate_that_grows_for_ever_is_not_called_settled(
    solver: rn.fixed_points.AbstractSolver, dtype: torch.dtype
) -> None:
    """Its speed over its size becomes as small as one likes."""
    problem = no_fixed_point()
    fp = rn.find_fixed_points(
        problem.network(dtype), problem.drive, solver=solver, on_failure="return"
    )
    assert not fp.converged.any()
    assert fp.residual.item() > fp.tol


@every_solver
def test_too_few_iterations_raise_with_the_partial_result(
    solver: rn.fixed_points.AbstractSolver,
) -> None:
    problem = tanh_rates()
    with pytest.raises(ConvergenceError, match="4 of 4 samples .* within 3 iterations") as error:
        rn.find_fixed_points(problem.network(), problem.drive, solver=solver, max_iterations=3)
    assert isinstance(error.value, RuntimeError)
    partial = error.value.result
    returned = rn.find_fixed_points(
        problem.network(), problem.drive, solver=solver, max_iterations=3, on_failure="return"
    )
    assert torch.equal(partial.rates, returned.rates)
    assert returned.status.tolist() == [rn.Status.OUT_OF_ITERATIONS] * 4
    assert returned.iterations.tolist() == [3] * 4
    assert (returned.residual > returned.tol).all()


def test_samples_that_settle_are_kept_beside_those_that_do_not() -> None:
    problem = fast_inhibition()
    near = torch.stack([problem.rates[0], torch.tensor([0.9, 0.9], dtype=FLOAT)])
    fp = rn.find_fixed_points(
        problem.network(),
        problem.drive,
        initial=near,
        solver=rn.DampedIteration(),
        on_failure="return",
    )
    assert fp.status.tolist() == [rn.Status.SETTLED, rn.Status.SLOW]
    assert fp.unsettled == 1
    assert "1 of 2 samples settled" in fp.summary()
    assert "1 of 2 samples slow" in fp.summary()


@every_solver
@pytest.mark.parametrize("name", SINGULAR)
def test_units_without_a_decay_are_singular(
    tmp_path: Path, name: str, solver: rn.fixed_points.AbstractSolver
) -> None:
    network = network_of(tmp_path, SINGULAR[name])
    fp = rn.find_fixed_points(
        network, [0.3, 0.1], solver=solver, max_iterations=50, on_failure="return"
    )
    assert fp.status.tolist() == [rn.Status.SINGULAR]
    assert torch.isnan(fp.gain).all()
    assert not fp.converged.any()
    with pytest.raises(ConvergenceError, match="singular"):
        rn.find_fixed_points(network, [0.3, 0.1], solver=solver, max_iterations=50)


def test_very_different_time_constants_are_not_singular() -> None:
    parameters = {"tau": 1e-6, "tau_a": 1e6 * second, "b": 0.5}
    network = rn.Network("adaptation", torch.zeros(1, 1, dtype=FLOAT), parameters=parameters)
    fp = rn.find_fixed_points(network, [0.0])
    assert fp.converged.all()
    assert fp.gain.item() == pytest.approx(1 / 1.5)


@pytest.mark.parametrize("model", ["rate", "adaptation"])
def test_a_state_that_is_not_finite_has_diverged(model: str) -> None:
    network = rn.Network(model, torch.zeros(2, 2, dtype=FLOAT))
    state = torch.zeros(len(network.model.states), 3, 2, dtype=FLOAT)
    state[0, 1, 0], state[0, 2, 1] = math.nan, math.inf
    fp = rn.fixed_points_at(network, torch.zeros(3, 2), state)
    assert fp.status.tolist() == [rn.Status.SETTLED, rn.Status.DIVERGED, rn.Status.DIVERGED]
    with pytest.raises(InputError, match="sample 1 has a NaN or infinite state"):
        fp.abscissa()
    assert fp.abscissa([0]).shape == (1,)


def test_explicit_time_is_refused(tmp_path: Path) -> None:
    network = network_of(tmp_path, "dr/dt = (-r + I_rec + I_ext*sin(t/tau)) / tau : 1")
    for refused in (
        lambda: rn.find_fixed_points(network, [0.0, 0.0]),
        lambda: rn.fixed_points_at(network, [0.0, 0.0], [0.0, 0.0]),
    ):
        with pytest.raises(NotImplementedError, match="depend on t explicitly.*into the drive"):
            refused()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"drive": [0.0, math.nan]}, "drive: NaN or infinite entries"),
        ({"drive": [0.0, 0.0, 0.0]}, r"drive: expected .*shape .* N = 2 units, got \(1, 3\)"),
        ({"drive": torch.zeros(1, 1, 2)}, r"drive: expected .*shape .*, got \(1, 1, 2\)"),
        ({"initial": [math.nan, 0.0]}, "state.*: NaN or infinite entries"),
        ({"initial": [0.0, 0.0, 0.0]}, r"state, r: expected .* N = 2, got \(3,\)"),
        ({"initial": {"v": 0.0}}, "state variables of 'rate', r"),
        ({"tol": 1e-16}, "tol: expected at least 9e-16, the precision of float64, got 1e-16"),
        ({"tol": -1.0}, "tol: expected at least .* got -1.0"),
        ({"tol": math.nan}, "tol: expected at least .* got nan"),
        ({"tol": 1.0}, "tol: expected a relative error below 1, got 1.0"),
        ({"tol": "small"}, "tol: expected a number, got 'small'"),
        ({"max_iterations": 0}, "max_iterations: expected a whole number of at least 1, got 0"),
        (
            {"max_iterations": 2.5},
            r"max_iterations: expected a whole number .* got 2\.5",
        ),
        ({"solver": "anderson"}, "solver: expected a solver object such as .*, got 'anderson'"),
        ({"solver": rn.Relaxation(max_iterations=0)}, "max_iterations: expected .* got 0"),
        ({"certificate": "none"}, "certificate: expected 'full' or 'residual', got 'none'"),
        ({"on_failure": "ignore"}, "on_failure: expected 'raise' or 'return', got 'ignore'"),
    ],
)
def test_wrong_arguments_give_one_sentence(options: Mapping[str, Any], sentence: str) -> None:
    network = rn.Network("rate", torch.zeros(2, 2, dtype=FLOAT))
    arguments = {"drive": [0.1, 0.2], **options}
    with pytest.raises(ValueError, match=sentence) as error:
        rn.find_fixed_points(network, **arguments)
    assert isinstance(error.value, InputError)
    assert "\n" not in str(error.value)


def test_float32_cannot_reach_the_tolerance_of_float64() -> None:
    network = rn.Network("rate", torch.zeros(2, 2))
    with pytest.raises(ValueError, match="the precision of float32, got 1e-09; use a larger"):
        rn.find_fixed_points(network, [0.1, 0.2], tol=1e-9)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: rn.Anderson(memory=0), "memory: expected a whole number of at least 1, got 0"),
        (lambda: rn.Anderson(memory=2.5), r"memory: .* got 2\.5"),
        (
            lambda: rn.Anderson(mixing=0.0),
            "mixing: expected a number above 0 and at most 1",
        ),
        (lambda: rn.Anderson(mixing="half"), "mixing: .* got 'half'"),
        (lambda: rn.Anderson(mixing=math.nan), "mixing: .* got nan"),
        (
            lambda: rn.Anderson(preconditioner="mean"),
            "expected a MeanGain object or None, got",
        ),
        (lambda: rn.NewtonKrylov(preconditioner="mean"), "preconditioner: .* got 'mean'"),
        (
            lambda: rn.NewtonKrylov(forcing=1.0),
            "forcing: expected a number above 0 and below 1, got 1",
        ),
        (
            lambda: rn.MeanGain(max_units=-1),
            "max_units: expected a whole number of at least 0",
        ),
        (lambda: rn.MeanGain(stale_after=0.5), r"stale_after: .* got 0\.5"),
        (lambda: rn.fixed_points.Fallback(()), r"solvers: expected at least one solver, got \(\)"),
        (
            lambda: rn.DampedIteration(damping=0.0),
            "damping: expected a number above 0 and at most 1",
        ),
        (lambda: rn.DampedIteration(damping=1.5), r"damping: .* got 1\.5"),
    ],
)
def test_solvers_refuse_settings_that_cannot_work(make: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make()


def test_a_tolerance_to_measure_by_is_above_0() -> None:
    network = rn.Network("rate", torch.zeros(2, 2, dtype=FLOAT))
    for tol in (0.0, math.nan, "small"):
        with pytest.raises(ValueError, match="tol: expected a number above 0"):
            rn.fixed_points_at(network, [0.0, 0.0], [0.0, 0.0], tol=tol)


def test_abscissa_knows_its_samples_and_their_weights() -> None:
    problem = tanh_rates()
    network = problem.network()
    fp = rn.find_fixed_points(network, problem.drive)
    every = fp.abscissa()
    assert torch.equal(fp.abscissa(torch.tensor([2, 0])), every[[2, 0]])
    assert fp.abscissa([]).shape == (0,)
    with pytest.raises(ValueError, match="samples: expected .* from 0 to 3, got 4"):
        fp.abscissa([4])
    network.connectivity.add_(torch.zeros_like(problem.W))
    with pytest.raises(StaleError, match="older than the network's weights"):
        fp.abscissa()
