"""The certificate of a state: its residual, its static gain, its status.

With F the right-hand side of a unit's k state variables and F_s its k x k derivative,

    step     = -F_s^{-1} F                 each unit's Newton step at fixed input I
    residual = max |step_k| / max(1, max |s_k|)
    gain     = -rho_s F_s^{-1} F_I         theory of the static gain dy/dI
"""

from numbers import Real
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ratenet.errors import InputError, UnsupportedError
from ratenet.network import Network, solve_units
from ratenet.results import FixedPoints, judge


class UnitStep(NamedTuple):
    """Each unit's Newton step at fixed input, and the residual that follows from it."""

    step: Tensor  # (k, B, N): -F_s^{-1} F
    F_s: Tensor  # (k, k, B, N): dF_i / ds_j, 1/s
    residual: Tensor  # (B,)

    def select(self, samples: Tensor) -> "UnitStep":
        """Return what belongs to the samples of a mask (B,)."""
        return UnitStep(self.step[:, samples], self.F_s[:, :, samples], self.residual[samples])


def default_tolerance(dtype: torch.dtype) -> float:
    """Return the residual that is asked for unless said otherwise: 1e-9, in float32 1e-5."""
    return 1e-9 if dtype == torch.float64 else 1e-5


def check_autonomous(network: Network) -> None:
    """Refuse a model whose equations name t: it has no fixed points."""
    if network.model.uses_time:
        raise UnsupportedError(
            f"Model {network.model.name!r}: its equations depend on t explicitly, so it has no "
            "fixed points; put the dependence on time into the drive."
        )


def check_tolerance(tol: float, dtype: torch.dtype) -> None:
    """Refuse a tolerance that rounding puts out of reach."""
    if not isinstance(tol, Real):
        raise InputError(f"tol: {tol!r} is no number.")
    reachable = 4 * torch.finfo(dtype).eps
    if not tol >= reachable:
        raise InputError(
            f"tol: {tol:g} is below what {str(dtype).removeprefix('torch.')} can reach, "
            f"{reachable:.1g}; ask for more, or use float64."
        )


def unit_step(network: Network, state: Tensor, drive: Tensor) -> UnitStep:
    """Return -F_s^{-1} F of each unit, and the residual of each sample.

    Parameters
    ----------
    state : Tensor, shape (k, B, N)
    drive : Tensor, shape (B, N)
    """
    step, F_s = network.newton_step(state, drive)
    scale = _largest(state).clamp(min=1.0)  # (k, B)
    return UnitStep(step, F_s, (_largest(step) / scale).amax(dim=0))


def _largest(values: Tensor) -> Tensor:
    """Return the largest absolute entry over units, without a copy of the absolute values."""
    return torch.maximum(values.amax(dim=2), -values.amin(dim=2))


def static_gain(network: Network, state: Tensor, drive: Tensor) -> Tensor:
    """Return dy/dI of each unit with its own dynamics at rest, shape (B, N).

    Parameters
    ----------
    state : Tensor, shape (k, B, N)
    drive : Tensor, shape (B, N)

    Returns
    -------
    Tensor, shape (B, N)
        NaN where F_s is singular.
    """
    blocks = network.jacobian_blocks(state, drive)
    gain = -(blocks.rho_s * solve_units(blocks.F_s, blocks.F_I)).sum(dim=0)
    return torch.where(torch.isfinite(gain), gain, torch.nan)


def certify(
    network: Network, state: Tensor, drive: Tensor, tol: float, iterations: Tensor | None = None
) -> FixedPoints:
    """Measure states (k, B, N) at drives (B, N): residual, gain, status."""
    residual = unit_step(network, state, drive).residual
    gain = static_gain(network, state, drive)
    singular = torch.isfinite(state).all(dim=2).all(dim=0) & ~torch.isfinite(gain).all(dim=1)
    if iterations is None:
        iterations = torch.zeros(len(residual), dtype=torch.int64, device=residual.device)
    return FixedPoints(
        network=network,
        state=state,
        rates=network.output(state),
        gain=gain,
        drive=drive,
        residual=residual,
        iterations=iterations,
        status=judge(residual, tol, singular),
        tol=tol,
        version=network.connectivity.version,
    )


@torch.no_grad()
def fixed_points_at(network: Network, drive: Any, state: Any, tol: float = 1e-3) -> FixedPoints:
    """Return the certificate of a state that a simulation reached: measured, not solved.

    Parameters
    ----------
    network : Network
    drive : array_like, shape (N,) or (B, N)
        The drive at the time of the state.
    state : mapping or array_like
        As for `Network.as_state`; for instance ``trajectory.final``.
    tol : float
        Residual up to which a sample counts as settled.

    Returns
    -------
    FixedPoints
        The state, untouched, with residual, gain and status.

    Raises
    ------
    InputError
        If shapes or units do not fit.
    UnsupportedError
        If the equations depend on t.

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("rate", [[0.0]])
    >>> rn.fixed_points_at(network, [0.5], [0.4]).residual  # tanh(0.5) - 0.4
    tensor([0.0621], dtype=torch.float64)
    """
    check_autonomous(network)
    if not (isinstance(tol, Real) and tol > 0):
        raise InputError(f"tol: {tol!r} is no number above 0.")
    drive = network.as_drive(drive)
    return certify(network, network.as_state(state, len(drive), finite=False), drive, tol)
