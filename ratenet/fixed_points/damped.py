"""Damped iteration: s <- s + alpha d, with d the Newton step of each unit at its present input."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ratenet.errors import InputError
from ratenet.fixed_points.solver import AbstractIteration, Batch, Memory


@dataclass(frozen=True)
class DampedIteration(AbstractIteration):
    """s <- s + alpha d: converges where equally fast units would, for small enough alpha.

    Parameters
    ----------
    damping : float, optional
        alpha, above 0 and at most 1. Default: each sample begins with 1, halves it and goes back
        to its best state when its residual grows, and lengthens it after five gains in a row.
    max_iterations : int
    """

    damping: float | None = None
    max_iterations: int = 5_000

    def __post_init__(self) -> None:
        if self.damping is not None and not 0 < self.damping <= 1:
            raise InputError(f"damping: {self.damping} is not above 0 and at most 1.")

    def start(self, state: Tensor) -> Memory:
        """Begin undamped, or with the given damping."""
        B = state.shape[1]
        alpha = torch.full((B,), self.damping or 1.0, dtype=state.dtype, device=state.device)
        return {"alpha": alpha, "streak": torch.zeros(B, dtype=torch.int64, device=state.device)}

    def advance(self, batch: Batch, memory: Memory) -> Tensor:
        """Go on from the present state, or from the best one where the residual grew."""
        alpha, residual = memory["alpha"], batch.found.residual
        if self.damping is not None:
            return batch.state + alpha[:, None] * batch.found.step
        # A saturated network bounds the residual, so three steps without gain count as growth too.
        gained = residual <= batch.best_residual  # NaN is not
        streak = torch.where(gained, memory["streak"].clamp(min=0) + 1, memory["streak"].clamp(max=0) - 1)
        worse = (streak <= -3) | ~(residual <= 1.5 * batch.best_residual)
        longer = streak >= 5
        memory["streak"] = torch.where(worse | longer, 0, streak)
        alpha[longer] = (1.5 * alpha[longer]).clamp(max=1.0)
        alpha[worse] *= 0.5
        origin = torch.where(worse[:, None], batch.best_state, batch.state)
        step = torch.where(worse[:, None], batch.best_step, batch.found.step)
        return origin + alpha[:, None] * step
