"""The default solver: a fixed rule, and the dynamics themselves for what it leaves."""

from dataclasses import dataclass, field

from torch import Tensor

from ratenet.fixed_points.solvers.anderson import Anderson
from ratenet.fixed_points.solvers.base import AbstractSolver, Fallback, Reached
from ratenet.fixed_points.solvers.mean_gain import MeanGain
from ratenet.fixed_points.solvers.relaxation import Relaxation
from ratenet.network import Network


@dataclass(frozen=True)
class Automatic(AbstractSolver):
    """Anderson acceleration with the mean-gain preconditioner, then relaxation.

    Up to N = `preconditioner.max_units` the steps are preconditioned; above that they begin
    undamped and without it. Either way they are accelerated where they converge slowly. What
    does not settle, or settles where the dynamics would not stay, is followed along the dynamics
    from its start. `FixedPoints.solver` tells which one settled each sample.

    Parameters
    ----------
    preconditioner : MeanGain
        Give one object to several solves, with `stale_after` above 0, to keep its inverse.
    max_iterations : int
    """

    preconditioner: MeanGain = field(default_factory=MeanGain)
    max_iterations: int = 10_150

    @property
    def name(self) -> str:
        """What the solver is called in a summary."""
        return "automatic"

    def solve(
        self, network: Network, state: Tensor, drive: Tensor, tol: float, max_iterations: int
    ) -> Reached:
        """Solve by Anderson acceleration, the rest by relaxation."""
        if network.units <= self.preconditioner.max_units:
            first = Anderson(3, preconditioner=self.preconditioner, max_iterations=150)
        else:
            first = Anderson(3, max_iterations=150)
        chain = Fallback((first, Relaxation()))
        return chain.solve(network, state, drive, tol, max_iterations)
