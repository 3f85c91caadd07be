"""Callbacks: what is done after each step, in a row of small objects.

A callback is a function, or an object that is called like one, of the run and of the step's row of
metrics. It may put a metric into the row; a string that it returns ends the run, and is the reason.
"""

import math
from collections.abc import Callable
from typing import Any

from ratenet.errors import counted
from ratenet.training.run import Run

Row = dict[str, Any]
Callback = Callable[[Run, Row], str | None]


def _is_due(run: Run, epochs: int) -> bool:
    return run.progress.step % (epochs * run.steps_per_epoch) == 0


class Evaluate:
    """Measures the test accuracy, or loss, at solved fixed points every so many epochs."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def __call__(self, run: Run, row: Row) -> None:
        """Put it into the row when it is due."""
        if _is_due(run, self.epochs):
            found = run.test()
            row[f"test_{found.score_name}"] = found.score


class Validate:
    """Measures the validation accuracy, or loss, at fixed points, and keeps the best weights.

    Parameters
    ----------
    epochs : int
        Between measurements; the last step is measured in any case.
    patience : int or None
        After how many measurements without a better one the run ends.
    """

    def __init__(self, epochs: int, patience: int | None) -> None:
        self.epochs, self.patience = epochs, patience

    def __call__(self, run: Run, row: Row) -> str | None:
        """Put it into the row when it is due; return why the run ends, if it does."""
        if not _is_due(run, self.epochs) and run.progress.step < run.steps:
            return None
        assert run.images.validation is not None
        found, progress = run.evaluate(run.images.validation), run.progress
        row[f"validation_{found.score_name}"] = found.score
        if found.is_better_than(progress.best_score):
            progress.best_score, progress.best_step = found.score, progress.step
            run.save_best()
        waited = (progress.step - progress.best_step) // (self.epochs * run.steps_per_epoch)
        if self.patience is None or waited < self.patience:
            return None
        moved = "fallen below" if found.accuracy is None else "risen above"
        best = math.nan if progress.best_score is None else progress.best_score
        return (
            f"the validation {found.score_name} has not {moved} {best:.4g} of step "
            f"{progress.best_step} for {counted(waited, 'measurement')}"
        )


def built_in(run: Run) -> list[Callback]:
    """Return the callbacks that a configuration asks for."""
    config, callbacks = run.config, list[Callback]()
    if config.evaluate_every is not None:
        callbacks.append(Evaluate(config.evaluate_every))
    if config.validation:
        callbacks.append(Validate(config.evaluate_every or 1, config.patience))
    return callbacks
