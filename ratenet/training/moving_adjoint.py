"""An adjoint that moves: errors travel back through the network in time, as rates travel forth.

    tau_lambda dlambda/dt = -lambda + G (W^T lambda + e),       e = dL/dy

with the gains G and the errors e of the rates as they are at that time. At rest lambda is the
solved adjoint, G (I - W^T G)^{-1} e; while rates move it trails them, the more the longer its time
constant. In a stack W holds the weights between the layers as well, so that errors go down from
layer to layer, each of which takes its time. That feedback in the brain computes lambda in this way
is a hypothesis, with the transposed weights as its strongest assumption.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ratenet.connectivity.computation import computation
from ratenet.fixed_points.certificate import unit_step
from ratenet.network import Network
from ratenet.simulation import Trajectory

STEPS_PER_TAU = 10  # of Euler
FASTEST = 100  # times the network's shortest time constant: further steps would take too long
LARGEST_RECORD = 4_000_000  # numbers of a simulation that are kept at once

Errors = Callable[[float, Tensor], Tensor]  # from a time and rates (B, N) to dL/dy (B, N)


@dataclass
class MovingAdjoint:
    """The adjoint of each stream, moved along with its rates.

    Parameters
    ----------
    time_constant : float
        tau_lambda in seconds.

    Attributes
    ----------
    values : Tensor or None, shape (B, N)
        lambda = dL/dx of each stream; None before anything was shown.
    """

    time_constant: float
    values: Tensor | None = field(default=None, init=False)

    @computation()
    @torch.no_grad()
    def follow(self, run: Trajectory, drive_at: Callable[[float], Tensor], errors: Errors) -> None:
        """Move along with a simulation of which every time step was recorded.

        Euler steps of at most a tenth of the time constant, throughout each time step with the
        rates at its end: those that a rule would take.
        """
        network, times = run.network, [float(t) for t in run.t[1:]]
        states = torch.stack([run.states[name][1:] for name in network.model.states])
        drives = torch.stack([drive_at(t) for t in times])  # (T - 1, B, N)
        gains = unit_step(network, states.flatten(1, 2), drives.flatten(0, 1)).gain
        values = torch.zeros_like(drives[0]) if self.values is None else self.values
        values = values.where(_is_finite(values), 0.0)  # of streams that were lost
        steps = max(1, math.ceil(STEPS_PER_TAU * run.dt / self.time_constant * (1 - 1e-6)))
        h = run.dt / (steps * self.time_constant)
        transpose = network.connectivity.apply_transpose
        for t, rates, gain in zip(times, run.rates[1:], gains.view_as(drives), strict=True):
            error = errors(t, rates)
            for _ in range(steps):
                values = values.lerp(gain * (transpose(values) + error), h)
        self.values = values.where(_is_finite(values), torch.nan)

    def steps_at_once(self, network: Network, streams: int) -> int:
        """Return how many time steps are recorded before it follows them."""
        return max(1, LARGEST_RECORD // (len(network.model.states) * streams * network.units))


def _is_finite(values: Tensor) -> Tensor:
    return torch.isfinite(values).all(dim=1, keepdim=True)
