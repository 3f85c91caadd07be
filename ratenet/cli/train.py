"""``ratenet train``: train on slowly changing or static images."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ratenet.training import TrainingConfig

DataOption = Annotated[
    str | None, typer.Option(help="mnist-5k (embedded), mnist or fashion-mnist. [mnist-5k]")
]
DataRootOption = Annotated[
    Path | None, typer.Option(help="Where torchvision keeps its files. [data]")
]
ModelOption = Annotated[
    str | None, typer.Option(help="A model's name, or the path of a .toml file. [rate]")
]
RuleOption = Annotated[
    str | None,
    typer.Option(
        help="A rule's name, or a sum: `0.5*euclidean+0.5*hebb`; docs/rules.md has them all. "
        "[linearized-reparameterized]"
    ),
]
LearningRateOption = Annotated[float | None, typer.Option(help="Above 0. [0.25]")]
RecurrentLearningRateOption = Annotated[
    float | None,
    typer.Option(help="Of the recurrent weights, if not the same. [--learning-rate]"),
]
OptimizerOption = Annotated[
    str | None, typer.Option(help="sgd, adam or another optimizer of torch, by name. [sgd]")
]
WeightDecayOption = Annotated[
    float | None, typer.Option(help="Weight decay. [the optimizer's own]")
]
MomentumOption = Annotated[float | None, typer.Option(help="Momentum. [the optimizer's own]")]
ClipNormOption = Annotated[
    float | None, typer.Option(help="Largest norm of the rule's direction. [none]")
]
ScheduleOption = Annotated[
    str | None,
    typer.Option(help="constant, cosine or a scheduler of torch, by name. [constant]"),
]
ScheduleOptionsOption = Annotated[
    str | None,
    typer.Option(
        help="What the scheduler takes, in steps: step_size=100,gamma=0.5 or milestones=30:60."
    ),
]
LearnOption = Annotated[
    str | None,
    typer.Option(help="What learns besides the recurrent weights: read-in,read-out. [nothing]"),
]
BarrierOption = Annotated[
    float | None,
    typer.Option(
        help="Smallest rate of decay of the slowest mode, as a share of the slowest unit's "
        "own; above 0, below 1. Weights are corrected to keep it. [none]"
    ),
]
EpochsOption = Annotated[int | None, typer.Option(help="Passes over the images. [30]")]
UnitsOption = Annotated[int | None, typer.Option(help="N, recurrent units. [300]")]
BatchSizeOption = Annotated[
    int | None, typer.Option(help="B, streams of images side by side. [256]")
]
PresentationOption = Annotated[
    str | None,
    typer.Option(help="slow: images held and cross-faded; static: their fixed points. [slow]"),
]
TauOption = Annotated[float | None, typer.Option(help="Time constant tau in ms. [the model's]")]
HoldOption = Annotated[
    float | None, typer.Option(help="Hold of an image in ms; 0: it never rests. [20 tau]")
]
FadeOption = Annotated[
    float | None, typer.Option(help="Cross-fade to the next image in ms. [5 tau]")
]
UpdateAtOption = Annotated[
    str | None,
    typer.Option(help="When the rule acts, as shares of the hold: 0.25,0.5,1; or continuous. [1]"),
]
EligibilityOption = Annotated[
    float | None,
    typer.Option(help="Time constant in ms of an average over continuous changes. [none]"),
]
CorrectLagOption = Annotated[
    bool,
    typer.Option(
        "--correct-lag", help="Take the predicted lag off the rates first; with --hold 0."
    ),
]
UnsettledOption = Annotated[
    str | None,
    typer.Option(help="leave-out or include samples that did not settle. [leave-out]"),
]
EvaluateEveryOption = Annotated[
    int | None, typer.Option(help="Epochs between tests. [only at the end]")
]
ValidationOption = Annotated[
    int | None, typer.Option(help="Training images that are held out to choose by. [0]")
]
PatienceOption = Annotated[
    int | None,
    typer.Option(
        help="Stop after so many measurements without a better validation accuracy. [never]"
    ),
]
BackendOption = Annotated[
    str | None, typer.Option(help="torch or brian2, for slow presentation. [torch]")
]
DtypeOption = Annotated[str | None, typer.Option(help="float32 or float64. [float32]")]
SeedOption = Annotated[int | None, typer.Option(help="Same seed, same numbers. [0]")]
DeviceOption = Annotated[str | None, typer.Option(help="cpu or cuda. [cpu]")]
ThreadsOption = Annotated[int | None, typer.Option(help="CPU threads. [torch's]")]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="A TOML file with these options and, if need be, the layers of a stack "
        "(docs/layers.md); options on the command line go before it.",
    ),
]
OutOption = Annotated[Path | None, typer.Option(help="The run folder. [runs/, the date and time]")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace the run in --out.")]


def train(
    config_file: ConfigOption = None,
    data: DataOption = None,
    data_root: DataRootOption = None,
    model: ModelOption = None,
    rule: RuleOption = None,
    learning_rate: LearningRateOption = None,
    recurrent_learning_rate: RecurrentLearningRateOption = None,
    optimizer: OptimizerOption = None,
    weight_decay: WeightDecayOption = None,
    momentum: MomentumOption = None,
    clip_norm: ClipNormOption = None,
    schedule: ScheduleOption = None,
    schedule_options: ScheduleOptionsOption = None,
    learn: LearnOption = None,
    barrier: BarrierOption = None,
    epochs: EpochsOption = None,
    units: UnitsOption = None,
    batch_size: BatchSizeOption = None,
    presentation: PresentationOption = None,
    tau: TauOption = None,
    hold: HoldOption = None,
    fade: FadeOption = None,
    update_at: UpdateAtOption = None,
    eligibility: EligibilityOption = None,
    correct_lag: CorrectLagOption = False,
    unsettled: UnsettledOption = None,
    evaluate_every: EvaluateEveryOption = None,
    validation: ValidationOption = None,
    patience: PatienceOption = None,
    backend: BackendOption = None,
    dtype: DtypeOption = None,
    seed: SeedOption = None,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    out: OutOption = None,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Train a recurrent network on images; a run folder holds everything.

    Example: `ratenet train --rule euclidean --learning-rate 0.01 --epochs 10 --out runs/euclidean`
    """
    from ratenet.cli.output import is_first_process, plain_warnings
    from ratenet.errors import InputError
    from ratenet.training import (
        TrainingConfig,
        read_options,
        resume as resume_run,
        train as train_anew,
    )

    plain_warnings()
    milliseconds = {"tau": tau, "hold": hold, "fade": fade, "eligibility": eligibility}
    options: dict[str, Any] = {
        "data": data, "data_root": None if data_root is None else str(data_root), "model": model,
        "rule": rule, "learning_rate": learning_rate, "epochs": epochs, "units": units,
        "recurrent_learning_rate": recurrent_learning_rate,
        "batch_size": batch_size, "presentation": presentation, "unsettled": unsettled,
        "optimizer": optimizer, "weight_decay": weight_decay, "momentum": momentum,
        "clip_norm": clip_norm, "schedule": schedule, "barrier": barrier,
        "learn": None if learn is None else [name.strip() for name in learn.split(",")],
        "schedule_options": None if schedule_options is None else _options(schedule_options),
        "update_at": None if update_at is None else _update_at(update_at),
        "correct_lag": correct_lag or None, "validation": validation, "patience": patience,
        "backend": backend, "dtype": dtype,
        "evaluate_every": evaluate_every, "seed": seed, "device": device, "threads": threads,
        **{name: None if value is None else value / 1000 for name, value in milliseconds.items()},
    }  # fmt: skip
    in_file = {} if config_file is None else read_options(config_file)
    given = {name: value for name, value in options.items() if value is not None}
    if resume and overwrite:
        raise InputError("--resume and --overwrite exclude one another; choose one.")
    if resume and config_file is not None:
        raise InputError("--config: a run goes on with the configuration in --out; leave it out.")
    if resume and out is None:
        raise InputError("--resume needs --out, the run folder to go on with.")
    try:
        if resume:
            shown = is_first_process()
            result = resume_run(out, given, show_progress=shown)  # type: ignore[arg-type]
        else:
            config = TrainingConfig(**{**in_file, **given})
            _check_layers_listen(config, given)
            shown = is_first_process()
            result = train_anew(config, out=out, overwrite=overwrite, show_progress=shown)
    except KeyboardInterrupt as interrupt:
        if is_first_process():
            print(interrupt, file=sys.stderr)
        raise typer.Exit(130) from None
    if is_first_process():
        _report(result)


def _check_layers_listen(config: "TrainingConfig", given: Mapping[str, Any]) -> None:
    """Refuse an option of recurrent layers that each of them says for itself."""
    from ratenet.errors import InputError
    from ratenet.layers.tables import AbstractRecurrentTable, read_tables

    tables = read_tables(config.layers) if config.layers else ()
    recurrent = [table for table in tables if isinstance(table, AbstractRecurrentTable)]
    for option, key in (("rule", "rule"), ("recurrent_learning_rate", "learning_rate")):
        learning = [table for table in recurrent if table.learns and table.rule != "frozen"]
        listening = [table for table in learning if not getattr(table, key)]
        if option in given and recurrent and not listening:
            raise InputError(
                f"--{option.replace('_', '-')}: every recurrent layer of --config has a {key} of "
                "its own, which goes before it, or does not learn; change it there."
            )


def _options(text: str) -> dict[str, Any]:
    """Return ``step_size=100,gamma=0.5`` as names and numbers; ``30:60`` is a list of numbers."""
    from ratenet.errors import InputError

    found: dict[str, Any] = {}
    for entry in text.split(","):
        name, equals, value = (part.strip() for part in entry.partition("="))
        if not (name and equals and value):
            raise InputError(
                f"--schedule-options: {entry!r} is not NAME=VALUE, as in step_size=100,gamma=0.5 "
                "or milestones=30:60."
            )
        parts = [_number_or_text(part) for part in value.split(":") if part]
        found[name] = parts if ":" in value else parts[0]
    return found


def _number_or_text(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _update_at(text: str) -> Any:
    """Return ``0.25,0.5,1`` as numbers; a word is left as it is."""
    try:
        return [float(share) for share in text.split(",")]
    except ValueError:
        return text


def _report(result: Any) -> None:
    summary = result.summary
    what = "left out" if summary["unsettled"] == "leave-out" else "unsettled, too"
    print(f"test accuracy  {summary['test_accuracy']:.3f} at solved fixed points")
    if "test_accuracy_slow" in summary:
        print(f"               {summary['test_accuracy_slow']:.3f} at the end of slow holds")
    print(f"control        {summary['control_accuracy']:.3f} with the weights as drawn")
    print(f"{what:14s} {summary['unsettled_samples']} samples that did not settle")
    if summary["adjoint_left_out"]:
        print(f"               {summary['adjoint_left_out']} whose adjoint could not be solved")
    if "barrier" in summary:
        corrected, refused = summary["corrected_steps"], summary["refused_steps"]
        print(f"barrier        {corrected} steps corrected, {refused} refused")
    if summary["reason"]:
        print(f"ended early    {summary['reason']}")
    print(f"time           {summary['seconds']:.1f} s for {summary['steps']} steps")
    print(f"run folder     {result.folder}")
    for figure in sorted((result.folder / "figures").glob("*.png")):
        print(f"figure         {figure}")
