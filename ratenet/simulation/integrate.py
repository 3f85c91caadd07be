"""simulate: a network, a drive and a grid of time steps to a Trajectory, in either backend."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ratenet.connectivity.computation import computation
from ratenet.equations import PlasticitySpec
from ratenet.errors import (
    DivergenceError,
    InputError,
    RatenetWarning,
    UnsupportedError,
    counted,
    show_any,
)
from ratenet.linear_algebra import require_memory
from ratenet.network import Network
from ratenet.simulation.arguments import (
    checked_residual,
    checked_seed,
    checked_tolerances,
    unit_numbers,
)
from ratenet.simulation.backends import AbstractBackend, backend_named
from ratenet.simulation.backends.base import Task
from ratenet.simulation.drives import AbstractDrive, SampledDrive, drive_for
from ratenet.simulation.plasticity.arguments import PlasticityArguments
from ratenet.simulation.recording import Recorder
from ratenet.simulation.statistics import Statistics, Welford
from ratenet.simulation.step_limit import why_too_long
from ratenet.simulation.time_grid import ADAPTIVE, WHOLE, time_grid
from ratenet.simulation.trajectory import Trajectory


@computation()
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
    plasticity: PlasticitySpec | str | Path | None = None,
    weights: str = "own",
    signals: Mapping[str, Any] | None = None,
    initial_plasticity: Mapping[str, Any] | None = None,
    record_weights: int | None = None,
    record_synapses: Any = None,
) -> Trajectory:
    """Integrate the dynamics for all stimuli in parallel; return rates and states over time.

    Parameters
    ----------
    network : Network
        The network to be simulated; it stays as it is, also with plasticity.
    drive : array_like of shape (N,) or (B, N), SampledDrive, brian2.TimedArray, function, or Drive
        External input. An array is constant, as is a mapping from populations to values; a
        function of the time in seconds, or an object with such a method ``at``, returns (N,) or
        (B, N) at each time.
    duration, dt : Quantity or float
        Times; floats are seconds. The duration is a whole number of steps.
    backend : {"torch", "brian2"}
        Simulator. Brian2 is for small networks and batches.
    method : {"euler", "exponential_euler", "rk4", "dopri5", "rkc"}
        Integration method; rk4, dopri5 and rkc only on torch. The last two choose their own steps,
        the same for all stimuli; dt is then the grid of `record_every`, and the length of the first
        step. dopri5 is for small errors; rkc (Runge-Kutta-Chebyshev) for drives that change slowly
        or rest, where it takes fewer products with W than any other. Models with noise need euler
        (Euler-Maruyama, Ito).
    initial : mapping or array_like, optional
        The state at the start, as for `Network.as_state`; default zero.
    start : Quantity or float
        The first time. ``initial=run.final, start=run.t[-1]`` continues a simulation and gives
        exactly the numbers of an uninterrupted one.

    Other Parameters
    ----------------
    record_every : int
        Steps from one record to the next; divides the number of steps.
    record_units : sequence of int or str, or mask of shape (N,), optional
        Numbers of the units, or names of the populations, to record; default all.
    statistics : Statistics, optional
        Mean, variance and covariance of the rates of all units, recorded or not, over every step.
    until_settled : float, optional
        Stop at the first record where the residual of every stimulus, as defined for
        `FixedPoints.residual`, is at most this and the drive no longer changes; `duration` is
        then the longest time.
    seed : int, optional
        Seed of the noise: the same seed gives the same numbers, whatever is recorded. The noise of
        a step depends on the seed and on the step's number since t = 0, so a continued simulation
        (`start`) gets new noise; on torch, exactly that of an uninterrupted one.
        Default: drawn from torch's default generator, which ``torch.manual_seed`` fixes. Without
        noise there is nothing to draw, and any seed gives the same numbers.
    rtol, atol : float, optional
        Tolerances of dopri5 and rkc: the error of each entry in a step is at most atol + rtol |s|,
        s in SI units; in rkc, |s| is the largest of that variable in the batch. Default of rtol
        1e-6 (float32: 1e-4), in rkc 6e-3; of atol 1e-9 (1e-6).
    device : {"runtime", "cpp_standalone"}, optional
        Device of Brian2: its runtime (default), or a C++ program that is built, run and removed.
    progress : callable, optional
        Called at each record with the number of steps done.
    plasticity : PlasticitySpec, str or Path, optional
        Equations of the weights, as `load_plasticity` takes them. The weights of `network` stay as
        they are; those that moved are in ``final_weights`` and ``plasticity`` of the result. All
        variables of the rule take Euler steps, whatever the method, and advance from the old state.
    weights : {"own", "shared"}
        Whether each stimulus has its own weights, or all share theirs, which then change by the
        mean over the stimuli. Brian2 shares weights only of a single stimulus.
    signals : mapping, optional
        Third factors of the rule, by name: a number, an array, a SampledDrive, a function of the
        time in seconds, or a `simulation.Feedback`, a function of time and rates; shape (N,) or
        (B, N) for a signal of each unit, (B,) for one of all.
    initial_plasticity : mapping, optional
        Values of the rule's variables at the start; default the network's weights, and 0.
        ``initial_plasticity=run.plasticity.final`` continues a simulation.
    record_weights : int, optional
        Steps from one record of the weights to the next; a multiple of `record_every`.
    record_synapses : sequence of (post, pre), optional
        The synapses whose weights are recorded; default all.

    Returns
    -------
    Trajectory
        T = steps / record_every + 1 records; the first is the initial state.

    Raises
    ------
    InputError
        If shapes, units or times do not fit, or the records do not fit into memory.
    UnsupportedError
        If the backend lacks the method or the device, or the method does not fit the model.
    DivergenceError
        If a state or a weight becomes NaN or infinite; or if a state grows to more than 1,000 times
        its usual size while dt is too large for the network's fastest mode; or if with rkc a time
        constant would take more than 1,000 steps, as with weights that learning has driven off.

    Warns
    -----
    RatenetWarning
        If dt is too large for the fastest mode of the network at its initial state, if stimuli
        have not settled at the end, if a simulation settled before its statistics began, or if
        the samples of a drive are closer together than dt.

    Examples
    --------
    >>> from brian2 import ms
    >>> network = Network("linear", [[0.5]])
    >>> simulate(network, [1.0], duration=500*ms, dt=1*ms).rates[-1]
    tensor([[2.0000]], dtype=torch.float64)
    """
    if not isinstance(network, Network):
        raise InputError.at("network", got=network, expected="rn.Network(model, W)")
    simulator = backend_named(backend)
    _check_offered(simulator, network, method, device)
    _check_observers(statistics, progress)
    grid = time_grid(duration, dt, record_every, start)
    bound = drive_for(network, drive, grid.start)
    first = bound.at(grid.start)
    units = unit_numbers(network, record_units)
    moving = PlasticityArguments(
        plasticity, weights, signals, initial_plasticity, record_weights, record_synapses
    ).recorder(
        network, len(first), grid, backend=backend, method=method, device=device,
        until_settled=until_settled,
    )  # fmt: skip
    task = Task(
        network=network if moving is None else moving.rule.network,
        drive=bound,
        initial=network.as_state(initial, len(first)),
        grid=grid,
        observe_every=record_every if statistics is None else 1,
        method=method,
        seed=checked_seed(seed),
        tolerances=checked_tolerances(network, method, rtol, atol),
        device=device,
        plasticity=None if moving is None else moving.state,
    )
    recorder = Recorder(
        task=task,
        units=units,
        welford=None if statistics is None else Welford(statistics, grid),
        until_settled=checked_residual(network, bound, until_settled),
        progress=progress,
        plasticity=moving,
    )
    _check_size(simulator, task, recorder)
    if method not in ADAPTIVE:
        _warn_of_long_step(task, first)
        _warn_of_skipped_samples(bound, grid.dt)
    needs_gradient = torch.is_grad_enabled() and _needs_gradient(network, task, first)
    keeps_graph = simulator.has_gradients and moving is None
    if needs_gradient and not keeps_graph:
        _warn_of_no_gradients(backend, is_plastic=moving is not None)
    with torch.set_grad_enabled(needs_gradient and keeps_graph):
        _run(simulator, task, recorder)
    if recorder.welford is not None and recorder.welford.count == 0:
        _warn_of_no_statistics()
    if recorder.residual is not None and until_settled is not None:
        _warn_of_unsettled(recorder.residual, until_settled, grid.end)
    return recorder.trajectory(simulator.name, network)


def _run(simulator: AbstractBackend, task: Task, recorder: Recorder) -> None:
    """Simulate; what a run with plasticity recorded before it diverged goes with the error."""
    try:
        simulator.run(task, recorder)
    except DivergenceError as error:
        moving = recorder.plasticity
        if moving is None:
            raise
        sentence = str(error)
        if "Plasticity" not in sentence:
            sentence += f" The largest weight before is that of {moving.largest_weight()}."
        found = DivergenceError(sentence)
        if recorder.has_records:
            found.result = recorder.trajectory(simulator.name, task.network)
        raise found from None


def _warn_of_no_gradients(backend: str, *, is_plastic: bool) -> None:
    what = "plasticity=" if is_plastic else f"backend {backend!r}"
    kept = "" if is_plastic else " backend='torch' keeps the graph."
    warnings.warn(
        f"{what} does not compute gradients, which weights, parameters, initial state or drive "
        f"require: the result is detached.{kept}",
        RatenetWarning,
        stacklevel=4,
    )


def _check_offered(
    simulator: AbstractBackend, network: Network, method: str, device: str | None
) -> None:
    """Refuse what the backend does not have, and the method that does not fit the model."""
    name, model = simulator.name, network.model
    if method not in simulator.methods:
        raise UnsupportedError(
            f"method: backend {name!r} does not offer {method!r}; available: "
            f"{', '.join(simulator.methods)}.",
            argument="method",
            got=method,
        )
    if model.noises and method != "euler":
        raise UnsupportedError(
            f"Model {model.name!r}: method {method!r} cannot integrate noise "
            f"({', '.join(model.noises)}); use method='euler'.",
            argument="method",
            got=method,
        )
    if method == "exponential_euler":
        _ = model.own_rates  # refuses, in both backends, what the method does not fit
    if device is not None and device not in simulator.devices:
        raise UnsupportedError(
            f"device: {show_any(device)} is not available; {simulator.no_device}",
            argument="device",
            got=device,
        )


def _check_observers(statistics: Any, progress: Any) -> None:
    """Refuse what cannot be told of the steps."""
    if statistics is not None and not isinstance(statistics, Statistics):
        raise InputError.at("statistics", got=statistics, expected="rn.simulation.Statistics(...)")
    if progress is not None and not callable(progress):
        raise InputError.at("progress", got=progress, expected="a function of the number of steps")


def _check_size(simulator: AbstractBackend, task: Task, recorder: Recorder) -> None:
    """Refuse what cannot fit into memory, and a batch of no stimuli where none is taken."""
    network, grid = task.network, task.grid
    B = task.initial.shape[1]
    if not B and not simulator.takes_empty_batches:
        raise InputError.at(
            "drive", got=(0, network.units), expected=f"a stimulus for backend {simulator.name!r}"
        )
    require_memory(
        recorder.bytes(),
        f"simulate: {grid.steps // grid.record_every + 1:,} records of {B:,} stimuli",
        "record fewer steps (record_every, record_weights), units (record_units) or synapses "
        "(record_synapses), or simulate fewer stimuli",
        device=network.device,
    )
    require_memory(
        simulator.bytes(task),
        f"simulate: {B:,} stimuli and {network.units:,} units on backend {simulator.name!r}",
        "choose fewer stimuli or units, or backend='torch'",
    )


def _needs_gradient(network: Network, task: Task, first: Tensor) -> bool:
    """Return whether a graph is kept: through weights, parameters, initial state or drive."""
    given = (
        *network.connectivity.parameters.values(),
        *network.parameters.values(),
        task.initial,
        first,
    )
    return any(tensor.requires_grad for tensor in given)


def _warn_of_no_statistics() -> None:
    warnings.warn(
        "statistics: the network settled before the first step that counts, so there are none; "
        "choose an earlier `after`.",
        RatenetWarning,
        stacklevel=4,
    )


def _warn_of_unsettled(residual: Tensor, tol: float, end: float) -> None:
    moving = int((~(residual <= tol)).sum())
    if moving:
        of = counted(len(residual), "stimulus")
        warnings.warn(
            f"{moving} of {of} had not settled at t = {end:g} s: the largest residual "
            f"is {float(residual.max()):.2g}, the tolerance {tol:g}. Simulate longer; if the "
            "rates oscillate, they never settle.",
            RatenetWarning,
            stacklevel=4,
        )


def _warn_of_long_step(task: Task, first: Tensor) -> None:
    why = why_too_long(task.network, task.initial, first, task.grid.dt, task.method)
    if why is not None:
        warnings.warn(
            f"dt = {task.grid.dt:g} s is too large: at the initial state {why}.",
            RatenetWarning,
            stacklevel=4,
        )


def _warn_of_skipped_samples(drive: AbstractDrive, dt: float) -> None:
    if isinstance(drive, SampledDrive) and drive.interval < (1 - WHOLE) * dt:
        warnings.warn(
            f"drive: its samples are {drive.interval:g} s apart, less than dt = {dt:g} s, so that "
            "samples between two steps are skipped; lower dt, or average the samples.",
            RatenetWarning,
            stacklevel=4,
        )
