"""``ratenet models``: list models and circuits, show one, or check a model of one's own."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console


def models(
    name: Annotated[
        str | None,
        typer.Argument(
            help="A model's name, the path of a .toml file, or `check` and then one of them."
        ),
    ] = None,
    file: Annotated[str | None, typer.Argument(help="After `check`: what to check.")] = None,
    latex: Annotated[bool, typer.Option("--latex", help="Equations as LaTeX.")] = False,
    seed: Annotated[int, typer.Option(help="Of the small random network that `check` uses.")] = 0,
) -> None:
    """List the models and circuits, show one model, or check one.

    `ratenet models check FILE` runs it in torch and in Brian2, which must agree, and compares
    fixed points, gains and Jacobian with independent answers.

    Example: `ratenet models adaptation --latex`

    Example: `ratenet models check my_model.toml`
    """
    from rich.console import Console

    from ratenet import circuits
    from ratenet.equations import load_model, model_names
    from ratenet.errors import InputError

    console = Console(highlight=False, soft_wrap=True)
    if name == "check":
        if file is None:
            raise InputError("models check: say which; give a model's name or a .toml file.")
        _check(file, seed, console)
    elif file is not None:
        raise InputError(f"models: {file!r} is one argument too many; give one model.")
    elif name is None:
        _list(console)
    elif name in circuits.names() and name not in model_names():
        circuit = circuits.load(name)
        console.print(f"{name}: {circuit.title} ({circuit.source})", markup=False)
        console.print(f"{circuit.network.units} units of the model:", markup=False)
        console.print(str(circuit.network.model), markup=False)
        console.print(f"Run it with: ratenet simulate {name}", markup=False)
    elif latex:
        from ratenet.report.latex import model_latex

        print(model_latex(load_model(name)))
    else:
        console.print(str(load_model(name)), markup=False)


def _list(console: "Console") -> None:
    from ratenet import circuits
    from ratenet.equations import load_model, model_names

    width = max(map(len, [*model_names(), *circuits.names()]))
    console.print("Models")
    for each in model_names():
        console.print(f"  {each:<{width}}  {load_model(each).title}", markup=False)
    console.print("\nCircuits: models with their weights and stimulus")
    for each in circuits.names():
        console.print(f"  {each:<{width}}  {circuits.load(each).title}", markup=False)
    console.print(
        "\nShow one with: ratenet models NAME; run it with: ratenet simulate NAME",
        markup=False,
    )


def _check(file: str, seed: int, console: "Console") -> None:
    from ratenet.cli.output import plain_warnings
    from ratenet.conformance import check_model
    from ratenet.equations import load_model

    plain_warnings()
    model = load_model(file)
    console.print(f"{model.name}: {model.title}", markup=False)
    found = check_model(model, seed)
    for check in found:
        result = "-     " if check.error is None else "passed" if check.passed else "FAILED"
        size = "" if check.error is None else f"{check.error:.1e}, allowed {check.bound:.0e}; "
        console.print(f"  {result}  {check.name}: {size}{check.sentence}", markup=False)
    failed = [check.name for check in found if not check.passed]
    if failed:
        print(f"{file}: {', '.join(failed)} failed; the two simulators must not be trusted yet.")
        raise typer.Exit(3)
