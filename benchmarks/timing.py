"""What the benchmarks of speed share: a random network, and contenders that take turns."""

import time
from collections.abc import Callable

import torch


def random_network(units: int, stimuli: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    W = 0.5 * torch.randn(units, units, generator=generator) / units**0.5
    return W, torch.randn(stimuli, units, generator=generator)


def fastest(contenders: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return each one's fastest time in seconds, measured in turn."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for run in contenders.values():
        run()
    for _ in range(rounds):
        for name, run in contenders.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: min(found) for name, found in times.items()}
