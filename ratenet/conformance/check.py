"""Conformance: one model, in both simulators and against independent answers.

A small random network of the model is simulated in torch and in Brian2, its fixed points are found
by every solver and by simulation, and its derivatives are compared with finite differences.
`ratenet models check FILE` runs this for a user's model, the tests for every shipped one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ratenet.equations import ModelSpec
from ratenet.equations.units import Quantity
from ratenet.errors import RatenetError, UnsupportedError
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
from ratenet.network import Network
from ratenet.network.scales import typical_input, typical_state, typical_weight
from ratenet.simulation import simulate

STEPS = 50
UNITS = 3  # of each population; twice as many where there are none
TOL = 1e-13  # residual of fixed points: rates may be far below 1 in SI units
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


class Case:
    """A small random network of a model, with a drive and a state of plausible size.

    Parameters
    ----------
    model : ModelSpec
    seed : int
        Of weights, drive and state.
    """

    def __init__(self, model: ModelSpec, seed: int = 0) -> None:
        self.model = model
        self._generator = np.random.default_rng(seed)
        self.silent = model.without_noise() if model.noises else model
        self.sizes = _sizes(model)
        self.units = sum(self.sizes.values()) or _listed(model, None) or 2 * UNITS
        blank = Network(self.silent, np.zeros((self.units, self.units)), populations=self.sizes)
        self.state = {name: self._between(s) for name, s in typical_state(self.silent).items()}
        self.drive = self._between(typical_input(blank)) - 0.3 * typical_input(blank)
        normal = self._generator.standard_normal((self.units, self.units))
        self.W = typical_weight(blank) * normal
        self.network = self.scaled_network(0.5)
        times = blank.time_constants()
        self.dt = 0.02 * blank.shortest_time_constant() if times else 0.02

    def scaled_network(self, factor: float, *, noise: bool = False) -> Network:
        """Return the network with all weights multiplied by a factor."""
        model = self.model if noise else self.silent
        return Network(model, factor * self.W, populations=self.sizes)

    @cached_property
    def settled(self) -> FixedPoints | None:
        """Fixed points of the network, its weights and drive weaker if need be; None: none."""
        for factor in (0.5, 0.25, 0.1, 0.03, 0.0):
            network = self.scaled_network(factor)
            try:
                return find_fixed_points(network, 2 * factor * self.drive, tol=TOL)
            except RatenetError:
                continue
        return None

    def _between(self, size: float) -> Any:
        return size * self._generator.uniform(0.1, 0.9, (2, self.units))


def _sizes(model: ModelSpec) -> dict[str, int]:
    """Return small sizes of the populations; those that lists of parameters have."""
    return {name: _listed(model, name) or UNITS for name, _ in model.populations}


def _listed(model: ModelSpec, population: str | None) -> int:
    """Return how many units a list among the parameters is for; 0 where there is no list."""
    entries = [parameter.entries.get(population) for parameter in model.defaults.values()]
    return max((np.size(e) for e in entries if isinstance(e, Quantity) and np.ndim(e)), default=0)


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


CHECKS: dict[str, Callable[[Case], Check]] = {
    "euler": check_euler,
    "exponential_euler": check_exponential_euler,
    "jacobian": check_jacobian,
    "fixed_points": check_fixed_points,
    "gains": check_gains,
    "noise": check_noise,
}


def check_model(model: ModelSpec, seed: int = 0) -> list[Check]:
    """Return what every check finds for a model.

    Parameters
    ----------
    model : ModelSpec
    seed : int
        Of the small random network that is used.

    Returns
    -------
    list of Check

    Examples
    --------
    >>> from ratenet import load_model
    >>> [check.passed for check in check_model(load_model("linear"))]  # doctest: +SKIP
    [True, True, True, True, True, True]
    """
    case = Case(model, seed)
    return [_checked(name, case) for name in CHECKS]


def _checked(name: str, case: Case) -> Check:
    try:
        return CHECKS[name](case)
    except RatenetError as error:
        sentence = str(error).splitlines()[0]
        return Check(name.replace("_", " "), sentence, float("inf"), 0.0)
