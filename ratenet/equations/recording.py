"""How named things are written down, in run folders and in tables, and read again.

``truncated-adjoint(terms=5)`` is read as it was written; ``<...>`` stands for what cannot be named.
"""

import inspect
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ratenet.equations.own_code import reference_to
from ratenet.equations.terms import Term, as_value, parse_sum
from ratenet.errors import InputError, show_any


class Recorded(str):
    """A string that a run folder or comparison records: the user's code in it is not imported."""

    __slots__ = ()


def recorded(given: Any) -> Any:
    """Return what a run folder records, its strings, or names of tables, marked as `Recorded`."""
    if isinstance(given, Mapping):
        return {key: recorded(each) if key == "name" else each for key, each in given.items()}
    return Recorded(given) if isinstance(given, str) else given


def written_call(name: str, given: Any) -> str:
    """Return ``name(setting=value)`` of an instance, with what differs from the defaults."""
    settings = {}
    for each in settings_of(type(given), 0):
        value = getattr(given, each.name, each.default)
        text = as_value(value)
        if value is each.default or (type(value) is type(each.default) and value == each.default):
            continue
        if text is None:
            return nameless(given)
        settings[each.name] = value
    return str(Term(None, name, settings))


def written_partial(given: "partial[Any]") -> str:
    """Return how a partial call is written: what it calls, with its keywords as settings."""
    reference = reference_to(given.func)
    values = [as_value(value) for value in given.keywords.values()]
    if reference is None or given.args or None in values:
        return nameless(given)
    return str(Term(None, reference[0], given.keywords))


def nameless(given: Any) -> str:
    """Return how something that cannot be named is written down, the same in every process."""
    said = re.sub(" at 0x[0-9a-f]+", "", show_any(given))
    return said if is_nameless(said) else f"<{said}>"


def is_nameless(text: str) -> bool:
    """Return whether a string stands for an object that cannot be named, as `written` marks it."""
    return text.startswith("<")


def settings_of(found: Any, needs: int) -> list[inspect.Parameter]:
    """Return the parameters that are settings."""
    try:
        parameters = [*inspect.signature(found).parameters.values()]
    except (TypeError, ValueError):  # of C code
        return []
    made = {
        field.name: field.default_factory
        for field in (fields(found) if is_dataclass(found) and isinstance(found, type) else ())
        if field.default_factory is not MISSING
    }
    return [
        each.replace(default=made[each.name]()) if each.name in made else each
        for each in parameters[needs:]
        if each.kind is not each.VAR_POSITIONAL
    ]


def without_folders(text: str) -> str:
    """Return how something is written with the names of files only, to compare and to show it.

    Examples
    --------
    >>> without_folders("0.5*/home/me/rules.py:mine(gain=2)+0.5*hebb")
    '0.5*rules.py:mine(gain=2)+0.5*hebb'
    """
    if is_nameless(text) or ":" not in text:
        return text
    try:
        terms = parse_sum(text, "name")
    except InputError:  # the path of a model file, say
        return text
    names = [t.name if not t.is_own else re.split(r"[/\\]", t.name)[-1] for t in terms]
    return "+".join(str(replace(t, name=n)) for t, n in zip(terms, names, strict=True))


def absolute(text: str) -> str:
    """Return a sum in which the files of the user's code have absolute paths."""
    found = []
    for term in parse_sum(text, "name"):
        place, _, name = term.name.rpartition(":")
        file = Path(place)
        with suppress(RuntimeError):  # there is no home folder
            file = file.expanduser()
        is_file = term.is_own and place.endswith(".py")
        found.append(replace(term, name=f"{file.absolute()}:{name}") if is_file else term)
    return "+".join(map(str, found))
