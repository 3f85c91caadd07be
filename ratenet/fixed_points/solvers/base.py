"""What solvers have in common: the interface, the loop over a shrinking batch, the fallback.

Every iteration evaluates, for each sample, the Newton step d of the units at their present input
(`certificate.unit_step`); solvers differ only in how they go on from there. None iterates
y <- f(W y + x) undamped without a way back: where eigenvalues of G W lie below -1 that diverges
although the dynamics converge.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from numbers import Real
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from ratenet.errors import InputError
from ratenet.fixed_points.certificate import UnitStep, unit_step
from ratenet.fixed_points.solvers.mean_gain import NO_PRECONDITIONER, MeanGain, Preconditioner
from ratenet.fixed_points.solvers.waiting import asks, may_hold
from ratenet.network import Network

LONG = 8  # products of a solve that is worth another look at a preconditioner of the one before


@dataclass
class Memory:
    """What a solver remembers of each sample: tensors and lists of tensors, the batch first.

    Fields of other types belong to all samples.
    """

    def keep(self, samples: Tensor) -> None:
        """Keep some samples alone, given by indices; one tensor after the other, for the memory."""
        for field in fields(self):
            held = getattr(self, field.name)
            if isinstance(held, Tensor):
                setattr(self, field.name, held[samples])
            elif isinstance(held, list):
                for i, tensor in enumerate(held):
                    held[i] = None if tensor is None else tensor[samples]
            del held  # the old one goes before the next new one comes


Remembered = TypeVar("Remembered", bound=Memory)


class Reached(NamedTuple):
    """Where a solver stopped: the best state of each sample, and how it came there."""

    state: Tensor  # (k, B, N)
    iterations: Tensor  # (B,): evaluations of the recurrent input
    solver: Tensor  # (B,): which of `names` settled it; -1: none
    names: tuple[str, ...]
    preconditioner: Preconditioner = NO_PRECONDITIONER

    @property
    def converged(self) -> Tensor:
        """Whether each sample's residual is at most the tolerance, (B,)."""
        return self.solver >= 0


@dataclass
class Batch:
    """The samples that are still being solved; b of the B given ones."""

    network: Network
    held: Tensor  # (b,): their indices
    drive: Tensor  # (b, N)
    state: Tensor  # (k, b, N): where they are now
    found: UnitStep  # evaluated there
    best_state: Tensor  # (k, b, N): where the residual was least
    best_residual: Tensor  # (b,): there
    longest_step: Tensor  # (b,): what a settled sample's step is not above
    samples: int  # B
    products: int = 1  # evaluations of the recurrent input so far
    preconditioner: Preconditioner = NO_PRECONDITIONER
    next_look: int = 1  # products at which the preconditioner is made, or looked at again

    def precondition(self, maker: MeanGain | None) -> None:
        """Have the preconditioner made; anew, as products double, where it does not fit any more.

        The gains where a solve begins may be far from those at rest. A preconditioner of the solve
        before was made nearer to rest than this one is in its first steps. The few remaining
        samples do not stand for all, and adjoint solves of all will use it.
        """
        if maker is None or self.products < self.next_look or 2 * len(self.held) < self.samples:
            return
        if self.next_look == 1:
            self.preconditioner = maker.make(self.network, self.found.gain)
            self.next_look = LONG if self.preconditioner.is_kept else 2
            return
        self.next_look = 2 * self.products
        if maker.is_far(self.network, self.found.gain):
            self.preconditioner = NO_PRECONDITIONER  # memory for the new one
            self.preconditioner = maker.again(self.network, self.found.gain)

    def keep_best(self, tol: float) -> None:
        """Remember the present state where its residual is the least so far.

        A state that grows for ever at a constant speed makes its relative residual as small as
        one likes without coming to rest, and at last rounds its speed to 0; so where that is at
        most `tol`, the step and its rounding error count too.
        """
        residual = self.found.residual
        better, settled = residual < self.best_residual, residual <= tol  # NaN is neither
        if may_hold(settled):
            rounding = torch.finfo(self.state.dtype).eps * self.state.abs().amax(dim=(0, 2))
            step = torch.maximum(self.found.step.abs().amax(dim=(0, 2)), rounding)
            better &= ~settled | (step <= self.longest_step)
        if not may_hold(~better):  # as most often: nothing to choose, nothing to copy
            self.best_state, self.best_residual = self.state, residual
            return
        self.best_state = torch.where(better[:, None], self.state, self.best_state)
        self.best_residual = torch.where(better, residual, self.best_residual)

    def go_to(self, state: Tensor) -> None:
        """Move to states (k, b, N) and evaluate there."""
        self.state = state
        del self.found  # its memory is needed
        self.found = unit_step(self.network, state, self.drive)
        self.products += 1

    def keep(self, samples: Tensor) -> None:
        """Go on with some samples alone, given by indices."""
        self.found = self.found.select(samples)
        self.held, self.drive = self.held[samples], self.drive[samples]
        is_best = self.best_state is self.state
        self.state = self.state[:, samples]
        self.best_state = self.state if is_best else self.best_state[:, samples]
        self.best_residual = self.best_residual[samples]
        self.longest_step = self.longest_step[samples]


def new_batch(network: Network, state: Tensor, drive: Tensor, tol: float) -> Batch:
    """Return all samples at their first states (k, B, N), evaluated."""
    found = unit_step(network, state, drive)
    size = torch.maximum(state.abs(), found.step.abs()).amax(dim=(0, 2)).clamp(min=1.0)
    return Batch(
        network=network,
        held=torch.arange(len(drive), device=drive.device),
        drive=drive,
        state=state,
        found=found,
        best_state=state,
        best_residual=torch.full_like(found.residual, torch.inf),
        longest_step=tol**0.5 * size,
        samples=len(drive),
    )


def check_share(name: str, value: object, *, below: bool = False) -> None:
    """Refuse a setting that is not above 0 and at most 1, or below 1."""
    share = float(value) if isinstance(value, Real) else -1.0
    if not (0 < share < 1 or (share == 1 and not below)):
        end = "below 1" if below else "at most 1"
        raise InputError.at(name, got=value, expected=f"a number above 0 and {end}")


class AbstractSolver(ABC):
    """Base class of solvers, which take a batch of states to their fixed points.

    Attributes
    ----------
    max_iterations : int
        Most evaluations of the recurrent input per stimulus.

    Examples
    --------
    >>> import ratenet as rn
    >>> isinstance(rn.Anderson(), AbstractSolver), rn.Anderson().max_iterations
    (True, 300)
    """

    max_iterations: int

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of the solver in a summary."""

    @abstractmethod
    def solve(
        self, network: Network, state: Tensor, drive: Tensor, tol: float, max_iterations: int
    ) -> Reached:
        """Return the states reached from `state` (k, B, N) at drives (B, N).

        A sample counts as converged once its residual is at most `tol`; one that does not
        converge comes back at the state with the smallest residual that it had. `state` may be
        one that all samples share in memory: it is not to be written to.

        Parameters
        ----------
        network : Network
            Whose fixed points are sought.
        state : Tensor, shape (k, B, N)
            Where to start, SI units.
        drive : Tensor, shape (B, N)
            External input of each stimulus.
        tol : float
            Largest relative residual of a settled sample, dimensionless.
        max_iterations : int
            Most products with W per stimulus.

        Returns
        -------
        Reached
            States, iterations and which solver settled each sample.
        """


class AbstractIteration(AbstractSolver, Generic[Remembered]):
    """A solver that goes from state to state; a subclass says how to go on."""

    @abstractmethod
    def start(self, batch: Batch) -> Remembered:
        """Return an empty memory; may give the batch a preconditioner.

        Parameters
        ----------
        batch : Batch
            The samples that are being solved, b of B.
        """

    @abstractmethod
    def advance(self, batch: Batch, memory: Remembered, allowed: int) -> Tensor:
        """Return the next states (k, b, N); may change `memory`.

        Products with W that this takes are added to `batch.products`; `allowed` is their limit.

        Parameters
        ----------
        batch : Batch
            The samples that are still being solved, b of B.
        memory : object
            What `start` returned, and earlier steps changed.
        allowed : int
            Most products with W that the step may take.
        """

    def gives_up(self, batch: Batch, memory: Remembered) -> Tensor | None:
        """Return which samples (b,) will not converge any more; None if that is not looked at.

        Parameters
        ----------
        batch : Batch
            The samples that are still being solved, b of B.
        memory : object
            What `start` returned, and earlier steps changed.
        """
        return None

    def solve(
        self, network: Network, state: Tensor, drive: Tensor, tol: float, max_iterations: int
    ) -> Reached:
        """Iterate; samples leave the batch once they have converged, or are given up."""
        B, device = len(drive), drive.device
        solver = torch.full((B,), -1, device=device)
        iterations = torch.full((B,), -1, device=device)
        batch, reached = new_batch(network, state, drive, tol), None
        memory = self.start(batch)
        while True:
            batch.keep_best(tol)
            converged = batch.best_residual <= tol
            given_up = self.gives_up(batch, memory)
            done = converged if given_up is None else converged | given_up
            newly = done & (iterations[batch.held] < 0)
            iterations[batch.held] = iterations[batch.held].masked_fill(newly, batch.products)
            solver[batch.held] = solver[batch.held].masked_fill(newly & converged, 0)
            if batch.products >= max_iterations:
                break
            number = int(done.sum()) if asks(device, batch.products) else 0
            if number == len(done):
                break
            if number >= 0.25 * len(done):  # copying the rest pays off
                reached = torch.empty_like(batch.state) if reached is None else reached
                reached[:, batch.held[done]] = batch.best_state[:, done]
                others = torch.nonzero(~done)[:, 0]
                memory.keep(others)
                batch.keep(others)
            batch.go_to(self.advance(batch, memory, max_iterations - batch.products - 1))
        if reached is None:  # the caller keeps where it began
            reached = batch.best_state.clone() if batch.best_state is state else batch.best_state
        else:
            reached[:, batch.held] = batch.best_state
        iterations[iterations < 0] = max_iterations
        return Reached(reached, iterations, solver, (self.name,), batch.preconditioner)


@dataclass(frozen=True)
class Fallback(AbstractSolver):
    """Several solvers in turn: each takes the samples that the one before did not settle.

    Each starts from the initial state, since a solver may have left its basin of attraction.

    Parameters
    ----------
    solvers : sequence of AbstractSolver
        At least one, in the order in which they are tried.

    Examples
    --------
    >>> import ratenet as rn
    >>> solver = Fallback([rn.DampedIteration(max_iterations=50), rn.Relaxation()])
    >>> network = rn.Network("rate", [[0.5]])
    >>> rn.find_fixed_points(network, [1.0], solver=solver).converged
    tensor([True])
    """

    solvers: Sequence[AbstractSolver]

    def __post_init__(self) -> None:
        if not self.solvers:
            raise InputError.at("solvers", got=self.solvers, expected="at least one solver")

    @property
    def max_iterations(self) -> int:  # type: ignore[override]
        """The sum over the solvers."""
        return sum(solver.max_iterations for solver in self.solvers)

    @property
    def name(self) -> str:
        """The names of the solvers, in their order."""
        return ", then ".join(solver.name for solver in self.solvers)

    def solve(
        self, network: Network, state: Tensor, drive: Tensor, tol: float, max_iterations: int
    ) -> Reached:
        """Solve by the first solver, the remaining samples by the second, and so on."""
        names = tuple(solver.name for solver in self.solvers)
        first, *rest = self.solvers
        allowed = min(first.max_iterations, max_iterations)
        reached = first.solve(network, state, drive, tol, allowed)
        reached.solver.clamp_(max=0)  # were it a fallback itself
        for index, solver in enumerate(rest, start=1):
            max_iterations -= allowed
            allowed = min(solver.max_iterations, max_iterations)
            left = torch.nonzero(~reached.converged)[:, 0]
            if len(left) == 0 or allowed == 0:
                break
            part = solver.solve(network, state[:, left], drive[left], tol, allowed)
            reached.state[:, left] = part.state
            reached.iterations[left] += part.iterations
            reached.solver[left] = torch.where(part.converged, index, -1)
        return reached._replace(names=names)
