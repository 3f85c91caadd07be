"""``ratenet stimuli``: list the stimuli, or show how one changes in time and what follows it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ratenet.cli.options import Overwrite, given, milliseconds, path, seed as seed_option
from ratenet.errors import InputError

if TYPE_CHECKING:
    from ratenet.stimuli import AbstractStimulus, ImageSet
    from ratenet.training import LoadedRun

STREAMS = 4
PERIODS_SHOWN = 3
UNITS = 100
TAU = 10.0  # ms


def stimuli(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            help="Name of a stimulus, with settings in brackets where they differ, or FILE.py:NAME "
            "of your own; without it, list all."
        ),
    ] = None,
    preview: Annotated[
        Path | None, path("Draw four streams over three periods to this .gif or .mp4 file.")
    ] = None,
    settling: Annotated[
        Path | None,
        path(
            "Draw one stream over three periods, and the rates that run after their fixed points, "
            "to this .gif or .mp4 file."
        ),
    ] = None,
    run: Annotated[
        Path | None,
        path("Run folder of the network that settles; default: one with random weights."),
    ] = None,
    period: Annotated[
        float, milliseconds("Period in ms; the list says of each stimulus what it is.")
    ] = 500.0,
    tau: Annotated[
        float | None, milliseconds("Time constant of the network in ms; default 10, or the run's.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="A data set, an .npz file, a folder or FILE.py:NAME. [mnist-5k, or the run's]"
        ),
    ] = None,
    data_root: Annotated[
        Path | None, path("Folder with torchvision's data sets. [data, or the run's]")
    ] = None,
    seed: Annotated[int, seed_option("Seed of the images, their course, and the weights.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """List the slowly changing stimuli with their settings, or show one and its speed tau / T.

    Example: `ratenet stimuli rotate --period 1000 --preview rotate.gif`

    Example: `ratenet stimuli hold-and-fade --period 150 --settling settling.gif`

    Example: `ratenet train --stimulus "rotate(period=2*second)"`
    """
    from ratenet.cli.listing import print_names
    from ratenet.report.animation import check_place
    from ratenet.report.preview import preview as draw
    from ratenet.stimuli import STIMULI, stimulus_named, stimulus_names

    names = stimulus_names()
    if name is None:
        for option in given(context):
            raise InputError(
                f"{option}: name the stimulus too; `ratenet stimuli` lists them.", argument=option
            )
        print_names(STIMULI, lambda each: names.get(each, "").partition("; ")[2])
        return
    places = {"preview": preview, "settling": settling}
    written = {which: place for which, place in places.items() if place is not None}
    _check_options(given(context), written)
    for which, place in written.items():
        check_place(place, which, overwrite=overwrite)
    learned = None if run is None else _load(run)
    if learned is not None:
        tau = 1e3 * learned.network.longest_time_constant()
    tau = TAU if tau is None else tau
    sets = _images(data, data_root, learned)
    images = sets.train if learned is None else sets.test
    shown = stimulus_named(name, images, STREAMS, period / 1000, seed)
    print(f"{name}: {names[name]}" if name in names else name)
    print(f"T        {1e3 * shown.time_scale:.4g} ms")
    print(f"tau / T  {shown.speed(tau / 1000):.3g} for tau = {tau:g} ms")
    duration = PERIODS_SHOWN * period / 1000
    if preview is not None:
        draw(shown, preview, duration)
        print(f"preview  {preview}")
    if settling is not None:
        one = stimulus_named(name, images, 1, period / 1000, seed)
        _settle(one, learned, duration, tau / 1000, seed, settling)
        print(f"settling {settling}")


def _check_options(options: list[str], written: dict[str, Path]) -> None:
    """Refuse options without the file that they are about."""
    if "overwrite" in options and not written:
        raise InputError(
            "overwrite: without --preview or --settling no file is written.", argument="overwrite"
        )
    if "run" in options and "settling" not in written:
        raise InputError("run: its network is drawn with --settling FILE only.", argument="run")
    if "run" in options and "tau" in options:
        raise InputError("tau: the run has its own; leave out --tau.", argument="tau")


def _load(run: Path) -> "LoadedRun":
    from ratenet.files import refuse_no_run
    from ratenet.training import load_run

    refuse_no_run(run)
    return load_run(run)


def _images(data: str | None, root: Path | None, run: "LoadedRun | None") -> "ImageSet":
    """Return the images of --data, or else those of the run, or else the embedded ones."""
    from ratenet.stimuli import check_root, load_images
    from ratenet.stimuli.data_sets import EMBEDDED

    named: Any = data
    usual = "data"
    if data is None and run is not None:
        named, usual = run.config.data, run.config.data_root
    named = EMBEDDED if named is None else named
    if root is not None:
        check_root(named)
    return load_images(named, root=root or usual)


def _settle(
    stimulus: "AbstractStimulus",
    run: "LoadedRun | None",
    duration: float,
    tau: float,
    seed: int,
    place: Path,
) -> None:
    """Draw how a run's network, or a random one such as training begins with, settles."""
    import torch

    from ratenet.report.settling import animate_settling, follow
    from ratenet.training.classifier import random_classifier

    if run is None:
        learner = random_classifier(
            "rate", units=UNITS, inputs=stimulus.at(0.0).shape[1], classes=1, tau=tau, seed=seed,
            device=torch.device("cpu"),
        )  # fmt: skip
        network, read_in = learner.network, learner.read_in
    else:
        network, read_in = run.network, run.read_in
    animate_settling(follow(network, read_in, stimulus, duration), stimulus, place)
