"""``ratenet compare``: plasticity rules side by side."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ratenet.cli.config_options import takes_options_of
from ratenet.cli.options import FigureFormat, path
from ratenet.cli.output import print_table
from ratenet.hypotheses.comparison.config import ComparisonConfig

if TYPE_CHECKING:
    from rich.table import Table

    from ratenet.hypotheses import Comparison
    from ratenet.hypotheses.comparison.schedulers import AbstractScheduler

# Given to `compare` in any case: there they have other defaults, or none.
SWEPT = ("tasks", "rules", "learning_rates")


@takes_options_of(ComparisonConfig)
def compare(
    data_root: Annotated[
        Path | None, typer.Option(help="Folder of torchvision's files. [data]")
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(help="Processes on this machine. Default: this one."),
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler, tcp://HOST:8786.")
    ] = None,
    out: Annotated[
        Path, path("Folder; the same command again resumes the comparison in it.")
    ] = Path("comparison"),
    form: FigureFormat = "png",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the comparison in --out.")
    ] = False,
    **options: Any,
) -> None:
    """Let rules learn the same tasks, each at the learning rate that suits it, and compare.

    A third of the seeds choose the learning rates, on validation samples; the others judge the
    rules, on test samples. Every finished cell (task, rule, learning rate, seed) is kept, and never
    run again.
    Writes config.toml, cells.csv, steps.csv, best.csv, differences.csv (and .parquet where
    pyarrow is installed), report.html, and its figures with their numbers in figures/.

    Example: `ratenet compare --tasks teacher,mnist --rules euclidean,hebb --processes 2`
    """
    from ratenet.hypotheses import compare as run
    from ratenet.report.progress import StepBar
    from ratenet.stimuli import check_root
    from ratenet.training.interruption import caught_signals

    where = scheduler_of(processes, scheduler)
    config = ComparisonConfig(**options)
    if data_root is not None:
        check_root(config.data)
    try:
        with (
            caught_signals(at_once=True) as ended_by,
            StepBar(config.cell_count, "comparing", "cells") as bar,
        ):
            found = run(
                **{name: getattr(config, name) for name in (*SWEPT, *options)}, out=out,
                scheduler=where, data_root=data_root or "data", overwrite=overwrite,
                figure_format=form,
                progress=lambda done, total: bar.show(done),
            )  # fmt: skip
    except KeyboardInterrupt as interrupt:
        print(interrupt, file=sys.stderr)
        sys.exit(128 + ended_by[0])
    _report(found)


def scheduler_of(processes: int | None, address: str | None) -> "AbstractScheduler":
    """Return where cells are run: in this process, in several, or by Dask."""
    from ratenet.errors import InputError
    from ratenet.hypotheses.comparison.schedulers import Dask, InProcess, Processes

    if processes is not None and address is not None:
        raise InputError(
            "--processes and --scheduler exclude one another; choose one.", argument="processes"
        )
    if address is not None:
        return Dask(address)
    return InProcess() if processes is None else Processes(processes)


def _report(found: "Comparison") -> None:
    table = _table("task", "rule", "rate", "score", "interval", "seeds", "early")
    for row in found.best.to_dict("records"):
        rate, score = f"{row['learning_rate']:g}", f"{row['test_score']:.3f}"
        reach = _reach(row["low"], row["high"])
        early = f"{row['failed']} of {row['seeds']}" if row["failed"] else ""
        table.add_row(row["task"], row["rule"], rate, score, reach, str(row["seeds"]), early)
    print_table(table)
    print("score   on test samples, higher is better, at the rate that other seeds chose")
    if len(found.differences):
        _show_differences(found)
    for row in found.best[found.best["edge"].isin(["lowest", "highest"])].to_dict("records"):
        print(f"rate    {row['task']}, {row['rule']}: the {row['edge']} of the sweep; widen it")
    print(f"tables  {found.folder / 'best.csv'}, differences.csv, cells.csv, steps.csv")
    print(f"report  {found.report}")


def _show_differences(found: "Comparison") -> None:
    table = _table("task", "rules", "difference", "interval", "p", "adjusted")
    for row in found.differences.to_dict("records"):
        p = [f"{row[name]:.2g}" if row[name] == row[name] else "" for name in ("p", "p_holm")]
        pair = f"{row['rule']}\nless {row['other']}"
        table.add_row(
            row["task"], pair, f"{row['difference']:+.3f}", _reach(row["low"], row["high"]), *p
        )
    print_table(table)
    least = found.differences["p_least"].min()
    smallest = f"; so many seeds allow no p below {least:.2g}" if least == least else ""
    print(
        f"interval  level {found.config.level:g}, for all pairs of a task together\n"
        f"p         by changes of sign; adjusted for the number of pairs{smallest}"
    )


def _table(*headings: str) -> "Table":
    from rich.table import Table

    table = Table()
    for heading in headings:
        if heading in ("task", "rule", "rules"):  # in a narrow terminal names are folded, no number
            table.add_column(heading, overflow="fold")
        else:
            table.add_column(heading, justify="right", no_wrap=True)
    return table


def _reach(low: float, high: float) -> str:
    return f"{low:.3f}, {high:.3f}" if low == low else ""
