"""Single values at the door: numbers, seeds and choices, each refused in one sentence."""

import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

from ratenet.errors import InputError


def check_whole(value: Any, where: str, *, least: int = 1, most: int | None = None) -> int:
    """Return a whole number, as an int.

    Raises
    ------
    InputError
        If the value is anything else, True and False included, or out of range.

    Examples
    --------
    >>> check_whole(0, "units")
    Traceback (most recent call last):
    ratenet.errors.InputError: units: expected a whole number of at least 1, got 0.
    """
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_whole or value < least or (most is not None and value > most):
        allowed = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise InputError.at(where, got=value, expected=f"a whole number {allowed}")
    return int(value)


def check_seed(value: Any, where: str = "seed") -> int:
    """Return a seed, as torch and NumPy take it.

    Raises
    ------
    InputError
        If the value is not a whole number from 0 to 2**63 - 1.
    """
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_whole or not 0 <= value < 2**63:
        raise InputError.at(where, got=value, expected="a whole number from 0 to 2**63 - 1")
    return int(value)


def check_positive(value: Any, where: str, *, most: float = math.inf, remedy: str = "") -> float:
    """Return a finite number above 0.

    Raises
    ------
    InputError
        If the value is anything else, or above `most`.
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not 0 < value <= most or value == math.inf:
        end = "" if most == math.inf else f" and at most {most:g}"
        allowed = f"a {'finite ' if not end else ''}number above 0{end}"
        raise InputError.at(where, got=value, expected=allowed, remedy=remedy)
    return float(value)


def check_choice(value: Any, where: str, allowed: Iterable[str]) -> None:
    """Refuse what is not one of some names.

    Raises
    ------
    InputError
        With the names that are allowed.
    """
    names = tuple(allowed)
    if not isinstance(value, str) or value not in names:
        raise InputError.at(where, got=value, expected=f"one of {', '.join(names)}")
