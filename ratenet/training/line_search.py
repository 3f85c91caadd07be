"""Line search: a step is shortened until the batch's loss at solved fixed points has fallen."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ratenet.errors import STOPPED_BY_SCIENCE
from ratenet.stimuli.images import filled, is_answerable
from ratenet.training.learning_run import LearningRun, Seen
from ratenet.training.optimizers import Changes

SUFFICIENT = 1e-4  # share of the fall that the slope predicts (Armijo)
MOST_TRIALS = 20


def backtrack(loss_after: Callable[[float], float], loss: float, slope: float) -> tuple[float, int]:
    """Return the first of the shares 1, 1/2, 1/4 ... of a step that lowers a loss enough.

    Parameters
    ----------
    loss_after : callable
        Loss after a share of the step; NaN or infinite where there is none.
    loss : float
        Before the step.
    slope : float
        Derivative of the loss with respect to the share, at 0.

    Returns
    -------
    share : float
        0 if none of `MOST_TRIALS` did, or the step does not descend.
    trials : int
        How many were tried.

    Notes
    -----
    Enough is a fall of at least 1e-4 of what the slope predicts: L. Armijo 1966, Pacific J. Math.
    16:1.

    Examples
    --------
    >>> backtrack(lambda share: (1 - 3 * share) ** 2, loss=1.0, slope=-6.0)
    (0.5, 2)
    """
    if not slope < 0:
        return 0.0, 0
    for trial in range(MOST_TRIALS):
        share = 0.5**trial
        if loss_after(share) <= loss + SUFFICIENT * share * slope:
            return share, trial + 1
    return 0.0, MOST_TRIALS


@torch.no_grad()
def shortened(run: LearningRun, seen: Seen, samples: Tensor, changes: Changes) -> Changes:
    """Return the share of the changes after which the batch's loss has fallen; else none of it.

    A share after which a sample that was learned from has no fixed point any more is too long.
    """
    step, parameters = run.progress.step, run.optimizer.parameters
    before = {name: tensor.detach().clone() for name, tensor in parameters.items()}
    counted = seen.used & is_answerable(seen.labels)

    def loss_of(shown: Seen) -> float:
        if not bool(shown.used[counted].all()):
            return math.inf
        return float(run.loss(shown.outputs.detach(), filled(shown.labels))[counted].mean())

    def loss_after(share: float) -> float:
        try:
            run.optimizer.apply(_scaled(changes, share), step)
            return loss_of(run.see_again(seen))
        except STOPPED_BY_SCIENCE:
            return math.inf
        finally:
            for name, tensor in parameters.items():
                tensor.copy_(before[name])

    slope = _slope(run, seen, samples, changes)
    share, trials = backtrack(loss_after, loss_of(seen), slope)
    run.progress.trials += trials
    run.progress.not_taken += share == 0
    return _scaled(changes, share)


def _slope(run: LearningRun, seen: Seen, samples: Tensor, changes: Changes) -> float:
    """Return the derivative of the batch's loss along the changes."""
    exact, rate = run.exact(seen, samples).changes, run.optimizer.rule_rate(run.progress.step)
    return -sum(
        run.optimizer.factors.get(name, 1.0) * float((exact[name] * change).sum()) / rate
        for name, change in changes.items()
    )


def _scaled(changes: Changes, share: float) -> Changes:
    return {name: share * change for name, change in changes.items()}
