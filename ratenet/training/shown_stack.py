"""How images reach a stack: at its fixed points, or while all its layers move at once.

Under a slow presentation the stack is the network `Stack.network`, and each time that the rules are
to act its state is measured as a whole: a sample is settled if all layers are.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ratenet.errors import DivergenceError
from ratenet.fixed_points import FixedPoints
from ratenet.layers.stack import Stack
from ratenet.stimuli import STIMULI, AbstractStimulus, ImageSet
from ratenet.training.config import TrainingConfig
from ratenet.training.evaluation import (
    Answers,
    Evaluation,
    batches_of,
    count_answers,
    nothing_answered,
)
from ratenet.training.losses import Loss
from ratenet.training.network_run import new_presentation
from ratenet.training.options import TrainingOptions
from ratenet.training.presentation import AbstractPresentation
from ratenet.training.run import Progress
from ratenet.training.shown import AbstractShown, excerpts_of_test, time_scale_of


@dataclass(frozen=True, eq=False)
class Moment:
    """What a stack is shown when its rules act.

    Attributes
    ----------
    pixels, labels : Tensor
    states : FixedPoints or None
        Those of its network; None: it is to solve for its fixed points.
    is_last : bool
        Whether it is the last one of a presentation.
    """

    pixels: Tensor
    labels: Tensor
    states: FixedPoints | None = None
    is_last: bool = True

    def outputs(self, stack: Stack) -> Tensor:
        """Return the stack's outputs (B, K), to be learned from."""
        with nullcontext() if self.states is None else stack.given(self.states):
            found: Tensor = stack(self.pixels)
        return found


def moments(
    stack: Stack, shown: AbstractShown, presentation: AbstractPresentation
) -> Iterator[Moment]:
    """Give the moments of a slow presentation at which the rules act, and may change weights."""
    network = stack.network()
    times = presentation.update_times(network)
    for number, states in enumerate(presentation.present(network, shown.drive(stack)), start=1):
        t = times[number - 1]
        yield Moment(shown.at(t), shown.labels_at(t), states, is_last=number == len(times))


@torch.no_grad()
def evaluate_moving(
    config: TrainingConfig,
    images: ImageSet,
    stack: Stack,
    stimulus: AbstractStimulus | None,
    loss: Loss,
) -> Evaluation | None:
    """Return the answers to test images at the ends of presentations; None for other stimuli."""
    shown: Iterator[AbstractShown] | None = batches_of(images.test, config.batch_size)
    if stimulus is not None:
        shown = excerpts_of_test(config, images.test)
    if shown is None:
        return None
    network, presentation = stack.network(), new_presentation(config, update_at=(1.0,))
    (*_, end) = presentation.update_times(network)

    def answers(shown: Iterator[AbstractShown]) -> Iterator[Answers]:
        for each in shown:
            fp = presentation.show(network, each.drive(stack))
            is_all = config.unsettled == "include"
            answered = torch.isfinite(fp.residual) if is_all else fp.converged
            yield Answers(stack.outputs(fp.rates), answered, fp.unsettled, each.labels_at(end))

    try:
        return count_answers(answers(shown), outputs=images.outputs, loss=loss)
    except DivergenceError:  # the streams are lost
        return nothing_answered(images.test, images.outputs)


def speed_of(
    config: TrainingOptions, stimulus: AbstractStimulus | None, stack: Stack, progress: Progress
) -> dict[str, Any]:
    """Return what moved in a slow presentation, and how fast: tau / T, tau the longest."""
    if config.presentation == "static":
        return {}
    assert config.hold is not None and config.fade is not None, "resolved"
    T = config.hold + config.fade if stimulus is None else time_scale_of(stimulus)
    return {
        "stimulus": STIMULI.written(config.stimulus),
        "speed": stack.network().longest_time_constant() / T,
        "unlabelled_samples": progress.unlabelled,
    }
