"""``ratenet stimuli``: list the stimuli, or show how one changes in time."""

from pathlib import Path
from typing import Annotated

import typer

from ratenet.cli.options import Overwrite, given, milliseconds, path, seed as seed_option

STREAMS = 4
PERIODS_SHOWN = 3


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
        Path | None, path("Draw four streams over three periods to this .gif file.")
    ] = None,
    period: Annotated[
        float, milliseconds("Period in ms; the list says of each stimulus what it is.")
    ] = 500.0,
    tau: Annotated[float, milliseconds("Time constant of the network in ms.")] = 10.0,
    data: Annotated[
        str, typer.Option(help="A data set, an .npz file, a folder or FILE.py:NAME.")
    ] = "mnist-5k",
    data_root: Annotated[Path, path("Folder with torchvision's data sets.")] = Path("data"),
    seed: Annotated[int, seed_option("Seed of the choice of images and of their course.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """List the slowly changing stimuli with their settings, or show one and its speed tau / T.

    Example: `ratenet stimuli rotate --period 1000 --preview rotate.gif`

    Example: `ratenet train --stimulus "rotate(period=2*second)"`
    """
    from ratenet.cli.listing import print_names
    from ratenet.errors import InputError
    from ratenet.report.preview import check_place, preview as draw
    from ratenet.stimuli import STIMULI, load_images, stimulus_named, stimulus_names

    names = stimulus_names()
    if name is None:
        for option in given(context):
            raise InputError(
                f"{option}: name the stimulus too; `ratenet stimuli` lists them.", argument=option
            )
        print_names(STIMULI, lambda each: names.get(each, "").partition("; ")[2])
        return
    if overwrite and preview is None:
        raise InputError("overwrite: without --preview no file is written.", argument="overwrite")
    if preview is not None:
        check_place(preview, overwrite=overwrite)
    images = load_images(data, root=data_root).train
    shown = stimulus_named(name, images, STREAMS, period / 1000, seed)
    print(f"{name}: {names[name]}" if name in names else name)
    print(f"T        {1e3 * shown.time_scale:.4g} ms")
    print(f"tau / T  {shown.speed(tau / 1000):.3g} for tau = {tau:g} ms")
    if preview is not None:
        draw(shown, preview, PERIODS_SHOWN * period / 1000)
        print(f"preview  {preview}")
