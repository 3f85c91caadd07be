"""NetworkRun: a run in which one recurrent network learns, from slow or static images."""

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from ratenet.equations import ModelSpec
from ratenet.errors import STOPPED_BY_SCIENCE, InputError, UnsupportedError
from ratenet.fixed_points import FixedPoints
from ratenet.fixed_points.mode_tracking import batch_jacobians
from ratenet.linear_algebra import all_eigenvalues, require_memory
from ratenet.network import Network
from ratenet.plasticity import RULES, AbstractRule, Euclidean, Frozen
from ratenet.simulation.time_grid import seed_of_step
from ratenet.stimuli import Images
from ratenet.stimuli.images import is_answerable
from ratenet.training.classifier import Classifier, random_classifier
from ratenet.training.config import TrainingConfig
from ratenet.training.config_checks import DTYPES, resolved
from ratenet.training.eligibility import Eligibility
from ratenet.training.evaluation import Evaluation, evaluate_classifier
from ratenet.training.fitted_read_out import fitted_read_out
from ratenet.training.learning import (
    Learned,
    learn_from,
    learned_parameters,
    nothing_learned,
    teaches,
)
from ratenet.training.learning_run import (
    LearningRun,
    Seen,
    adjoint_of_run,
    new_presentation,
)
from ratenet.training.losses import check_loss, loss_for
from ratenet.training.moving_weights import MovingWeights, Signals, signals_of
from ratenet.training.optimizers import new_optimizer
from ratenet.training.pictures import draw_network_run
from ratenet.training.plasticity_options import is_unsupervised
from ratenet.training.presentation import NONE, Static
from ratenet.training.run import images_of
from ratenet.training.run_folder import RunFolder
from ratenet.training.shown import AbstractShown, check_teaches, stimulus_of
from ratenet.training.stability import Stability
from ratenet.training.step import take_step
from ratenet.training.workers import Workers


@dataclass(kw_only=True)
class NetworkRun(LearningRun):
    """A run of a `Classifier`."""

    classifier: Classifier
    rule: AbstractRule

    @property
    def network(self) -> Network:
        """The classifier's network."""
        return self.classifier.network

    @property
    def parts(self) -> Mapping[str, Network]:
        """The network."""
        return {"": self.network}

    @property
    def learning_parts(self) -> tuple[str, ...]:
        """Its name."""
        return ("",)

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
            self.stability[""].limit(batch_jacobians(fp).excitable)
            if self.moving is not None:
                shown = self.shown()
                self.moving.check(self.network, len(shown.at(0.0)), self._signals(shown))
            learn_from(
                self.classifier, self.rule, fp, few.pixels, few.labels,
                learn=self.config.learn, rate=self.config.learning_rate,
            )  # fmt: skip

    def _check_labels(self) -> None:
        """Refuse a stimulus that shows nothing from which the rule can learn."""
        if self.stimulus is not None:
            times, shown = self.presentation.update_times(self.network), self.shown()
            teaching = partial(teaches, self.rule) if not self._signals(shown) else is_answerable
            taught = (teaching(shown.labels_at(t)) for t in times)
            other = "another update_at, or a rule without an error, such as oja"
            check_teaches(self.config, taught, f"another stimulus, {other}")

    def take_step(self) -> dict[str, Any]:
        """Show one batch and learn from it; at the end of an epoch fit what is fitted."""
        row = take_step(self)
        if (self.progress.step + 1) % self.steps_per_epoch == 0:
            self.fit()
        return row

    def present(self) -> Iterator[Seen]:
        """Give the rates of this step's images each time that the rule acts."""
        images, workers = self.shown(), self.workers
        times = self.presentation.update_times(self.network)
        shown = self.presentation.present(
            self.network,
            images.drive(self.classifier),
            examine=self.progress.is_doubtful,
            seed=seed_of_step(self.config.seed, self.progress.step * workers.size + workers.rank),
            signals=self._signals(images),
            errors=self.errors(images),
        )
        for number, fp in enumerate(shown, start=1):
            t = times[number - 1]
            seen = self._seen(fp, images.at(t), images.labels_at(t))
            yield replace(seen, updates=len(times), is_last=number == len(times))

    def see_again(self, seen: Seen) -> Seen:
        """Return the same images at solved fixed points of the present weights."""
        drive = self.classifier.drive(seen.pixels)
        fp = next(iter(self.presentation.present(self.network, drive, examine=True)))
        return self._seen(fp, seen.pixels, seen.labels)

    def _seen(self, fp: FixedPoints, pixels: Tensor, labels: Tensor) -> Seen:
        """Return what there is to learn from at rates."""
        used = fp.with_tolerance(math.inf) if self.config.unsettled == "include" else fp
        return Seen(
            pixels=pixels,
            labels=labels,
            outputs=self.answer(fp.rates),
            parts={"": used},
            settled=fp.converged,
            used=used.converged,
            residual=fp.residual,
            iterations=fp.iterations,
        )

    def _signals(self, shown: AbstractShown) -> Signals:
        """Return what teaches weights that move while images are shown."""
        if self.moving is None:
            return NONE
        return signals_of(self.moving.spec, self.classifier, shown)

    def learn(self, seen: Seen, samples: Tensor) -> Learned:
        """Let the rule act on the samples of all processes."""
        learned, failure = None, None
        try:
            taught = seen.used & teaches(self.rule, seen.labels)
            if self.workers.size == 1 or bool(taught.any()):
                learned = learn_from(
                    self.classifier, self.rule, seen.parts[""], seen.pixels, seen.labels,
                    learn=self.config.learn, rate=self.optimizer.rule_rate(self.progress.step),
                )  # fmt: skip
        except STOPPED_BY_SCIENCE as error:
            failure = error
        self.workers.agree(failure)
        learned = learned or nothing_learned(self.classifier, self.config.learn)
        return learned.of_all(self.workers)

    def exact(self, seen: Seen, samples: Tensor) -> Learned:
        """Return what gradient descent on W would change."""
        return replace(self, rule=Euclidean()).learn(seen, samples)

    def answer(self, rates: Tensor) -> Tensor:
        """Return the outputs R_out y."""
        return self.classifier.logits(rates)

    def error(self, rates: Tensor, labels: Tensor) -> Tensor:
        """Return R_out^T dL/doutputs."""
        return self.classifier.error(rates, labels)

    def unsettled_where(self, seen: Seen) -> tuple[str, str]:
        """Return what became of the samples."""
        return "", seen.parts[""].summary()

    def fit(self) -> None:
        """Fit the read-out to the rates, where no error or reward reaches the weights."""
        if is_unsupervised(self.config):
            self.classifier.read_out.copy_(fitted_read_out(self.classifier, self.images.train))

    def evaluate(self, images: Images) -> Evaluation:
        """Return the answers to images at solved fixed points."""
        return evaluate_classifier(self.classifier, images, Static())

    def findings(self) -> dict[str, Any]:
        """Return the barrier's doings and the spectrum of W."""
        W = self.classifier.network.connectivity.dense().cpu()
        eigenvalues = all_eigenvalues(W.double()).real
        found: dict[str, Any] = {
            "weight_abscissa": float(eigenvalues.max()),
            "weight_eigenvalue_min": float(eigenvalues.min()),
            "weight_norm": float(torch.linalg.matrix_norm(W.double(), 2)),
            **self.speed(),
        }
        if is_unsupervised(self.config):
            found["read_out"] = "fitted"
        return {**found, **self.held_modes(), **self.searched()}

    def tables(self) -> dict[str, Any]:
        """Return the model's table, and the facts of the data."""
        model = self.classifier.network.model.to_table()
        return {"model": model, "data": self.data.table()}

    def draw(self, metrics: pd.DataFrame, summary: dict[str, Any]) -> None:
        """Write the learning curve, and digits through time."""
        draw_network_run(self, self.classifier, metrics, summary)


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
    _check_adjoint(config, rule)
    stimulus = stimulus_of(config, images.train)
    learned = learned_parameters(classifier, config.learn)
    together = [tuple(classifier.network.connectivity.parameters)]
    if isinstance(rule, Frozen):  # out of the optimizer's reach, and of its weight decay
        learned, together = {name: learned[name] for name in config.learn}, []
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
        presentation=new_presentation(config, moving=moving, adjoint=adjoint_of_run(config)),
        moving=moving,
        stimulus=stimulus,
        optimizer=new_optimizer(
            config,
            {RULES.written(rule): rule},
            learned,
            steps,
            workers.size,
            _factors(config, classifier),
            together,
        ),
        stability={"": Stability(config.barrier)},
        eligibility=Eligibility(config.eligibility),
        workers=workers,
    )


def _check_adjoint(config: TrainingConfig, rule: AbstractRule) -> None:
    """Refuse an adjoint that moves and that nothing takes."""
    is_taken = rule.traits.uses_adjoint or "read-in" in config.learn
    if config.adjoint_tau is not None and not is_taken:
        raise InputError(
            f"adjoint_tau: has no effect, since rule {RULES.written(rule)!r} takes no adjoint and "
            "the read-in does not learn; use rule 'euclidean', or learn 'read-in'.",
            argument="adjoint_tau",
        )


def _factors(config: TrainingConfig, classifier: Classifier) -> dict[str, float]:
    """Return by what the recurrent weights' learning rate differs."""
    if config.recurrent_learning_rate is None:
        return {}
    factor = config.recurrent_learning_rate / config.learning_rate
    return dict.fromkeys(classifier.network.connectivity.parameters, factor)
