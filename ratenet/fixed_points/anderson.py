"""Anderson acceleration of s <- s + d, for each sample of a batch by itself."""

from dataclasses import dataclass
from numbers import Integral

import torch
from torch import Tensor

from ratenet.errors import InputError
from ratenet.fixed_points.solver import AbstractIteration, Batch, Memory


@dataclass(frozen=True)
class Anderson(AbstractIteration):
    """Anderson acceleration.

    The last m differences of states, S, and of steps, D, are combined so that the step left over
    is least:

        s <- s + beta d - (S + beta D) gamma,        gamma = argmin |d - D gamma|

    Parameters
    ----------
    memory : int
        m, the number of differences kept.
    mixing : float
        beta, above 0 and at most 1. It is halved for a sample whose residual grows far.
    max_iterations : int

    References
    ----------
    Walker and Ni 2011, SIAM J. Numer. Anal. 49:1715.
    """

    memory: int = 6
    mixing: float = 1.0
    max_iterations: int = 300

    def __post_init__(self) -> None:
        if not isinstance(self.memory, Integral) or self.memory < 1:
            raise InputError(f"memory: {self.memory!r} is no whole number of at least 1.")
        if not 0 < self.mixing <= 1:
            raise InputError(f"mixing: {self.mixing} is not above 0 and at most 1.")

    def start(self, state: Tensor) -> Memory:
        """Begin without differences."""
        B, n, m = state.shape[1], state[:, 0].numel(), self.memory
        return {
            "D": state.new_zeros(B, m, n),
            "E": state.new_zeros(B, m, n),  # S + beta D
            "gram": state.new_zeros(B, m, m),  # D D^T
            "state": state.new_zeros(B, n),  # the last one
            "step": state.new_zeros(B, n),
            "beta": state.new_full((B, 1), self.mixing),
            "count": torch.zeros(B, dtype=torch.int64, device=state.device),
        }

    def advance(self, batch: Batch, memory: Memory) -> Tensor:
        """Take the accelerated step; a sample gone astray begins anew from its best state."""
        states, steps = _rows(batch.state), _rows(batch.found.step)  # (b, n)
        right = self._remember(memory, states, steps)
        memory["count"] += 1
        astray = ~(batch.found.residual <= 20 * batch.best_residual)  # NaN is astray
        if astray.any():
            states = torch.where(astray[:, None], _rows(batch.best_state), states)
            steps = torch.where(astray[:, None], _rows(batch.best_step), steps)
            for name in ("D", "E", "gram"):
                memory[name][astray] = 0.0
            right[astray] = 0.0
            memory["beta"][astray] *= 0.5
            memory["count"][astray] = 1
        memory["state"], memory["step"] = states, steps
        following = states + memory["beta"] * steps
        following -= torch.bmm(_combination(memory["gram"], right), memory["E"])[:, 0]
        return following.unflatten(1, batch.state.shape[::2]).transpose(0, 1)

    def _remember(self, memory: Memory, states: Tensor, steps: Tensor) -> Tensor:
        """Put the newest differences where the oldest stand; return D d, shape (b, m, 1)."""
        if int(memory["count"].min()) == 0:  # the first evaluation: no difference yet
            return torch.zeros_like(memory["gram"][:, :, :1])
        slots = (memory["count"] - 1).remainder(self.memory)
        each = torch.arange(len(states), device=states.device)
        newest = steps - memory["step"]
        memory["D"][each, slots] = newest
        memory["E"][each, slots] = (states - memory["state"]) + memory["beta"] * newest
        products = torch.bmm(memory["D"], torch.stack([newest, steps], dim=2))  # (b, m, 2)
        memory["gram"][each, slots] = products[:, :, 0]
        memory["gram"][each, :, slots] = products[:, :, 0]
        return products[:, :, 1:]


def _rows(values: Tensor) -> Tensor:
    """Turn (k, b, N) into one row a sample, (b, k N)."""
    return values.transpose(0, 1).flatten(1)


def _combination(gram: Tensor, right: Tensor) -> Tensor:
    """Return gamma, (b, 1, m): least squares by normal equations, scaled and slightly damped."""
    ridge = 1e-6 if gram.dtype == torch.float32 else 1e-13
    products = gram.double()
    length = products.diagonal(dim1=1, dim2=2).clamp(min=0).sqrt()  # (b, m)
    inverse = torch.where(length > 0, 1 / length, 0.0)
    scaled = products * inverse[:, :, None] * inverse[:, None]
    scaled.diagonal(dim1=1, dim2=2).add_(ridge).add_((length == 0).double())
    gamma, _ = torch.linalg.solve_ex(scaled, right.double() * inverse[:, :, None])
    return (gamma * inverse[:, :, None]).nan_to_num(0.0, 0.0, 0.0).to(gram.dtype).transpose(1, 2)
