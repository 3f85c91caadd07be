"""One step of a run: show a batch, learn from it once or several times, track what it did."""

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

import torch
from torch import Tensor

from ratenet.connectivity import norm
from ratenet.errors import STOPPED_BY_SCIENCE, ConvergenceError, UnsettledError
from ratenet.fixed_points import FixedPoints
from ratenet.fixed_points.mode_tracking import BatchJacobians
from ratenet.stimuli import comes_to_rest
from ratenet.stimuli.images import filled, is_answerable
from ratenet.training.config import TrainingConfig
from ratenet.training.learning import Learned
from ratenet.training.learning_run import LearningRun, Seen
from ratenet.training.line_search import shortened
from ratenet.training.presentation import CONTINUOUS, Slow
from ratenet.training.stability import shared_jacobians
from ratenet.training.step_length import LINE_SEARCH

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
)
Found = TypeVar("Found")
Weights = Mapping[str, dict[str, Tensor]]  # of each part, by name


def take_step(run: LearningRun) -> dict[str, Any]:
    """Show one batch, learn from it, and return the metrics before that; tracked modes after.

    Where the rule acts several times, loss and the like are those of the last time.
    """
    epoch, index = divmod(run.progress.step, run.steps_per_epoch)
    ends_epoch = index == run.steps_per_epoch - 1
    before = None if run.config.barrier is None else _copies(run)
    if isinstance(run.presentation, Slow):
        run.eligibility.decay(run.presentation.fade)
    shown, abscissas = run.present(), dict.fromkeys(run.parts, math.nan)
    missed = torch.zeros(
        run.config.batch_size, dtype=torch.bool, device=run.images.train.pixels.device
    )
    while (seen := _agreed(run, lambda: next(shown, None))) is not None:
        samples = _samples(run, seen)
        missed = missed | (samples[:, SAMPLE.index("settled")] == 0)
        _check_settled(run, seen, samples, missed if seen.is_last else None)
        _count_uncorrected(run)
        learned = run.learn(seen, samples)
        if seen.is_last:  # before the weights change: at the rates that are learned from
            jacobians = {name: shared_jacobians(fp, run.workers) for name, fp in seen.parts.items()}
            if ends_epoch:
                abscissas = {name: _abscissa(fp) for name, fp in seen.parts.items()}
        _change_weights(run, seen, samples, learned)
    tracked, norms = _track(run, jacobians, before), dict.fromkeys(run.parts, math.nan)
    if ends_epoch:
        norms = {name: norm(part.connectivity) for name, part in run.parts.items()}
    return {
        "step": run.progress.step + 1,
        "epoch": epoch + 1,
        **means_of(samples, has_classes=run.images.train.has_classes),
        **by_part("abscissa", abscissas),
        **tracked,
        **by_part("weight_norm", norms),
        **run.unmeasured(),
    }


def by_part(kind: str, values: Mapping[str, float]) -> dict[str, float]:
    """Return the largest of the parts' values, and each by its part's name where it has one."""
    known = [value for value in values.values() if not math.isnan(value)]
    named = {f"{kind}/{name}": value for name, value in values.items() if name}
    return {kind: max(known, default=math.nan), **named}


def _agreed(run: LearningRun, compute: Callable[[], Found]) -> Found | None:
    """Return what this process computes; raise in all of them what one of them raises."""
    found, failure = None, None
    try:
        found = compute()
    except STOPPED_BY_SCIENCE as error:
        failure = error
    run.workers.agree(failure)
    return found


def _copies(run: LearningRun) -> Weights:
    """Return the weights that a barrier may have to go back to."""
    return {
        name: {n: tensor.clone() for n, tensor in part.connectivity.parameters.items()}
        for name, part in run.parts.items()
        if name in run.learning_parts
    }


def _samples(run: LearningRun, seen: Seen) -> Tensor:
    """Return what each sample of all processes tells, float64, shape (B, len(SAMPLE))."""
    outputs, has_label = seen.outputs.detach(), is_answerable(seen.labels)
    columns = (
        run.loss(outputs, filled(seen.labels)),
        is_right(outputs, seen.labels) & seen.used,
        seen.used & has_label,
        has_label,
        seen.settled,
        seen.residual,
        seen.iterations,
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


def _check_settled(run: LearningRun, seen: Seen, samples: Tensor, missed: Tensor | None) -> None:
    """Refuse to go on if too few have settled; count the samples at the end of a presentation.

    `missed`: which of them had not settled at one of the updates; None before the last one.
    """
    number, unsettled = len(samples), int((samples[:, SAMPLE.index("settled")] == 0).sum())
    is_stuck = run.config.unsettled == "leave-out" and unsettled > LARGEST_UNSETTLED_SHARE * number
    if missed is not None or is_stuck:
        run.progress.shown += number
        run.progress.left_out += unsettled if missed is None else int(missed.sum())
        run.progress.unlabelled += int((samples[:, SAMPLE.index("labelled")] == 0).sum())
    if is_stuck:
        where, details = run.unsettled_where(seen)
        of_mine = "" if run.workers.size > 1 or not details else f"\n{details}"
        raise UnsettledError(
            f"{unsettled} of {number} samples did not settle{where}, more than half of the batch; "
            f"{remedy(run.config)}.{of_mine}"
        )


def _count_uncorrected(run: LearningRun) -> None:
    """Count the samples of all processes from which the predicted lag was not subtracted."""
    if run.config.correct_lag and isinstance(run.presentation, Slow):
        refused = torch.tensor(run.presentation.refused, device=run.workers.device)
        run.progress.uncorrected += int(run.workers.total(refused))


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


def _change_weights(run: LearningRun, seen: Seen, samples: Tensor, learned: Learned) -> None:
    """Make the changes, once of `seen.updates` times."""
    run.progress.adjoint_left_out += learned.left_out
    found = _filtered(run, learned, seen.updates)
    changes = {name: found[name] for name in run.optimizer.parameters}
    if run.config.step == LINE_SEARCH:
        changes = shortened(run, seen, samples, changes)
    run.optimizer.apply(changes, run.progress.step)


def _filtered(run: LearningRun, learned: Learned, updates: int) -> dict[str, Tensor]:
    """Return the changes to be made now: all of them, or one time step's share of their average."""
    if run.config.update_at != CONTINUOUS:
        return learned.changes
    assert isinstance(run.presentation, Slow)
    elapsed = run.presentation.time_step(run.network)
    averaged = run.eligibility.take_in(learned.changes, elapsed)
    return {name: change / updates for name, change in averaged.items()}


def _track(
    run: LearningRun, jacobians: Mapping[str, BatchJacobians], before: Weights | None
) -> dict[str, float]:
    """Hold the slowest modes where asked for, and return what was tracked."""
    tracked = {
        name: run.stability[name].after_step(part, jacobians[name], (before or {}).get(name))
        for name, part in run.parts.items()
    }
    held = {name: each.held for name, each in tracked.items() if each.held is not None}
    if held:
        run.progress.corrected += any(each.corrections > 0 for each in held.values())
        run.progress.refused += any(each.refused for each in held.values())
        run.progress.abscissa_limit = max(each.limit for each in held.values())
    mean = {name: each.abscissa_mean_gain for name, each in tracked.items()}
    run.progress.is_doubtful = not all(value < 0 for value in mean.values())
    largest = {name: each.abscissa for name, each in held.items()}
    return {
        **by_part("abscissa_mean_gain", mean),
        **by_part("abscissa_largest_gain", largest),
        **by_part("weight_abscissa", {n: each.weight_abscissa for n, each in tracked.items()}),
    }


def _abscissa(fp: FixedPoints) -> float:
    """Return the largest abscissa of a few settled samples, in 1/s; NaN if there are none."""
    samples = torch.nonzero(fp.converged)[:ABSCISSA_SAMPLES, 0].tolist()
    with suppress(ConvergenceError):  # of the eigenvalues of a large network
        return float(fp.abscissa(samples).max()) if samples else math.nan
    return math.nan
