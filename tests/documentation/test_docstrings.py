"""Every public name has a docstring that says what goes in, comes out and fails, and an example."""

import enum
import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from helpers.public import public_objects

PUBLIC = public_objects()
CLASSES = [name for name, thing in PUBLIC.items() if inspect.isclass(thing)]
HEADING = re.compile(r"^([A-Z][A-Za-z ]+)\n-{3,}\n", re.MULTILINE)
ENTRY = re.compile(r"^(\*{0,2}\w[^\n:]*?)(?: *:[^\n]*)?\n((?:(?:    [^\n]*)?\n)*)", re.MULTILINE)
PARAMETERS = ("Parameters", "Other Parameters", "Attributes")


def sections(thing: Any) -> dict[str, str]:
    """Return the sections of a docstring of its own by their headings."""
    parts = HEADING.split(inspect.cleandoc(thing.__doc__ or ""))
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def described(thing: Any) -> set[str]:
    """Return the parameters and attributes of which a docstring says more than the type."""
    found = sections(thing)
    entries = [m for name in PARAMETERS for m in ENTRY.finditer(found.get(name, "") + "\n")]
    return {
        name.strip().lstrip("*")
        for entry in entries
        if entry[2].strip()
        for name in entry[1].split(",")
    }


def parameters(thing: Callable[..., Any]) -> list[str]:
    """Return the parameters of a call, without those that are private.

    Members of an enumeration, errors and protocols are not called with parameters of their own.
    """
    if inspect.isclass(thing) and (
        issubclass(thing, enum.Enum | BaseException) or getattr(thing, "_is_protocol", False)
    ):
        return []
    names = inspect.signature(thing).parameters
    return [name for name in names if not name.startswith("_") and name not in ("self", "cls")]


def undescribed(thing: Any, places: Iterable[Any]) -> list[str]:
    """Return the parameters of a class or function that nothing is said of in any place."""
    known = set().union(*map(described, places))
    return [name for name in parameters(thing) if name not in known]


def methods(kind: type) -> list[str]:
    """Return the public methods that a class writes itself."""
    names = [name for name in vars(kind) if not name.startswith("_")]
    found = {name: getattr(kind, name) for name in names}
    return [name for name, each in found.items() if callable(each) and not inspect.isclass(each)]


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_has_an_example(name):
    shown = sections(PUBLIC[name]).get("Examples", "")
    assert ">>> " in shown
    assert "+SKIP" not in shown, "an example that does not run is not tested"


@pytest.mark.parametrize("name", PUBLIC)
def test_all_parameters_of_a_public_name_are_described(name):
    thing = PUBLIC[name]
    assert undescribed(thing, inspect.getmro(thing) if name in CLASSES else [thing]) == []


@pytest.mark.parametrize("name", CLASSES)
def test_all_parameters_of_its_methods_are_described(name):
    """In the class itself, or where the method is defined first."""
    missing = {}
    for method in methods(PUBLIC[name]):
        places = [vars(kind)[method] for kind in PUBLIC[name].__mro__ if method in vars(kind)]
        missing[method] = undescribed(getattr(PUBLIC[name], method), places)
    assert {method: names for method, names in missing.items() if names} == {}


@pytest.mark.parametrize("name", sorted(set(PUBLIC) - set(CLASSES)))
def test_a_function_says_what_it_returns_and_when_it_fails(name):
    found, signature = sections(PUBLIC[name]), inspect.signature(PUBLIC[name])
    if signature.parameters:
        assert signature.return_annotation is None or {"Returns", "Yields"} & set(found)
        assert "Raises" in found


def test_a_docstring_is_read_as_it_is_written():
    def function(a, b, c, *rest):
        """Do.

        Parameters
        ----------
        a, b : int
            Two numbers.

            More of them.
        c : float
        *rest
            Others.
        """

    assert described(function) == {"a", "b", "rest"}
    assert undescribed(function, [function]) == ["c"]


def test_there_are_public_names():
    assert len(CLASSES) > 100
    assert len(PUBLIC) - len(CLASSES) > 40
    assert methods(PUBLIC["ratenet.connectivity.signed.Signed"]) == [
        "with_parameters", "accumulate", "add_", "constrain_",
    ]  # fmt: skip
