"""``ratenet train``: train on slowly changing or static images."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer


def train(
    data: Annotated[
        str | None, typer.Option(help="mnist-5k (embedded), mnist or fashion-mnist. [mnist-5k]")
    ] = None,
    data_root: Annotated[
        Path | None, typer.Option(help="Where torchvision keeps its files. [data]")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="A model's name, or the path of a .toml file. [rate]")
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option(
            help="euclidean, reparameterized, linearized-reparameterized or "
            "gain-free-reparameterized. [linearized-reparameterized]"
        ),
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Above 0. [0.25]")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the images. [30]")] = None,
    units: Annotated[int | None, typer.Option(help="N, recurrent units. [300]")] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="B, streams of images side by side. [256]")
    ] = None,
    presentation: Annotated[
        str | None,
        typer.Option(help="slow: images held and cross-faded; static: their fixed points. [slow]"),
    ] = None,
    tau: Annotated[
        float | None, typer.Option(help="Time constant tau in ms. [the model's]")
    ] = None,
    hold: Annotated[float | None, typer.Option(help="Hold of an image in ms. [20 tau]")] = None,
    fade: Annotated[
        float | None, typer.Option(help="Cross-fade to the next image in ms. [5 tau]")
    ] = None,
    unsettled: Annotated[
        str | None,
        typer.Option(help="leave-out or include samples that did not settle. [leave-out]"),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same numbers. [0]")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda. [cpu]")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads. [torch's]")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run folder. [runs/, the date and time]")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the run in --out.")
    ] = False,
) -> None:
    """Train a recurrent network on images; a run folder holds everything.

    Example: `ratenet train --rule euclidean --learning-rate 0.01 --epochs 10 --out runs/euclidean`
    """
    from ratenet.cli.output import plain_warnings
    from ratenet.errors import InputError
    from ratenet.training import TrainingConfig
    from ratenet.training import resume as resume_run
    from ratenet.training import train as train_anew

    plain_warnings()
    milliseconds = {"tau": tau, "hold": hold, "fade": fade}
    options: dict[str, Any] = {
        "data": data, "data_root": None if data_root is None else str(data_root), "model": model,
        "rule": rule, "learning_rate": learning_rate, "epochs": epochs, "units": units,
        "batch_size": batch_size, "presentation": presentation, "unsettled": unsettled,
        "seed": seed, "device": device, "threads": threads,
        **{name: None if value is None else value / 1000 for name, value in milliseconds.items()},
    }  # fmt: skip
    given = {name: value for name, value in options.items() if value is not None}
    if resume and overwrite:
        raise InputError("--resume and --overwrite exclude one another; choose one.")
    if resume and out is None:
        raise InputError("--resume needs --out, the run folder to go on with.")
    try:
        if resume:
            result = resume_run(out, given, show_progress=True)  # type: ignore[arg-type]
        else:
            config = TrainingConfig(**given)
            result = train_anew(config, out=out, overwrite=overwrite, show_progress=True)
    except KeyboardInterrupt as interrupt:
        print(interrupt, file=sys.stderr)
        raise typer.Exit(130) from None
    _report(result)


def _report(result: Any) -> None:
    summary = result.summary
    print(f"test accuracy  {summary['test_accuracy']:.3f} at solved fixed points")
    if "test_accuracy_slow" in summary:
        print(f"               {summary['test_accuracy_slow']:.3f} at the end of slow holds")
    print(f"control        {summary['control_accuracy']:.3f} with W frozen")
    print(f"left out       {summary['unsettled_samples']} samples that did not settle")
    print(f"time           {summary['seconds']:.1f} s for {summary['steps']} steps")
    print(f"run folder     {result.folder}")
    for figure in sorted((result.folder / "figures").glob("*.png")):
        print(f"figure         {figure}")
