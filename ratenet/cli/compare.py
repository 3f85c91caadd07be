"""``ratenet compare``: plasticity rules side by side."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ratenet.cli.identify import split_rules

if TYPE_CHECKING:
    from ratenet.hypotheses import Comparison
    from ratenet.hypotheses.comparison.schedulers import AbstractScheduler

USUAL = "euclidean,linearized-reparameterized,gain-free-reparameterized"


def compare(
    tasks: Annotated[
        str, typer.Option(help="linear, teacher, association, mnist; separated by commas.")
    ] = "teacher,association",
    rules: Annotated[
        str, typer.Option(help="Separated by commas; sums as `0.5*euclidean+0.5*hebb`.")
    ] = USUAL,
    learning_rates: Annotated[
        str, typer.Option(help="Every rule gets all of them.")
    ] = "0.001,0.003,0.01,0.03,0.1,0.3,1,3",
    seeds: Annotated[int, typer.Option(help="How many.")] = 5,
    seed: Annotated[int, typer.Option(help="The first of them.")] = 0,
    steps: Annotated[int, typer.Option(help="Changes of the weights.")] = 100,
    units: Annotated[int, typer.Option(help="N.")] = 50,
    samples: Annotated[int, typer.Option(help="To learn from; for mnist, training images.")] = 400,
    held_out: Annotated[
        int, typer.Option(help="Samples to choose the learning rate by; as many to test.")
    ] = 200,
    batch_size: Annotated[int, typer.Option(help="B, samples a step.")] = 50,
    record_every: Annotated[int, typer.Option(help="Steps from row to row of the table.")] = 10,
    model: Annotated[str, typer.Option(help="A model's name, or the path of a .toml.")] = "rate",
    data: Annotated[
        str, typer.Option(help="For mnist: mnist-5k (embedded), mnist or fashion-mnist.")
    ] = "mnist-5k",
    data_root: Annotated[Path, typer.Option(help="Where torchvision keeps its files.")] = Path(
        "data"
    ),
    level: Annotated[float, typer.Option(help="Of the intervals.")] = 0.95,
    processes: Annotated[
        int | None, typer.Option(help="On this machine. [1: cells run in this process]")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler, tcp://HOST:8786. [none]")
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder; the same command again goes on with what is there.")
    ] = Path("comparison"),
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the comparison in --out.")
    ] = False,
) -> None:
    """Let rules learn the same tasks, each at the learning rate that suits it, and compare.

    The learning rate is chosen on validation samples, and what is reported is measured on test
    samples. Every finished cell (task, rule, learning rate, seed) is kept, and never run again.
    Written are config.toml, cells.csv, steps.csv, best.csv, differences.csv (and .parquet where
    pyarrow is installed), and report.html.

    Example: `ratenet compare --tasks teacher,mnist --rules euclidean,hebb --processes 2`
    """
    from ratenet.cli.output import plain_warnings
    from ratenet.cli.progress import StepBar
    from ratenet.hypotheses import compare as run

    plain_warnings()
    where = _scheduler(processes, scheduler)
    of_tasks, of_rules = split_rules(tasks), split_rules(rules)
    rates = _rates(learning_rates)
    cells = len(of_tasks) * len(of_rules) * len(rates) * seeds
    try:
        with _ending_on_signals() as ended_by, StepBar(cells, "comparing", "cells") as bar:
            found = run(
                of_rules, rates, tasks=of_tasks, seeds=seeds, seed=seed, steps=steps,
                units=units, samples=samples, held_out=held_out, batch_size=batch_size,
                record_every=record_every, model=model, data=data, level=level, out=out,
                scheduler=where, data_root=data_root, overwrite=overwrite,
                progress=lambda done, total: bar.show(done),
            )  # fmt: skip
    except KeyboardInterrupt as interrupt:
        print(interrupt, file=sys.stderr)
        raise typer.Exit(128 + ended_by[0]) from None
    _report(found)


@contextmanager
def _ending_on_signals() -> Iterator[list[int]]:
    """Let SIGTERM end the command, with its processes, as Ctrl-C does; give which one it was."""
    caught: list[int] = []

    def end(number: int, frame: object) -> None:
        caught.append(number)
        raise KeyboardInterrupt("Interrupted.")

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _scheduler(processes: int | None, address: str | None) -> "AbstractScheduler":
    from ratenet.errors import InputError
    from ratenet.hypotheses.comparison.schedulers import Dask, InProcess, Processes

    if processes is not None and address is not None:
        raise InputError("--processes and --scheduler exclude one another; choose one.")
    if address is not None:
        return Dask(address)
    return InProcess() if processes is None else Processes(processes)


def _rates(text: str) -> list[float]:
    from ratenet.errors import InputError

    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"learning_rates: {text!r} are no numbers, separated by commas.") from None


def _report(found: "Comparison") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for heading in ("task", "rule", "rate", "score", "interval", "early"):
        is_text = heading in ("task", "rule")
        table.add_column(heading, justify="left" if is_text else "right", no_wrap=is_text)
    for row in found.best.to_dict("records"):
        rate, score = f"{row['learning_rate']:g}", f"{row['test_score']:.3f}"
        reach = f"{row['low']:.3f}, {row['high']:.3f}" if row["low"] == row["low"] else ""
        early = f"{row['failed']} of {row['seeds']}" if row["failed"] else ""
        table.add_row(row["task"], row["rule"], rate, score, reach, early)
    Console().print(table)
    print(
        "score   on test samples, higher is better, at the rate that was best on validation samples"
    )
    for row in found.best[found.best["edge"].isin(["lowest", "highest"])].to_dict("records"):
        print(f"rate    {row['task']}, {row['rule']}: the {row['edge']} of the sweep; widen it")
    print(f"tables  {found.folder / 'best.csv'}, differences.csv, cells.csv, steps.csv")
    print(f"report  {found.report}")
