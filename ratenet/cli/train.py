"""``ratenet train``: train on slowly changing or static images."""

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ratenet.cli.config_options import takes_options_of
from ratenet.cli.options import FigureFormat, path
from ratenet.errors import counted
from ratenet.training.config import TrainingConfig


def _print_schema(is_asked: bool) -> None:
    if is_asked:
        from ratenet.training.config_file import training_schema

        print(json.dumps(training_schema(), indent=2))
        raise typer.Exit


@takes_options_of(TrainingConfig, leave_out=("layers", "matrix_product"))
def train(
    config_file: Annotated[
        Path | None,
        path(
            "A TOML file with these options and, for a stack, its layers (docs/layers.md); "
            "command-line options override it.",
            name="--config",
        ),
    ] = None,
    out: Annotated[Path | None, path("The run folder. Default: runs/DATE-TIME.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the run in --out.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the run in --out.")
    ] = False,
    trust: Annotated[
        bool,
        typer.Option(
            "--trust",
            help="Import your own code that the run folder in --out (with --resume), or the "
            "config.toml of one in --config, names.",
        ),
    ] = False,
    form: FigureFormat = "png",
    schema: Annotated[
        bool,
        typer.Option(
            "--schema",
            callback=_print_schema,
            is_eager=True,
            help="Print the JSON schema of --config files, for editors, and exit.",
        ),
    ] = False,
    **options: Any,
) -> None:
    """Train a recurrent network on images; a run folder holds everything.

    Example: `ratenet train --rule euclidean --learning-rate 0.01 --epochs 10 --out runs/euclidean`
    """
    from ratenet.cli.output import is_first_process
    from ratenet.training import read_options, resume as resume_run, train as train_anew

    shown = is_first_process()
    how: dict[str, Any] = {"show_progress": shown, "figure_format": form}
    _check_resume(resume, overwrite, config_file, out, trust=trust)
    try:
        if resume:
            assert out is not None
            result = resume_run(out, options, trust=trust, **how)
        else:
            in_file = {} if config_file is None else read_options(config_file, trust=trust)
            config = _with_root(TrainingConfig(**{**in_file, **options}), options)
            _check_layers_listen(config, options)
            result = train_anew(config, out=out, overwrite=overwrite, **how)
    except KeyboardInterrupt as interrupt:
        if shown:
            print(interrupt, file=sys.stderr)
        sys.exit(130)
    if shown:
        _report(result)


def _check_resume(
    resume: bool, overwrite: bool, config: Path | None, out: Path | None, *, trust: bool
) -> None:
    """Refuse what cannot go together with --resume."""
    from ratenet.errors import InputError

    if resume and overwrite:
        raise InputError(
            "--resume and --overwrite exclude one another; choose one.", argument="resume"
        )
    if resume and config is not None:
        raise InputError(
            "--config: a run is resumed with the configuration in --out; leave the option out.",
            argument="config",
        )
    if resume and out is None:
        raise InputError(
            "--resume requires --out, the folder of the run to resume.", argument="resume"
        )
    if trust and not resume and config is None:
        raise InputError(
            "--trust: has an effect on --resume and --config only; leave it out.", argument="trust"
        )


def _with_root(config: TrainingConfig, given: Mapping[str, Any]) -> TrainingConfig:
    """Refuse a folder for images that need none; in --config it may be meant for other images."""
    from ratenet.stimuli import check_root, reads_root

    usual = TrainingConfig.data_root
    if "data" in given and "data_root" not in given and not reads_root(config.data):
        return replace(config, data_root=usual)
    if "data_root" in given or config.data_root != usual:
        check_root(config.data)
    return config


def _check_layers_listen(config: TrainingConfig, given: Mapping[str, Any]) -> None:
    """Refuse an option that every recurrent layer sets for itself."""
    from ratenet.errors import InputError
    from ratenet.layers.tables import AbstractRecurrentTable, read_tables

    tables = read_tables(config.layers) if config.layers else ()
    recurrent = [table for table in tables if isinstance(table, AbstractRecurrentTable)]
    for option, key in (("rule", "rule"), ("recurrent_learning_rate", "learning_rate")):
        learning = [table for table in recurrent if table.learns and table.rule != "frozen"]
        listening = [table for table in learning if not getattr(table, key)]
        if option in given and recurrent and not listening:
            raise InputError(
                f"--{option.replace('_', '-')} has no effect: every recurrent layer sets its own "
                f"{key} or is frozen; change it in --config."
            )


def _report(result: Any) -> None:
    summary = result.summary
    what = "left out" if summary["unsettled"] == "leave-out" else "unsettled, too"
    score = "accuracy" if "test_accuracy" in summary else "loss"
    print(f"{f'test {score}':14s} {summary[f'test_{score}']:.3f} at solved fixed points")
    if f"test_{score}_slow" in summary:
        print(f"               {summary[f'test_{score}_slow']:.3f} {_when(summary)}")
    same = ", its read-out fitted, too" if summary.get("read_out") == "fitted" else ""
    print(f"control        {summary[f'control_{score}']:.3f} with the weights as drawn{same}")
    print(f"{what:14s} {counted(summary['unsettled_samples'], 'sample')} that did not settle")
    if summary.get("unlabelled_samples"):
        print(f"               {summary['unlabelled_samples']} whose stimulus showed no class")
    if summary["adjoint_left_out"]:
        print(f"               {summary['adjoint_left_out']} whose adjoint could not be solved")
    if "barrier" in summary:
        corrected, refused = summary["corrected_steps"], summary["refused_steps"]
        print(f"barrier        {counted(corrected, 'step')} corrected, {refused} refused")
    if summary["reason"]:
        print(f"ended early    {summary['reason']}")
    print(f"time           {summary['seconds']:.1f} s for {counted(summary['steps'], 'step')}")
    print(f"run folder     {result.folder}")
    for file in sorted((result.folder / "figures").glob("*.*")):
        print(f"{'figure' if file.suffix != '.csv' else 'its data':<15}{file}")


def _when(summary: Mapping[str, Any]) -> str:
    """Return when the answers to test images were read in the slow presentation."""
    if summary["stimulus"] == "hold-and-fade":
        return "at the end of slow holds"
    return f"under {summary['stimulus']}, tau / T = {summary['speed']:.3g}"
