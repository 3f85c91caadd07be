"""The default solver: Anderson acceleration, and the dynamics themselves where it fails."""

from dataclasses import dataclass, field, replace

from torch import Tensor

from ratenet.fixed_points.solvers.anderson import Anderson
from ratenet.fixed_points.solvers.base import AbstractSolver, Fallback, Reached
from ratenet.fixed_points.solvers.in_turn import solve_in_turn
from ratenet.fixed_points.solvers.mean_gain import MeanGain
from ratenet.fixed_points.solvers.relaxation import Relaxation
from ratenet.network import Network


@dataclass(frozen=True)
class Automatic(AbstractSolver):
    """Anderson acceleration with the mean-gain preconditioner, then relaxation.

    Up to N = `preconditioner.max_units` the steps are preconditioned. Stimuli that do not settle,
    or settle at an unstable fixed point, are followed along the dynamics from their start.
    `FixedPoints.solver` tells which solver settled each stimulus. Components that settle one after
    another (`Network.components`), as the layers of a stack, are solved in that order.

    Parameters
    ----------
    preconditioner : MeanGain
        Pass one object with `stale_after` above 0 to several solves to reuse its inverse.
    max_iterations : int
        Most evaluations of the recurrent input per stimulus, of both solvers together.

    Examples
    --------
    >>> import ratenet as rn
    >>> solver = Automatic(preconditioner=rn.MeanGain(stale_after=10))  # for a training loop
    >>> fp = rn.find_fixed_points(rn.Network("rate", [[0.5]]), [1.0], solver=solver)
    >>> fp.converged
    tensor([True])
    """

    preconditioner: MeanGain = field(default_factory=MeanGain)
    max_iterations: int = 10_150

    @property
    def name(self) -> str:
        """Name of the solver in a summary."""
        return "automatic"

    def solve(
        self, network: Network, state: Tensor, drive: Tensor, tol: float, max_iterations: int
    ) -> Reached:
        """Solve by Anderson acceleration, the remaining samples by relaxation."""
        if network.components:
            # One object keeps one inverse, and no result is to depend on the one before.
            units = self.preconditioner.max_units
            return solve_in_turn(
                lambda: replace(self, preconditioner=MeanGain(units)),
                network, state, drive, tol, max_iterations,
            )  # fmt: skip
        if network.units <= self.preconditioner.max_units:
            first = Anderson(3, preconditioner=self.preconditioner, max_iterations=150)
        else:
            first = Anderson(3, max_iterations=150)
        chain = Fallback((first, Relaxation()))
        return chain.solve(network, state, drive, tol, max_iterations)
