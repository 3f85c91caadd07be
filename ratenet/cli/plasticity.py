"""``ratenet plasticity``: list the plasticity rules that are equations, show one, check a file."""

import json
from typing import Annotated

import typer

from ratenet.cli.models import NamesAreShown, console_of, report

app = typer.Typer(cls=NamesAreShown, invoke_without_command=True)


@app.callback()
def plasticity(context: typer.Context) -> None:
    """List plasticity rules that are equations, show one, or check a file of your own.

    `ratenet plasticity NAME` is short for `ratenet plasticity show NAME`.

    Example: `ratenet plasticity`

    Example: `ratenet plasticity bcm --latex`

    Example: `ratenet plasticity check my_rule.toml`
    """
    if context.invoked_subcommand is not None:
        return
    from ratenet.equations.shipped import plasticity_folder, titles

    console, known = console_of(), titles(plasticity_folder())
    width = max(map(len, known))
    for each, title in known.items():
        console.print(f"{each:<{width}}  {title}", markup=False)
    console.print("\nShow one with: ratenet plasticity NAME", markup=False)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A rule, or a .toml file.")],
    latex: Annotated[bool, typer.Option("--latex", help="Print the equations as LaTeX.")] = False,
) -> None:
    """Show a rule's equations, parameters and signals.

    Example: `ratenet plasticity show bcm --latex`
    """
    from ratenet.cli.names import check_name
    from ratenet.equations.shipped import plasticity_folder, plasticity_names, text_of_shipped

    if name in plasticity_names() and not latex:  # without Brian2
        console_of().print(text_of_shipped(plasticity_folder(), name), markup=False)
        return
    check_name("plasticity", name)

    from ratenet.equations import load_plasticity

    rule = load_plasticity(name)
    if latex:
        from ratenet.equations.latex import plasticity_latex

        print(plasticity_latex(rule))
    else:
        console_of().print(str(rule), markup=False)


@app.command()
def check(
    rule: Annotated[str, typer.Argument(help="A .toml file, or a rule's name.")],
    seed: Annotated[int, typer.Option(help="Seed of the small random network.", min=0)] = 0,
) -> None:
    """Check a rule in torch and in Brian2: rates, weights and all variables must agree.

    Example: `ratenet plasticity check my_rule.toml`
    """
    from ratenet.conformance import check_plasticity
    from ratenet.equations import load_plasticity

    spec = load_plasticity(rule)
    console_of().print(spec.heading, markup=False)
    report(check_plasticity(spec, seed), rule)


@app.command()
def schema() -> None:
    """Print the JSON schema of plasticity files, by which editors complete and check them.

    Example: `ratenet plasticity schema > ratenet-plasticity.schema.json`
    """
    from ratenet.equations.table import plasticity_schema

    print(json.dumps(plasticity_schema(), indent=2))
