"""``ratenet stimuli``: list the stimuli, or show how one changes in time."""

from pathlib import Path
from typing import Annotated

import typer

STREAMS = 4
PERIODS_SHOWN = 3


def stimuli(
    name: Annotated[str | None, typer.Argument(help="A stimulus; without it: list them.")] = None,
    preview: Annotated[
        Path | None, typer.Option(help="Draw four streams over three periods as a .gif.")
    ] = None,
    period: Annotated[float, typer.Option(help="In ms; what it is, the list says.")] = 500.0,
    tau: Annotated[float, typer.Option(help="The network's time constant in ms.")] = 10.0,
    data: Annotated[str, typer.Option(help="mnist-5k, mnist or fashion-mnist.")] = "mnist-5k",
    data_root: Annotated[Path, typer.Option(help="Where torchvision keeps its files.")] = Path(
        "data"
    ),
    seed: Annotated[int, typer.Option(help="Same seed, same images.")] = 0,
) -> None:
    """List the slowly changing stimuli, or show one and its speed tau / T.

    Example: `ratenet stimuli rotate --period 1000 --preview rotate.gif`
    """
    from ratenet.cli.output import plain_warnings
    from ratenet.errors import InputError
    from ratenet.stimuli import load_images, stimulus_named, stimulus_names

    plain_warnings()
    names = stimulus_names()
    if name is None:
        if preview is not None:
            raise InputError("preview: say of which stimulus; `ratenet stimuli` lists them.")
        width = max(map(len, names))
        print("\n".join(f"{each:<{width}}  {line}" for each, line in names.items()))
        return
    images = load_images(data, root=data_root).train
    shown = stimulus_named(name, images, STREAMS, period / 1000, seed)
    print(f"{name}: {names[name]}")
    print(f"T        {1e3 * shown.time_scale:.4g} ms")
    print(f"tau / T  {shown.speed(tau / 1000):.3g} for tau = {tau:g} ms")
    if preview is not None:
        from ratenet.report.preview import preview as draw

        draw(shown, preview, PERIODS_SHOWN * period / 1000)
        print(f"preview  {preview}")
