"""The quasi-static approximation: how far a network trails the fixed point that its drive moves.

While the drive x(t) changes, so does the fixed point s*(x(t)), where F(s*, x) = 0. With J the full
Jacobian of the dynamics there,

    velocity   ds*/dt = -J^{-1} F_x dx/dt
    lag        s - s* = J^{-1} ds*/dt            to first order in the speed
               y - y* = rho_s (s - s*)

For tau dr/dt = -r + f(W r + x), where J = T^{-1} (G W - I) with T = diag(tau), that is

    y - y* = -(I - G W)^{-1} T dy*/dt,           dy*/dt = (I - G W)^{-1} G dx/dt

Both systems are reduced to N unknowns per stimulus, (I - g W) u = b, and solved by batched GMRES
with products only; each has its own residual. Where layers settle one after another (the components
of a network), W is block triangular, and with F_l the weights from the layer before

    y_l - y*_l = (I - G_l W_l)^{-1} (G_l F_l (y - y*)_{l-1} - T_l dy*_l/dt)

is solved layer by layer. The formula leaves out transients, which decay at the
rate of the spectral abscissa, and the second order in the speed.
"""

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from ratenet.connectivity.computation import computation
from ratenet.errors import InputError, counted
from ratenet.fixed_points import FixedPoints, find_fixed_points, fixed_points_at
from ratenet.fixed_points.certificate import unit_step
from ratenet.fixed_points.jacobian import jacobian_product
from ratenet.fixed_points.solvers.newton import newton_step
from ratenet.linear_algebra import solve_units
from ratenet.network import JacobianBlocks, Network
from ratenet.network.coerce import expand_to
from ratenet.quasi_static.results import Lag, QuasiStatic
from ratenet.simulation import AbstractDrive, Trajectory
from ratenet.simulation.drives import drive_for

MAX_PRODUCTS = 200  # of each linear solve


@computation()
@torch.no_grad()
def predict_lag(fp: FixedPoints, drive_velocity: Tensor) -> Lag:
    """Predict how far the state trails the fixed point while the drive changes.

    Parameters
    ----------
    fp : FixedPoints
        Where the Jacobian is evaluated: at the fixed points, or at the states of a simulation,
        which differ from them by the lag, so that the prediction differs by its square.
    drive_velocity : Tensor, shape (N,) or (B, N)
        dx/dt, in the unit of the drive per second.

    Returns
    -------
    Lag
        NaN where I - G W is singular: at a bifurcation no drive is slow enough.

    Raises
    ------
    StaleError
        If the weights changed after the fixed points were found.
    InputError
        If the velocity does not fit.

    Notes
    -----
    Two batched GMRES solves of N unknowns, some tens of products with W.

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("linear", [[0.5]], parameters={"tau": 0.01})
    >>> fp = rn.find_fixed_points(network, [1.0])
    >>> predict_lag(fp, torch.tensor([3.0])).rates  # y* = 2 x, lag = -2 tau dy*/dt
    tensor([[-0.1200]], dtype=torch.float64)
    """
    fp.check_current()
    network = fp.network
    velocity = network.as_drive(drive_velocity)
    if len(velocity) not in (1, len(fp)):
        raise InputError.at(
            "drive_velocity",
            got=len(velocity),
            expected=f"1 or {len(fp)} rows, one per fixed point",
        )
    blocks = network.jacobian_blocks(fp.state, fp.drive)
    push = _drive_slope(network, fp.state, fp.drive) * velocity  # (k, B, N): F_x dx/dt
    moving, first = solve_jacobian(fp, blocks, -push)  # ds*/dt
    state, second = solve_jacobian(fp, blocks, moving)
    return Lag(
        state=state,
        rates=(blocks.rho_s * state).sum(dim=0),
        velocity=(blocks.rho_s * moving).sum(dim=0),
        residual=torch.maximum(first, second),
    )


@computation()
def correct_lag(fp: FixedPoints, drive_velocity: Tensor, tol: float = 1e-3) -> FixedPoints:
    """Subtract the predicted lag from states whose drive is changing, and measure them again.

    Parameters
    ----------
    fp : FixedPoints
        States of a simulation and their drives, as from `fixed_points_at`.
    drive_velocity : Tensor, shape (N,) or (B, N)
        dx/dt at that time, in the unit of the drive per second.
    tol : float
        Relative residual up to which a corrected stimulus counts as settled.

    Returns
    -------
    FixedPoints
        For a plasticity rule, in place of `fp`. A stimulus whose residual the correction would not
        lower keeps its state: the prediction has failed there, as it does near a bifurcation and
        above some speed.

    Raises
    ------
    StaleError
        If the weights changed after `fp` was measured.
    InputError
        If the velocity does not fit.

    Notes
    -----
    No fixed point is solved for: the Jacobian is evaluated at the state itself. Where the drive is
    constant, as at the end of a hold, the remaining distance is a transient, not a lag, and nothing
    is gained.

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("linear", [[0.5]], parameters={"tau": 0.01})
    >>> run = rn.simulate(network, lambda t: [1.0 + 3 * t], duration=0.5, dt=1e-4)
    >>> measured = rn.fixed_points_at(network, [2.5], run.final)  # x = 2.5, so y* = 5
    >>> measured.rates, correct_lag(measured, torch.tensor([3.0])).rates
    (tensor([[4.8800]], dtype=torch.float64), tensor([[5.0000]], dtype=torch.float64))
    """
    lag = predict_lag(fp, drive_velocity)
    return _without(fp.network, fp.drive, fp.state, lag.state, tol)


@computation()
@torch.no_grad()
def measure_lag(
    trajectory: Trajectory,
    drive: Any,
    *,
    records: Sequence[int] | None = None,
    drive_velocity: Callable[[float], Any] | None = None,
    tol: float | None = None,
) -> QuasiStatic:
    """Measure how far a simulation trails the moving fixed point of its drive, and predict it.

    Parameters
    ----------
    trajectory : Trajectory
        With all units recorded.
    drive : Drive, SampledDrive or function
        The drive that it was simulated with.
    records : sequence of int, optional
        Numbers of the records to examine; default all. T B fixed points are solved for at once.
    drive_velocity : function, optional
        dx/dt at a time in seconds, (N,) or (B, N). Default: central differences over one time step
        on either side, within the simulated time.
    tol : float, optional
        Largest residual of a moving fixed point, as for `find_fixed_points`; it limits how
        precisely a lag can be measured.

    Returns
    -------
    QuasiStatic

    Raises
    ------
    InputError
        If not all units were recorded, a record does not exist, or the drive has other stimuli.
    UnsupportedError
        If the equations depend on t, and so have no fixed points.

    Notes
    -----
    The solver starts from the simulated state at that time, so that of several fixed points it
    finds the one that the simulation follows, unless that has been left behind. A kink of the drive
    starts a transient, to which the formula does not apply for some time constants; an
    Ornstein-Uhlenbeck drive has no velocity, so its prediction depends on the time step.

    Examples
    --------
    >>> import math, ratenet as rn
    >>> network = rn.Network("linear", [[0.5]], parameters={"tau": 0.01})
    >>> swing = lambda t: [[1 + 0.5 * math.sin(2 * t)]]
    >>> run = rn.simulate(network, swing, duration=1.0, dt=1e-4, record_every=2500)
    >>> print(measure_lag(run, swing, records=[2]).summary())
    lag: median 0.807 % of the rates, predicted 0.761 %, remaining after correction 0.046 %.
    """
    network = trajectory.network
    if trajectory.rates.shape[2] != network.units:
        raise InputError(
            f"trajectory: {trajectory.rates.shape[2]} of {network.units} units were recorded; "
            "simulate without record_units.",
            argument="trajectory",
        )
    chosen = _checked_records(trajectory, records)
    times = [float(t) for t in trajectory.t[chosen]]
    bound = drive_for(network, drive, times[0])
    B = trajectory.rates.shape[1]
    if len(bound.at(times[0])) != B:
        raise InputError.at(
            "drive",
            got=len(bound.at(times[0])),
            expected=f"{counted(B, 'stimulus')}, as were simulated",
        )
    drives = torch.cat([bound.at(t) for t in times])  # (T B, N)
    velocities = torch.cat(
        [
            _velocity(bound, t, trajectory)
            if drive_velocity is None
            else expand_to(network.as_drive(drive_velocity(t)), drives[:B].shape, "drive_velocity")
            for t in times
        ]
    )
    states = torch.stack([trajectory.states[name][chosen] for name in network.model.states])
    state = states.flatten(1, 2)  # (k, T B, N)
    fp = find_fixed_points(network, drives, initial=state, tol=tol, on_failure="return")
    return _compared(trajectory, chosen, state, fp, predict_lag(fp, velocities))


def _compared(
    trajectory: Trajectory, chosen: list[int], state: Tensor, fp: FixedPoints, lag: Lag
) -> QuasiStatic:
    rates = trajectory.rates[chosen]
    missing = ~fp.converged[:, None]
    measured = (rates.flatten(0, 1) - fp.rates).masked_fill(missing, torch.nan)
    return QuasiStatic(
        t=trajectory.t[chosen],
        rates=rates,
        fixed_points=fp,
        lag=measured.view_as(rates),
        predicted=lag.rates.masked_fill(missing, torch.nan).view_as(rates),
        corrected=_without(fp.network, fp.drive, state, lag.state, tol=1e-3),
        solve_residual=lag.residual.view(rates.shape[:2]),
    )


def _checked_records(trajectory: Trajectory, records: Sequence[int] | None) -> list[int]:
    number = len(trajectory.t)
    chosen = list(range(number)) if records is None else list(records)
    for record in chosen:
        if not isinstance(record, Integral) or not -number <= int(record) < number:
            raise InputError.at(
                "records", got=record, expected=f"numbers of records from {-number} to {number - 1}"
            )
    if not chosen:
        raise InputError.at("records", got=records, expected="the number of at least one record")
    return [int(record) % number for record in chosen]


def _velocity(drive: AbstractDrive, t: float, trajectory: Trajectory) -> Tensor:
    """Return dx/dt by a central difference; one-sided at the ends of the simulation."""
    before = max(t - trajectory.dt, float(trajectory.t[0]))
    after = min(t + trajectory.dt, float(trajectory.t[-1]))
    return (drive.at(after) - drive.at(before)) / (after - before)


def _drive_slope(network: Network, state: Tensor, drive: Tensor) -> Tensor:
    """Return F_x = dF/dx of each state variable and unit, (k, B, N)."""
    with torch.enable_grad():
        x = drive.detach().requires_grad_()
        F = network.derivative(state, x)
        rows = [torch.autograd.grad(row.sum(), x, retain_graph=True)[0] for row in F]
    return torch.stack(rows)


def solve_jacobian(fp: FixedPoints, blocks: JacobianBlocks, right: Tensor) -> tuple[Tensor, Tensor]:
    """Solve J v = right, (k, B, N); return v and each sample's relative residual."""
    network = fp.network
    tol = 1e-10 if right.dtype == torch.float64 else 1e-5
    units = unit_step(network, fp.state, fp.drive)._replace(step=solve_units(blocks.F_s, right))
    found = newton_step(network, units, tol, MAX_PRODUCTS, fp.mean_response).step
    scale = blocks.F_s.abs().amax(dim=1)  # (k, B, N), 1/s: equations may differ in unit
    error = ((jacobian_product(network, blocks, found) - right) / scale).square().sum(dim=(0, 2))
    size = (right / scale).square().sum(dim=(0, 2))
    residual = torch.where(size > 0, error / size, error).sqrt()
    solved = residual <= 1e3 * tol
    return torch.where(solved[:, None], found, torch.nan), residual


def _without(
    network: Network, drive: Tensor, state: Tensor, lag: Tensor, tol: float
) -> FixedPoints:
    """Return states minus their lag, measured, where that lowers the residual."""
    before = fixed_points_at(network, drive, state, tol)
    after = fixed_points_at(network, drive, state - lag, tol)
    # The absolute one as well: the other is measured against the state, which may have grown.
    less = after.absolute_residual < before.absolute_residual  # NaN is not
    better = torch.nonzero(less & (after.residual < before.residual))[:, 0]
    return before.replaced(better, after.select(better))
