"""What solvers have in common: the interface, the loop over a shrinking batch, the fallback.

Every iteration evaluates, for each sample, the Newton step d of the units at their present input
(`certificate.unit_step`); solvers differ only in how they go on from there. None iterates
y <- f(W y + x) undamped without a way back: where eigenvalues of G W lie below -1 that diverges
although the dynamics converge.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ratenet.fixed_points.certificate import UnitStep, unit_step
from ratenet.network import Network

Memory = dict[str, Tensor]  # what a solver remembers of each sample, the batch first


class Reached(NamedTuple):
    """Where a solver stopped: the best state of each sample, and its evaluations."""

    state: Tensor  # (k, B, N)
    iterations: Tensor  # (B,)
    converged: Tensor  # (B,)


@dataclass
class Batch:
    """The samples that are still being solved; b of the B given ones."""

    held: Tensor  # (b,): their indices
    drive: Tensor  # (b, N)
    state: Tensor  # (k, b, N): where they are now
    found: UnitStep  # evaluated there
    best_residual: Tensor  # (b,)
    best_state: Tensor  # (k, b, N): where the residual was least
    best_step: Tensor  # (k, b, N): the Newton step there
    longest_step: Tensor  # (b,): what a settled sample's step is not above

    def keep_best(self, tol: float) -> None:
        """Remember the present state where its residual is the least so far.

        A state that grows for ever at a constant speed makes its relative residual as small as
        one likes without coming to rest, and at last rounds its speed to 0; so where that is at
        most `tol`, the step and its rounding error count too.
        """
        residual = self.found.residual
        better, settled = residual < self.best_residual, residual <= tol  # NaN is neither
        if settled.any():
            rounding = torch.finfo(self.state.dtype).eps * self.state.abs()
            step = torch.maximum(self.found.step.abs(), rounding).amax(dim=(0, 2))
            better &= ~settled | (step <= self.longest_step)
        if better.all():  # as most often: nothing to choose, nothing to copy
            self.best_residual, self.best_state = residual, self.state
            self.best_step = self.found.step
            return
        mask = better[:, None]
        self.best_residual = torch.where(better, residual, self.best_residual)
        self.best_state = torch.where(mask, self.state, self.best_state)
        self.best_step = torch.where(mask, self.found.step, self.best_step)

    def select(self, samples: Tensor) -> "Batch":
        """Return the samples of a mask (b,)."""
        return Batch(
            self.held[samples],
            self.drive[samples],
            self.state[:, samples],
            self.found.select(samples),
            self.best_residual[samples],
            self.best_state[:, samples],
            self.best_step[:, samples],
            self.longest_step[samples],
        )


class AbstractSolver(ABC):
    """Brings a batch of states to their fixed points, as far as it can."""

    max_iterations: int

    @abstractmethod
    def solve(
        self, network: Network, state: Tensor, drive: Tensor, tol: float, max_iterations: int
    ) -> Reached:
        """Return what is reached from `state` (k, B, N) at drives (B, N).

        A sample counts as converged once its residual is at most `tol`; one that does not
        converge comes back at the state with the smallest residual that it had.
        """


class AbstractIteration(AbstractSolver):
    """A solver that goes from state to state; a subclass says how to go on."""

    @abstractmethod
    def start(self, state: Tensor) -> Memory:
        """Return an empty memory for states (k, B, N); each entry has the batch first."""

    @abstractmethod
    def advance(self, batch: Batch, memory: Memory) -> Tensor:
        """Return the next states (k, b, N); may change `memory`."""

    def solve(
        self, network: Network, state: Tensor, drive: Tensor, tol: float, max_iterations: int
    ) -> Reached:
        """Iterate; samples leave the batch once they have converged."""
        B = len(drive)
        reached = Reached(
            state.clone(),
            torch.full((B,), max_iterations, device=drive.device),
            torch.zeros(B, dtype=torch.bool, device=drive.device),
        )
        found = unit_step(network, state, drive)
        infinite = torch.full_like(found.residual, torch.inf)
        everyone = torch.arange(B, device=drive.device)
        size = torch.maximum(state.abs(), found.step.abs()).amax(dim=(0, 2)).clamp(min=1.0)
        longest_step = tol**0.5 * size  # (b,)
        batch = Batch(everyone, drive, state, found, infinite, state, found.step, longest_step)
        memory = self.start(state)
        for iteration in range(1, max_iterations + 1):
            batch.keep_best(tol)
            done = batch.best_residual <= tol
            newly = batch.held[done & ~reached.converged[batch.held]]
            reached.iterations[newly] = iteration
            reached.converged[newly] = True
            left = len(done) - int(done.sum())
            if left == 0 or iteration == max_iterations:
                break
            if left <= 0.75 * len(done):  # copying the rest pays off
                reached.state[:, batch.held[done]] = batch.best_state[:, done]
                batch = batch.select(~done)
                memory = {name: value[~done] for name, value in memory.items()}
            batch.state = self.advance(batch, memory)
            batch.found = unit_step(network, batch.state, batch.drive)
        reached.state[:, batch.held] = batch.best_state
        return reached


@dataclass(frozen=True)
class Fallback(AbstractSolver):
    """Several solvers in turn: the next one takes what the one before did not bring to rest.

    Each begins from the initial state, since a solver may have left the basin that it lies in.

    Parameters
    ----------
    solvers : sequence of AbstractSolver
    """

    solvers: Sequence[AbstractSolver]

    @property
    def max_iterations(self) -> int:  # type: ignore[override]
        """The sum over the solvers."""
        return sum(solver.max_iterations for solver in self.solvers)

    def solve(
        self, network: Network, state: Tensor, drive: Tensor, tol: float, max_iterations: int
    ) -> Reached:
        """Solve by the first solver, the rest by the second, and so on."""
        reached = Reached(
            state.clone(),
            torch.zeros(len(drive), dtype=torch.int64, device=drive.device),
            torch.zeros(len(drive), dtype=torch.bool, device=drive.device),
        )
        for solver in self.solvers:
            allowed = min(solver.max_iterations, max_iterations)
            left = torch.nonzero(~reached.converged)[:, 0]
            if len(left) == 0 or allowed == 0:
                break
            part = solver.solve(network, state[:, left], drive[left], tol, allowed)
            reached.state[:, left] = part.state
            reached.iterations[left] += part.iterations
            reached.converged[left] = part.converged
            max_iterations -= allowed
        return reached
