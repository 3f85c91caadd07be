"""Relaxation: the dynamics themselves, in Euler steps whose length is adapted to each sample."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ratenet.fixed_points.solver import AbstractIteration, Batch, Memory


@dataclass(frozen=True)
class Relaxation(AbstractIteration):
    """Follow ds/dt = F, time constants included, until it rests.

    A step is kept where F changes by at most half of itself along it, and halved otherwise. So
    each sample goes where the network goes, and converges, slowly, wherever the dynamics do.

    Parameters
    ----------
    max_iterations : int
    """

    max_iterations: int = 20_000

    def start(self, state: Tensor) -> Memory:
        """Begin with a step length still to be chosen (0)."""
        rows = state.transpose(0, 1)
        return {
            "dt": state.new_zeros(state.shape[1]),
            "origin": rows.clone(),  # (b, k, N): the last state kept
            "F": torch.zeros_like(rows),  # its derivative
        }

    def advance(self, batch: Batch, memory: Memory) -> Tensor:
        """Keep or refuse the last step by how far it changed F, then take the next."""
        states, F = batch.state.transpose(0, 1), batch.found.F.transpose(0, 1)
        first = memory["dt"] == 0
        fastest = batch.found.F_s.abs().amax(dim=(0, 1, 3))  # (b,), 1/s
        scale = states.abs().amax(dim=2, keepdim=True).clamp(min=1.0)  # (b, k, 1)
        change = ((F - memory["F"]) / scale).flatten(1).norm(dim=1)
        ratio = change / (memory["F"] / scale).flatten(1).norm(dim=1)
        kept = first | (ratio <= 0.5)  # NaN is refused
        factor = torch.where(kept, (0.35 / ratio).clamp(0.7, 1.3), 0.5)
        memory["dt"] = torch.where(first, 0.1 / fastest, factor * memory["dt"])
        memory["origin"] = torch.where(kept[:, None, None], states, memory["origin"])
        memory["F"] = torch.where(kept[:, None, None], F, memory["F"])
        following = memory["origin"] + memory["dt"][:, None, None] * memory["F"]
        return following.transpose(0, 1)
