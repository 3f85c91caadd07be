"""Stability along training: the slowest mode is tracked, and held by a barrier where asked for.

After each step the rightmost eigenvalue of the Jacobian at the batch's mean gains is found anew,
and that of W. A barrier looks at the Jacobian where each unit has the largest gain that it took in
the batch: saturated units make the mean gains small, so that these look stable while stimuli that
leave the network excitable have almost lost their fixed point. Where that rightmost eigenvalue
passes the limit, the smallest change of the weights that takes it back, to first order,

    dW = -(Re l - limit) grad / |grad|^2,        grad = d Re l / dW

is added, several times if need be: another eigenvalue may come to the front. Where that does not
help, the step of W is refused: read-in, read-out and the optimizer's memory go on.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ratenet.errors import UnsupportedError
from ratenet.fixed_points import FixedPoints
from ratenet.fixed_points.mode_tracking import (
    BatchJacobians,
    abscissa_gradient,
    batch_jacobians,
    left_eigenpair,
    own_decay,
    rightmost_of_jacobian,
)
from ratenet.linear_algebra import RightmostTracker
from ratenet.network import JacobianBlocks, Network
from ratenet.training.workers import Workers

MAX_CORRECTIONS = 60
Weights = dict[str, Tensor]  # of a connectivity, by name
BEYOND = 0.05  # of the limit: a correction goes this much further
# Of the trackers, by their names in a checkpoint: what is only looked at need not be as exact.
TOLERANCES = {
    "tracked_mean": 1e-2,
    "tracked_weights": 1e-2,
    "tracked_excitable": 3e-3,
    "tracked_transpose": 3e-3,
}


@dataclass(frozen=True)
class Tracked:
    """What was found after a step.

    Attributes
    ----------
    abscissa_mean_gain : float
        Largest real part of the eigenvalues of the Jacobian at mean gains, 1/s.
    weight_abscissa : float
        The same of W.
    held : Held or None
        What a barrier did.
    """

    abscissa_mean_gain: float
    weight_abscissa: float
    held: "Held | None"


@dataclass(frozen=True)
class Held:
    """What a barrier found and did in a step.

    Attributes
    ----------
    abscissa : float
        Largest real part of the eigenvalues of the Jacobian at the largest gains, 1/s; after the
        corrections.
    limit : float
        What it is held below.
    corrections : int
        Number of corrections of the weights.
    refused : bool
        Whether the weights went back to where they were before the step.
    """

    abscissa: float
    limit: float
    corrections: int
    refused: bool


def shared_jacobians(fp: FixedPoints, workers: Workers) -> BatchJacobians:
    """Return the Jacobians that stand for the batch of all processes."""
    if workers.size == 1:
        return batch_jacobians(fp)
    settled = fp.converged
    number = settled.sum().to(fp.rates)
    if bool(settled.any()):
        mine = batch_jacobians(fp)
    else:  # of no weight; the shapes must be those of the other processes
        rest = torch.zeros_like(fp.state[:, :1])
        blocks = fp.network.jacobian_blocks(rest, torch.zeros_like(fp.drive[:1]))
        mine = BatchJacobians(blocks, blocks)
    largest = fp.gain.masked_fill(~settled[:, None], -math.inf).amax(dim=0)  # (N,)
    most, units = workers.rows(largest[None]).argmax(dim=0), torch.arange(fp.rates.shape[1])
    total = workers.total(number)
    mean = [workers.total(number * block.nan_to_num()) / total for block in mine.mean]
    excitable = [
        workers.rows(block[None])[most, ..., units].movedim(0, -1) for block in mine.excitable
    ]
    return BatchJacobians(JacobianBlocks(*mean), JacobianBlocks(*excitable))


class Stability:
    """Tracks the slowest mode of a network that learns, and holds it.

    Parameters
    ----------
    barrier : float or None
        Smallest rate of decay, as a share of the slowest unit's own; None: only track.
    part : str
        Name of the network among those of a run; empty for the only one.
    """

    def __init__(self, barrier: float | None, part: str = "") -> None:
        self.barrier = barrier
        self._start = f"{part}/" if part else ""  # of the names in a checkpoint
        self._trackers = {name: RightmostTracker(tol=tol) for name, tol in TOLERANCES.items()}

    @torch.no_grad()
    def after_step(
        self, network: Network, jacobians: BatchJacobians, before: Weights | None
    ) -> Tracked:
        """Hold the slowest mode where there is a barrier, and find the tracked ones.

        Parameters
        ----------
        network : Network
            After the step.
        jacobians : BatchJacobians
            Jacobians of the batch that the step was learned from.
        before : dict of str to Tensor, or None
            The weights before the step, to which they go back if it is refused.
        """
        held = None if before is None else self._hold(network, jacobians.excitable, before)
        W = network.connectivity
        mean = rightmost_of_jacobian(self._trackers["tracked_mean"], network, jacobians.mean)
        weights = self._trackers["tracked_weights"].track(W.apply, jacobians.mean.F_I[0, 0])
        return Tracked(mean.value.real, weights.value.real, held)

    def limit(self, blocks: JacobianBlocks) -> float:
        """Return the largest abscissa that the barrier allows, in 1/s; infinite without one.

        Raises
        ------
        UnsupportedError
            If a unit does not decay by itself.
        """
        if self.barrier is None:
            return math.inf
        own = own_decay(blocks)
        if not own > 0:
            raise UnsupportedError(
                "barrier: a unit of this model does not decay by itself, so no margin can be "
                "given as a share of its rate of decay; leave the option out."
            )
        return -self.barrier * own

    def _hold(self, network: Network, blocks: JacobianBlocks, before: Weights) -> Held:
        """Correct the weights until the rightmost eigenvalue is below the limit, or give up."""
        limit, tracker = self.limit(blocks), self._trackers["tracked_excitable"]
        corrections, pair = 0, rightmost_of_jacobian(tracker, network, blocks)
        while pair.value.real > limit and corrections < MAX_CORRECTIONS:
            left = left_eigenpair(self._trackers["tracked_transpose"], network, blocks, pair.value)
            gradient = abscissa_gradient(network, blocks, pair, left)
            excess = pair.value.real - limit * (1 + BEYOND)
            named = network.connectivity.named(gradient)
            factor = -excess / sum(part.square().sum() for part in named.values())
            network.connectivity.add_(
                {name: (factor * part).nan_to_num(0.0, 0.0, 0.0) for name, part in named.items()}
            )
            corrections += 1
            pair = rightmost_of_jacobian(tracker, network, blocks)
        refused = not pair.value.real <= limit  # NaN is refused
        if refused:
            for name, parameter in network.connectivity.parameters.items():
                parameter.copy_(before[name])
            pair = rightmost_of_jacobian(tracker, network, blocks)
        return Held(pair.value.real, limit, corrections, refused)

    def state_dict(self) -> dict[str, Tensor]:
        """Return what a resumed run must know to find the same numbers, as tensors."""
        kept = ((name, tracker.basis) for name, tracker in self._trackers.items())
        return {f"{self._start}{name}": basis for name, basis in kept if basis is not None}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Load what `state_dict` gave; other tensors may be among it."""
        for name, tracker in self._trackers.items():
            kept = state.get(f"{self._start}{name}")
            # A product rounds by how its operands lie in memory: as freshly made ones do.
            tracker.basis = None if kept is None else kept.clone()
