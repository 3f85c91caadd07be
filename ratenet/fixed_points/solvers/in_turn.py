"""Solving the components of a network one after the other, each at the rates below it."""

from collections.abc import Callable

import torch
from torch import Tensor

from ratenet.fixed_points.solvers.base import AbstractSolver, Reached
from ratenet.network import Network


def solve_in_turn(
    make: Callable[[], AbstractSolver],
    network: Network,
    state: Tensor,
    drive: Tensor,
    tol: float,
    max_iterations: int,
) -> Reached:
    """Return the states reached from `state` (k, B, N), each component's by a solver of its own.

    A component starts from its own first state, at the rates that those before it reached.
    """
    found, state, rates = [], state.clone(), torch.zeros_like(drive)
    for part in network.components:
        own = part.of(drive) + part.input(rates)
        reached = make().solve(part.network, part.states_of(state), own, tol, max_iterations)
        part.put_states(state, reached.state)
        part.of(rates).copy_(part.network.output(reached.state))
        found.append(reached)
    solvers = torch.stack([each.solver for each in found])
    return Reached(
        state,
        iterations=torch.stack([each.iterations for each in found]).amax(dim=0),
        solver=solvers.amax(dim=0).masked_fill((solvers < 0).any(dim=0), -1),
        names=found[0].names,
    )
