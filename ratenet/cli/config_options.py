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
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer

from ratenet.cli.names import check_names
from ratenet.errors import InputError
from ratenet.validation import Time, check_values, descriptions

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
        Fields that are not options.

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
            read = {name: _read(asked[name], hints[name], name) for name in asked}
            check_values(kind, read)  # before the command imports what takes long
            check_names(read)
            command(**given, **read)

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


def _annotation(field: "Field[Any]", hints: dict[str, Any], text: str) -> Any:
    """Return what typer needs to know about an option."""
    hint, default = hints[field.name], field.default
    kinds = [kind for kind in (bool, int, float) if kind in _alternatives(hint)]
    kind, metavar = (kinds[0], None) if kinds else (str, _metavar(hint))
    if hint == Time:
        text += " In ms, or with a unit: 0.2*second."
    if default not in (None, MISSING, ()) and "Default:" not in text and kind is not bool:
        shown = ", ".join(map(str, default)) if isinstance(default, tuple) else default
        text += f" Default: {shown}."
    return Annotated[kind | None, typer.Option(help=text, metavar=metavar, show_default=False)]


def _alternatives(hint: Any) -> list[Any]:
    """Return the types that a type stands for, without constraints and None."""
    if get_origin(hint) is Annotated:
        return [hint] if hint == Time else _alternatives(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return [each for part in get_args(hint) for each in _alternatives(part)]
    return [hint] if hint is not type(None) else []


def _metavar(hint: Any) -> str:
    """Return how values of an option that is not a number are written."""
    if hint == Time:
        return "TIME"
    forms = []
    for kind in _alternatives(hint):
        if get_origin(kind) is Literal:
            forms += [str(each) for each in get_args(kind)]
        elif kind in (str, float, Any):
            forms.append("NUMBER" if kind is float else "TEXT")
        else:
            is_table = len(get_args(kind)) == 2
            forms.append("NAME=VALUE,..." if is_table else f"{_metavar(get_args(kind)[0])},...")
    return "|".join(forms)


def _read(value: Any, hint: Any, name: str) -> Any:
    """Return what an option's string stands for, for a field of a type."""
    kinds = _alternatives(hint)
    if not isinstance(value, str) or str in kinds or kinds == [Any]:
        return value
    if hint == Time:
        number = number_or_text(value)
        return number if isinstance(number, str) else number / 1000  # in ms
    words = [word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
    lists = [kind for kind in kinds if get_origin(kind) is not Literal]
    if value in words or not lists:
        return value
    if len(get_args(lists[0])) == 2:
        return _table(value, name)
    is_of_numbers = float in _alternatives(get_args(lists[0])[0])
    parts = split_list(value)
    if not parts:  # what was written would have no effect
        raise InputError.at(name, got=value, expected="one value or more, separated by commas")
    return [number_or_text(part) if is_of_numbers else part for part in parts]


def _table(text: str, name: str) -> dict[str, Any]:
    """Return ``step_size=100,gamma=0.5`` as names and numbers; ``30:60`` is a list of numbers."""
    found: dict[str, Any] = {}
    for entry in text.split(","):
        key, equals, value = (part.strip() for part in entry.partition("="))
        if not (key and equals and value):
            expected = "NAME=VALUE, as in step_size=100,gamma=0.5 or milestones=30:60"
            raise InputError.at(name, got=entry, expected=expected)
        parts = [number_or_text(part) for part in value.split(":") if part]
        found[key] = parts if ":" in value else parts[0]
    return found


def number_or_text(text: str) -> Any:
    """Return the number that a string stands for, or the string."""
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text
