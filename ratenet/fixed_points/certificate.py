"""The certificate of a state: its residual, its static gain, its status.

With F the right-hand side of a unit's k state variables and F_s its k x k derivative,

    step     = -F_s^{-1} F                 each unit's Newton step at fixed input I
    residual = max |step_k| / max(1, max |s_k|)
    gain     = -rho_s F_s^{-1} F_I         static gain dy/dI
"""

from numbers import Real
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ratenet.connectivity.computation import computation
from ratenet.errors import InputError, UnsupportedError
from ratenet.fixed_points.detached import detached
from ratenet.fixed_points.results import FixedPoints
from ratenet.fixed_points.status import judge
from ratenet.network import Component, Network
from ratenet.network.residual import relative_size


class UnitStep(NamedTuple):
    """Newton step and response of each unit at fixed input, and the residuals."""

    step: Tensor  # (k, B, N): -F_s^{-1} F
    F_s: Tensor  # (k, k, B, N): dF_i / ds_j, 1/s
    response: Tensor  # (k, B, N): ds / dI = -F_s^{-1} F_I
    rho_s: Tensor  # (k, B, N): dy / ds_j
    residual: Tensor  # (B,)

    def select(self, samples: Tensor) -> "UnitStep":
        """Return what belongs to some samples, given by indices."""
        return UnitStep(
            self.step[:, samples],
            _selected(self.F_s, samples),
            self.response[:, samples],
            _selected(self.rho_s, samples),
            self.residual[samples],
        )

    def within(self, part: Component) -> "UnitStep":
        """Return what belongs to the units of a component."""
        own = part.states_of
        F_s = own(self.F_s)[:, part.rows]
        return UnitStep(own(self.step), F_s, own(self.response), own(self.rho_s), self.residual)

    @property
    def gain(self) -> Tensor:
        """Static gain dy/dI of each unit, (B, N)."""
        return (self.rho_s * self.response).sum(dim=0)


def _selected(values: Tensor, samples: Tensor) -> Tensor:
    """Return some samples of (..., B, N); values that all share are not copied for each."""
    if values.stride(-2) == 0:
        return values[..., :1, :].expand(*values.shape[:-2], len(samples), values.shape[-1])
    return values[..., samples, :]


def default_tolerance(dtype: torch.dtype) -> float:
    """Return the default tolerance: 1e-9 in float64, 1e-5 in float32.

    Parameters
    ----------
    dtype : torch.dtype
        That of the network.

    Returns
    -------
    float
        Largest relative residual of a settled sample, dimensionless.

    Raises
    ------
    KeyError
        If the dtype is not one that networks have.

    Examples
    --------
    >>> default_tolerance(torch.float32), default_tolerance(torch.float64)
    (1e-05, 1e-09)
    """
    return 1e-9 if dtype == torch.float64 else 1e-5


def check_solvable(network: Network) -> None:
    """Refuse equations that contain t, which have no fixed points, and half precision."""
    if network.model.uses_time:
        raise UnsupportedError(
            f"Model {network.model.name!r}: its equations depend on t explicitly, so it has no "
            "fixed points; move the time dependence into the drive."
        )
    if network.dtype not in (torch.float32, torch.float64):
        raise UnsupportedError(
            f"Fixed points are found in float32 or float64, and the network has {network.dtype}; "
            "make it with dtype=torch.float32."
        )


def check_tolerance(tol: float, dtype: torch.dtype) -> None:
    """Refuse a tolerance that rounding puts out of reach."""
    if not isinstance(tol, Real):
        raise InputError.at("tol", got=tol, expected="a number")
    reachable = 4 * torch.finfo(dtype).eps
    if not tol >= reachable:
        name = str(dtype).removeprefix("torch.")
        remedy = "" if dtype == torch.float64 else "use a larger tol, or float64"
        expected = f"at least {reachable:.1g}, the precision of {name}"
        raise InputError.at("tol", got=float(tol), expected=expected, remedy=remedy)
    if not tol < 1:
        raise InputError.at("tol", got=float(tol), expected="a relative error below 1")


def unit_step(network: Network, state: Tensor, drive: Tensor) -> UnitStep:
    """Return -F_s^{-1} F of each unit, and the residual of each sample.

    Parameters
    ----------
    state : Tensor, shape (k, B, N)
    drive : Tensor, shape (B, N)
    """
    found = network.unit_response(state, drive)
    return UnitStep(*found, relative_size(found.step, state))


def certify(network: Network, state: Tensor, drive: Tensor, tol: float) -> FixedPoints:
    """Measure states (k, B, N) at drives (B, N): residual, gain, status."""
    found = unit_step(network, state, drive)
    gain, singular = found.gain, torch.zeros_like(found.residual, dtype=torch.bool)
    if not torch.isfinite(gain.sum()):  # one pass, and seldom more
        gain = torch.where(torch.isfinite(gain), gain, torch.nan)
        singular = torch.isfinite(state).all(dim=2).all(dim=0) & torch.isnan(gain).any(dim=1)
    none = torch.zeros_like(found.residual, dtype=torch.int64)
    return FixedPoints(
        network=network,
        state=state,
        rates=network.output(state),
        gain=gain,
        drive=drive,
        residual=found.residual,
        absolute_residual=found.step.abs().amax(dim=(0, 2)),
        iterations=none,
        status=judge(found.residual, tol, singular),
        tol=tol,
        version=network.version,
        examined=none.bool(),
        solver=none - 1,
    )


@computation()
@detached
def fixed_points_at(network: Network, drive: Any, state: Any, tol: float = 1e-3) -> FixedPoints:
    """Measure residual, gain and status of a given state, without solving.

    Parameters
    ----------
    network : Network
        The network that the state belongs to.
    drive : array_like, shape (N,) or (B, N)
        The drive at the time of the state.
    state : mapping or array_like
        As for `Network.as_state`; for instance ``trajectory.final``.
    tol : float
        Largest residual of a settled sample; relative, dimensionless.

    Returns
    -------
    FixedPoints
        The same states with residual, gain and status. Settled means residual <= tol; stability is
        not examined (`examined` is False): ask for `abscissa()`.

    Raises
    ------
    InputError
        If shapes or units do not match.
    UnsupportedError
        If the equations depend on t.

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("rate", [[0.0]])
    >>> rn.fixed_points_at(network, [0.5], [0.4]).residual  # tanh(0.5) - 0.4
    tensor([0.0621], dtype=torch.float64)
    """
    check_solvable(network)
    if not (isinstance(tol, Real) and tol > 0):
        raise InputError.at("tol", got=tol, expected="a number above 0")
    drive = network.as_drive(drive)
    return certify(network, network.as_state(state, len(drive), finite=False), drive, tol)
