"""Further fixed points beside those of a rule: at another drive, other weights, or under a nudge.

They are sought from the state of the first, more tightly than they are judged, since rules take
small differences of them.
"""

import dataclasses

import torch
from torch import Tensor

from ratenet.errors import UnsettledError
from ratenet.fixed_points import FixedPoints, Status, find_fixed_points
from ratenet.fixed_points.certificate import certify, default_tolerance
from ratenet.network import Network
from ratenet.plasticity.loss import Loss, slope
from ratenet.plasticity.proposal import LeftOut

ITERATIONS = 300
STEP = 0.1  # of the shortest time constant
LONGEST = 200  # of the longest time constant
LOOKS = 100  # how often the residual is measured on the way


def settled_at(fp: FixedPoints, drive: Tensor, network: Network | None = None) -> FixedPoints:
    """Return the fixed points at other drives (B, N), or of another network, near those given.

    A sample whose drive is not finite has none, and disturbs no other.
    """
    network = fp.network if network is None else network
    judged = default_tolerance(network.dtype)
    finite = torch.isfinite(drive).all(dim=1)
    if not finite.all():
        lost = torch.full_like(fp.status, int(Status.DIVERGED))
        every = dataclasses.replace(certify(network, fp.state, fp.drive, judged), status=lost)
        if not finite.any():
            return every
        found = settled_at(fp.select(finite), drive[finite], network)
        return every.replaced(torch.nonzero(finite)[:, 0], found)
    found = find_fixed_points(
        network,
        drive,
        tol=tightest(network.dtype),
        initial=fp.state,
        max_iterations=ITERATIONS,
        certificate="residual",
        on_failure="return",
    )
    return found.with_tolerance(judged)


def tightest(dtype: torch.dtype) -> float:
    """Return the residual that is aimed at: near what rounding allows."""
    return 1e-12 if dtype == torch.float64 else 1e-6


def settled_under(fp: FixedPoints, loss: Loss, strength: float) -> FixedPoints:
    """Return where the dynamics rest with -strength dL/dy added to the drive, at present rates.

    The drives of the result are those that the nudge reached, so that it is a fixed point of the
    network like any other. A sample that diverges on the way has none, and disturbs no other.
    """
    network, state = fp.network, fp.state
    dt = STEP * network.shortest_time_constant()
    steps = max(1, round(LONGEST * network.longest_time_constant() / dt / LOOKS))
    for _ in range(LOOKS):
        for _ in range(steps):
            drive = fp.drive - strength * slope(loss, network.output(state))
            state = state + dt * network.derivative(state, drive)
        drive = fp.drive - strength * slope(loss, network.output(state))
        found = certify(network, state, drive, default_tolerance(network.dtype))
        if (found.converged | (found.status == Status.DIVERGED)).all():
            break
    return found


def both_settled(one: FixedPoints, other: FixedPoints, rule: str) -> tuple[Tensor, LeftOut]:
    """Return which samples settled in two phases, (B,), and what is to be said of the others.

    Raises
    ------
    UnsettledError
        If none did.
    """
    settled = one.converged & other.converged
    missing = int((~settled).sum())
    if missing == len(settled):
        raise UnsettledError(
            f"{rule}: no sample settles again when it is perturbed; use a "
            "smaller perturbation, or smaller weights."
        )
    if not missing:
        return settled, LeftOut()
    reason = (
        f"{rule}: {missing} of {len(settled)} samples are left out, since they do not settle "
        "again when they are perturbed; use a smaller perturbation."
    )
    return settled, LeftOut(missing, reason)
