"""Whether the time step is short enough for the network's fastest mode.

An explicit method multiplies a mode exp(lambda t) by a polynomial in dt lambda. On the real axis
it stays bounded for dt |lambda| < 2 with Euler and 2.78 with rk4; exponential Euler moves by
(1 - exp(-a)) / a of what Euler does, a = dt |M|, and so bears that much more. A longer step makes
rates explode that would settle: numbers of the method, not of the network.
"""

import torch
from torch import Tensor

from ratenet.network import Network

ITERATIONS = 20  # of the power iteration
ITERATIONS_AGAIN = 4  # where it begins with what an earlier one found
EXAMINED = 8  # stimuli at most, evenly chosen: a check should cost less than a few steps


@torch.no_grad()
def why_too_long(
    network: Network, state: Tensor, drive: Tensor, dt: float, method: str
) -> str | None:
    """Return why dt is too long at a state (k, B, N) with a drive (B, N); None where it is not.

    A power iteration on the Jacobians of some stimuli estimates their largest |eigenvalue|.
    """
    some = _some(len(drive))
    state, drive = state[:, some], drive[some]
    bound = torch.full_like(drive[:, 0], 2.78 if method == "rk4" else 2.0)
    if method == "exponential_euler":
        a = dt * network.own_rates(state, drive).abs().amax(dim=(0, 2))
        bound *= torch.where(a > 0, a / -torch.expm1(-a), 1.0)
    fastest, _ = _largest_eigenvalues(network, state, drive, None, ITERATIONS)
    excess = (dt * fastest / bound).nan_to_num(nan=0.0)
    if not len(excess) or float(excess.max()) < 1:
        return None
    rate, limit = float(fastest[excess.argmax()]), float(bound[excess.argmax()])
    return (
        f"the network's fastest mode has a rate of about {rate:.3g}/s, and method {method!r} "
        f"needs dt below {limit:.3g} over that, {limit / rate:.2g} s"
    )


class FastestMode:
    """Estimates the rate of a network's fastest mode again and again along a trajectory.

    Parameters
    ----------
    network : Network
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self._vector: Tensor | None = None  # of the last estimate, near the next one's

    @torch.no_grad()
    def __call__(self, state: Tensor, drive: Tensor) -> float:
        """Return about the largest |eigenvalue| of some stimuli's Jacobians in 1/s; 0 if unknown.

        Parameters
        ----------
        state : Tensor, shape (k, B, N)
        drive : Tensor, shape (B, N)
        """
        some = _some(len(drive))
        times = ITERATIONS if self._vector is None else ITERATIONS_AGAIN
        rates, self._vector = _largest_eigenvalues(
            self.network, state[:, some], drive[some], self._vector, times
        )
        return float(rates.nan_to_num(nan=0.0).max()) if len(rates) else 0.0


def _some(stimuli: int) -> Tensor:
    return torch.linspace(0, stimuli - 1, min(stimuli, EXAMINED)).round().long().unique()


def _largest_eigenvalues(
    network: Network, state: Tensor, drive: Tensor, vector: Tensor | None, iterations: int
) -> tuple[Tensor, Tensor | None]:
    """Return about the largest |eigenvalue| of each stimulus's Jacobian in 1/s, (B,); or NaN.

    The second tensor is the vector that the iteration ended with, to begin the next one; None where
    it is of no use.
    """
    blocks = network.jacobian_blocks(state, drive)
    if vector is None:
        vector = torch.ones_like(state)
        vector[..., ::2] *= -0.5  # not an eigenvector of a symmetric network
    for _ in range(iterations):
        vector = vector / vector.norm(dim=(0, 2), keepdim=True)
        recurrent = network.connectivity.apply((blocks.rho_s * vector).sum(dim=0))
        vector = torch.einsum("ijbn,jbn->ibn", blocks.F_s, vector) + blocks.F_I * recurrent
    fastest = vector.norm(dim=(0, 2))
    is_known = (fastest > 0) & fastest.isfinite()
    return torch.where(is_known, fastest, torch.nan), vector if bool(is_known.all()) else None


@torch.no_grad()
def usual_size(network: Network, initial: Tensor, drive: Tensor) -> float:
    """Return the largest |entry| of the initial state and of where each unit alone would settle.

    Each unit's own equilibrium is approximated by one Newton step at fixed recurrent input.
    """
    step = network.unit_response(initial, drive).step
    alone = (initial + step).nan_to_num(0.0, 0.0, 0.0)
    return float(torch.maximum(initial.abs(), alone.abs()).max())
