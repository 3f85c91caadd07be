"""simulate: a network, a drive and a grid of time steps to a Trajectory, in either backend."""

import math
import warnings
from numbers import Integral
from typing import Any

import torch
from brian2.units.allunits import second
from brian2.units.fundamentalunits import DIMENSIONLESS, Quantity, get_dimensions
from torch import Tensor

from ratenet.backends import backend_named
from ratenet.backends.base import ConstantDrive, Drive, TimeGrid
from ratenet.errors import DivergenceError, InputError, RatenetWarning, UnsupportedError
from ratenet.network import Network
from ratenet.results import Trajectory


def simulate(
    network: Network,
    drive: Any,
    duration: Any,
    dt: Any,
    *,
    backend: str = "torch",
    method: str = "euler",
    initial: Any = None,
    record_every: int = 1,
) -> Trajectory:
    """Return states and rates over time.

    Parameters
    ----------
    network : Network
    drive : array_like of shape (N,) or (B, N), or Drive
        External input; an object with ``at(t) -> (B, N)`` changes in time (torch only).
    duration, dt : Quantity or float
        Times; floats are seconds. The duration is a whole number of steps.
    backend : {"torch", "brian2"}
    method : {"euler", "exponential_euler", "rk4"}
        rk4 is offered by torch only.
    initial : mapping or array_like, optional
        The state at t = 0, as for `Network.as_state`; default zero.
    record_every : int
        Steps from one record to the next; divides the number of steps.

    Returns
    -------
    Trajectory
        T = steps / record_every + 1 records; the first is the initial state.

    Raises
    ------
    InputError
        If shapes, units or times do not fit.
    UnsupportedError
        If the backend lacks the method, or exponential_euler does not fit the model.
    DivergenceError
        If a state becomes NaN or infinite.

    Warns
    -----
    RatenetWarning
        If dt is too large for the fastest mode of the network at its initial state.

    Examples
    --------
    >>> from brian2 import ms
    >>> network = Network("linear", [[0.5]])
    >>> simulate(network, [1.0], duration=500*ms, dt=1*ms).rates[-1]
    tensor([[2.0000]], dtype=torch.float64)
    """
    simulator = backend_named(backend)
    if method not in simulator.methods:
        raise UnsupportedError(
            f"backend {backend!r} has no method {method!r}; it offers "
            f"{', '.join(simulator.methods)}."
        )
    if method == "exponential_euler":
        _ = network.model.own_rates  # refuses, in both backends, what the method does not fit
    grid = _time_grid(duration, dt, record_every)
    if not isinstance(drive, Drive):
        drive = ConstantDrive(network.as_drive(drive))
    first = _checked_drive(drive, network)
    state = network.as_state(initial, len(first))
    _warn_of_large_step(network, state, first, grid.dt, method)
    states = simulator.run(network, drive, state, grid, method)
    t = torch.arange(len(states), dtype=torch.float64) * (grid.record_every * grid.dt)
    _check_finite(states, t)
    rates = torch.stack([network.output(state) for state in states])
    return Trajectory(t, rates, dict(zip(network.model.states, states.unbind(1), strict=True)))


def seconds(value: Any, where: str) -> float:
    """Return a time, given as a Brian2 quantity or a float in seconds, in seconds.

    Raises
    ------
    InputError
        If it is no time, or not above 0.
    """
    dimensions = get_dimensions(value) if isinstance(value, Quantity) else DIMENSIONLESS
    if dimensions not in (second.dim, DIMENSIONLESS):
        raise InputError(f"{where}: {value!s} is no time; give a quantity such as 10*ms.")
    try:
        time = float(value)
    except (TypeError, ValueError):
        raise InputError(f"{where}: {value!r} is no time; give a quantity such as 10*ms.") from None
    if not 0 < time < float("inf"):
        raise InputError(f"{where}: {value!s} is not above 0 and finite.")
    return time


def _time_grid(duration: Any, dt: Any, record_every: int) -> TimeGrid:
    length, step = seconds(duration, "duration"), seconds(dt, "dt")
    steps = round(length / step)
    if steps < 1 or abs(length / step - steps) > 1e-6:
        raise InputError(
            f"duration: {length:g} s is not a whole number of steps of dt = {step:g} s "
            f"({length / step:.8g} steps); choose one that divides the other."
        )
    if not isinstance(record_every, Integral) or record_every < 1 or steps % record_every:
        raise InputError(
            f"record_every: {record_every!r} is no whole number that divides the {steps} steps; "
            "choose a divisor."
        )
    return TimeGrid(steps, step, record_every)


def _checked_drive(drive: Drive, network: Network) -> Tensor:
    """Return the drive at t = 0, its shape and values checked."""
    first = drive.at(0.0)
    if not isinstance(first, Tensor) or first.ndim != 2:
        raise InputError("drive: at(t) must return a tensor of shape (B, N).")
    return network.as_drive(first)


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


def _check_finite(states: Tensor, t: Tensor) -> None:
    if torch.isfinite(states).all():
        return
    when, _, stimulus, unit = torch.nonzero(~torch.isfinite(states))[0].tolist()
    raise DivergenceError(
        f"The simulation diverged: unit {unit} of stimulus {stimulus} is NaN or infinite at "
        f"t = {float(t[when]):g} s. Lower dt or the recurrent weights."
    )
