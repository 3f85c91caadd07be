"""LearningRun: a run in which rules learn from what a presentation shows, whatever they act in.

`NetworkRun` has one network between a read-in and a read-out, `StackRun` layers that are one
network; what both show, track, test and keep is the same.
"""

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ratenet.errors import DivergenceError
from ratenet.fixed_points import FixedPoints
from ratenet.network import Network
from ratenet.stimuli import STIMULI, AbstractStimulus
from ratenet.stimuli.images import filled, is_answerable
from ratenet.training.config import TrainingConfig
from ratenet.training.eligibility import Eligibility
from ratenet.training.evaluation import Evaluation, batches_of, evaluate_shown, nothing_answered
from ratenet.training.learning import Learned
from ratenet.training.moving_adjoint import Errors, MovingAdjoint
from ratenet.training.moving_weights import MovingWeights
from ratenet.training.presentation import EULER, AbstractPresentation, Slow, Static, UpdateTimes
from ratenet.training.run import Run
from ratenet.training.shown import (
    AbstractShown,
    Batch,
    Excerpt,
    excerpts_of_test,
    time_scale_of,
)
from ratenet.training.stability import Stability
from ratenet.training.step_length import LINE_SEARCH


@dataclass(frozen=True, eq=False)
class Seen:
    """What a run has before it when its rules act.

    Attributes
    ----------
    pixels, labels : Tensor
        What is shown to the streams of this process.
    outputs : Tensor, shape (B, K)
    parts : dict of str to FixedPoints
        The rates of each of the run's `parts`, judged as they are learned from.
    settled, used : Tensor of bool, shape (B,)
        Which samples have settled as a whole, and which are learned from if they have a class.
    residual, iterations : Tensor, shape (B,)
    updates : int
        How often the rules act in this presentation.
    is_last : bool
        Whether it is the last time.
    """

    pixels: Tensor
    labels: Tensor
    outputs: Tensor
    parts: Mapping[str, FixedPoints]
    settled: Tensor
    used: Tensor
    residual: Tensor
    iterations: Tensor
    updates: int = 1
    is_last: bool = True


@dataclass(kw_only=True)
class LearningRun(Run):
    """A run in which rules learn from batches.

    Attributes
    ----------
    presentation : AbstractPresentation
        Whether all units move while images change, or are solved for at rest.
    stimulus : AbstractStimulus or None
        None: images are held, or stay as they are.
    stability : dict of str to Stability
        Stability of each part, by its name.
    eligibility : Eligibility
    moving : MovingWeights or None
        None: the weights stay as they are between updates.
    """

    presentation: AbstractPresentation
    stimulus: AbstractStimulus | None
    stability: dict[str, Stability]
    eligibility: Eligibility
    moving: MovingWeights | None = None

    @property
    @abstractmethod
    def network(self) -> Network:
        """All that moves, as one network."""

    @property
    @abstractmethod
    def parts(self) -> Mapping[str, Network]:
        """What has modes of its own: the layers by their names, or the network by an empty one."""

    @property
    @abstractmethod
    def learning_parts(self) -> tuple[str, ...]:
        """The names of those whose recurrent weights a barrier may correct."""

    @abstractmethod
    def present(self) -> Iterator[Seen]:
        """Show this step's images; give what there is to learn from each time that rules act."""

    @abstractmethod
    def learn(self, seen: Seen, samples: Tensor) -> Learned:
        """Return what the samples of all processes change; what each tells is in `samples`."""

    @abstractmethod
    def see_again(self, seen: Seen) -> Seen:
        """Return the same images at solved fixed points of the present weights."""

    @abstractmethod
    def exact(self, seen: Seen, samples: Tensor) -> Learned:
        """Return what `learn` would if all rules were the exact gradient."""

    @abstractmethod
    def answer(self, rates: Tensor) -> Tensor:
        """Return the outputs (B, K) for rates of `network`."""

    @abstractmethod
    def error(self, rates: Tensor, labels: Tensor) -> Tensor:
        """Return dL_b/dy_b for rates of `network`, (B, N), not divided by B."""

    @abstractmethod
    def unsettled_where(self, seen: Seen) -> tuple[str, str]:
        """Return where samples did not settle, as a part of a sentence, and details, if any."""

    def shown(self) -> AbstractShown:
        """Return what this step shows to the streams of this process."""
        if self.stimulus is None:
            return Batch(*self.batch())
        duration = self.config.hold + self.config.fade
        streams = self.workers.share(self.config.batch_size)
        return Excerpt(self.stimulus, self.progress.step * duration, duration, streams)

    def errors(self, images: AbstractShown) -> Errors:
        """Return the error of what is shown, at a time and rates; 0 where it has no class."""

        def error(t: float, rates: Tensor) -> Tensor:
            labels = images.labels_at(t)
            found = self.error(rates, filled(labels))
            return found.masked_fill(~is_answerable(labels)[:, None], 0.0)

        return error

    def test_slowly(self) -> Evaluation | None:
        """Return the answers at the end of each hold, or fade, while images do what they did.

        None for a static run, and where the stimulus has images of its own or no classes. Where
        the dynamics diverge, no image has an answer.
        """
        if self.config.presentation == "static":
            return None
        config, images = self.config, self.images.test
        shown: Iterator[AbstractShown] | None = batches_of(images, config.batch_size)
        if self.stimulus is not None:
            shown = excerpts_of_test(config, images)
        if shown is None:
            return None
        try:
            found = evaluate_shown(
                self.network,
                self.learner,
                self.answer,
                shown,
                new_presentation(config, update_at=(1.0,)),
                outputs=self.images.outputs,
                loss=self.loss,
                unsettled=config.unsettled,
            )
            return None if self.stimulus is not None and math.isnan(found.score) else found
        except DivergenceError:  # the streams are lost, so no image has an answer
            return nothing_answered(images, self.images.outputs)

    def held_modes(self) -> dict[str, Any]:
        """Return what a barrier did, for the summary."""
        if self.config.barrier is None:
            return {}
        return {
            "barrier": self.config.barrier,
            "abscissa_limit": self.progress.abscissa_limit,
            "corrected_steps": self.progress.corrected,
            "refused_steps": self.progress.refused,
        }

    def searched(self) -> dict[str, Any]:
        """Return what line searches did, for the summary."""
        if self.config.step != LINE_SEARCH:
            return {}
        return {"trials": self.progress.trials, "steps_not_taken": self.progress.not_taken}

    def speed(self) -> dict[str, Any]:
        """Return what moved in a slow presentation, and how fast: tau / T, tau the longest."""
        config = self.config
        if config.presentation == "static":
            return {}
        T = config.hold + config.fade if self.stimulus is None else time_scale_of(self.stimulus)
        return {
            "stimulus": STIMULI.written(config.stimulus),
            "speed": self.network.longest_time_constant() / T,
            "unlabelled_samples": self.progress.unlabelled,
            **({"uncorrected_samples": self.progress.uncorrected} if config.correct_lag else {}),
        }

    def extra_state_dict(self) -> dict[str, Tensor]:
        """Return tracked modes, running averages, and the streams' states."""
        tracked = [each.state_dict() for each in self.stability.values()]
        return {
            **{name: tensor for part in tracked for name, tensor in part.items()},
            **self.eligibility.state_dict(),
            **self.presentation.state_dict(),
        }

    def load_extra_state_dict(self, state: dict[str, Tensor]) -> None:
        """Load what `extra_state_dict` gave; other tensors may be among it."""
        for each in self.stability.values():
            each.load_state_dict(state)
        self.eligibility.load_state_dict(state)
        self.presentation.load_state_dict(state)

    def stream_names(self) -> tuple[str, ...]:
        """Return what a slow presentation carries over."""
        return self.presentation.stream_names


def new_presentation(
    config: TrainingConfig,
    update_at: UpdateTimes | None = None,
    moving: MovingWeights | None = None,
    adjoint: MovingAdjoint | None = None,
) -> AbstractPresentation:
    """Return the presentation of a resolved configuration, or one with other times of updates.

    Weights stay as they are unless something moves them, and adjoints are solved for.
    """
    if config.presentation == "static":
        return Static()
    return Slow(
        config.hold,
        config.fade,
        update_at or config.update_at,
        corrects_lag=config.correct_lag,
        backend=config.backend,
        method=config.method or EULER,
        dt=config.dt,
        rtol=config.rtol,
        moving=moving,
        adjoint=adjoint,
    )


def adjoint_of_run(config: TrainingConfig) -> MovingAdjoint | None:
    """Return the adjoint that moves, if the configuration asks for one."""
    return None if config.adjoint_tau is None else MovingAdjoint(config.adjoint_tau)
