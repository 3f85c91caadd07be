"""train: the loop in which a network learns images from the fixed points that it reaches.

images -> drives -> presentation -> FixedPoints -> error -> plasticity rule -> optimizer -> W
"""

import dataclasses
import json
import signal
import sys
import time
import warnings
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from ratenet.connectivity.computation import shielded
from ratenet.errors import (
    STOPPED_BY_SCIENCE,
    InputError,
    RatenetError,
    RatenetWarning,
    counted,
    show_any,
)
from ratenet.files import check_figure_format
from ratenet.report.progress import StepBar
from ratenet.training.callbacks import Callback, Row, built_in
from ratenet.training.config import TrainingConfig
from ratenet.training.config_checks import code_of
from ratenet.training.interruption import caught_signals
from ratenet.training.metrics import MetricsLog
from ratenet.training.result import TrainingResult
from ratenet.training.run import Progress, Run, on_machine
from ratenet.training.run_folder import RunFolder
from ratenet.training.saved_run import SavedRun, is_over, new_run, take_best
from ratenet.training.summary import summarize
from ratenet.training.workers import joined_workers

CHECKPOINT_SECONDS = 60.0  # a long epoch is saved on its way


@shielded()
def train(
    config: TrainingConfig | None = None,
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    callbacks: Sequence[Callback] = (),
    show_progress: bool = False,
    figure_format: str = "png",
) -> TrainingResult:
    """Train a recurrent network, or a stack of layers, on images; write a run folder.

    Parameters
    ----------
    config : TrainingConfig, optional
        Default: the demo, slowly changing MNIST digits.
    out : path, optional
        The run folder; default runs/ and the date and time.
    overwrite : bool
        Whether a run that is there already is replaced.
    callbacks : sequence of callable
        Each is called after each step with the `Run` and the step's row of metrics. What it puts
        into the row goes to TensorBoard; a string that it returns ends the run, and is the reason.
    show_progress : bool
        Whether a progress bar is drawn on the terminal.
    figure_format : {"png", "pdf", "svg"}
        In which the figures of the run folder are written.

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
    SystemExit
        On SIGTERM, which schedulers of clusters and docker stop send; likewise, with code 143.

    Notes
    -----
    In processes that torchrun started, each shows its share of the streams, and the first one
    alone writes and calls the callbacks.

    Examples
    --------
    >>> import ratenet as rn, tempfile
    >>> config = rn.TrainingConfig(epochs=2, units=50, presentation="static")
    >>> result = rn.train(config, out=tempfile.mkdtemp())
    >>> result.summary["test_accuracy"] > 0.3
    True
    """
    config = config or TrainingConfig()
    check_figure_format(figure_format)
    place = Path(out) if out else Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S}"
    folder = RunFolder(place, figure_format)
    machine = on_machine(config.threads, config.matrix_product)
    with machine, joined_workers(config.device) as (workers, device), ExitStack() as stack:
        if workers.is_first:
            stack.enter_context(folder.opened())
            folder.refuse_existing(overwrite=overwrite)
        mine = dataclasses.replace(config, device=device)
        run = new_run(mine, None if config.layers else config.model, folder, workers)
        run.rehearse()
        run.fit()
        if workers.is_first:
            run.progress.control_score = run.test().score
            recorded = dataclasses.replace(run.config, device=config.device)
            folder.begin(recorded, run.tables(), run.state_dict())
        workers.wait()
        return _carry_out(run, callbacks, show_progress)


@shielded()
def resume(
    out: str | Path,
    wanted: dict[str, Any] | None = None,
    *,
    trust: bool = False,
    callbacks: Sequence[Callback] = (),
    show_progress: bool = False,
    figure_format: str = "png",
) -> TrainingResult:
    """Resume a run from its last checkpoint, as if it had not been stopped.

    Parameters
    ----------
    out : path
        Its run folder.
    wanted : dict, optional
        Options that are asked for; only `epochs`, `data_root`, and what belongs to the machine
        (`device`, `threads`, `matrix_product`) may differ from those that it was started with.
        Your own code is given again here, `{"rule": ...}`.
    trust : bool
        Whether your own code that the run folder names may be imported.
    callbacks : sequence of callable
        As for `train`.
    show_progress : bool
        Whether a bar on the terminal shows how far the run is.
    figure_format : {"png", "pdf", "svg"}
        As for `train`.

    Returns
    -------
    TrainingResult
        The outcome; for a finished run the recorded one, with a warning that it is finished.

    Raises
    ------
    RunFolderError
        If there is no run or no checkpoint, they are damaged, or another process is writing to
        the folder.
    InputError
        If another option differs, the run's images need no data_root, or it names code of your
        own, and that is neither given again nor trusted.

    Examples
    --------
    >>> import ratenet as rn, tempfile
    >>> out = tempfile.mkdtemp()
    >>> config = rn.TrainingConfig(epochs=1, units=20, batch_size=500, presentation="static")
    >>> _ = rn.train(config, out=out)
    >>> len(resume(out, {"epochs": 2}).metrics)  # 8 steps per epoch
    16
    """
    check_figure_format(figure_format)
    saved = SavedRun.read(out, wanted or {}, trust=trust)
    joined = joined_workers(saved.config.device)
    with saved.machine(), joined as (workers, device), ExitStack() as stack:
        if workers.is_first:
            stack.enter_context(saved.folder.opened())
        run = saved.restored(device, workers)
        run.folder = dataclasses.replace(run.folder, figure_format=figure_format)
        summary = saved.folder.read_summary()
        if is_over(run) and summary.get("status") == "done":
            return _finished(run, summary)
        if workers.is_first:
            config = dataclasses.replace(run.config, device=saved.config.device)
            code = saved.folder.add_code(saved.code, code_of(config), run.progress.step)
            saved.folder.write_config(config, run.tables(), code)
        return _carry_out(run, callbacks, show_progress)


def _finished(run: Run, summary: dict[str, Any]) -> TrainingResult:
    """Return what a finished run came to, and say that it is finished."""
    if run.workers.is_first:
        why = f" ({run.progress.ended})" if run.progress.ended else ""
        warnings.warn(
            RatenetWarning(
                f"{str(run.folder.path)!r} is finished, after "
                f"{counted(run.progress.step, 'step')}{why}; nothing is left to do; ask for more "
                "epochs to continue it."
            ),
            stacklevel=3,
        )
    take_best(run)
    return TrainingResult(run.folder.path, summary, run.folder.read_metrics(), run.learner)


def _carry_out(run: Run, callbacks: Sequence[Callback], show_progress: bool) -> TrainingResult:
    """Do the steps that are left, then test, draw and sum up."""
    outcome = _do_steps(run, callbacks, show_progress)
    run.save()
    if outcome.status == "done":
        take_best(run)
    summary = _summary(run, outcome)
    if outcome.status == "interrupted":
        if run.workers.is_first:
            run.folder.write_summary(summary)
        _end_interrupted(run, outcome)
    metrics = run.folder.read_metrics()
    if run.workers.is_first:
        run.draw(metrics, summary)
        run.folder.write_summary(summary)  # last: it says that nothing is left to do
    run.workers.wait()
    if outcome.failure is not None:
        raise type(outcome.failure)(
            f"Training stopped at step {run.progress.step + 1} of {run.steps}: {outcome.failure}\n"
            f"What was learned before is saved in {run.folder.path}."
        ) from outcome.failure
    return TrainingResult(run.folder.path, summary, metrics, run.learner)


def _end_interrupted(run: Run, outcome: "_Outcome") -> NoReturn:
    """Say how to continue, and end as the signal asks."""
    said = (
        f"Interrupted after step {run.progress.step} of {run.steps}; continue with "
        f"--out {run.folder.path} --resume."
    )
    if outcome.signal != signal.SIGTERM:
        raise KeyboardInterrupt(said)
    if run.workers.is_first:  # here: SystemExit carries a code or a text, not both
        print(said, file=sys.stderr)
    raise SystemExit(128 + signal.SIGTERM)


@dataclass(frozen=True)
class _Outcome:
    """How the steps of a run ended."""

    status: str
    signal: int | None = None  # that this process got, of those that a run ends on
    failure: Exception | None = None
    tried: Progress | None = None  # with what the failed step counted


def _do_steps(run: Run, callbacks: Sequence[Callback], show_progress: bool) -> _Outcome:
    """Do the steps that are left; after a failure the run is at the last good state."""
    with ExitStack() as stack:
        watching = _watching(run, callbacks, show_progress, stack)
        signals, saved = stack.enter_context(caught_signals()), time.perf_counter()
        while run.progress.step < run.steps and run.progress.ended is None:
            if run.workers.any(bool(signals)):
                return _Outcome("interrupted", signal=signals[0] if signals else None)
            began, good = time.perf_counter(), run.state_dict()
            try:
                row = run.take_step()
            except STOPPED_BY_SCIENCE as error:
                tried = run.progress
                run.load_state_dict(good)
                return _Outcome("stopped", failure=error, tried=tried)
            run.progress.step += 1
            run.progress.seconds += time.perf_counter() - began
            run.progress.ended, is_late = _after_step(run, row, watching, saved)
            if run.epoch_ends or is_late:
                run.save()
                saved = time.perf_counter()
    return _Outcome("done")


class _Watching(NamedTuple):
    """What looks on after each step."""

    callbacks: list[Callback]  # may add to the row, and end the run
    writers: list[Callback]  # write the row down, or show it


def _watching(
    run: Run, callbacks: Sequence[Callback], show_progress: bool, stack: ExitStack
) -> _Watching:
    """Return what looks on after each step; the first process alone is looked at."""
    if not run.workers.is_first:
        return _Watching([], [])
    done = run.progress.step
    log = stack.enter_context(MetricsLog(run.folder, done, run.recent, run.columns))
    bar = stack.enter_context(StepBar(run.steps, "training", done=done, shown=show_progress))
    return _Watching([*built_in(run), *callbacks], [log, partial(_show, bar)])


def _show(bar: StepBar, run: Run, row: Row) -> None:
    note = f"epoch {row['epoch']}  loss {row['train_loss']:.3f}"
    if "train_accuracy" in row:
        note += f"  accuracy {row['train_accuracy']:.3f}"
    bar.show(row["step"], note)


def _after_step(run: Run, row: Row, watching: _Watching, saved: float) -> tuple[str | None, bool]:
    """Return why the run is to end, if it is, and whether the last checkpoint is old."""
    ended: str | None = None
    try:
        for callback in watching.callbacks:  # all of them see every step
            ended = _reason(callback, run, row) or ended
    except Exception:
        if run.workers.size == 1:  # what was learned is not lost by a mistake in a callback
            run.progress.ended = ended
            with suppress(RatenetError):
                _write(run, row, watching)
                run.save()
        raise
    _write(run, row, watching)
    is_late = time.perf_counter() - saved > CHECKPOINT_SECONDS
    ended, is_late = json.loads(run.workers.text(json.dumps([ended, is_late])))
    return ended, is_late


def _reason(callback: Callback, run: Run, row: Row) -> str | None:
    """Call a callback, and return why it ends the run, if it does."""
    reason = callback(run, row)
    if reason is not None and not isinstance(reason, str):
        raise InputError.at(
            "callbacks",
            got=reason,
            expected=f"None, or a string to stop the run, from {show_any(callback)}",
        )
    return reason


def _write(run: Run, row: Row, watching: _Watching) -> None:
    for writer in watching.writers:
        writer(run, row)


def _summary(run: Run, outcome: _Outcome) -> dict[str, Any]:
    """Return the summary in every process."""
    text = ""
    if run.workers.is_first:
        reason, counted = run.progress.ended, run.progress
        if outcome.failure is not None and outcome.tried is not None:
            # What the failed batch was counted as is told, but not saved: it will be shown again.
            reason = f"step {run.progress.step + 1}: {outcome.failure}"
            counted = outcome.tried
        summary = summarize(run, outcome.status, reason, counted)
        text = json.dumps(summary)
    found: dict[str, Any] = json.loads(run.workers.text(text))
    return found
