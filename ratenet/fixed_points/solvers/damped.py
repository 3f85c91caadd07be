"""Damped iteration: s <- s + alpha d, with d the Newton step of each unit at its present input."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ratenet.fixed_points.solvers.base import AbstractIteration, Batch, Memory, check_share


@dataclass
class Damping(Memory):
    """How each sample is damped, and how that went."""

    alpha: Tensor  # (b,)
    most: Tensor  # (b,): the largest alpha that is tried again
    gains: Tensor  # (b,): in a row
    idle: Tensor  # (b,): steps since the last gain
    best_step: Tensor  # (b, k, N): at the best state


@dataclass(frozen=True)
class DampedIteration(AbstractIteration[Damping]):
    """s <- s + alpha d: for small alpha it converges if a network of equally fast units would.

    Parameters
    ----------
    damping : float, optional
        alpha, above 0 and at most 1. Default: each sample starts with 1, halves it and returns to
        its best state when its residual does not shrink, and lengthens it after five improvements
        in a row, up to three quarters of a value that was too long.
    max_iterations : int
        Most evaluations of the recurrent input per stimulus.

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("rate", [[-1.5]])  # undamped, the iteration diverges
    >>> options = {"on_failure": "return", "max_iterations": 100}
    >>> for damping in (1.0, 0.5):
    ...     solver = DampedIteration(damping=damping)
    ...     print(rn.find_fixed_points(network, [0.1], solver=solver, **options).converged)
    tensor([False])
    tensor([True])
    """

    damping: float | None = None
    max_iterations: int = 5_000

    def __post_init__(self) -> None:
        if self.damping is not None:
            check_share("damping", self.damping)

    @property
    def name(self) -> str:
        """Name of the solver in a summary."""
        return "damped iteration"

    def start(self, batch: Batch) -> Damping:
        """Start undamped, or with the given damping."""
        B, like = len(batch.drive), batch.drive
        alpha = like.new_full((B,), self.damping or 1.0)
        none = torch.zeros(B, dtype=torch.int64, device=like.device)
        return Damping(
            alpha=alpha,
            most=alpha.clone(),
            gains=none,
            idle=none.clone(),
            best_step=batch.found.step.transpose(0, 1),
        )

    def advance(self, batch: Batch, memory: Damping, allowed: int) -> Tensor:
        """Go on from the present state, or from the best one where the step was too long."""
        if self.damping is not None:
            return batch.state + memory.alpha[:, None] * batch.found.step
        worse = self._judge_steps(batch, memory)
        origin = torch.where(worse[:, None], batch.best_state, batch.state)
        step = torch.where(worse[:, None], memory.best_step.transpose(0, 1), batch.found.step)
        return origin + memory.alpha[:, None] * step

    def _judge_steps(self, batch: Batch, memory: Damping) -> Tensor:
        """Choose alpha for each sample; return where it was too long, (b,).

        On a spiral the residual grows and shrinks in turn, however small alpha is, and where f
        saturates it cannot grow: so the residual has 3 + 1 / alpha steps to become less than ever.
        """
        alpha, residual = memory.alpha, batch.found.residual
        gained = residual <= batch.best_residual  # NaN is not
        steps = batch.found.step.transpose(0, 1)
        memory.best_step = torch.where(gained[:, None, None], steps, memory.best_step)
        memory.gains = torch.where(gained, memory.gains + 1, 0)
        memory.idle = torch.where(gained, 0, memory.idle + 1)
        leapt = (memory.idle == 1) & (residual > 1.5 * batch.best_residual)
        lost = ~(residual <= 20 * batch.best_residual)
        worse = leapt | lost | (memory.idle >= 3 + 1 / alpha)
        longer = memory.gains >= 5
        memory.most = torch.where(worse, 0.75 * alpha, memory.most)  # too long stays so
        alpha = torch.where(longer, torch.minimum(1.5 * alpha, memory.most), alpha)
        memory.alpha = torch.where(worse, 0.5 * alpha, alpha)
        memory.gains = torch.where(longer, 0, memory.gains)
        memory.idle = torch.where(worse, 0, memory.idle)
        return worse
