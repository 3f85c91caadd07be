"""``ratenet models``: list models and circuits, show one, check a model file, print its schema."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from ratenet.errors import counted

if TYPE_CHECKING:
    from rich.console import Console

    from ratenet.conformance.answers import Check


class NamesAreShown(TyperGroup):
    """A group in which a word that is not a command is a name to show."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put ``show`` before the name, or the option, of what is to be shown."""
        if args and args[0] not in (*self.commands, *self.get_help_option_names(ctx)):
            args = ["show", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=NamesAreShown, invoke_without_command=True)


def console_of() -> "Console":
    """Return where tables and sentences are printed."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)


@app.callback()
def models(context: typer.Context) -> None:
    """List models and circuits, show one, or check a model file of your own.

    `ratenet models NAME` is short for `ratenet models show NAME`.

    Example: `ratenet models`

    Example: `ratenet models adaptation --latex`

    Example: `ratenet models check my_model.toml`
    """
    if context.invoked_subcommand is not None:
        return
    from ratenet.circuits.titles import TITLES
    from ratenet.equations.shipped import models_folder, offered_models, titles

    console, shipped = console_of(), titles(models_folder())
    known = shipped | {name: _title(name) for name in offered_models()}
    width = max(map(len, [*known, *TITLES]))
    console.print("Models")
    for name, title in known.items():
        console.print(f"  {name:<{width}}  {title}", markup=False)
    console.print("\nCircuits: models with their weights and stimulus")
    for name, title in sorted(TITLES.items()):
        console.print(f"  {name:<{width}}  {title}", markup=False)
    console.print(
        "\nShow one with: ratenet models NAME; run it with: ratenet simulate NAME",
        markup=False,
    )


def _title(name: str) -> str:
    """Return a model's title; of a package that cannot be imported, why."""
    from ratenet.equations import load_model
    from ratenet.errors import RatenetError

    try:
        return load_model(name).title
    except RatenetError as error:
        return str(error)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A model, a circuit, or a .toml file.")],
    latex: Annotated[bool, typer.Option("--latex", help="Print the equations as LaTeX.")] = False,
) -> None:
    """Show a model's equations and parameters, or what a circuit is made of.

    Example: `ratenet models show adaptation --latex`
    """
    from ratenet import circuits
    from ratenet.cli.names import check_name
    from ratenet.equations.shipped import model_names, models_folder, text_of_shipped

    console, is_shipped = console_of(), name in model_names()
    if is_shipped and not latex:  # without Brian2
        console.print(text_of_shipped(models_folder(), name), markup=False)
        return
    if name not in circuits.names():
        check_name("model", name)

    from ratenet.equations import load_model

    if name in circuits.names() and not is_shipped:
        circuit = circuits.load(name)
        model = circuit.network.model
        units = counted(circuit.network.units, "unit")
        heading = f"{name}: {circuit.title} ({circuit.source})\n{units} of:"
        ending = f"\nRun it with: ratenet simulate {name}"
    else:
        model, heading, ending = load_model(name), "", ""
    if latex:
        from ratenet.equations.latex import model_latex

        print(model_latex(model))
    else:
        console.print("\n".join(filter(None, [heading, str(model)])) + ending, markup=False)


@app.command()
def check(
    model: Annotated[str, typer.Argument(help="A .toml file, or a model's name.")],
    seed: Annotated[int, typer.Option(help="Seed of the small random network.", min=0)] = 0,
) -> None:
    """Check a model in torch, in Brian2 and against independent answers.

    Trajectories must agree in both simulators; fixed points, gains and the Jacobian are compared
    with simulations and finite differences.

    Example: `ratenet models check my_model.toml`
    """
    from ratenet.conformance import check_model
    from ratenet.equations import load_model

    console, spec = console_of(), load_model(model)
    console.print(spec.heading, markup=False)
    report(check_model(spec, seed), model)


def report(found: "list[Check]", name: str) -> None:
    """Print what checks found; exit with 3 if one has failed."""
    console = console_of()
    for each in found:
        result = "-     " if each.error is None else "passed" if each.passed else "FAILED"
        size = "" if each.error is None else f"{each.error:.1e}, allowed {each.bound:.0e}; "
        console.print(f"  {result}  {each.name}: {size}{each.sentence}", markup=False)
    failed = [each.name for each in found if not each.passed]
    if failed:
        console.print(
            f"{name}: failed ({', '.join(failed)}); do not rely on simulations of it yet.",
            markup=False,
        )
        raise typer.Exit(3)


@app.command()
def new(
    file: Annotated[str, typer.Argument(help="Path of the file, which must end in .toml.")],
) -> None:
    """Write a commented model file to begin with; no file is replaced.

    Example: `ratenet models new my_model.toml`
    """
    from ratenet.equations.template import write_template

    write_template(Path(file))
    print(f"{file}\nCheck it with: ratenet models check {file}")


@app.command()
def schema() -> None:
    """Print the JSON schema of model files, by which editors complete and check them.

    Example: `ratenet models schema > ratenet-model.schema.json`
    """
    from ratenet.equations.table import model_schema

    print(json.dumps(model_schema(), indent=2))
