"""``ratenet rules``: list the plasticity rules, or show one with its settings."""

from typing import Annotated

import typer


def rules(
    name: Annotated[
        str | None,
        typer.Argument(help="Name of a rule, or FILE.py:NAME of your own; without it, list all."),
    ] = None,
) -> None:
    """List the plasticity rules with their settings, or show one and its metric.

    A rule is given with settings in brackets wherever a rule is asked for.

    Example: `ratenet rules truncated-adjoint`

    Example: `ratenet train --rule "truncated-adjoint(terms=5)"`
    """
    from ratenet.cli.listing import print_names, print_one
    from ratenet.plasticity import RULES, rule_named

    if name is None:
        print_names(RULES, lambda each: f"metric: {rule_named(each).metric}")
        return
    if RULES.is_name(name):
        print_one(RULES, name)
    rule = rule_named(name)
    print(f"metric: {rule.metric}")
    needs = {"a loss": rule.traits.needs_loss, "errors": rule.traits.uses_error}
    needed = [what for what, is_needed in needs.items() if is_needed]
    print(f"needs: {', '.join(needed) or 'nothing but fixed points'}")
