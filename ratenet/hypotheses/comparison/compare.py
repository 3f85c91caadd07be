"""compare: rules x learning rates x seeds x tasks, side by side, with statistics and a report."""

import math
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ratenet.connectivity.computation import shielded
from ratenet.equations.own_code import Parcel
from ratenet.errors import RatenetWarning, RunFolderError, UnsettledError
from ratenet.files import check_figure_format
from ratenet.hypotheses.comparison.cell import EXACT, PROBES, draw_task
from ratenet.hypotheses.comparison.cell_files import Progress
from ratenet.hypotheses.comparison.config import Cell, ComparisonConfig
from ratenet.hypotheses.comparison.folder import ComparisonFolder
from ratenet.hypotheses.comparison.schedulers import AbstractScheduler, InProcess
from ratenet.hypotheses.comparison_statistics import (
    JUDGING_SEEDS,
    best_rates,
    judged,
    judging,
    least_p,
    rule_differences,
)
from ratenet.hypotheses.tasks import score_name
from ratenet.linear_algebra.memory import require_memory
from ratenet.notebook import frame, table
from ratenet.report.comparison import write_report

if TYPE_CHECKING:
    import xarray

KEY = ("task", "rule", "learning_rate", "seed")
AT_THE_END = (
    "status", "reason", "steps_done", "validation_loss", "validation_score",
    "validation_unsettled", "test_loss", "test_score", "test_unsettled", "test_score_before",
)  # fmt: skip
MEASURED = ("step", "loss", "score", "unsettled", "iterations", "abscissa", "condition", "moved",
            "moved_response", "norm_ratio")  # fmt: skip
ENTRY = 100.0  # bytes, while the tables are made


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a comparison found.

    Attributes
    ----------
    config : ComparisonConfig
    cells : pandas.DataFrame
        A row for each task, rule, learning_rate and seed: status (done, unsettled, diverged,
        singular, unsupported) and its reason, steps_done, losses and scores on validation and
        test samples, and the test score before learning.
    steps : pandas.DataFrame
        A row for each cell and step that was measured, before that step: loss and score of the
        batch, unsettled share, iterations, abscissa (1/s), condition of I - G W, distances moved
        in W and in the linear responses, the norm of the change over that of the exact gradient,
        and its angle (degrees) to what each rule would have changed.
    best : pandas.DataFrame
        The learning rate that was chosen for each task and rule, and its test score, by seeds that
        had no part in the choice.
    differences : pandas.DataFrame
        Differences in test scores between rules, paired by seed: intervals that hold together for
        all pairs of a task, exact p-values, and these adjusted for the number of pairs.
    folder : Path
    """

    config: ComparisonConfig
    cells: pd.DataFrame = field(repr=False)
    steps: pd.DataFrame = field(repr=False)
    best: pd.DataFrame = field(repr=False)
    differences: pd.DataFrame = field(repr=False)
    folder: Path

    def to_xarray(self) -> "xarray.DataTree":
        """Return the tables as a tree of xarray data sets.

        Returns
        -------
        xarray.DataTree
            cells by task, rule, learning_rate and seed; steps by these and step; best by task and
            rule; differences by task, rule and other. What was not computed is NaN.
        """
        import xarray  # imported where it is used: it takes half a second

        keys = {"cells": KEY, "steps": (*KEY, "step"), "best": ("task", "rule"),
                "differences": ("task", "rule", "other")}  # fmt: skip
        tables = {name: getattr(self, name).set_index(list(key)) for name, key in keys.items()}
        return xarray.DataTree.from_dict(
            {name: xarray.Dataset.from_dataframe(table) for name, table in tables.items()},
            name="comparison",
        )

    def _repr_html_(self) -> str:
        return table(f"Comparison in {self.folder}", {"best": frame(self.best)})

    def plot(self, ax: Any = None) -> Any:
        """Draw the test score of each rule at its learning rate, with intervals and single seeds.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; default new axes, which a notebook shows.

        Returns
        -------
        matplotlib.axes.Axes or array of them
            One for each task.
        """
        from ratenet.report.pictures import plot_comparison

        return plot_comparison(self, ax)

    @property
    def judged(self) -> pd.DataFrame:
        """The cells by which rules are judged: at their chosen rates, of seeds that chose none."""
        return judged(self.cells, self.best)

    @property
    def report(self) -> Path:
        """The report, one HTML file."""
        return ComparisonFolder(self.folder).report_file


@shielded()
def compare(
    rules: Sequence[Any],
    learning_rates: Sequence[float],
    *,
    out: str | Path,
    tasks: Sequence[Any] = ("teacher",),
    scheduler: AbstractScheduler | None = None,
    data_root: str | Path = "data",
    overwrite: bool = False,
    progress: Progress | None = None,
    figure_format: str = "png",
    **options: Any,
) -> Comparison:
    """Let rules learn the same tasks, at several learning rates, from several seeds.

    Parameters
    ----------
    rules : sequence of str, AbstractRule or mapping
        Names, with settings as in "truncated-adjoint(terms=5)"; sums such as
        "0.5*euclidean+0.5*hebb"; "FILE.py:NAME"; objects. Tables call your own by the name of its
        file without folders.
    learning_rates : sequence of float
        Every rule gets all of them; which is reported is chosen by the validation score.
    out : path
        The folder. One that holds this very comparison is continued: finished cells are read.
        Seeds, level and interval may be others than before; only missing seeds are run.
    tasks : sequence of str, or of classes derived from AbstractTask
        "linear", "teacher", "association", "mnist", or "FILE.py:NAME".
    scheduler : AbstractScheduler, optional
        `InProcess` (default), `Processes` or `Dask`; the numbers are the same.
    data_root : path
        Where torchvision keeps its files.
    overwrite : bool
        Whether a comparison in the folder is replaced.
    progress : callable, optional
        Called as progress(done, total) after each cell.
    figure_format : {"png", "pdf", "svg"}
        Format of the figures in figures/, each with its numbers beside it.
    **options
        Further fields of `ComparisonConfig`: seeds, seed, steps, units, samples, held_out,
        batch_size, record_every, model, data, level, interval.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError, UnknownNameError
        If a value cannot be used.
    RunFolderError
        If the folder holds something else, or cannot be written to.
    OtherProcessError
        If a worker or the scheduler died for good; finished cells are kept.
    KeyboardInterrupt
        On Ctrl-C; finished cells are kept.

    Warns
    -----
    RatenetWarning
        If fewer than six seeds judge, so that no p-value can be below 0.05.

    Examples
    --------
    >>> import tempfile
    >>> from ratenet.hypotheses import compare
    >>> small = {"seeds": 10, "steps": 5, "units": 10, "samples": 20, "batch_size": 20}
    >>> with tempfile.TemporaryDirectory() as out:
    ...     found = compare(["euclidean", "hebb"], [0.01, 0.1], out=out, **small)
    >>> found.best.set_index("rule")["learning_rate"].to_dict()
    {'euclidean': 0.1, 'hebb': 0.01}
    """
    check_figure_format(figure_format)
    config = ComparisonConfig(tasks, rules, learning_rates, **options)
    where, folder = scheduler or InProcess(), ComparisonFolder(Path(out))
    where.check()
    _refuse_too_large(config)
    cells = list(config.cells())
    own = _parcel(config, where)
    _try_tasks(cells, str(data_root), own)
    _warn_of_few_seeds(config)
    with folder.opened(config, overwrite=overwrite):
        more: dict[str, Any] = {"own": own} if own else {}
        run = partial(where.run, data_root=str(data_root), **more)
        folder.cells.finish(cells, run, progress or (lambda done, total: None))
        return _collected(config, cells, folder, figure_format)


def _parcel(config: ComparisonConfig, scheduler: AbstractScheduler) -> Parcel | None:
    """Return the user's own things, None if there are none; refuse what cannot be sent away."""
    own = config.own()
    if not any(own.values()):
        return None
    if not isinstance(scheduler, InProcess):
        for kind, things in own.items():
            for thing in things.values():
                Parcel(thing).check(kind)
    return Parcel(own)


def _refuse_too_large(config: ComparisonConfig) -> None:
    """Refuse a network or samples that memory does not hold, before anything is drawn."""
    N, samples = config.units, config.samples + 2 * config.held_out
    matrices = 4 * PROBES + len(config.rules) + 4  # of the probes' modes, of changes, of W itself
    require_memory(
        8.0 * N * (matrices * N + 6 * samples),
        f"units, samples: cells of {N:,} units and {samples:,} samples",
        "choose fewer",
    )
    rows = config.cell_count * (2 + config.steps // config.record_every)
    require_memory(
        ENTRY * rows * (len(MEASURED) + len(config.rules)),
        f"seeds: tables of {config.cell_count:,} cells, {rows:,} measured steps,",
        "choose fewer seeds or learning rates, or a larger record_every",
    )


def _warn_of_few_seeds(config: ComparisonConfig) -> None:
    seeds = judging(config.seeds, len(config.learning_rates))
    if seeds >= JUDGING_SEEDS or len(config.rules) == 1:
        return
    least = least_p(seeds)
    found = f"no p-value can be below {least:g}" if least == least else "there are no intervals"
    warnings.warn(
        RatenetWarning(
            f"seeds: {seeds} of {config.seeds} {'judges' if seeds == 1 else 'judge'} the rules, so "
            f"{found}; choose 10 or more."
        ),
        stacklevel=4,
    )


def _try_tasks(cells: list[Cell], data_root: str, own: Parcel | None) -> None:
    """Draw each task once, so that missing images are told of before anything is written."""
    one_of_each = {cell["task"]: cell for cell in cells}
    for cell in one_of_each.values():
        with suppress(UnsettledError):  # a teacher that does not settle ends its own cells only
            draw_task(cell, data_root, own)


def _collected(
    config: ComparisonConfig, cells: list[Cell], folder: ComparisonFolder, figure_format: str
) -> Comparison:
    """Make the tables and the report from the finished cells, in the order of the configuration."""
    rows, steps = [], []
    for cell in cells:
        found = folder.cells.kept(cell)
        if found is None:
            raise RunFolderError(
                f"{str(folder.path)!r}: a finished cell is gone; repeat the command to run it."
            )
        key = {name: cell[name] for name in KEY}
        rows.append({**key, **{name: found.get(name, math.nan) for name in AT_THE_END}})
        steps += [{**key, **row} for row in found["rows"]]
    table = pd.DataFrame(rows)
    best = best_rates(table, config.level, config.interval)
    differences = rule_differences(table, best, config.level, config.interval)
    angles = [f"angle_to_{name}" for name in dict.fromkeys([EXACT, *config.rule_names])]
    measured = pd.DataFrame(steps, columns=[*KEY, *MEASURED, *angles])
    result = Comparison(config, table, measured, best, differences, folder.path)
    folder.write_tables(
        {"cells": table, "steps": result.steps, "best": best, "differences": differences}
    )
    write_report(
        folder.report_file,
        config=config.table()["compare"],
        score_names=dict(zip(config.task_names, map(score_name, config.tasks), strict=True)),
        cells=table,
        judged=result.judged,
        steps=result.steps,
        best=best,
        differences=differences,
        figure_format=figure_format,
    )
    return result
