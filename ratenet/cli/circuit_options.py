"""A circuit's own arguments as options of a command: ``ratenet simulate ssn_ring --contrast 50``.

Which options there are depends on the circuit that stands among the words, so they are added while
these are read; ``--help`` behind the circuit's name lists them.
"""

import inspect
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from ratenet.errors import InputError, UnknownNameError

_MET = "ratenet.circuit"  # in a context: the circuit that the words name, and what it was given


class TakesCircuitOptions(TyperCommand):
    """A command about a circuit or a model, with the circuit's arguments among its options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words; an option that neither command nor circuit has is refused by name."""
        ctx.meta[_MET] = {}
        circuit = _circuit_among(args)
        self._own = _circuit_options(circuit, list(self.params))
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter.__base__ as error:  # type: ignore[misc]
            wrong = getattr(error, "option_name", None)
            if type(error).__name__ != "NoSuchOption" or not self._own:
                raise
            names = [option.opts[0] for option in (*self._own, *self.params)]
            available = [name for name in names if name.startswith("--")]
            raise UnknownNameError.among(f"option of {circuit}", wrong, available) from None

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options, those of the circuit first."""
        return [*getattr(self, "_own", ()), *super().get_params(ctx)]


def circuit_arguments(context: typer.Context) -> dict[str, Any]:
    """Return what was given for the circuit's arguments, by name."""
    found: dict[str, Any] = context.meta.get(_MET, {})
    return found


def value_of(text: str, where: str) -> Any:
    """Return a number or a quantity; with commas a list of them, one for each stimulus.

    Examples
    --------
    >>> value_of("10, 50", "contrast")
    [10, 50]
    """
    from ratenet.cli.config_options import split_list
    from ratenet.equations.terms import read_value

    values = [read_value(part, where) for part in split_list(text)]
    if not values:
        raise InputError.at(where, got=text, expected="a number, a quantity, or a list of them")
    return values[0] if len(values) == 1 else values


def _circuit_among(words: list[str]) -> str | None:
    """Return the first word that names a circuit, if one does."""
    if not any(word[:1].isalpha() for word in words):
        return None
    from ratenet import circuits  # with torch, which --help alone does without

    return next((word for word in words if word in circuits.names()), None)


def _circuit_options(circuit: str | None, params: list[Any]) -> list[Any]:
    """Return a circuit's arguments as options, without those that the command has anyway."""
    if circuit is None:
        return []
    from ratenet.circuits.named import arguments as arguments_of

    taken = {param.name for param in params}
    arguments = {n: about for n, about in arguments_of(circuit).items() if n not in taken}

    def given(**values: str | None) -> None:
        """Stand for the circuit."""

    given.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[
                    str | None,
                    typer.Option(
                        *dict.fromkeys((f"--{name.replace('_', '-')}", f"--{name}")),
                        help=f"{circuit}: {about.help} Default: {about.default}.",
                        metavar="VALUE",
                        callback=_keep,
                        show_default=False,
                    ),
                ],
            )
            for name, about in arguments.items()
        ]
    )
    app = typer.Typer(add_completion=False)
    app.command()(given)
    options = [p for p in typer.main.get_command(app).params if p.name in arguments]
    for option in options:
        option.expose_value = False
    return options


def _keep(context: typer.Context, param: typer.CallbackParam, value: str | None) -> None:
    """Note what was given for one of the circuit's arguments."""
    if value is not None:
        circuit_arguments(context)[str(param.name)] = value_of(value, str(param.name))
