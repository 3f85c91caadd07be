"""The checks: each compares what ratenet says of a model with an answer found in another way."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ratenet.conformance.case import TOL, Case
from ratenet.errors import UnsupportedError
from ratenet.fixed_points import (
    AbstractSolver,
    Anderson,
    DampedIteration,
    FixedPoints,
    NewtonKrylov,
    Relaxation,
    find_fixed_points,
)
from ratenet.linear_algebra import solve_samples
from ratenet.simulation import simulate

STEPS = 50
TRIALS = 400  # stimuli of the same drive, in the check of noise


@dataclass(frozen=True)
class Check:
    """One comparison.

    Attributes
    ----------
    name : str
    sentence : str
        What was compared, or why it does not apply.
    error : float or None
        The largest difference relative to the largest value; None where it does not apply.
    bound : float
        What the error must not exceed.
    """

    name: str
    sentence: str
    error: float | None = None
    bound: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether the error is within the bound; a check that does not apply passes."""
        return self.error is None or self.error <= self.bound  # NaN does not


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Return the largest difference over the largest absolute expected value; NaN stays."""
    size = float(expected.abs().max()) if expected.numel() else 1.0
    return float((found - expected).abs().max()) / (size or 1.0)


def _same_trajectories(case: Case, method: str) -> Check:
    name = f"{method} in both backends"
    if method == "exponential_euler":
        try:
            _ = case.silent.own_rates
        except UnsupportedError as refusal:
            return Check(name, str(refusal))
    runs = [
        simulate(
            case.network, case.drive, STEPS * case.dt, case.dt,
            backend=backend, method=method, initial=case.state,
        )
        for backend in ("torch", "brian2")
    ]  # fmt: skip
    pairs = [(runs[0].states[s], runs[1].states[s]) for s in case.model.states]
    pairs.append((runs[0].rates, runs[1].rates))
    error = max(relative_error(found, expected) for found, expected in pairs)
    return Check(name, f"trajectories of {STEPS} steps in torch and Brian2", error, 1e-11)


def check_euler(case: Case) -> Check:
    """Compare Euler trajectories in both backends (noise set to zero)."""
    return _same_trajectories(case, "euler")


def check_exponential_euler(case: Case) -> Check:
    """Compare exponential Euler trajectories in both backends (noise set to zero)."""
    return _same_trajectories(case, "exponential_euler")


def check_jacobian(case: Case) -> Check:
    """Compare the Jacobian's blocks with central differences of ds/dt."""
    name = "Jacobian"
    if case.model.uses_time:
        return Check(name, "the equations depend on t explicitly")
    network = case.network
    state = network.as_state(case.state, 2)
    drive = network.as_drive(case.drive)
    blocks, W = network.jacobian_blocks(state, drive), network.connectivity.dense()
    worst = 0.0
    for j, unit in np.ndindex(len(state), case.units):
        step = torch.zeros_like(state)
        step[j, :, unit] = 1e-5 * state[j].abs().max()
        after, before = (network.derivative(state + s, drive) for s in (step, -step))
        found = (after - before) / (2 * step[j, 0, unit])  # (k, B, N)
        exact = blocks.F_I * W[:, unit] * blocks.rho_s[j, :, unit, None]
        exact[:, :, unit] += blocks.F_s[:, j, :, unit]
        worst = max(worst, relative_error(found, exact))
    return Check(name, "its entries, against differences of the right-hand side", worst, 1e-6)


SOLVERS: tuple[AbstractSolver, ...] = (
    Anderson(),
    DampedIteration(),
    NewtonKrylov(),
    Relaxation(),
)


def check_fixed_points(case: Case) -> Check:
    """Compare fixed points of every solver, and of a simulation, with those of the default."""
    name = "fixed points"
    settled = case.settled if not case.model.uses_time else None
    if settled is None:
        return Check(name, "the model has no fixed point that was found, or names t explicitly")
    worst, used, failed = 0.0, [], []
    near = 0.9 * settled.state  # from zero, solvers may find others where there are several
    for solver in SOLVERS:
        found = find_fixed_points(
            settled.network, settled.drive, initial=near, tol=TOL, solver=solver,
            on_failure="return",
        )  # fmt: skip
        if found.converged.all():
            worst = max(worst, relative_error(found.rates, settled.rates))
            used.append(type(solver).__name__)
        else:
            failed.append(type(solver).__name__)
    simulated = _simulated_rates(case, settled)
    worst = max(worst, relative_error(simulated, settled.rates))
    without = f"; not found by {', '.join(failed)}" if failed else ""
    sentence = f"by {', '.join(used)} and by simulation{without}"
    return Check(name, sentence, worst, 1e-9)


def _simulated_rates(case: Case, settled: FixedPoints) -> Tensor:
    """Return where Euler steps lead from beside the fixed points: a longest time constant each."""
    network, state, dt = settled.network, settled.state * (1 + 1e-5), 10 * case.dt
    times = network.time_constants()
    steps = 1 + round((network.longest_time_constant() if times else 1.0) / dt)
    for _ in range(100):
        run = simulate(network, settled.drive, steps * dt, dt, initial=state, record_every=steps)
        reached = torch.stack(list(run.final.values()))
        if relative_error(reached, state) < 1e-12:
            break
        state = reached
    return run.rates[-1]


def check_gains(case: Case) -> Check:
    """Compare gains and linear response with fixed points of slightly changed weights."""
    name = "static gains"
    settled = case.settled if not case.model.uses_time else None
    if settled is None:
        return Check(name, "the model has no fixed point that was found, or names t explicitly")
    network, drive = settled.network, settled.drive
    W = network.connectivity.dense()
    size = float(W.abs().max()) or float(np.abs(case.W).max())
    identity = torch.eye(case.units, dtype=W.dtype)
    found, exact = [], []
    for post in range(case.units):
        change = torch.zeros_like(W)
        change[post, (post + 1) % case.units] = 1e-4 * size
        after, before = (
            find_fixed_points(
                network.changed(W=W + sign * change), drive, tol=TOL, initial=settled.state
            ).rates
            for sign in (1, -1)
        )
        found.append((after - before) / 2)
        source = settled.gain * (settled.rates @ change.T)  # (B, N)
        response = identity - settled.gain[:, :, None] * W
        exact.append(solve_samples(response, source))
    error = relative_error(torch.stack(found), torch.stack(exact))
    return Check(name, "(I - G W)^-1 G dW y, against fixed points of W + dW", error, 1e-5)


def check_noise(case: Case) -> Check:
    """Compare mean and variance of both backends, in standard errors; torch repeats by seed."""
    name = "noise"
    if not case.model.noises:
        return Check(name, "the model has no noise")
    network = case.scaled_network(0.1, noise=True)
    drive = np.repeat(0.1 * case.drive[:1], TRIALS, axis=0)
    initial = {name: np.repeat(value[:1], TRIALS, axis=0) for name, value in case.state.items()}

    def ensemble(backend: str) -> Tensor:
        run = simulate(
            network, drive, STEPS * case.dt, case.dt,
            backend=backend, seed=1, initial=initial, record_every=STEPS,
        )  # fmt: skip
        return torch.stack(list(run.final.values()))  # (k, TRIALS, N)

    torch_run, brian2_run = ensemble("torch"), ensemble("brian2")
    if not torch.equal(torch_run, ensemble("torch")):
        return Check(name, "torch does not repeat by seed", float("inf"), 0.0)
    error = _in_standard_errors(torch_run, brian2_run)
    return Check(name, f"mean and variance of {TRIALS} runs, in standard errors", error, 5.0)


def _in_standard_errors(first: Tensor, second: Tensor) -> float:
    """Return the largest difference of means and variances over its standard error."""
    means = [sample.mean(dim=1) for sample in (first, second)]
    variances = [sample.var(dim=1) for sample in (first, second)]
    # Rounding is no noise: a variable that has none varies by 1e-16 of itself.
    floor = (1e-12 * means[0].abs()) ** 2 + torch.finfo(first.dtype).tiny
    pooled = (variances[0] + variances[1]) / 2 + floor
    n = first.shape[1]
    of_means = (means[0] - means[1]).abs() / (2 * pooled / n).sqrt()
    of_variances = (variances[0] - variances[1]).abs() / (2 * pooled / (n / 2) ** 0.5)
    return float(torch.maximum(of_means, of_variances).max())
