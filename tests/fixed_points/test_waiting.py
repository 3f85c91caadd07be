"""Solvers on an accelerator: how often the host waits for it, counted without one."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from helpers.problems import random_weights
from torch.utils._python_dispatch import TorchDispatchMode

import ratenet as rn
from ratenet.fixed_points.solvers import waiting
from ratenet.fixed_points.solvers.base import AbstractSolver

# What a bool, an item or a number of entries comes down to.
WAITS = {"_local_scalar_dense", "nonzero", "equal"}


class Waits(TorchDispatchMode):
    """Counts the operations that wait for the device."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        self.count += function.overloadpacket.__name__ in WAITS
        return function(*args, **(kwargs or {}))


SOLVERS: dict[str, Callable[[], AbstractSolver]] = {
    "anderson": lambda: rn.Anderson(3),
    "damped": rn.DampedIteration,
}


@pytest.mark.parametrize("name", SOLVERS)
def test_solvers_ask_an_accelerator_every_few_evaluations(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = rn.Network("rate", random_weights(40, seed=3, scale=0.9))
    drive = torch.randn(7, 40, generator=torch.Generator().manual_seed(4)).double()
    state, tol = torch.zeros(1, 7, 40, dtype=torch.float64), 1e-9

    def solve() -> tuple[Any, int]:
        with torch.no_grad(), Waits() as waits:
            return SOLVERS[name]().solve(network, state, drive, tol, 300), waits.count

    on_cpu, asked_on_cpu = solve()
    monkeypatch.setattr(waiting, "asking_is_free", lambda device: False)
    found, asked = solve()
    evaluations = int(found.iterations.max())
    shrinks = 4 * 7  # a smaller batch asks which samples are left, and seven cannot shrink oftener
    assert found.converged.all()
    assert evaluations > 15
    assert asked <= (evaluations + waiting.ASK_EVERY) // waiting.ASK_EVERY + shrinks
    assert asked_on_cpu > evaluations
    torch.testing.assert_close(found.state, on_cpu.state, rtol=0, atol=1e-7)


def test_the_number_of_waits_does_not_grow_with_each_evaluation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # One sample: nothing shrinks, so that each question is one in ASK_EVERY evaluations.
    network = rn.Network("rate", random_weights(40, seed=5, scale=0.8))
    drive = 0.1 * torch.ones(1, 40, dtype=torch.float64)
    monkeypatch.setattr(waiting, "asking_is_free", lambda device: False)
    with torch.no_grad(), Waits() as waits:
        found = rn.DampedIteration().solve(
            network, torch.zeros(1, 1, 40, dtype=torch.float64), drive, 1e-9, 2000
        )
    evaluations = int(found.iterations.max())
    assert found.converged.all()
    assert waits.count <= evaluations // waiting.ASK_EVERY + 2
