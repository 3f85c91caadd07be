"""One step of each integration method, for a batch of states (k, B, N).

Every method takes (network, drive, state, t, dt) and returns the state at t + dt. All state
variables advance together from the old state.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ratenet.backends.base import Drive
from ratenet.network import Network

Step = Callable[[Network, Drive, Tensor, float, float], Tensor]


def euler(network: Network, drive: Drive, state: Tensor, t: float, dt: float) -> Tensor:
    """S + dt F(s, W y, x), everything at t."""
    return state + dt * network.derivative(state, drive.at(t), t)


def exponential_euler(network: Network, drive: Drive, state: Tensor, t: float, dt: float) -> Tensor:
    """S + dt F (e^a - 1) / a, a = M dt, for F_k = M s_k + B with M and B held within the step.

    Exact where M and B are constant; where M = 0 it is the Euler step.
    """
    x = drive.at(t)
    a = dt * network.own_rates(state, x, t)
    divisor = torch.where(a == 0, 1.0, a)  # first, so that no gradient passes through 0 / 0
    growth = torch.where(a == 0, 1.0, torch.expm1(a) / divisor)
    return state + dt * growth * network.derivative(state, x, t)


def rk4(network: Network, drive: Drive, state: Tensor, t: float, dt: float) -> Tensor:
    """Classical Runge-Kutta step of order 4 of the whole network, coupling included."""
    half = t + dt / 2
    k1 = network.derivative(state, drive.at(t), t)
    k2 = network.derivative(state + dt / 2 * k1, drive.at(half), half)
    k3 = network.derivative(state + dt / 2 * k2, drive.at(half), half)
    k4 = network.derivative(state + dt * k3, drive.at(t + dt), t + dt)
    return state + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


STEPS: dict[str, Step] = {"euler": euler, "exponential_euler": exponential_euler, "rk4": rk4}
