"""NetworkRun: a run in which one recurrent network learns, from slow or static images."""

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from ratenet.equations import ModelSpec
from ratenet.errors import STOPPED_BY_SCIENCE, DivergenceError, UnsupportedError
from ratenet.fixed_points.mode_tracking import batch_jacobians
from ratenet.linear_algebra import all_eigenvalues, require_memory
from ratenet.plasticity import RULES, Frozen
from ratenet.stimuli import STIMULI, Images
from ratenet.stimuli.images import is_answerable
from ratenet.training.classifier import Classifier, random_classifier
from ratenet.training.config import TrainingConfig
from ratenet.training.config_checks import DTYPES, resolved
from ratenet.training.eligibility import Eligibility
from ratenet.training.evaluation import (
    Evaluation,
    batches_of,
    evaluate_classifier,
    evaluate_shown,
    nothing_answered,
)
from ratenet.training.fitted_read_out import fitted_read_out
from ratenet.training.learning import learn_from, learned_parameters, teaches
from ratenet.training.losses import check_loss, loss_for
from ratenet.training.moving_weights import MovingWeights
from ratenet.training.optimizers import new_optimizer
from ratenet.training.pictures import draw_network_run
from ratenet.training.plasticity_options import is_unsupervised
from ratenet.training.presentation import AbstractPresentation, Slow, Static, UpdateTimes
from ratenet.training.run import images_of
from ratenet.training.run_folder import RunFolder
from ratenet.training.shown import (
    AbstractShown,
    check_teaches,
    excerpts_of_test,
    stimulus_of,
    time_scale_of,
)
from ratenet.training.stability import Stability
from ratenet.training.step import LearningRun, take_step
from ratenet.training.workers import Workers


@dataclass(kw_only=True)
class NetworkRun(LearningRun):
    """A run of a `Classifier`."""

    @property
    def learner(self) -> Classifier:
        """The classifier."""
        return self.classifier

    @property
    def parameters(self) -> dict[str, Tensor]:
        """Recurrent weights, read-in and read-out."""
        return self.classifier.parameters

    def rehearse(self) -> None:
        """Let rule and barrier refuse the network before anything is written."""
        self._check_labels()
        few = self.images.train[:8]
        with suppress(*STOPPED_BY_SCIENCE):  # the run itself will report these
            fp = Static().show(self.classifier.network, self.classifier.drive(few.pixels))
            check_loss(self.classifier.loss, self.classifier.logits(fp.rates), few.labels)
            self.stability.limit(batch_jacobians(fp).excitable)
            if self.moving is not None:
                shown = self.shown()
                self.moving.check(self.classifier.network, len(shown.at(0.0)), self.signals(shown))
            learn_from(
                self.classifier, self.rule, fp, few.pixels, few.labels,
                learn=self.config.learn, rate=self.config.learning_rate,
            )  # fmt: skip

    def _check_labels(self) -> None:
        """Refuse a stimulus that shows nothing from which the rule can learn."""
        if self.stimulus is not None:
            times, shown = self.presentation.update_times(self.classifier.network), self.shown()
            teaching = partial(teaches, self.rule) if not self.signals(shown) else is_answerable
            taught = (teaching(shown.labels_at(t)) for t in times)
            other = "another update_at, or a rule without an error, such as oja"
            check_teaches(self.config, taught, f"another stimulus, {other}")

    def take_step(self) -> dict[str, Any]:
        """Show one batch and learn from it; at the end of an epoch fit what is fitted."""
        row = take_step(self)
        if (self.progress.step + 1) % self.steps_per_epoch == 0:
            self.fit()
        return row

    def fit(self) -> None:
        """Fit the read-out to the rates, where no error or reward reaches the weights."""
        if is_unsupervised(self.config):
            self.classifier.read_out.copy_(fitted_read_out(self.classifier, self.images.train))

    def evaluate(self, images: Images) -> Evaluation:
        """Return the answers to images at solved fixed points."""
        return evaluate_classifier(self.classifier, images, Static())

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
        presentation = new_presentation(config, update_at=(1.0,))
        try:
            found = evaluate_shown(self.classifier, shown, presentation, unsettled=config.unsettled)
            return None if self.stimulus is not None and math.isnan(found.score) else found
        except DivergenceError:  # the streams are lost, so no image has an answer
            return nothing_answered(self.images.test, self.images.outputs)

    def findings(self) -> dict[str, Any]:
        """Return the barrier's doings and the spectrum of W."""
        W = self.classifier.network.connectivity.dense().cpu()
        eigenvalues = all_eigenvalues(W.double()).real
        found: dict[str, Any] = {
            "weight_abscissa": float(eigenvalues.max()),
            "weight_eigenvalue_min": float(eigenvalues.min()),
            "weight_norm": float(torch.linalg.matrix_norm(W.double(), 2)),
            **self._speed(),
        }
        if is_unsupervised(self.config):
            found["read_out"] = "fitted"
        if self.config.barrier is not None:
            found |= {
                "barrier": self.config.barrier,
                "abscissa_limit": self.progress.abscissa_limit,
                "corrected_steps": self.progress.corrected,
                "refused_steps": self.progress.refused,
            }
        return found

    def _speed(self) -> dict[str, Any]:
        """Return what moved in a slow presentation, and how fast: tau / T."""
        config = self.config
        if config.presentation == "static":
            return {}
        T = config.hold + config.fade if self.stimulus is None else time_scale_of(self.stimulus)
        return {
            "stimulus": STIMULI.written(config.stimulus),
            "speed": self.classifier.network.longest_time_constant() / T,
            "unlabelled_samples": self.progress.unlabelled,
        }

    def tables(self) -> dict[str, Any]:
        """Return the model's table, and the facts of the data."""
        model = self.classifier.network.model.to_table()
        return {"model": model, "data": self.data.table()}

    def draw(self, metrics: pd.DataFrame, summary: dict[str, Any]) -> None:
        """Write the learning curve, and digits through time."""
        draw_network_run(self, self.classifier, metrics, summary)

    def extra_state_dict(self) -> dict[str, Tensor]:
        """Return tracked modes, running averages, and the streams' states."""
        return {
            **self.stability.state_dict(),
            **self.eligibility.state_dict(),
            **self.presentation.state_dict(),
        }

    def load_extra_state_dict(self, state: dict[str, Tensor]) -> None:
        """Load what `extra_state_dict` gave; other tensors may be among it."""
        self.stability.load_state_dict(state)
        self.eligibility.load_state_dict(state)
        self.presentation.load_state_dict(state)

    def stream_names(self) -> tuple[str, ...]:
        """Return what a slow presentation carries over."""
        return self.presentation.stream_names


def new_presentation(
    config: TrainingConfig,
    update_at: UpdateTimes | None = None,
    moving: MovingWeights | None = None,
) -> AbstractPresentation:
    """Return the presentation of a resolved configuration, or one with other times of updates.

    Weights stay as they are unless something moves them.
    """
    if config.presentation == "static":
        return Static()
    return Slow(
        config.hold,
        config.fade,
        update_at or config.update_at,
        corrects_lag=config.correct_lag,
        backend=config.backend,
        moving=moving,
    )


def new_network_run(
    config: TrainingConfig, model: str | ModelSpec, folder: RunFolder, workers: Workers
) -> NetworkRun:
    """Return a run at its beginning: images loaded, random weights drawn; nothing is written.

    Raises
    ------
    InputError, UnknownNameError, DataError
        If the configuration cannot be used.
    """
    entry = DTYPES[config.dtype].itemsize
    what = f"units: weights and gradients of {config.units:,} units"
    require_memory(3 * entry * config.units**2, what, "choose fewer", device=config.device)
    images, data = images_of(config, workers)
    classifier = random_classifier(
        model,
        units=config.units,
        inputs=images.train.pixels.shape[1],
        classes=images.outputs,
        tau=config.tau,
        seed=config.seed,
        device=torch.device(config.device),
        dtype=DTYPES[config.dtype],
        loss=loss_for(config.loss, images.train.has_classes),
    )
    config, rule = resolved(config, classifier.network), RULES.read(config.rule)
    stimulus = stimulus_of(config, images.train)
    learned = learned_parameters(classifier, config.learn)
    if isinstance(rule, Frozen):  # out of the optimizer's reach, and of its weight decay
        learned = {name: learned[name] for name in config.learn}
    moving = None if config.plasticity is None else MovingWeights(config.plasticity)
    if moving is not None and workers.size > 1:
        raise UnsupportedError(
            "plasticity: weights that move in time are simulated in one process; start ratenet "
            "train without torchrun.",
            argument="plasticity",
        )
    steps = config.epochs * (len(images.train) // config.batch_size)
    return NetworkRun(
        config=config,
        classifier=classifier,
        rule=rule,
        images=images,
        data=data,
        loss=classifier.loss,
        folder=folder,
        presentation=new_presentation(config, moving=moving),
        moving=moving,
        stimulus=stimulus,
        optimizer=new_optimizer(
            config,
            {RULES.written(rule): rule},
            learned,
            steps,
            workers.size,
            _factors(config, classifier),
        ),
        stability=Stability(config.barrier),
        eligibility=Eligibility(config.eligibility),
        workers=workers,
    )


def _factors(config: TrainingConfig, classifier: Classifier) -> dict[str, float]:
    """Return by what the recurrent weights' learning rate differs."""
    if config.recurrent_learning_rate is None:
        return {}
    factor = config.recurrent_learning_rate / config.learning_rate
    return dict.fromkeys(classifier.network.connectivity.parameters, factor)
