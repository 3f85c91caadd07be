"""The circuits by name, and their arguments."""

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from ratenet.circuits.titles import TITLES
from ratenet.errors import UnknownNameError
from ratenet.validation import descriptions

if TYPE_CHECKING:
    from ratenet.circuits.base import Circuit


def names() -> list[str]:
    """Return the names of the circuits, sorted."""
    return sorted(TITLES)


class Argument(NamedTuple):
    """An argument of a circuit: its default value, and what the circuit's docstring says of it."""

    default: Any
    help: str


def arguments(name: str) -> dict[str, Argument]:
    """Return the arguments of a circuit by their names, in their order.

    Raises
    ------
    UnknownNameError
        If there is no circuit of that name.

    Examples
    --------
    >>> arguments("ssn_ring")["contrast"].default
    20.0
    """
    constructor = _constructor(name)
    helps = descriptions(constructor)
    return {
        each.name: Argument(each.default, helps[each.name])
        for each in inspect.signature(constructor).parameters.values()
    }


def load(name: str, **given: Any) -> "Circuit":
    """Return the circuit with a given name.

    Parameters
    ----------
    name : str
        One of `names`.
    **given
        Some of its `arguments`, in place of their defaults.

    Returns
    -------
    Circuit

    Raises
    ------
    UnknownNameError
        If there is none of that name, or it has no such argument.
    InputError
        If a value cannot be used.

    Examples
    --------
    >>> load("ssn_ring", contrast=[10, 50]).drive.shape
    torch.Size([2, 360])
    """
    available = arguments(name)
    for argument in given:
        if argument not in available:
            raise UnknownNameError.among(f"argument of {name}", argument, available)
    return _constructor(name)(**given)


def _constructor(name: str) -> "Callable[..., Circuit]":
    if not isinstance(name, str) or name not in TITLES:
        raise UnknownNameError.among("circuit", name, names())
    constructor: Callable[..., Circuit] = getattr(import_module("ratenet.circuits"), name)
    return constructor
