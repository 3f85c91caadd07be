"""The certificate of a state: its residual, its static gain, its status.

With F the right-hand side of a unit's k state variables and F_s its k x k derivative,

    step     = -F_s^{-1} F                 each unit's Newton step at fixed input I
    residual = max |step_k| / max(1, max |s_k|)
    gain     = -rho_s F_s^{-1} F_I         theory of the static gain dy/dI
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ratenet.errors import InputError, UnsupportedError
from ratenet.network import Network
from ratenet.results import FixedPoints, judge


class UnitStep(NamedTuple):
    """Each unit's Newton step at fixed input, and what it says about the sample."""

    F: Tensor  # (k, B, N): ds/dt
    F_s: Tensor  # (k, k, B, N): dF_i / ds_j, 1/s
    step: Tensor  # (k, B, N): -F_s^{-1} F
    residual: Tensor  # (B,)
    singular: Tensor  # (B,): a unit's F_s cannot be inverted

    def select(self, samples: Tensor) -> "UnitStep":
        """Return what belongs to the samples of a mask (B,)."""
        return UnitStep(
            self.F[:, samples],
            self.F_s[:, :, samples],
            self.step[:, samples],
            self.residual[samples],
            self.singular[samples],
        )


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
    F, F_s = network.derivative_and_blocks(state, drive)
    solution, singular = _solve_units(F_s, F[:, None])
    step = -solution[:, 0]  # (k, B, N)
    scale = state.abs().amax(dim=2).clamp(min=1.0)  # (k, B)
    residual = (step.abs().amax(dim=2) / scale).amax(dim=0)
    return UnitStep(F, F_s, step, residual, singular.any(dim=1))


def static_gain(network: Network, state: Tensor, drive: Tensor) -> Tensor:
    """Return dy/dI of each unit with its own dynamics at rest, shape (B, N).

    Parameters
    ----------
    state : Tensor, shape (k, B, N)
    drive : Tensor, shape (B, N)
    """
    blocks = network.jacobian_blocks(state, drive)
    solution, singular = _solve_units(blocks.F_s, blocks.F_I[:, None])
    gain = -(blocks.rho_s * solution[:, 0]).sum(dim=0)
    return torch.where(singular, torch.nan, gain)


def _solve_units(F_s: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Solve each unit's k x k system; also return which are singular, (B, N).

    F_s is (k, k, B, N) and right (k, m, B, N), as is the solution.
    """
    if len(F_s) == 1:
        return right / F_s[0], F_s[0, 0] == 0
    solution, info = torch.linalg.solve_ex(F_s.permute(2, 3, 0, 1), right.permute(2, 3, 0, 1))
    return solution.permute(2, 3, 0, 1), info != 0


def certify(
    network: Network, state: Tensor, drive: Tensor, tol: float, iterations: Tensor | None = None
) -> FixedPoints:
    """Measure states (k, B, N) at drives (B, N): residual, gain, status."""
    found = unit_step(network, state, drive)
    residual = found.residual
    if iterations is None:
        iterations = torch.zeros(len(residual), dtype=torch.int64, device=residual.device)
    return FixedPoints(
        network=network,
        state=state,
        rates=network.output(state),
        gain=static_gain(network, state, drive),
        drive=drive,
        residual=residual,
        iterations=iterations,
        status=judge(residual, tol, found.singular),
        tol=tol,
        version=network.connectivity.version,
    )


@torch.no_grad()
def fixed_points_at(
    network: Network, drive: Any, state: Any, tol: float = 1e-3
) -> FixedPoints:
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
    drive = network.as_drive(drive)
    return certify(network, network.as_state(state, len(drive), finite=False), drive, tol)
