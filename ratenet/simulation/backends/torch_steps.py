"""One step of each integration method, for a batch of states (k, B, N).

Every method takes (network, drive, state, t, dt) and returns the state at t + dt. All state
variables advance together from the old state.

The rate of a silent unit falls by e in each time constant for ever, and ends among the subnormal
numbers, with which a product takes up to 60 times as long. What has come near them is set to 0.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ratenet.network import Network
from ratenet.simulation.drives import AbstractDrive

Step = Callable[[Network, AbstractDrive, Tensor, float, float], Tensor]

NEAR_SUBNORMAL = 1e8  # times the least normal number: 1e-30 in float32, 2e-300 in float64
CLEAR_EVERY = 16  # steps; a rate falls by less than 1e8 in these where a step is below tau


def without_subnormals(state: Tensor) -> Tensor:
    """Return the state with 0 in place of what is subnormal, or nearly so."""
    return torch.nn.functional.hardshrink(
        state, NEAR_SUBNORMAL * torch.finfo(state.dtype).smallest_normal
    )


def euler(network: Network, drive: AbstractDrive, state: Tensor, t: float, dt: float) -> Tensor:
    """S + dt F(s, W y, x), everything at t."""
    return network.step(state, drive.at(t), t, dt)


def exponential_euler(
    network: Network, drive: AbstractDrive, state: Tensor, t: float, dt: float
) -> Tensor:
    """S + dt F (e^a - 1) / a, a = M dt, for F_k = M s_k + B with M and B held within the step.

    Exact where M and B are constant; where M = 0 it is the Euler step.
    """
    return network.step(state, drive.at(t), t, dt, "exponential_euler")


def rk4(network: Network, drive: AbstractDrive, state: Tensor, t: float, dt: float) -> Tensor:
    """Classical Runge-Kutta step of order 4 of the whole network, coupling included."""
    half = t + dt / 2
    k1 = network.derivative(state, drive.at(t), t)
    k2 = network.derivative(state + dt / 2 * k1, drive.at(half), half)
    k3 = network.derivative(state + dt / 2 * k2, drive.at(half), half)
    k4 = network.derivative(state + dt * k3, drive.before(t + dt), t + dt)
    return state + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def noise(
    network: Network,
    drive: AbstractDrive,
    state: Tensor,
    t: float,
    dt: float,
    generator: torch.Generator | None,
) -> Tensor:
    """Return what the white noises add to an Euler step (Euler-Maruyama, Ito).

    sum_j g_j(s, x, t) dW_j,   dW_j ~ N(0, dt), shared by the state variables that name xi_j.
    """
    strengths = network.noise_strengths(state, drive.at(t), t)  # (k, J, B, N)
    increments = torch.randn(
        strengths.shape[1:], generator=generator, dtype=state.dtype, device=state.device
    )
    return dt**0.5 * (strengths * increments).sum(dim=1)


STEPS: dict[str, Step] = {"euler": euler, "exponential_euler": exponential_euler, "rk4": rk4}
