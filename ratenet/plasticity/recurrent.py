"""Rules that find the adjoint along time: backpropagation, and recurrent backpropagation.

The state follows ds/dt = F(s, W y + x), y = rho(s); the adjoint p follows the transposed equation,

    dp/dt = J^T p,     J^T p = F_s^T p + rho_s W^T (F_I p)

backwards through the states that were passed, or at the fixed point alone, where rho_s e drives it.
Both go in Euler steps, so that they equal one another where the state does not move.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ratenet.connectivity.base import scaled
from ratenet.errors import DivergenceError
from ratenet.fixed_points import FixedPoints
from ratenet.network import JacobianBlocks, Network
from ratenet.plasticity.base import AbstractEuclideanRule, Traits
from ratenet.plasticity.loss import Loss, slope
from ratenet.plasticity.proposal import LeftOut, Proposal
from ratenet.simulation.time_grid import seconds
from ratenet.validation import check_choice

DURATION = 20  # of the longest time constant
STEP = 0.1  # of the shortest time constant
STARTS = ("zero", "fixed-point")


@dataclass(frozen=True)
class BackpropagationThroughTime(AbstractEuclideanRule):
    """The gradient of the loss at the end of a simulation, through all of its steps.

        s_{t+1} = s_t + dt F(s_t, W y_t + x),     t = 0 ... T - 1
        p_T = rho_s e,     p_t = p_{t+1} + dt J_t^T p_{t+1}
        dW  = -eta mean(sum_t dt (F_I p_{t+1}) y_t^T)

    Parameters
    ----------
    duration : Quantity or float, optional
        How long the network is simulated again; a float is in seconds. Default: 20 of its longest
        time constants.
    dt : Quantity or float, optional
        The Euler step. Default: a tenth of its shortest time constant.
    start : {"zero", "fixed-point"}
        The state at the beginning. From the fixed point the rule equals
        `RecurrentBackpropagation`.

    Notes
    -----
    With a loss the error is taken at the final rates, else the one given is used. Tends to
    `Euclidean` as the duration grows, where the simulation comes to the same fixed point. Noise is
    left out. Cost: T products with W and T with its transpose, and T states in memory.

    References
    ----------
    Werbos 1990; Liao et al. 2018, Reviving and improving recurrent back-propagation (at a fixed
    point it is recurrent backpropagation).

    Examples
    --------
    >>> import torch, ratenet as rn
    >>> fp = rn.find_fixed_points(rn.Network("linear", [[0.5]]), [1.0])  # y = 2
    >>> error = torch.ones(1, 1, dtype=torch.float64)
    >>> BackpropagationThroughTime().update(fp, error, learning_rate=0.1)
    tensor([[-0.3998]], dtype=torch.float64)
    """

    duration: Any = None
    dt: Any = None
    start: str = "zero"

    def __post_init__(self) -> None:
        _take_times(self)
        check_choice(self.start, "start", STARTS)

    @property
    def traits(self) -> Traits:
        """Euclidean, through time."""
        return Traits("Euclidean in W, of the loss after a finite time")

    def change(
        self, fp: FixedPoints, error: Tensor, learning_rate: float, loss: Loss | None = None
    ) -> Proposal:
        """Return the change by a simulation and the backward pass through it."""
        network = fp.network
        state = fp.state if self.start == "fixed-point" else network.as_state(None, len(fp))
        steps, dt = _steps(network, self.duration, self.dt)
        states = [state]
        for _ in range(steps):
            states.append(states[-1] + dt * network.derivative(states[-1], fp.drive))
        final = states.pop()
        if loss is not None:
            error = slope(loss, network.output(final))
        p = network.jacobian_blocks(final, fp.drive).rho_s * error
        lefts, rights = [], []
        for state in reversed(states):
            blocks = network.jacobian_blocks(state, fp.drive)
            lefts.append(dt * (blocks.F_I * p).sum(dim=0))
            rights.append(network.output(state))
            p = p + dt * _transposed(network, blocks, p)
        ends = torch.cat([final, p])
        return _mean(self, fp, ends, torch.stack(lefts), torch.stack(rights), learning_rate)


@dataclass(frozen=True)
class RecurrentBackpropagation(AbstractEuclideanRule):
    """The adjoint by dynamics of its own, run for a stated time (Almeida-Pineda).

        dp/dt = J^T p + rho_s e,     p(0) = 0,     lambda = F_I p
        dW = -eta mean(lambda y^T)

    For one time constant and z = p / tau: tau dz/dt = -z + e + W^T (G z), lambda = G z.

    Parameters
    ----------
    duration : Quantity or float, optional
        How long; a float is in seconds. Default: 20 of the network's longest time constants.
    dt : Quantity or float, optional
        The Euler step. Default: a tenth of its shortest time constant.

    Notes
    -----
    J^T has the eigenvalues of J, so the adjoint settles wherever the network does, and as fast;
    then the rule equals `Euclidean`. Cost: one product with the transposed W per step.

    References
    ----------
    Almeida 1987; Pineda 1987, Phys. Rev. Lett. 59:2229.

    Examples
    --------
    >>> import torch, ratenet as rn
    >>> fp = rn.find_fixed_points(rn.Network("linear", [[0.5]]), [1.0])  # y = 2
    >>> error = torch.ones(1, 1, dtype=torch.float64)
    >>> RecurrentBackpropagation().update(fp, error, learning_rate=0.1)
    tensor([[-0.4000]], dtype=torch.float64)
    """

    duration: Any = None
    dt: Any = None

    def __post_init__(self) -> None:
        _take_times(self)

    @property
    def traits(self) -> Traits:
        """Euclidean, nearly."""
        return Traits("Euclidean in W, the adjoint after a finite time")

    def change(
        self, fp: FixedPoints, error: Tensor, learning_rate: float, loss: Loss | None = None
    ) -> Proposal:
        """Return -eta mean(lambda y^T)."""
        network = fp.network
        steps, dt = _steps(network, self.duration, self.dt)
        blocks = network.jacobian_blocks(fp.state, fp.drive)
        source = blocks.rho_s * error
        p = torch.zeros_like(source)
        for _ in range(steps):
            p = p + dt * (_transposed(network, blocks, p) + source)
        lefts = (blocks.F_I * p).sum(dim=0)
        return _mean(self, fp, p, lefts[None], fp.rates[None], learning_rate)


def _transposed(network: Network, blocks: JacobianBlocks, p: Tensor) -> Tensor:
    """Return J^T p for each sample, shape (k, B, N)."""
    back = network.connectivity.apply_transpose((blocks.F_I * p).sum(dim=0))
    return (blocks.F_s * p[:, None]).sum(dim=0) + blocks.rho_s * back


def _take_times(rule: BackpropagationThroughTime | RecurrentBackpropagation) -> None:
    """Turn times that are given at the door into seconds."""
    for name in ("duration", "dt"):
        value = getattr(rule, name)
        if value is not None:
            object.__setattr__(rule, name, seconds(value, name))


def _steps(network: Network, duration: float | None, dt: float | None) -> tuple[int, float]:
    """Return the number of steps, at least one, and their length in seconds."""
    if dt is None:
        dt = STEP * network.shortest_time_constant()
    if duration is None:
        duration = DURATION * network.longest_time_constant()
    return max(1, round(duration / dt)), dt


def _mean(
    rule: AbstractEuclideanRule,
    fp: FixedPoints,
    ends: Tensor,
    lefts: Tensor,
    rights: Tensor,
    rate: float,
) -> Proposal:
    """Return -rate times the mean over samples of sum_t left_t right_t^T, for (T, B, N) each.

    A sample that is not finite in `ends`, last states and adjoints (..., B, N), is left out.
    """
    finite = torch.isfinite(ends).all(dim=2).all(dim=0)
    missing, name = int((~finite).sum()), type(rule).__name__
    if missing == len(finite):
        raise DivergenceError(
            f"{name}: states or adjoints became NaN or infinite; use a smaller dt or smaller "
            "weights."
        )
    left_out = LeftOut()
    if missing:
        lefts, rights = lefts[:, finite], rights[:, finite]
        left_out = LeftOut(
            missing,
            f"{name}: {missing} of {len(finite)} samples are left out, since their states or "
            "adjoints became NaN or infinite; use a smaller dt or smaller weights.",
        )
    total = fp.network.connectivity.accumulate(lefts.flatten(0, 1), rights.flatten(0, 1))
    return Proposal(scaled(total, -rate / (len(finite) - missing)), *left_out)
