"""One step of a run: show a batch, learn from it once or several times, track what it did."""

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ratenet.connectivity import norm
from ratenet.errors import STOPPED_BY_SCIENCE, ConvergenceError, UnsettledError
from ratenet.fixed_points import FixedPoints
from ratenet.fixed_points.mode_tracking import BatchJacobians
from ratenet.plasticity import AbstractRule
from ratenet.simulation.time_grid import seed_of_step
from ratenet.stimuli import AbstractStimulus, comes_to_rest
from ratenet.stimuli.images import filled, is_answerable
from ratenet.training.classifier import Classifier
from ratenet.training.config import TrainingConfig
from ratenet.training.eligibility import Eligibility
from ratenet.training.learning import Learned, learn_from, nothing_learned, teaches
from ratenet.training.moving_weights import MovingWeights, Signals, signals_of
from ratenet.training.presentation import CONTINUOUS, NONE, AbstractPresentation, Slow
from ratenet.training.run import Run
from ratenet.training.shown import AbstractShown, Batch, Excerpt
from ratenet.training.stability import Stability, shared_jacobians

LARGEST_UNSETTLED_SHARE = 0.5
ABSCISSA_SAMPLES = 2  # a measurement each epoch; each sample costs the eigenvalues of a matrix
# What each sample tells.
SAMPLE = (
    "loss",
    "right",
    "used",
    "labelled",
    "settled",
    "residual",
    "iterations",
)  # what each tells


@dataclass(kw_only=True)
class LearningRun(Run):
    """A run in which a rule learns from batches; `NetworkRun` says how it is tested and kept."""

    classifier: Classifier
    rule: AbstractRule
    presentation: AbstractPresentation
    stimulus: AbstractStimulus | None  # None: images are held, or stay as they are
    stability: Stability
    eligibility: Eligibility
    moving: MovingWeights | None = None  # None: the weights stay as they are between updates

    def signals(self, shown: AbstractShown) -> Signals:
        """Return what teaches weights that move while images are shown."""
        if self.moving is None:
            return NONE
        return signals_of(self.moving.spec, self.classifier, shown)

    def shown(self) -> AbstractShown:
        """Return what this step shows to the streams of this process."""
        return shown_by(self, self.stimulus)


def shown_by(run: Run, stimulus: AbstractStimulus | None) -> AbstractShown:
    """Return what the present step of a run shows to the streams of this process."""
    if stimulus is None:
        return Batch(*run.batch())
    duration = run.config.hold + run.config.fade
    streams = run.workers.share(run.config.batch_size)
    return Excerpt(stimulus, run.progress.step * duration, duration, streams)


def take_step(run: LearningRun) -> dict[str, Any]:
    """Show one batch, learn from it, and return the metrics before that; tracked modes after.

    Where the rule acts several times, loss and the like are those of the last time.
    """
    epoch, index = divmod(run.progress.step, run.steps_per_epoch)
    ends_epoch = index == run.steps_per_epoch - 1
    images = run.shown()
    before = None if run.config.barrier is None else _copies(run)
    if isinstance(run.presentation, Slow):
        run.eligibility.decay(run.presentation.fade)
    network, abscissa = run.classifier.network, math.nan
    shown = run.presentation.present(
        network,
        images.drive(run.classifier),
        examine=run.progress.is_doubtful,
        seed=seed_of_step(run.config.seed, run.progress.step * run.workers.size + run.workers.rank),
        signals=run.signals(images),
    )
    times, number = run.presentation.update_times(network), 0
    moving = torch.zeros(run.config.batch_size, dtype=torch.bool, device=network.device)
    while (fp := _next(run, shown)) is not None:
        pixels, labels = images.at(times[number]), images.labels_at(times[number])
        number += 1
        used = fp if run.config.unsettled == "leave-out" else fp.with_tolerance(math.inf)
        samples = _samples(run, fp, used, labels)
        moving = moving | (samples[:, SAMPLE.index("settled")] == 0)
        _check_settled(run, fp, samples, moving if number == len(times) else None)
        if number == len(times):  # before the weights change: at the rates that are learned from
            jacobians = shared_jacobians(used, run.workers)
            if ends_epoch:
                abscissa = _abscissa(used)
        _learn(run, used, pixels, labels, len(times))
    return {
        "step": run.progress.step + 1,
        "epoch": epoch + 1,
        **means_of(samples, has_classes=run.images.train.has_classes),
        "abscissa": abscissa,
        **_track(run, jacobians, before),
        "weight_norm": norm(network.connectivity) if ends_epoch else math.nan,
        **run.unmeasured(),
    }


def _next(run: LearningRun, shown: Iterator[FixedPoints]) -> FixedPoints | None:
    """Return the next rates that the rule is to act on; None at the end of the presentation."""
    fp, failure = None, None
    try:
        fp = next(shown, None)
    except STOPPED_BY_SCIENCE as error:
        failure = error
    run.workers.agree(failure)
    return fp


def _copies(run: LearningRun) -> dict[str, Tensor]:
    weights = run.classifier.network.connectivity.parameters
    return {name: tensor.clone() for name, tensor in weights.items()}


def _samples(run: LearningRun, fp: FixedPoints, used: FixedPoints, labels: Tensor) -> Tensor:
    """Return what each sample of all processes tells, float64, shape (B, len(SAMPLE))."""
    outputs, has_label = run.classifier.logits(fp.rates), is_answerable(labels)
    columns = (
        run.classifier.loss(outputs, filled(labels)),
        is_right(outputs, labels) & used.converged,
        used.converged & has_label,
        has_label,
        fp.converged,
        fp.residual,
        fp.iterations,
    )
    return run.workers.rows(torch.stack([column.double() for column in columns], dim=1))


def is_right(outputs: Tensor, labels: Tensor) -> Tensor:
    """Return which samples are classified correctly, (B,); none where they have targets."""
    if labels.is_floating_point():
        return torch.zeros(len(labels), dtype=torch.bool, device=labels.device)
    return outputs.argmax(dim=1) == labels


def means_of(samples: Tensor, *, has_classes: bool) -> dict[str, float]:
    """Return a row's metrics from what each sample tells, in the order of SAMPLE."""
    loss, right, used, labelled, settled, residual, iterations = samples.unbind(dim=1)
    return {
        "train_loss": float(loss[used > 0].mean()),
        **({"train_accuracy": float(right[labelled > 0].mean())} if has_classes else {}),
        "settled": float(settled.mean()),
        "residual": float(residual.nanmedian()),
        "iterations": float(iterations.mean()),
    }


def _check_settled(
    run: LearningRun, fp: FixedPoints, samples: Tensor, moving: Tensor | None
) -> None:
    """Refuse to go on if too few have settled; count the samples at the end of a presentation.

    `moving`: which of them had not settled at one of the updates; None before the last one.
    """
    number, unsettled = len(samples), int((samples[:, SAMPLE.index("settled")] == 0).sum())
    is_stuck = run.config.unsettled == "leave-out" and unsettled > LARGEST_UNSETTLED_SHARE * number
    if moving is not None or is_stuck:
        run.progress.shown += number
        run.progress.left_out += unsettled if moving is None else int(moving.sum())
        run.progress.unlabelled += int((samples[:, SAMPLE.index("labelled")] == 0).sum())
    if is_stuck:
        of_mine = "" if run.workers.size > 1 else f"\n{fp.summary()}"
        raise UnsettledError(
            f"{unsettled} of {number} samples did not settle, more than half of the batch; "
            f"{remedy(run.config)}.{of_mine}"
        )


def remedy(config: TrainingConfig) -> str:
    """Return what helps where more than half of a batch did not settle."""
    moving = "learn from samples that have not settled: unsettled 'include'"
    if config.plasticity is not None:
        return f"slow the plasticity down, lengthen hold, or {moving}"
    if config.presentation == "static":
        return "lower learning_rate, or hold the slowest mode by a barrier"
    if not comes_to_rest(config.stimulus):
        return f"the stimulus never rests: slow it down, or {moving}"
    if config.hold == 0:
        return f"images never rest here: lengthen fade, or {moving}"
    if config.update_at != (1.0,):
        return f"lower learning_rate, lengthen hold, or {moving}"
    return "lower learning_rate, or lengthen hold"


def _learn(
    run: LearningRun, used: FixedPoints, pixels: Tensor, labels: Tensor, updates: int
) -> None:
    """Let the rule act, once of `updates` times, on all processes' samples; change the weights."""
    config, step = run.config, run.progress.step
    rate = run.optimizer.rule_rate(step)
    learned, failure = None, None
    try:
        if run.workers.size == 1 or bool((used.converged & teaches(run.rule, labels)).any()):
            learned = learn_from(
                run.classifier, run.rule, used, pixels, labels, learn=config.learn, rate=rate
            )
    except STOPPED_BY_SCIENCE as error:
        failure = error
    run.workers.agree(failure)
    learned = (learned or nothing_learned(run.classifier, config.learn)).of_all(run.workers)
    run.progress.adjoint_left_out += learned.left_out
    changes = _filtered(run, learned, updates)
    run.optimizer.apply({name: changes[name] for name in run.optimizer.parameters}, step)


def _filtered(run: LearningRun, learned: Learned, updates: int) -> dict[str, Tensor]:
    """Return the changes to be made now: all of them, or one time step's share of their average."""
    if run.config.update_at != CONTINUOUS:
        return learned.changes
    assert isinstance(run.presentation, Slow)
    elapsed = run.presentation.time_step(run.classifier.network)
    averaged = run.eligibility.take_in(learned.changes, elapsed)
    return {name: change / updates for name, change in averaged.items()}


def _track(
    run: LearningRun, jacobians: BatchJacobians, before: dict[str, Tensor] | None
) -> dict[str, float]:
    """Hold the slowest mode where asked for, and return what was tracked."""
    tracked = run.stability.after_step(run.classifier.network, jacobians, before)
    held = tracked.held
    if held is not None:
        run.progress.corrected += held.corrections > 0
        run.progress.refused += held.refused
        run.progress.abscissa_limit = held.limit
    run.progress.is_doubtful = not tracked.abscissa_mean_gain < 0
    return {
        "abscissa_mean_gain": tracked.abscissa_mean_gain,
        "abscissa_largest_gain": math.nan if held is None else held.abscissa,
        "weight_abscissa": tracked.weight_abscissa,
    }


def _abscissa(fp: FixedPoints) -> float:
    """Return the largest abscissa of a few settled samples, in 1/s; NaN if there are none."""
    samples = torch.nonzero(fp.converged)[:ABSCISSA_SAMPLES, 0].tolist()
    with suppress(ConvergenceError):  # of the eigenvalues of a large network
        return float(fp.abscissa(samples).max()) if samples else math.nan
    return math.nan
