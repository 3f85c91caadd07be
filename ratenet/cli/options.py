<<<<<<< HEAD
"""Options that several commands have, each checked where it is given, before anything is loaded.

A check names the option as it is written in Python: ``--record-every 0`` is about record_every.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any
=======
"""Options of a command from the fields of a configuration, so that each is written once.

A field gives the option's name, its type and its default; the configuration's numpydoc gives the
help. Values are checked by the configuration itself, as in Python and in files.
"""

import functools
import inspect
import re
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import MISSING, Field, fields
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints
>>>>>>> 6f5bc2c (Each option of training is written once: checks, command line, help, files and documentation follow from TrainingConfig)

import typer

from ratenet.errors import InputError
<<<<<<< HEAD

SHORTEST, LONGEST = 1e-6, 1e12  # ms: a nanosecond, 30 years
_NO_PATH = Path("\0")


def path(help: str) -> Any:
    """Return an option that is the path of a file or folder."""
    check = _check("the path of a file or folder", lambda given: given != _NO_PATH)
    return typer.Option(help=help, parser=_path, metavar="PATH", callback=check)


def _path(text: str | Path) -> Path:
    """Return a path; not the current folder, which Path("") is, where nothing was given."""
    return Path(text) if str(text).strip() else _NO_PATH


def whole(help: str, *, least: int = 1, most: float = math.inf) -> Any:
    """Return an option that is a whole number."""
    if most == math.inf:
        expected = f"a whole number of at least {least}"
    else:
        expected = f"a whole number from {least} to {most}"
    return typer.Option(help=help, callback=_check(expected, lambda n: least <= n <= most))


def above_zero(help: str, *, below: float = math.inf) -> Any:
    """Return an option that is a finite number above 0."""
    expected = "a finite number above 0" + (f" and below {below:g}" if below < math.inf else "")
    return typer.Option(help=help, callback=_check(expected, lambda x: 0 < x < below))


def not_negative(help: str) -> Any:
    """Return an option that is a finite number of at least 0."""
    expected = "a finite number of at least 0"
    return typer.Option(help=help, callback=_check(expected, lambda x: 0 <= x < math.inf))


def milliseconds(help: str) -> Any:
    """Return an option that is a time in milliseconds."""
    expected = f"a time from {SHORTEST:g} to {LONGEST:g} ms"
    return typer.Option(help=help, callback=_check(expected, lambda x: SHORTEST <= x <= LONGEST))


def seed(help: str) -> Any:
    """Return an option that is a seed, as torch and NumPy take it."""
    expected = "a whole number from 0 to 2**63 - 1"
    return typer.Option(help=help, callback=_check(expected, lambda n: 0 <= n < 2**63))


def _check(expected: str, fits: Callable[[Any], bool]) -> Callable[[typer.CallbackParam, Any], Any]:
    def check(param: typer.CallbackParam, value: Any) -> Any:
        if value is not None and not fits(value):  # NaN fits nowhere
            got = "" if value == _NO_PATH else value
            raise InputError.at(str(param.name), got=got, expected=expected)
        return value

    return check


def given(context: typer.Context) -> list[str]:
    """Return the names of the options that stand on the command line."""
    source = context.get_parameter_source
    return [name for name in context.params if getattr(source(name), "name", "") == "COMMANDLINE"]


ModelOrCircuit = Annotated[
    str, typer.Argument(help="Name of a circuit or a model, or path of a .toml file.")
]
Units = Annotated[int | None, whole("Number of units (N) of a model; default 100.")]
Radius = Annotated[
    float | None, not_negative("Spectral radius of the random weights of a model; default 0.5.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")]
=======
from ratenet.validation import Expected, descriptions

Command = Callable[..., None]
_COMMA_OUTSIDE_BRACKETS = re.compile(r",(?![^()]*\))")


def takes_options_of(
    kind: type, *, leave_out: Collection[str] = ()
) -> Callable[[Command], Command]:
    """Let a command take the fields of a configuration as options, in the place of ``**options``.

    Parameters
    ----------
    kind : type
        A dataclass; its numpydoc describes the fields.
    leave_out : collection of str
        Fields that are no options.

    Returns
    -------
    callable
        A decorator; the command gets the options that were given, as the fields take them.
    """
    hints, helps = get_type_hints(kind, include_extras=True), descriptions(kind)
    chosen = [field for field in fields(kind) if field.name not in leave_out]
    annotations = {each.name: _annotation(each, hints, helps[each.name]) for each in chosen}

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def run(**given: Any) -> None:
            options = {name: given.pop(name) for name in annotations}
            asked = {name: value for name, value in options.items() if value is not None}
            command(**given, **{name: _read(asked[name], hints[name], name) for name in asked})

        own = [*inspect.signature(command).parameters.values()][:-1]  # without **options
        keyword = inspect.Parameter.KEYWORD_ONLY
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                *(
                    inspect.Parameter(name, keyword, default=None, annotation=annotation)
                    for name, annotation in annotations.items()
                ),
                *(parameter.replace(kind=keyword) for parameter in own),
            ]
        )
        run.__annotations__ = {**annotations, **{each.name: each.annotation for each in own}}
        return run

    return decorate


def split_list(text: str) -> list[str]:
    """Return the parts of a list that is separated by commas; those in brackets separate nothing.

    Examples
    --------
    >>> split_list("euclidean, truncated-adjoint(terms=5, gain=1)")
    ['euclidean', 'truncated-adjoint(terms=5, gain=1)']
    """
    parts = (part.strip() for part in _COMMA_OUTSIDE_BRACKETS.split(text))
    return [part for part in parts if part]


def folder(text: str) -> Path:
    """Return the folder of --out."""
    if not text:
        raise typer.BadParameter("expected the name of a folder, got ''")
    return Path(text)


def _annotation(field: "Field[Any]", hints: dict[str, Any], text: str) -> Any:
    """Return what typer needs to know about an option."""
    hint, default = hints[field.name], field.default
    kinds = [kind for kind in (bool, int, float) if kind in _alternatives(hint)]
    kind, metavar = (kinds[0], None) if kinds else (str, _metavar(hint))
    if _is_time(hint):
        text += " In ms, or with a unit: 0.2*second."
    if default not in (None, MISSING, ()) and "Default:" not in text and kind is not bool:
        text += f" Default: {default}."
    return Annotated[kind | None, typer.Option(help=text, metavar=metavar, show_default=False)]


def _alternatives(hint: Any) -> list[Any]:
    """Return the types that a type stands for, without constraints and None."""
    if get_origin(hint) is Annotated:
        return [hint] if _is_time(hint) else _alternatives(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return [each for part in get_args(hint) for each in _alternatives(part)]
    return [hint] if hint is not type(None) else []


def _is_time(hint: Any) -> bool:
    return any(isinstance(each, Expected) for each in getattr(hint, "__metadata__", ()))


def _metavar(hint: Any) -> str:
    """Return how values of an option that is no number are written."""
    if _is_time(hint):
        return "TIME"
    forms = []
    for kind in _alternatives(hint):
        if get_origin(kind) is Literal:
            forms += [str(each) for each in get_args(kind)]
        elif kind in (str, float):
            forms.append("TEXT" if kind is str else "NUMBER")
        else:
            is_table = len(get_args(kind)) == 2
            forms.append("NAME=VALUE,..." if is_table else f"{_metavar(get_args(kind)[0])},...")
    return "|".join(forms)


def _read(value: Any, hint: Any, name: str) -> Any:
    """Return what an option's string stands for, for a field of a type."""
    kinds = _alternatives(hint)
    if not isinstance(value, str) or str in kinds:
        return value
    if _is_time(hint):
        number = _number_or_text(value)
        return number if isinstance(number, str) else number / 1000  # in ms
    words = [word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
    lists = [kind for kind in kinds if get_origin(kind) is not Literal]
    if value in words or not lists:
        return value
    if len(get_args(lists[0])) == 2:
        return _table(value, name)
    is_of_numbers = float in _alternatives(get_args(lists[0])[0])
    return [_number_or_text(part) if is_of_numbers else part for part in split_list(value)]


def _table(text: str, name: str) -> dict[str, Any]:
    """Return ``step_size=100,gamma=0.5`` as names and numbers; ``30:60`` is a list of numbers."""
    found: dict[str, Any] = {}
    for entry in text.split(","):
        key, equals, value = (part.strip() for part in entry.partition("="))
        if not (key and equals and value):
            expected = "NAME=VALUE, as in step_size=100,gamma=0.5 or milestones=30:60"
            raise InputError.at(name, got=entry, expected=expected)
        parts = [_number_or_text(part) for part in value.split(":") if part]
        found[key] = parts if ":" in value else parts[0]
    return found


def _number_or_text(text: str) -> Any:
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text
>>>>>>> 6f5bc2c (Each option of training is written once: checks, command line, help, files and documentation follow from TrainingConfig)
