"""Newton-Krylov: Newton's step of the whole network, each by matrix-free GMRES."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ratenet.fixed_points.solvers.base import AbstractIteration, Batch, Memory, check_share
from ratenet.fixed_points.solvers.mean_gain import MeanGain, check_preconditioner
from ratenet.fixed_points.solvers.newton import newton_step


@dataclass
class Steps(Memory):
    """The step from each sample's best state, and how much of it is taken."""

    length: Tensor  # (b,): share of the step
    step: Tensor  # (b, k, N)


@dataclass(frozen=True)
class NewtonKrylov(AbstractIteration[Steps]):
    """Inexact Newton iteration.

    (I - g W) delta y = rho_s d is solved by GMRES to a tenth, and the state moved by the step
    that follows. A sample whose residual grows goes back to its best state and halves its steps;
    they double again with each improvement. It may find unstable fixed points.

    Parameters
    ----------
    forcing : float
        Relative residual to which GMRES solves each Newton step; above 0, below 1.
    preconditioner : MeanGain, optional
        Preconditioner of GMRES; default none.
    max_iterations : int
        Most evaluations of the recurrent input per stimulus, including those in GMRES.

    References
    ----------
    Knoll and Keyes 2004, J. Comput. Phys. 193:357.

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("rate", [[0.9]])
    >>> rn.find_fixed_points(network, [0.1], solver=NewtonKrylov()).converged
    tensor([True])
    """

    forcing: float = 0.1
    preconditioner: MeanGain | None = None
    max_iterations: int = 1000

    def __post_init__(self) -> None:
        check_share("forcing", self.forcing, below=True)
        check_preconditioner(self.preconditioner)

    @property
    def name(self) -> str:
        """Name of the solver in a summary."""
        return "Newton-Krylov"

    def start(self, batch: Batch) -> Steps:
        """Start with whole steps."""
        batch.precondition(self.preconditioner)
        length = batch.drive.new_ones(len(batch.drive))
        return Steps(length, torch.zeros_like(batch.state).transpose(0, 1))

    def advance(self, batch: Batch, memory: Steps, allowed: int) -> Tensor:
        """Step from the present state, or a shorter way from the best one."""
        batch.precondition(self.preconditioner)
        worse = ~(batch.found.residual <= batch.best_residual)  # NaN is worse
        length = memory.length
        memory.length = torch.where(worse, 0.5 * length, (2 * length).clamp(max=1.0))
        step = memory.step.transpose(0, 1)  # of the best state
        if not worse.all() and allowed > 0:
            Q = batch.preconditioner.matrix
            newton = newton_step(batch.network, batch.found, self.forcing, allowed, Q)
            batch.products += newton.products
            step = torch.where(worse[:, None], step, newton.step)
        memory.step = step.transpose(0, 1)
        return batch.best_state + memory.length[:, None] * step
