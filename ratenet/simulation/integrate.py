"""simulate: a network, a drive and a grid of time steps to a Trajectory, in either backend."""

import math
import warnings
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ratenet.errors import InputError, RatenetWarning, UnsupportedError
from ratenet.network import Network
from ratenet.simulation.backends import AbstractBackend, backend_named
from ratenet.simulation.backends.base import Task, Tolerances
from ratenet.simulation.drives import AbstractDrive, drive_for
from ratenet.simulation.recording import Recorder
from ratenet.simulation.statistics import Statistics, Welford
from ratenet.simulation.time_grid import seconds as seconds, time_grid
from ratenet.simulation.trajectory import Trajectory

ADAPTIVE = "dopri5"


def simulate(
    network: Network,
    drive: Any,
    duration: Any,
    dt: Any,
    *,
    backend: str = "torch",
    method: str = "euler",
    initial: Any = None,
    start: Any = 0.0,
    record_every: int = 1,
    record_units: Any = None,
    statistics: Statistics | None = None,
    until_settled: float | None = None,
    seed: int | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    device: str | None = None,
    progress: Callable[[int], object] | None = None,
) -> Trajectory:
    """Return states and rates over time.

    Parameters
    ----------
    network : Network
    drive : array_like of shape (N,) or (B, N), SampledDrive, brian2.TimedArray, function, or Drive
        External input. An array is constant, and so is a mapping from populations to values; a
        function of the time in seconds, or an object with such a method ``at``, returns (N,) or
        (B, N) at each time.
    duration, dt : Quantity or float
        Times; floats are seconds. The duration is a whole number of steps.
    backend : {"torch", "brian2"}
    method : {"euler", "exponential_euler", "rk4", "dopri5"}
        rk4 and dopri5 are offered by torch only. dopri5 chooses its own steps; dt is then the
        grid of `record_every`. A model with noise takes euler alone (Euler-Maruyama, Ito).
    initial : mapping or array_like, optional
        The state at the start, as for `Network.as_state`; default zero.
    start : Quantity or float
        The first time. ``initial=run.final, start=run.t[-1]`` continues a simulation with the
        very numbers that it would have had.

    Other Parameters
    ----------------
    record_every : int
        Steps from one record to the next; divides the number of steps.
    record_units : sequence of int or str, or mask of shape (N,), optional
        Numbers of the units, or names of the populations, that are recorded; default all.
    statistics : Statistics, optional
        Mean, variance and covariance of all units' rates, measured at every step.
    until_settled : float, optional
        Stop at the first record where the residual of every stimulus is at most this (the
        definition of `FixedPoints.residual`) and the drive no longer changes; `duration` is then
        the longest time.
    seed : int, optional
        Of the noise: the same seed gives the same numbers, whatever is recorded. The noise of a
        step depends on the seed and on the step's number since t = 0, so that a continued
        simulation (`start`) meets new noise; in torch the very noise of one that was not stopped.
        Default: torch's default generator decides, so that ``torch.manual_seed`` fixes them.
    rtol, atol : float, optional
        Of dopri5, in each step: the error of no entry exceeds atol + rtol |s|, s in SI units.
        Default 1e-6 and 1e-9, in float32 1e-4 and 1e-6.
    device : {"runtime", "cpp_standalone"}, optional
        Of Brian2: its runtime (default), or a C++ program that is built, run and removed.
    progress : callable, optional
        Called at each record with the number of steps done.

    Returns
    -------
    Trajectory
        T = steps / record_every + 1 records; the first is the initial state.

    Raises
    ------
    InputError
        If shapes, units or times do not fit.
    UnsupportedError
        If the backend lacks the method or the device, or the method does not fit the model.
    DivergenceError
        If a state becomes NaN or infinite, at the first record where it is.

    Warns
    -----
    RatenetWarning
        If dt is too large for the fastest mode of the network at its initial state, or if
        stimuli have not settled at the end.

    Examples
    --------
    >>> from brian2 import ms
    >>> network = Network("linear", [[0.5]])
    >>> simulate(network, [1.0], duration=500*ms, dt=1*ms).rates[-1]
    tensor([[2.0000]], dtype=torch.float64)
    """
    if not isinstance(network, Network):
        raise InputError(f"network: {network!r} is no Network; give rn.Network(model, W).")
    simulator = backend_named(backend)
    _check_offered(simulator, network, method, device)
    grid = time_grid(duration, dt, record_every, start)
    bound = drive_for(network, drive, grid.start)
    first = bound.at(grid.start)
    task = Task(
        network=network,
        drive=bound,
        initial=network.as_state(initial, len(first)),
        grid=grid,
        observe_every=record_every if statistics is None else 1,
        method=method,
        seed=_checked_seed(seed),
        tolerances=_tolerances(network, method, rtol, atol),
        device=device,
    )
    recorder = Recorder(
        task=task,
        units=_unit_numbers(network, record_units),
        welford=None if statistics is None else Welford(statistics, grid),
        until_settled=_checked_residual(network, bound, until_settled),
        progress=progress,
    )
    if method != ADAPTIVE:
        _warn_of_large_step(network, task.initial, first, grid.dt, method)
    needs_gradient = torch.is_grad_enabled() and _needs_gradient(task, first)
    if needs_gradient and not simulator.has_gradients:
        warnings.warn(
            f"backend {backend!r} has no gradients, which weights, parameters, initial state or "
            "drive need: what it returns is detached from them. backend='torch' keeps the graph.",
            RatenetWarning,
            stacklevel=2,
        )
    with torch.set_grad_enabled(needs_gradient):
        simulator.run(task, recorder)
    if recorder.residual is not None and until_settled is not None:
        _warn_of_unsettled(recorder.residual, until_settled, grid.end)
    return recorder.trajectory(backend)


def _check_offered(
    simulator: AbstractBackend, network: Network, method: str, device: str | None
) -> None:
    """Refuse what the backend does not have, and the method that does not fit the model."""
    name, model = simulator.name, network.model
    if method not in simulator.methods:
        raise UnsupportedError(
            f"backend {name!r} has no method {method!r}; it offers {', '.join(simulator.methods)}."
        )
    if model.noises and method != "euler":
        raise UnsupportedError(
            f"Model {model.name!r}: its equations have noise ({', '.join(model.noises)}), which "
            f"method {method!r} does not offer; use method='euler'."
        )
    if method == "exponential_euler":
        _ = model.own_rates  # refuses, in both backends, what the method does not fit
    if device is not None and device not in simulator.devices:
        raise UnsupportedError(f"device: {device!r} is not offered; {simulator.no_device}")


def _needs_gradient(task: Task, first: Tensor) -> bool:
    """Return whether a graph is kept: through weights, parameters, initial state or drive."""
    network = task.network
    given = (
        *network.connectivity.parameters.values(),
        *network.parameters.values(),
        task.initial,
        first,
    )
    return any(tensor.requires_grad for tensor in given)


def _checked_seed(seed: int | None) -> int | None:
    if seed is None or (isinstance(seed, Integral) and 0 <= seed < 2**63):
        return None if seed is None else int(seed)
    raise InputError(f"seed: {seed!r} is no whole number from 0 to 2**63 - 1.")


def _tolerances(
    network: Network, method: str, rtol: float | None, atol: float | None
) -> Tolerances:
    """Return the tolerances of an adaptive method; others have none."""
    is_double = network.dtype == torch.float64
    given = {"rtol": rtol, "atol": atol}
    default = {"rtol": 1e-6 if is_double else 1e-4, "atol": 1e-9 if is_double else 1e-6}
    for name, value in given.items():
        if value is None:
            continue
        if method != ADAPTIVE:
            raise UnsupportedError(
                f"{name}: method {method!r} has steps of fixed length dt; {name} is for "
                f"method={ADAPTIVE!r}."
            )
        if not (isinstance(value, Real) and 0 < value < math.inf):
            raise InputError(f"{name}: {value!r} is no number above 0.")
    return Tolerances(**{n: default[n] if v is None else float(v) for n, v in given.items()})


def _checked_residual(
    network: Network, drive: AbstractDrive, until_settled: float | None
) -> float | None:
    if until_settled is None:
        return None
    if not (isinstance(until_settled, Real) and 0 < until_settled < math.inf):
        raise InputError(f"until_settled: {until_settled!r} is no number above 0.")
    model = network.model
    if model.uses_time or model.noises:
        reason = "depend on t explicitly" if model.uses_time else "have noise"
        raise UnsupportedError(
            f"until_settled: the equations of model {model.name!r} {reason}, so it never settles; "
            "give the duration alone."
        )
    if drive.rests_from == math.inf:
        raise UnsupportedError(
            "until_settled: the drive is a function of time, of which nobody knows when it comes "
            "to rest; give a constant or a SampledDrive, or the duration alone."
        )
    return float(until_settled)


def _unit_numbers(network: Network, units: Any) -> Tensor | None:
    """Return the numbers of the recorded units (U,), from numbers and names of populations."""
    if units is None:
        return None
    populations, N = network.populations, network.units
    numbers: list[int] = []
    for entry in _entries(units, N):
        if isinstance(entry, str) and entry in populations:
            numbers += range(N)[populations[entry]]
        elif isinstance(entry, Integral) and not isinstance(entry, bool) and 0 <= int(entry) < N:
            numbers.append(int(entry))
        else:
            named = f" or one of the populations {', '.join(populations)}" if populations else ""
            raise InputError(
                f"record_units: {entry!r} is no unit; give numbers from 0 to {N - 1}{named}."
            )
    return torch.tensor(numbers, dtype=torch.int64, device=network.device)


def _entries(units: Any, N: int) -> list[Any]:
    """Return the entries of `record_units`; a mask (N,) becomes numbers."""
    if isinstance(units, Tensor | np.ndarray | list | tuple | range):
        entries = units.tolist() if isinstance(units, Tensor | np.ndarray) else list(units)
        if not isinstance(entries, list):
            return [entries]
        is_mask = len(entries) == N and all(isinstance(entry, bool) for entry in entries)
        return [n for n in range(N) if entries[n]] if is_mask else entries
    return [units]


def _warn_of_unsettled(residual: Tensor, tol: float, end: float) -> None:
    moving = int((~(residual <= tol)).sum())
    if moving:
        warnings.warn(
            f"{moving} of {len(residual)} stimuli have not settled at t = {end:g} s: the largest "
            f"residual is {float(residual.max()):.2g}, asked for was {tol:g}. Simulate longer; if "
            "the rates oscillate, they never settle.",
            RatenetWarning,
            stacklevel=3,
        )


def _warn_of_large_step(
    network: Network, state: Tensor, drive: Tensor, dt: float, method: str
) -> None:
    """Warn where an explicit step cannot follow the fastest mode.

    A power iteration on the Jacobian of the first stimulus estimates its largest |eigenvalue|.
    On the real axis Euler is stable for dt |lambda| < 2 and rk4 for 2.78; exponential Euler moves
    by dt (1 - exp(-a)) / a of what Euler does, a = dt |M|, and so bears that much more.
    """
    bound = 2.78 if method == "rk4" else 2.0
    with torch.no_grad():
        if method == "exponential_euler":
            a = dt * float(network.own_rates(state[:, :1], drive[:1]).abs().max())
            bound *= a / -math.expm1(-a) if a > 0 else 1.0
        blocks = network.jacobian_blocks(state[:, :1], drive[:1])
        vector = torch.ones_like(state[:, :1])
        vector[..., ::2] *= -0.5  # not an eigenvector of a symmetric network
        fastest = vector.new_zeros(())
        for _ in range(20):
            vector = vector / vector.norm()
            recurrent = network.connectivity.apply((blocks.rho_s * vector).sum(dim=0))
            vector = torch.einsum("ijbn,jbn->ibn", blocks.F_s, vector) + blocks.F_I * recurrent
            fastest = vector.norm()
            if not 0 < float(fastest) < float("inf"):
                return
    if dt * float(fastest) >= bound:
        warnings.warn(
            f"dt = {dt:g} s is too large: the network's fastest mode has a rate of about "
            f"{float(fastest):.3g}/s at the initial state, and method {method!r} needs dt below "
            f"{bound:.3g} over that, {bound / float(fastest):.2g} s.",
            RatenetWarning,
            stacklevel=3,
        )
