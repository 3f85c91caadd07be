"""``ratenet models``: list the models, or show one."""

from typing import Annotated

import typer


def models(
    name: Annotated[
        str | None, typer.Argument(help="A model's name, or the path of a .toml file.")
    ] = None,
) -> None:
    """List the models, or show one: equations, parameters, source.

    Example: `ratenet models adaptation`
    """
    from rich.console import Console

    from ratenet.model_files import load_model, model_names

    console = Console(highlight=False)
    if name is not None:
        console.print(str(load_model(name)), markup=False, soft_wrap=True)
        return
    width = max(map(len, model_names()))
    for each in model_names():
        console.print(f"{each:<{width}}  {load_model(each).title}", markup=False)
    console.print("\nShow one with: ratenet models NAME", markup=False)
