"""Relaxation: the dynamics themselves, in Runge-Kutta steps adapted to each sample."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ratenet.fixed_points.certificate import certify
from ratenet.fixed_points.solvers.base import AbstractIteration, Batch, Memory
from ratenet.fixed_points.stability import verdicts
from ratenet.fixed_points.status import Status
from ratenet.network import Network

GROWN = 1e6  # times the size that a state began with: a state that large grows without end
FIRST_LOOK = 32  # steps after which it is looked ahead, then after 64, 128, ...
FAR = 30.0  # times the size that a state began with: from there it is looked ahead
RISEN = 1.5  # times the size at the look before: a state that large is on its way out
AHEAD = [10.0**power for power in range(6)]  # times as large as now: FAR times these is above GROWN
SHRUNK = 1e-12  # of the first step: in shorter ones a state goes nowhere


@dataclass
class RungeKutta(Memory):
    """The step that each sample is in; all are at the same stage of theirs."""

    dt: Tensor  # (b,): 0 before the first step
    origin: Tensor  # (b, k, N): where the step begins
    change: Tensor  # (b,): largest change of F along the step, over F
    slopes: Tensor  # (b, 3, k, N): k1, k2, k3 there
    first_dt: Tensor  # (b,): the first step's length
    first_size: Tensor  # (b,): of the state that was begun from, or of its Newton step
    first_speed: Tensor  # (b,): of that Newton step
    is_lost: Tensor  # (b,): becomes a million times as large and loses no speed, or has no slope
    seen_size: Tensor  # (b,): of the state when it was last looked ahead
    stage: int = 0
    steps: int = 0  # that have been judged


@dataclass(frozen=True)
class Relaxation(AbstractIteration[RungeKutta]):
    """Follow ds/dt = F, time constants included, until it rests.

    Classical Runge-Kutta steps of order 4, since Euler steps spiral outwards where eigenvalues
    have large imaginary parts. A step is kept where no slope in it differs from the first by more
    than that is itself, and halved otherwise. So each sample goes where the network goes, and
    converges, slowly, wherever the dynamics do. A state that has grown a millionfold without losing
    speed is given up, or thirtyfold where nothing ahead would stop it; so is one that needs ever
    shorter steps, such as a state that grows beyond all bounds within a finite time.

    Parameters
    ----------
    max_iterations : int
        Most evaluations of the recurrent input per stimulus; four make a step.

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("rate", [[-3.0]])  # iterating y = tanh(-3 y + 1) alternates
    >>> rn.find_fixed_points(network, [1.0], solver=Relaxation(), tol=1e-6).rates
    tensor([[0.2487]], dtype=torch.float64)
    """

    max_iterations: int = 10_000

    @property
    def name(self) -> str:
        """Name of the solver in a summary."""
        return "relaxation along the dynamics"

    def start(self, batch: Batch) -> RungeKutta:
        """Start at the end of a step, before the length of the next is chosen (0)."""
        state = batch.state
        rows = state.transpose(0, 1)
        speed = _largest(batch.found.step).nan_to_num(0.0, 0.0)  # F_s may be singular there
        return RungeKutta(
            dt=state.new_zeros(len(rows)),
            origin=rows.clone(),
            change=state.new_zeros(len(rows)),
            slopes=torch.zeros_like(rows)[:, None].repeat(1, 3, 1, 1),
            first_dt=state.new_zeros(len(rows)),
            first_size=torch.maximum(_largest(state), speed).clamp(min=1.0),
            first_speed=speed,
            is_lost=torch.zeros_like(speed, dtype=torch.bool),
            seen_size=torch.zeros_like(speed),
        )

    def gives_up(self, batch: Batch, memory: RungeKutta) -> Tensor:
        """Give up states that grow without end, or whose steps shrink to nothing."""
        return memory.is_lost | (memory.dt < SHRUNK * memory.first_dt)

    def advance(self, batch: Batch, memory: RungeKutta, allowed: int) -> Tensor:
        """Go to the next stage of the step; all samples are at the same stage."""
        slopes = memory.slopes
        F = _slope(batch)
        stage = memory.stage
        scale = memory.origin.abs().amax(dim=2, keepdim=True).clamp(min=1.0)  # (b, k, 1)
        first_slope = (slopes[:, 0] / scale).flatten(1).norm(dim=1)
        change = ((F - slopes[:, 0]) / scale).flatten(1).norm(dim=1) / first_slope
        memory.change = torch.maximum(memory.change, change)  # NaN stays
        if stage == 0:
            self._judge_step(batch, memory, F)
        elif stage < 3:
            slopes[:, stage] = F
        memory.stage = (stage + 1) % 4
        dt = memory.dt[:, None, None]
        if stage < 2:
            following = memory.origin + dt / 2 * slopes[:, stage]
        elif stage == 2:
            following = memory.origin + dt * slopes[:, 2]
        else:
            k1, k2, k3 = slopes.unbind(1)
            following = memory.origin + dt / 6 * (k1 + 2 * k2 + 2 * k3 + F)
        return following.transpose(0, 1)

    def _judge_step(self, batch: Batch, memory: RungeKutta, F: Tensor) -> None:
        """Keep or refuse the finished step by how far it changed F, and choose the next length."""
        states, ratio = batch.state.transpose(0, 1), memory.change
        first = memory.dt == 0
        fastest = batch.found.F_s.abs().amax(dim=(0, 1, 3))  # (b,), 1/s
        alone = (F.abs() / memory.origin.abs().clamp(min=1.0)).amax(dim=(1, 2)).clamp(min=1.0)
        fastest = torch.where(fastest > 0, fastest, alone)  # no unit may depend on itself here
        kept = first | (ratio <= 1.0)  # NaN is refused
        factor = torch.where(kept, (0.8 / ratio).clamp(0.8, 1.5), 0.5)
        memory.first_dt = torch.where(first, 0.1 / fastest, memory.first_dt)
        memory.dt = torch.where(first, memory.first_dt, factor * memory.dt)
        mask = kept[:, None, None]
        memory.origin = torch.where(mask, states, memory.origin)
        memory.slopes[:, 0] = torch.where(mask, F, memory.slopes[:, 0])
        memory.change = torch.zeros_like(ratio)
        is_large = ~(_largest(batch.state) <= GROWN * memory.first_size)  # NaN is
        is_fast = ~(_largest(batch.found.step) <= 0.5 * memory.first_speed)
        is_nowhere = ~torch.isfinite(F).all(dim=2).all(dim=1)  # where the first step would begin
        memory.is_lost |= kept & (is_large & is_fast | is_nowhere)
        memory.steps += 1
        if memory.steps >= FIRST_LOOK and memory.steps.bit_count() == 1:
            self._look_ahead(batch, memory, kept & is_fast & ~memory.is_lost)

    def _look_ahead(self, batch: Batch, memory: RungeKutta, among: Tensor) -> None:
        """Give up states that grow and that nothing stops further out.

        As along a line attractor that the drive pushes along, or in a mode that grows slowly: other
        modes keep the steps too short to follow it.
        """
        size = _largest(batch.state)
        grows = (size > FAR * memory.first_size) & (size > RISEN * memory.seen_size)
        memory.seen_size = size
        for times in AHEAD:
            samples = torch.nonzero(grows & among & ~memory.is_lost)[:, 0]
            if len(samples) == 0:
                return
            ahead = times * batch.state[:, samples]
            grows[samples] = ~_is_stable(batch.network, ahead, batch.drive[samples])
        memory.is_lost |= grows & among


def _is_stable(network: Network, state: Tensor, drive: Tensor) -> Tensor:
    """Return whether the dynamics linearized at states (k, b, N) decay, or are unknown, (b,)."""
    found = certify(network, state, drive, torch.inf)
    known = torch.isfinite(found.residual + found.gain.sum(dim=1))
    verdict = verdicts(found.select(known)) if known.any() else found.status[known]
    is_stable = torch.ones_like(known)
    is_stable[known] = (verdict != Status.NEUTRAL) & (verdict != Status.UNSTABLE)
    return is_stable


def _slope(batch: Batch) -> Tensor:
    """Return F at the present states, (b, k, N); from the step, which takes no product with W."""
    F = -(batch.found.F_s * batch.found.step).sum(dim=1).transpose(0, 1)
    if not torch.isfinite(F.sum()):  # F_s is singular, or the state is not finite
        F = batch.network.derivative(batch.state, batch.drive).transpose(0, 1)
        batch.products += 1
    return F


def _largest(values: Tensor) -> Tensor:
    """Return each sample's largest entry of (k, b, N), (b,)."""
    return values.abs().amax(dim=(0, 2))
