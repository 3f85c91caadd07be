"""The quasi-static certificate: how far a network trails the fixed point that its drive moves.

While the drive x(t) changes, so does the fixed point s*(x(t)), where F(s*, x) = 0. With J the full
Jacobian of the dynamics there,

    velocity   ds*/dt = -J^{-1} F_x dx/dt
    lag        s - s* = J^{-1} ds*/dt            to first order in the speed
               y - y* = rho_s (s - s*)

For tau dr/dt = -r + f(W r + x), where J = T^{-1} (G W - I) with T = diag(tau), that is

    y - y* = -(I - G W)^{-1} T dy*/dt,           dy*/dt = (I - G W)^{-1} G dx/dt

Both solves are reduced to N unknowns a sample, (I - g W) u = b, and done by batched GMRES with
products only; each has its own residual. What the formula leaves out: transients, which the
network forgets at the rate of its spectral abscissa, and the second order in the speed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ratenet.connectivity.computation import computation
from ratenet.errors import InputError
from ratenet.fixed_points import FixedPoints, Status, find_fixed_points, fixed_points_at
from ratenet.fixed_points.certificate import unit_step
from ratenet.fixed_points.results import jacobian_product
from ratenet.fixed_points.solvers.newton import newton_step
from ratenet.linear_algebra import solve_units
from ratenet.network import JacobianBlocks, Network
from ratenet.simulation import AbstractDrive, Trajectory
from ratenet.simulation.drives import drive_for

MAX_PRODUCTS = 200  # of each linear solve


@dataclass(frozen=True, eq=False)
class Lag:
    """What the dynamics lag behind a moving fixed point by, to first order, one row a sample.

    Attributes
    ----------
    state : Tensor, shape (k, B, N)
        s - s*, in SI units of the state.
    rates : Tensor, shape (B, N)
        y - y*.
    velocity : Tensor, shape (B, N)
        dy*/dt, in units of the rates a second.
    residual : Tensor, shape (B,)
        The larger relative residual of the two linear solves, |J v - b| / |b|.
    """

    state: Tensor
    rates: Tensor
    velocity: Tensor
    residual: Tensor


@dataclass(frozen=True, eq=False)
class QuasiStatic:
    """A run beside the fixed points that its drive moves, at T recorded times.

    Attributes
    ----------
    t : Tensor, shape (T,)
        Times in seconds.
    rates : Tensor, shape (T, B, N)
        y, what the network does.
    fixed_points : FixedPoints
        y*(x(t)) of all times, T B rows, the first B at t[0].
    lag, predicted : Tensor, shape (T, B, N)
        y - y* as measured, and as the formula says. NaN where no fixed point was found.
    corrected : FixedPoints
        The states of the run with the predicted lag taken off, T B rows, measured as by
        `fixed_points_at`: for a rule to act on. Where that would not lower the residual, the state
        is left as it is.
    solve_residual : Tensor, shape (T, B)
        Relative residual of the linear solves of the prediction.

    References
    ----------
    Tikhonov 1952; Fenichel 1979, J. Differ. Equ. 31:53 (slow manifolds).
    """

    t: Tensor
    rates: Tensor
    fixed_points: FixedPoints
    lag: Tensor
    predicted: Tensor
    corrected: FixedPoints
    solve_residual: Tensor

    @property
    def status(self) -> Tensor:
        """Codes of `Status` of the moving fixed point, shape (T, B)."""
        return self.fixed_points.status.view(self.rates.shape[:2])

    @property
    def relative_lag(self) -> Tensor:
        """|y - y*| / |y*| of each time and stimulus, shape (T, B)."""
        return self.lag.norm(dim=2) / self._size

    @property
    def relative_predicted(self) -> Tensor:
        """The predicted lag over |y*|, shape (T, B)."""
        return self.predicted.norm(dim=2) / self._size

    @property
    def relative_corrected(self) -> Tensor:
        """What the corrected rates are off by, over |y*|, shape (T, B)."""
        missing = self.lag.isnan().any(dim=2)
        left = (self.corrected.rates - self.fixed_points.rates).norm(dim=1).view_as(self._size)
        return left.masked_fill(missing, torch.nan) / self._size

    @property
    def error(self) -> Tensor:
        """|predicted - measured lag| / |measured lag|, shape (T, B): 0.1 is 10 %."""
        return (self.predicted - self.lag).norm(dim=2) / self.lag.norm(dim=2)

    @property
    def _size(self) -> Tensor:
        return self.fixed_points.rates.view(self.rates.shape).norm(dim=2)

    def summary(self) -> str:
        """Return the lag, how well it was predicted, and what is missing, one line each."""
        found = self.status == Status.SETTLED
        lines = [
            f"lag: median {_percent(self.relative_lag[found])} of the rates, predicted "
            f"{_percent(self.relative_predicted[found])}, left after correction "
            f"{_percent(self.relative_corrected[found])}."
        ]
        missing = int((~found).sum())
        if missing:
            lines.append(f"{missing} of {found.numel()} moving fixed points were not found:")
            lines.append(self.fixed_points.summary())
        return "\n".join(lines)


def _percent(values: Tensor) -> str:
    return f"{100 * float(values.median()):.3g} %" if len(values) else "unknown"


@computation()
@torch.no_grad()
def predict_lag(fp: FixedPoints, drive_velocity: Tensor) -> Lag:
    """Predict by how much the state trails the fixed point while the drive moves.

    Parameters
    ----------
    fp : FixedPoints
        Where the Jacobian is taken: at the fixed points, or at the states of a run, which differ
        from them by the lag, and so the prediction by its square.
    drive_velocity : Tensor, shape (N,) or (B, N)
        dx/dt, in units of the drive a second.

    Returns
    -------
    Lag
        NaN where I - G W is singular: near a bifurcation nothing is slow enough.

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
        raise InputError(f"drive_velocity: {len(velocity)} rows do not fit {len(fp)} fixed points.")
    blocks = network.jacobian_blocks(fp.state, fp.drive)
    push = _drive_slope(network, fp.state, fp.drive) * velocity  # (k, B, N): F_x dx/dt
    moving, first = _solve(fp, blocks, -push)  # ds*/dt
    state, second = _solve(fp, blocks, moving)
    return Lag(
        state=state,
        rates=(blocks.rho_s * state).sum(dim=0),
        velocity=(blocks.rho_s * moving).sum(dim=0),
        residual=torch.maximum(first, second),
    )


@computation()
def correct_lag(fp: FixedPoints, drive_velocity: Tensor, tol: float = 1e-3) -> FixedPoints:
    """Return states of a moving network with the predicted lag taken off, measured anew.

    Parameters
    ----------
    fp : FixedPoints
        States of a run and their drives, as from `fixed_points_at`.
    drive_velocity : Tensor, shape (N,) or (B, N)
        dx/dt at that time, in units of the drive a second.
    tol : float
        Residual up to which a corrected sample counts as settled.

    Returns
    -------
    FixedPoints
        What a plasticity rule may act on in place of `fp`. A sample whose residual the correction
        would not lower keeps its state: the prediction has failed there, as it does beside a
        bifurcation and beyond some speed.

    Notes
    -----
    No fixed point is solved for: the Jacobian is taken at the state itself. Nothing is gained where
    the drive is at rest, as at the end of a hold: what is left there is a transient, not a lag.
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
    """Compare a run with the fixed points that its drive moves: measured and predicted lag.

    Parameters
    ----------
    trajectory : Trajectory
        With all units recorded.
    drive : Drive, SampledDrive or function
        The drive that it was simulated with.
    records : sequence of int, optional
        Which recorded times are examined; default all. T B fixed points are solved at once.
    drive_velocity : function, optional
        dx/dt at a time in seconds, (N,) or (B, N). Default: central differences over a time step
        to either side, from within the run.
    tol : float, optional
        Largest residual of a moving fixed point, as for `find_fixed_points`. A lag cannot be
        measured more exactly than that.

    Returns
    -------
    QuasiStatic

    Raises
    ------
    InputError
        If not all units were recorded, or a record does not exist.
    UnsupportedError
        If the equations depend on t, and so have no fixed points.

    Notes
    -----
    Each fixed point is sought from the state of the run at that time, so that among several the one
    is found that the run follows, as long as it has not been left behind. A kink of the drive
    begins a transient, to which the formula does not apply for some time constants; an
    Ornstein-Uhlenbeck drive has no velocity, and its prediction depends on the time step.

    Examples
    --------
    >>> import math, ratenet as rn
    >>> network = rn.Network("linear", [[0.5]], parameters={"tau": 0.01})
    >>> swing = lambda t: [[1 + 0.5 * math.sin(2 * t)]]
    >>> run = rn.simulate(network, swing, duration=1.0, dt=1e-4, record_every=2500)
    >>> print(measure_lag(run, swing, records=[2]).summary())
    lag: median 0.807 % of the rates, predicted 0.761 %, left after correction 0.046 %.
    """
    network = trajectory.network
    if trajectory.rates.shape[2] != network.units:
        raise InputError(
            f"trajectory: {trajectory.rates.shape[2]} of {network.units} units were recorded; "
            "simulate without record_units."
        )
    chosen = _checked_records(trajectory, records)
    times = [float(t) for t in trajectory.t[chosen]]
    bound = drive_for(network, drive, times[0])
    drives = torch.cat([bound.at(t) for t in times])  # (T B, N)
    velocities = torch.cat(
        [
            _velocity(bound, t, trajectory)
            if drive_velocity is None
            else network.as_drive(drive_velocity(t)).expand(len(drives) // len(times), -1)
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
    chosen = list(range(number)) if records is None else [int(record) for record in records]
    for record in chosen:
        if not -number <= record < number:
            raise InputError(f"records: there is no record {record}; there are {number}.")
    if not chosen:
        raise InputError("records: none is given; give at least one.")
    return [record % number for record in chosen]


def _velocity(drive: AbstractDrive, t: float, trajectory: Trajectory) -> Tensor:
    """Return dx/dt by a central difference; one-sided at the ends of the run."""
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


def _solve(fp: FixedPoints, blocks: JacobianBlocks, right: Tensor) -> tuple[Tensor, Tensor]:
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
    """Return the certificate of states less their lag, where that lowers the residual."""
    before = fixed_points_at(network, drive, state, tol)
    after = fixed_points_at(network, drive, state - lag, tol)
    # The absolute one as well: the other is measured against the state, which may have grown.
    less = after.absolute_residual < before.absolute_residual  # NaN is not
    better = torch.nonzero(less & (after.residual < before.residual))[:, 0]
    return before.replaced(better, after.select(better))
