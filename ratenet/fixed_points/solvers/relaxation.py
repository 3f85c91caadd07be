"""Relaxation: the dynamics themselves, in Runge-Kutta steps adapted to each sample."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ratenet.fixed_points.solvers.base import AbstractIteration, Batch, Memory

GROWN = 1e6  # times the size that a state began with: a state that large grows without end


@dataclass
class RungeKutta(Memory):
    """The step that each sample is in; all are at the same stage of theirs."""

    dt: Tensor  # (b,): 0 before the first step
    origin: Tensor  # (b, k, N): where the step begins
    change: Tensor  # (b,): largest change of F along the step, over F
    slopes: Tensor  # (b, 3, k, N): k1, k2, k3 there
    first_size: Tensor  # (b,): of the state that was begun from, or of its Newton step
    first_speed: Tensor  # (b,): of that Newton step
    has_grown: Tensor  # (b,): the state became a million times as large, and lost no speed
    stage: int = 0


@dataclass(frozen=True)
class Relaxation(AbstractIteration[RungeKutta]):
    """Follow ds/dt = F, time constants included, until it rests.

    Classical Runge-Kutta steps of order 4, since Euler steps spiral outwards where eigenvalues
    have large imaginary parts. A step is kept where no slope in it differs from the first by more
    than that is itself, and halved otherwise. So each sample goes where the network goes, and
    converges, slowly, wherever the dynamics do. A state that has grown a millionfold without losing
    speed is given up.

    Parameters
    ----------
    max_iterations : int
        Most evaluations of the recurrent input per stimulus; four make a step.
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
        speed = _largest(batch.found.step)
        return RungeKutta(
            dt=state.new_zeros(len(rows)),
            origin=rows.clone(),
            change=state.new_zeros(len(rows)),
            slopes=torch.zeros_like(rows)[:, None].repeat(1, 3, 1, 1),
            first_size=torch.maximum(_largest(state), speed).clamp(min=1.0),
            first_speed=speed,
            has_grown=torch.zeros_like(speed, dtype=torch.bool),
        )

    def gives_up(self, batch: Batch, memory: RungeKutta) -> Tensor:
        """Give up states that grow without end."""
        return memory.has_grown

    def advance(self, batch: Batch, memory: RungeKutta, allowed: int) -> Tensor:
        """Go to the next stage of the step; all samples are at the same stage."""
        slopes = memory.slopes
        F = -(batch.found.F_s * batch.found.step).sum(dim=1).transpose(0, 1)  # (b, k, N)
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
        kept = first | (ratio <= 1.0)  # NaN is refused
        factor = torch.where(kept, (0.8 / ratio).clamp(0.8, 1.5), 0.5)
        memory.dt = torch.where(first, 0.1 / fastest, factor * memory.dt)
        mask = kept[:, None, None]
        memory.origin = torch.where(mask, states, memory.origin)
        memory.slopes[:, 0] = torch.where(mask, F, memory.slopes[:, 0])
        memory.change = torch.zeros_like(ratio)
        is_large = ~(_largest(batch.state) <= GROWN * memory.first_size)  # NaN is
        is_fast = ~(_largest(batch.found.step) <= 0.5 * memory.first_speed)
        memory.has_grown |= kept & is_large & is_fast


def _largest(values: Tensor) -> Tensor:
    """Return each sample's largest entry of (k, b, N), (b,)."""
    return values.abs().amax(dim=(0, 2))
