"""The torch backend: all stimuli of a batch advance together, one product with W a step."""

from collections.abc import Collection

import torch
from torch import Tensor

from ratenet.backends.base import AbstractBackend, Drive, TimeGrid
from ratenet.backends.torch_steps import STEPS
from ratenet.network import Network


class TorchBackend(AbstractBackend):
    """Batched simulation with torch.

    Memory is that of the states and of what is recorded; nothing is copied to the CPU.
    """

    name = "torch"

    @property
    def methods(self) -> Collection[str]:
        """euler, exponential_euler and rk4."""
        return STEPS.keys()

    def run(
        self, network: Network, drive: Drive, initial: Tensor, grid: TimeGrid, method: str
    ) -> Tensor:
        """Return the recorded states, shape (T, k, B, N)."""
        step = STEPS[method]
        state, recorded = initial, [initial]
        for n in range(grid.steps):
            state = step(network, drive, state, n * grid.dt, grid.dt)
            if (n + 1) % grid.record_every == 0:
                recorded.append(state)
        return torch.stack(recorded)  # writing into one tensor would make backward O(T^2)
