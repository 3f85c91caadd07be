"""Relaxation: the dynamics themselves, in Runge-Kutta steps adapted to each sample."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ratenet.fixed_points.solvers.base import AbstractIteration, Batch, Memory


@dataclass(frozen=True)
class Relaxation(AbstractIteration):
    """Follow ds/dt = F, time constants included, until it rests.

    Classical Runge-Kutta steps of order 4, since Euler steps spiral outwards where eigenvalues
    have large imaginary parts. A step is kept where no slope in it differs from the first by more
    than that is itself, and halved otherwise. So each sample goes where the network goes, and
    converges, slowly, wherever the dynamics do.

    Parameters
    ----------
    max_iterations : int
        Evaluations of F; four make a step.
    """

    max_iterations: int = 10_000

    @property
    def name(self) -> str:
        """What the solver is called in a summary."""
        return "relaxation along the dynamics"

    def start(self, batch: Batch) -> Memory:
        """Begin at the end of a step, with the length of the next still to be chosen (0)."""
        state = batch.state
        rows = state.transpose(0, 1)
        return {
            "dt": state.new_zeros(len(rows)),
            "stage": torch.zeros(len(rows), dtype=torch.int64, device=state.device),
            "origin": rows.clone(),  # (b, k, N): where the step begins
            "change": state.new_zeros(len(rows)),  # largest change of F along the step, over F
            "slopes": torch.zeros_like(rows)[:, None].repeat(1, 3, 1, 1),  # k1, k2, k3 there
        }

    def advance(self, batch: Batch, memory: Memory, allowed: int) -> Tensor:
        """Go to the next stage of the step; all samples are at the same stage."""
        slopes = memory["slopes"]
        F = -(batch.found.F_s * batch.found.step).sum(dim=1).transpose(0, 1)  # (b, k, N)
        stage = int(memory["stage"][0])
        scale = memory["origin"].abs().amax(dim=2, keepdim=True).clamp(min=1.0)  # (b, k, 1)
        first_slope = (slopes[:, 0] / scale).flatten(1).norm(dim=1)
        change = ((F - slopes[:, 0]) / scale).flatten(1).norm(dim=1) / first_slope
        memory["change"] = torch.maximum(memory["change"], change)  # NaN stays
        if stage == 0:
            self._judge_step(batch, memory, F)
        elif stage < 3:
            slopes[:, stage] = F
        memory["stage"] = (memory["stage"] + 1) % 4
        dt = memory["dt"][:, None, None]
        if stage < 2:
            following = memory["origin"] + dt / 2 * slopes[:, stage]
        elif stage == 2:
            following = memory["origin"] + dt * slopes[:, 2]
        else:
            k1, k2, k3 = slopes.unbind(1)
            following = memory["origin"] + dt / 6 * (k1 + 2 * k2 + 2 * k3 + F)
        return following.transpose(0, 1)

    def _judge_step(self, batch: Batch, memory: Memory, F: Tensor) -> None:
        """Keep or refuse the finished step by how far it changed F, and choose the next length."""
        states, ratio = batch.state.transpose(0, 1), memory["change"]
        first = memory["dt"] == 0
        fastest = batch.found.F_s.abs().amax(dim=(0, 1, 3))  # (b,), 1/s
        kept = first | (ratio <= 1.0)  # NaN is refused
        factor = torch.where(kept, (0.8 / ratio).clamp(0.8, 1.5), 0.5)
        memory["dt"] = torch.where(first, 0.1 / fastest, factor * memory["dt"])
        mask = kept[:, None, None]
        memory["origin"] = torch.where(mask, states, memory["origin"])
        memory["slopes"][:, 0] = torch.where(mask, F, memory["slopes"][:, 0])
        memory["change"] = torch.zeros_like(ratio)
