"""Training runs behind a figure: each in its own folder, none of them run twice."""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ratenet.errors import STOPPED_BY_SCIENCE
from ratenet.files import make_folder, write_text
from ratenet.training import TrainingConfig, resume, train
from ratenet.training.callbacks import Callback
from ratenet.training.run_folder import RunFolder

Progress = Callable[[int, int], object]  # of runs done, and of all


@dataclass(frozen=True)
class Planned:
    """A run that is to be made.

    Attributes
    ----------
    name : str
        Its folder.
    said : dict
        What its row of the table begins with.
    config : TrainingConfig
    """

    name: str
    said: dict[str, Any]
    config: TrainingConfig


def carried_out(
    planned: Planned, folder: Path, callbacks: Sequence[Callback] = ()
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Return summary and metrics of a run: made, continued, or found as it was left.

    A folder that holds a run with other options is replaced. A run that science ended (more than
    half of a batch unsettled, NaN, a singular step) has a summary as well, with the reason.
    """
    place, text = RunFolder(folder / planned.name), repr(planned.config)
    plan = place.path / "plan.txt"
    is_same = plan.exists() and plan.read_text(encoding="utf-8") == text
    summary = _summary(place) if is_same else {}
    if summary.get("status") not in ("done", "stopped"):
        try:
            if is_same and place.checkpoint_file.exists():
                resume(place.path, callbacks=callbacks)
            else:
                make_folder(place.path)
                write_text(plan, text)
                train(planned.config, out=place.path, overwrite=True, callbacks=callbacks)
        except STOPPED_BY_SCIENCE:
            pass  # the summary says so
        summary = _summary(place)
    return summary, place.read_metrics()


def all_carried_out(
    plan: Sequence[Planned], folder: Path, progress: Progress
) -> Iterator[tuple[Planned, dict[str, Any], pd.DataFrame]]:
    """Carry out the runs of a plan, one after another."""
    for index, planned in enumerate(plan):
        progress(index, len(plan))
        yield planned, *carried_out(planned, folder)
    progress(len(plan), len(plan))


def outcome(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return the cells of a table that say what a run came to."""
    names = (
        "status", "test_accuracy", "test_loss", "control_accuracy", "unsettled_samples",
        "unsettled_share", "weight_abscissa", "weight_norm", "seconds",
    )  # fmt: skip
    return {name: summary.get(name) for name in names}


def swept(
    rates: Mapping[str, Sequence[float]], seeds: Sequence[int]
) -> Iterator[tuple[str, float, int]]:
    """Give each rule, rate and seed."""
    for rule, of_rule in rates.items():
        for rate, seed in itertools.product(of_rule, seeds):
            yield rule, rate, seed


def _summary(place: RunFolder) -> dict[str, Any]:
    if not place.summary_file.exists():
        return {}
    found: dict[str, Any] = json.loads(place.summary_file.read_text())
    return found
