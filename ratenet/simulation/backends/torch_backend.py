"""The torch backend: all stimuli of a batch advance together, one product with W per step."""

from collections.abc import Collection

import torch

from ratenet.simulation.backends.base import AbstractBackend, Observer, Task
from ratenet.simulation.backends.torch_adaptive import run_adaptive
from ratenet.simulation.backends.torch_steps import CLEAR_EVERY, STEPS, noise, without_subnormals
from ratenet.simulation.time_grid import ADAPTIVE, seed_of_step


class TorchBackend(AbstractBackend):
    """Batched simulation with torch.

    Memory is that of one state, unless gradients are asked for; nothing is copied to the CPU.
    """

    name = "torch"
    has_gradients = True
    takes_empty_batches = True

    @property
    def methods(self) -> Collection[str]:
        """euler, exponential_euler, rk4, dopri5 and rkc."""
        return (*STEPS, *ADAPTIVE)

    @property
    def devices(self) -> Collection[str]:
        """None: the network's own device decides."""
        return ()

    @property
    def no_device(self) -> str:
        """What to say when a device is asked for."""
        return (
            "backend 'torch' computes where the network is: make the network with "
            "Network(..., device=...)."
        )

    def run(self, task: Task, observe: Observer) -> None:
        """Simulate, and show the observer the states."""
        run = run_adaptive if task.method in ADAPTIVE else _run_steps
        run(task, observe)


def _run_steps(task: Task, observe: Observer) -> None:
    """Take equal steps."""
    network, drive, grid = task.network, task.drive, task.grid
    step, state = STEPS[task.method], task.initial
    generator = None if task.seed is None else torch.Generator(network.device)
    stop = observe(0, state)
    for n in range(grid.steps):
        if stop:
            return
        t, before = grid.time(n), state if n % CLEAR_EVERY else without_subnormals(state)
        state = step(network, drive, before, t, grid.dt)
        if network.model.noises:
            if generator is not None and task.seed is not None:
                generator.manual_seed(seed_of_step(task.seed, round(grid.first) + n))
            state = state + noise(network, drive, before, t, grid.dt, generator)
        if task.plasticity is not None:
            task.plasticity.advance(network.output(before), t, grid.dt)
        if task.is_observed(n + 1):
            stop = observe(n + 1, state)
