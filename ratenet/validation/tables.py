"""Tables from outside become frozen dataclasses, or one sentence."""

import operator
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ratenet.errors import InputError, RatenetError, UnknownNameError, escape
from ratenet.validation.schema import adapter, in_words, init_fields, schema_at

T = TypeVar("T")

_NUMPY_NUMBERS_AND_TEXT = "biufU"  # kinds of dtype that become Python's numbers and strings


def validated(
    kind: type[T],
    values: Any,
    *,
    where: str = "",
    noun: str = "key",
    error: type[RatenetError] = InputError,
) -> T:
    """Return a dataclass made of a table's values, each checked against its field.

    Numbers of NumPy are taken as Python's. Nothing else is converted: no string becomes a number,
    no bool and no float a whole number, and NaN and infinity are refused.

    Parameters
    ----------
    kind : type
        A dataclass; its fields are annotated as pydantic's are, ``Annotated[int, Field(ge=1)]``.
    values : mapping
        The table.
    where : str, optional
        Where the table stands, such as the file's name; it comes first in the sentences.
    noun : str, optional
        What a field is called in the sentence about an unknown one.
    error : type, optional
        The error that is raised.

    Returns
    -------
    object
        An instance of `kind`.

    Raises
    ------
    InputError, or `error`
        If a key is unknown or missing, or a value is not what its field takes; it carries the key
        as `argument`, and `got` and `expected`.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> from typing import Annotated
    >>> from pydantic import Field
    >>> @dataclass(frozen=True)
    ... class Pool:
    ...     size: Annotated[int, Field(ge=1)] = 2
    >>> validated(Pool, {"size": 3})
    Pool(size=3)
    >>> validated(Pool, {"size": 0}, where="layers, 2.")
    Traceback (most recent call last):
    ratenet.errors.InputError: layers, 2., size: expected a whole number of at least 1, got 0.
    """
    if not isinstance(values, Mapping):
        raise error.at(where or "table", got=values, expected="a table")
    found = _checked(kind, values, where, noun, error)
    try:
        return kind(**found)
    except RatenetError as caught:  # from a __post_init__, which sees all fields together
        raise caught.within(where) from None


def check_fields(instance: Any) -> None:
    """Check a frozen dataclass in its `__post_init__`, and keep what its values become.

    Raises
    ------
    InputError
        As `validated` does.
    """
    kind = type(instance)
    values = {field.name: getattr(instance, field.name) for field in init_fields(kind)}
    for name, value in _checked(kind, values, "", "key", InputError).items():
        object.__setattr__(instance, name, value)


def check_values(kind: type, values: Mapping[str, Any]) -> None:
    """Check some of the values that a dataclass is to be made of, each by its field alone.

    Raises
    ------
    InputError
        As `validated` does; what fields forbid together is not seen.
    """
    _checked(kind, values, "", "key", InputError)


def _checked(
    kind: type, values: Mapping[str, Any], where: str, noun: str, error: type[RatenetError]
) -> dict[str, Any]:
    """Return the values as their fields take them; errors are raised as `validated` says."""
    try:
        plain = {name: _plain(value) for name, value in values.items()}
        found: dict[str, Any] = adapter(kind).validate_python(plain)
    except RecursionError:
        raise error(f"{where or 'table'}: nested too deeply.", argument=where or "table") from None
    except ValidationError as caught:
        wrong = caught.errors(include_url=False)
    except RatenetError as caught:  # a KeyError of ours, which pydantic lets through
        raise caught.within(where) from None
    else:
        return found
    raise _first_error(kind, values, wrong, where, noun, error)


def _first_error(
    kind: type,
    values: Mapping[str, Any],
    wrong: list[ErrorDetails],
    where: str,
    noun: str,
    error: type[RatenetError],
) -> RatenetError:
    """Return the error about the first of pydantic's complaints; unknown keys explain others."""
    names = [field.name for field in init_fields(kind)]
    complaint = min(wrong, key=lambda each: each["type"] != "extra_forbidden")
    name, before = str(complaint["loc"][0]), f"{where}, " if where else ""
    if name not in names:
        found = UnknownNameError.among(noun, name, names).within(where)
        return error(str(found), argument=name, got=name, expected=found.expected)
    schema, depth = schema_at(kind, complaint["loc"])
    expected = in_words(schema)
    if complaint["type"] == "missing":
        sentence = f"{before}{name}: missing; expected {expected}."
        return error(sentence, argument=name, expected=expected)
    if complaint["type"] == "finite_number":
        expected = expected.replace("a number", "a finite number", 1)
    reason = complaint.get("ctx", {}).get("error")
    if isinstance(reason, RatenetError):
        return reason.within(where)
    place = complaint["loc"][:depth]
    got: Any = values
    for step in place:
        got = got[step]
    shown = before + ", ".join(str(n + 1) if isinstance(n, int) else escape(n) for n in place)
    found_there = error.at(shown, got=got, expected=expected, remedy=str(reason or ""))
    found_there.argument = name
    return found_there


def _plain(value: Any) -> Any:
    """Return numbers, strings and arrays of NumPy as Python's; a quantity stays what it is."""
    dtype = getattr(value, "dtype", None)
    if dtype is not None:
        is_plain = getattr(dtype, "kind", "") in _NUMPY_NUMBERS_AND_TEXT
        return value.tolist() if is_plain and not hasattr(value, "dim") else value
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value)) if type(value) in (list, tuple) else value
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, Integral):
        return operator.index(value)
    return float(value) if isinstance(value, Real) else value
