"""train: the loop in which a network learns images from the fixed points that it reaches.

images -> drives -> presentation -> FixedPoints -> error -> plasticity rule -> optimizer -> W
"""

import dataclasses
import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from ratenet.errors import STOPPED_BY_SCIENCE, InputError, UnsettledError
from ratenet.fixed_points.tracking import BatchJacobians, batch_jacobians
from ratenet.results import FixedPoints
from ratenet.stimuli import Images, batches_of_epoch
from ratenet.training.classifier import Classifier
from ratenet.training.config import TrainingConfig
from ratenet.training.evaluation import Evaluation, batch_accuracy
from ratenet.training.learning import Learned, learn_from
from ratenet.training.metrics import MetricsLog
from ratenet.training.pictures import draw_run
from ratenet.training.presentation import Static
from ratenet.training.progress_bar import ProgressBar
from ratenet.training.run import Run, new_run, summarize
from ratenet.training.run_folder import RunFolder, resumed_config

LARGEST_UNSETTLED_SHARE = 0.5
ABSCISSA_SAMPLES = 2  # a measurement each epoch; each sample costs the eigenvalues of a matrix


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """What a run came to.

    Attributes
    ----------
    folder : Path
        The run folder.
    summary : dict
        As in summary.json.
    metrics : pandas.DataFrame
        One row a step.
    classifier : Classifier
        The trained network, with its read-in and read-out.
    """

    folder: Path
    summary: dict[str, Any]
    metrics: pd.DataFrame
    classifier: Classifier


def train(
    config: TrainingConfig | None = None,
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    show_progress: bool = False,
) -> TrainingResult:
    """Train a recurrent network to classify images, and write a run folder.

    Parameters
    ----------
    config : TrainingConfig, optional
        Default: the demo, slowly changing MNIST digits.
    out : path, optional
        The run folder; default runs/ and the date and time.
    overwrite : bool
        Whether a run that is there already is replaced.
    show_progress : bool
        Whether a progress bar is drawn on the terminal.

    Returns
    -------
    TrainingResult

    Raises
    ------
    UnsettledError
        If more than half of a batch did not settle and unsettled samples are left out. What
        was saved stays, and summary.json says which step and why.
    DivergenceError, SingularError
        If states or weights became NaN or infinite, or a rule met a singular matrix; likewise.
    RunFolderError
        If the folder holds a run already, or cannot be written to.
    InputError, UnknownNameError, DataError, UnsupportedError
        If the configuration cannot be used; nothing is written or overwritten then.
    KeyboardInterrupt
        On Ctrl-C, once the step in progress is done and saved.

    Examples
    --------
    >>> import ratenet as rn, tempfile
    >>> config = rn.TrainingConfig(epochs=2, units=50, presentation="static")
    >>> result = rn.train(config, out=tempfile.mkdtemp())
    >>> result.summary["test_accuracy"] > 0.3
    True
    """
    config = config or TrainingConfig()
    folder = RunFolder(Path(out) if out else Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S}")
    folder.refuse_existing(overwrite=overwrite)
    run = new_run(config, config.model, folder)
    _try_rule(run)
    folder.prepare()
    folder.write_config(run.config, run.classifier.network.model)
    run.progress.control_accuracy = run.test().accuracy
    run.save(run.progress)
    return _carry_out(run, show_progress)


def resume(
    out: str | Path, wanted: dict[str, Any] | None = None, *, show_progress: bool = False
) -> TrainingResult:
    """Go on with a run from its last checkpoint, as if it had not been stopped.

    Parameters
    ----------
    out : path
        Its run folder.
    wanted : dict, optional
        Options that are asked for; only `epochs` and `data_root` may differ from those that it
        began with.
    show_progress : bool

    Returns
    -------
    TrainingResult

    Raises
    ------
    RunFolderError
        If there is no run or no checkpoint, or they are damaged.
    InputError
        If another option differs.
    """
    run = _saved_run(out, wanted or {})
    run.folder.write_config(run.config, run.classifier.network.model)
    return _carry_out(run, show_progress)


def evaluate(
    out: str | Path, *, data_root: str | None = None
) -> tuple[Evaluation, Evaluation | None]:
    """Return how well a trained run answers the test images.

    Parameters
    ----------
    out : path
        Its run folder.
    data_root : str, optional
        Where torchvision's files are, if not where they were.

    Returns
    -------
    (Evaluation, Evaluation or None)
        At solved fixed points; and at the end of each hold, for a run trained so.

    Raises
    ------
    RunFolderError
        If there is no run or no checkpoint, or they are damaged.
    """
    run = _saved_run(out, {} if data_root is None else {"data_root": data_root})
    return run.test(), run.test_slowly()


def _saved_run(out: str | Path, wanted: dict[str, Any]) -> Run:
    folder = RunFolder(Path(out))
    recorded, model = folder.read_config()
    run = new_run(resumed_config(recorded, wanted), model, folder)
    run.restore()
    if run.progress.step > run.steps:
        raise InputError(
            f"epochs: the run has done {run.progress.step} steps already, more than the "
            f"{run.steps} of {run.config.epochs} epochs; ask for more epochs."
        )
    return run


def _carry_out(run: Run, show_progress: bool) -> TrainingResult:
    """Do the steps that are left, then test, draw and sum up."""
    status, failure = "done", None
    with (
        MetricsLog(run.folder, kept_steps=run.progress.step) as log,
        ProgressBar(run.steps, run.progress.step, shown=show_progress) as bar,
        _interruptible() as interrupted,
    ):
        while run.progress.step < run.steps:
            if interrupted.is_set():
                status = "interrupted"
                break
            began, position = time.perf_counter(), run.presentation.position()
            good = dataclasses.replace(run.progress)
            try:
                row = _step(run)
            except STOPPED_BY_SCIENCE as error:
                status, failure = "stopped", error
                run.presentation.go_to(position)  # the last good state
                break
            run.progress.step += 1
            run.progress.seconds += time.perf_counter() - began
            if _is_tested(run):
                row["test_accuracy"] = run.test().accuracy
            log.add(row)
            bar.advance(row)
            if run.progress.step % run.steps_per_epoch == 0:
                run.save(run.progress)
    # What the failed batch was counted as is told, but not saved: it will be shown again.
    run.save(run.progress if failure is None else good)
    reason = None if failure is None else f"step {run.progress.step + 1}: {failure}"
    summary = summarize(run, status, reason)
    run.folder.write_summary(summary)
    if status == "interrupted":
        raise KeyboardInterrupt(
            f"Interrupted after step {run.progress.step} of {run.steps}; go on with "
            f"--out {run.folder.path} --resume."
        )
    metrics = run.folder.read_metrics()
    draw_run(run, metrics, summary)
    if failure is not None:
        raise type(failure)(
            f"Training stopped at step {run.progress.step + 1} of {run.steps}: {failure}\n"
            f"What was learned before is saved in {run.folder.path}."
        ) from failure
    return TrainingResult(run.folder.path, summary, metrics, run.classifier)


def _try_rule(run: Run) -> None:
    """Let rule and barrier refuse the network before anything is written."""
    few = Images(run.images.train.pixels[:8], run.images.train.labels[:8])
    fp = Static().show(run.classifier.network, run.classifier.drive(few.pixels))
    run.stability.limit(batch_jacobians(fp).excitable)
    with suppress(*STOPPED_BY_SCIENCE):  # the run itself will report these
        learn_from(
            run.classifier, run.rule, fp, few.pixels, few.labels,
            learn=run.config.learn, rate=run.config.learning_rate,
        )  # fmt: skip


def _step(run: Run) -> dict[str, Any]:
    """Show one batch, learn from it, and return the metrics before that; tracked modes after."""
    config, classifier, network = run.config, run.classifier, run.classifier.network
    epoch, index = divmod(run.progress.step, run.steps_per_epoch)
    batch = batches_of_epoch(len(run.images.train), config.batch_size, config.seed, epoch)[index]
    batch = batch.to(network.device)
    pixels, labels = run.images.train.pixels[batch], run.images.train.labels[batch]
    fp = run.presentation.show(network, classifier.drive(pixels))
    run.progress.shown += len(fp)
    run.progress.left_out += fp.unsettled
    if config.unsettled == "leave-out":
        _check_settled(fp)
        used = fp
    else:
        used = fp.with_tolerance(math.inf)
    rate = run.optimizer.rule_rate(run.progress.step)
    learned = learn_from(classifier, run.rule, used, pixels, labels, learn=config.learn, rate=rate)
    run.progress.adjoint_left_out += learned.left_out
    row = {
        "step": run.progress.step + 1,
        "epoch": epoch + 1,
        "train_loss": float(classifier.losses(fp.rates, labels)[used.converged].mean()),
        "train_accuracy": batch_accuracy(classifier, used, labels),
        "settled": 1 - fp.unsettled / len(fp),
        "residual": float(fp.residual.median()),
        "iterations": float(fp.iterations.double().mean()),
        "abscissa": _abscissa(fp) if index == run.steps_per_epoch - 1 else math.nan,
        "test_accuracy": math.nan,
    }
    return {**row, **_apply(run, learned, batch_jacobians(used))}


def _apply(run: Run, learned: Learned, jacobians: BatchJacobians) -> dict[str, float]:
    """Change the weights, hold the slowest mode where asked for, and return what was tracked."""
    network = run.classifier.network
    weights = network.connectivity.parameters
    before = None if run.config.barrier is None else {n: w.clone() for n, w in weights.items()}
    run.optimizer.apply(learned.changes, run.progress.step)
    tracked = run.stability.after_step(network, jacobians, before)
    held = tracked.held
    if held is not None:
        run.progress.corrected += held.corrections > 0
        run.progress.refused += held.refused
        run.progress.abscissa_limit = held.limit
    return {
        "abscissa_mean_gain": tracked.abscissa_mean_gain,
        "abscissa_largest_gain": math.nan if held is None else held.abscissa,
        "weight_abscissa": tracked.weight_abscissa,
    }


def _is_tested(run: Run) -> bool:
    every = run.config.evaluate_every
    return every is not None and run.progress.step % (every * run.steps_per_epoch) == 0


def _check_settled(fp: FixedPoints) -> None:
    if fp.unsettled > LARGEST_UNSETTLED_SHARE * len(fp):
        raise UnsettledError(
            f"{fp.unsettled} of {len(fp)} samples did not settle, more than half of the batch; "
            "lower learning_rate, or lengthen hold.\n" + fp.summary()
        )


def _abscissa(fp: FixedPoints) -> float:
    """Return the largest abscissa of a few settled samples, in 1/s; NaN if there are none."""
    samples = torch.nonzero(fp.converged)[:ABSCISSA_SAMPLES, 0].tolist()
    return float(fp.abscissa(samples).max()) if samples else math.nan


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Turn Ctrl-C into an event, so that a step is finished and saved before the run stops."""
    requested = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield requested  # only the main thread may set signal handlers
        return
    before = signal.signal(signal.SIGINT, lambda number, frame: requested.set())
    try:
        yield requested
    finally:
        signal.signal(signal.SIGINT, before)
