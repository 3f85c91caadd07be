"""What comes from outside, checked once: TOML and JSON within limits, tables as dataclasses.

    @dataclass(frozen=True)
    class Pool:
        size: Annotated[int, Field(ge=1, description="Places a side.")] = 2

    validated(Pool, {"size": 0})  # size: expected a whole number of at least 1, got 0.

A field of a dataclass says its type, its bounds and its help; from these follow the check, the
sentence about a wrong value, the JSON schema for editors, and options of the command line. pydantic
does the checking: it knows dataclasses, its errors are structured, and it writes JSON schemas.
"""

import dataclasses
import json
import operator
import stat
import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from types import UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import (
    BeforeValidator,
    ConfigDict,
    GetJsonSchemaHandler,
    TypeAdapter,
    ValidationError,
    with_config,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError
from typing_extensions import TypedDict  # which pydantic asks for below Python 3.12

from ratenet.errors import InputError, RatenetError, UnknownNameError, escape

T = TypeVar("T")

LARGEST_FILE = 1_000_000  # bytes of TOML
DEEPEST = 50  # tables or lists inside one another
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_CONFIG = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True)
_NUMPY_NUMBERS_AND_TEXT = "biufU"  # kinds of dtype that become Python's numbers and strings


@dataclasses.dataclass(frozen=True)
class Expected:
    """What a sentence says is expected of a field, where type and bounds would not tell.

    Examples
    --------
    >>> from typing import Annotated
    >>> Time = Annotated[float | str, Expected("a time such as '20*ms'")]
    """

    phrase: str

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Add the phrase as the schema's comment."""
        return {**handler(schema), "$comment": self.phrase}


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
    values = {field.name: getattr(instance, field.name) for field in _fields(kind)}
    for name, value in _checked(kind, values, "", "key", InputError).items():
        object.__setattr__(instance, name, value)


def json_schema(kind: type, **more: Any) -> dict[str, Any]:
    """Return the JSON schema of a dataclass's tables, by which editors check and complete them.

    Parameters
    ----------
    kind : type
        The dataclass.
    **more
        What the schema says besides, such as ``title``.
    """
    schema = {"$schema": DIALECT, **_adapter(kind).json_schema(), **more}
    properties = schema["properties"]
    for field in _fields(kind):
        default = field.default
        if isinstance(default, str | int | float | tuple):  # None is a key that is not there
            properties[field.name]["default"] = default
    return schema


def expected_of(kind: type, name: str) -> str:
    """Return what a field takes, as the sentences say it."""
    return _phrase(_schema_at(_adapter(kind).json_schema(), (name,))[0])


def read_toml(path: Path, *, error: type[RatenetError] = InputError) -> dict[str, Any]:
    """Return the table of a TOML file.

    Raises
    ------
    InputError, or `error`
        If there is no such file, it is not a regular one or too large, or as in `parse_toml`.
    """
    where = escape(str(path))
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            reason = "not a regular file"
        elif status.st_size > LARGEST_FILE:
            reason = f"larger than {LARGEST_FILE} bytes"
        else:
            return parse_toml(path.read_bytes(), where=where, error=error)
    except OSError as caught:
        reason = f"cannot be read ({(caught.strerror or str(caught)).lower()})"
    except RatenetError:
        raise
    except ValueError:  # a NUL in the name
        reason = "not the name of a file"
    raise error(f"{where}: {reason}.", argument=where)


def parse_toml(content: bytes, *, where: str, error: type[RatenetError] = InputError) -> Any:
    """Return the table that TOML stands for; `where` comes first in the sentences.

    Raises
    ------
    InputError, or `error`
        If it is not UTF-8 or not TOML, nested too deeply, or a number has too many digits.
    """
    return _parsed(content, "TOML", tomllib.loads, where, error)


def parse_json(content: bytes | str, *, where: str, error: type[RatenetError] = InputError) -> Any:
    """Return what JSON stands for, as `parse_toml` does.

    Raises
    ------
    InputError, or `error`
    """
    return _parsed(content, "JSON", json.loads, where, error)


def _parsed(
    content: bytes | str,
    language: str,
    parse: Callable[[str], Any],
    where: str,
    error: type[RatenetError],
) -> Any:
    try:
        found = parse(content if isinstance(content, str) else content.decode("utf-8-sig"))
        reason = _beyond_limits(found)
    except UnicodeDecodeError:
        reason = "not UTF-8; save it as UTF-8"
    except RecursionError:
        reason = "nested too deeply"
    except (tomllib.TOMLDecodeError, json.JSONDecodeError) as caught:
        reason = f"not valid {language} ({escape(str(caught))})"
    except ValueError:  # Python reads no integers of thousands of digits
        reason = "a number has too many digits"
    if reason:
        raise error(f"{where}: {reason}.", argument=where)
    return found


def _beyond_limits(found: Any) -> str:
    """Return what is wrong with parsed data that would trouble whoever goes through it."""
    level = [found]
    for _ in range(DEEPEST):
        if any(isinstance(value, int) and abs(value) >= 2**64 for value in level):
            return "a number has too many digits"
        tables = [value.values() for value in level if isinstance(value, dict)]
        lists = [value for value in level if isinstance(value, list)]
        level = [value for values in (*tables, *lists) for value in values]
    return "nested too deeply" if level else ""


def _checked(
    kind: type, values: Mapping[str, Any], where: str, noun: str, error: type[RatenetError]
) -> dict[str, Any]:
    """Return the values as their fields take them; errors are raised as `validated` says."""
    try:
        plain = {name: _plain(value) for name, value in values.items()}
        found: dict[str, Any] = _adapter(kind).validate_python(plain)
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
    names = [field.name for field in _fields(kind)]
    complaint = min(wrong, key=lambda each: each["type"] != "extra_forbidden")
    name, before = str(complaint["loc"][0]), f"{where}, " if where else ""
    if name not in names:
        found = UnknownNameError.among(noun, name, names).within(where)
        return error(str(found), argument=name, got=name, expected=found.expected)
    schema, depth = _schema_at(_adapter(kind).json_schema(), complaint["loc"])
    expected = _phrase(schema)
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


def _fields(kind: type) -> list["dataclasses.Field[Any]"]:
    return [field for field in dataclasses.fields(kind) if field.init]


@cache
def _adapter(kind: type) -> TypeAdapter[dict[str, Any]]:
    """Return pydantic's check of a table: a dictionary with the dataclass's fields as keys."""
    hints = get_type_hints(kind, include_extras=True)
    keys: dict[str, Any] = {}
    for field in _fields(kind):
        has_default = field.default is not dataclasses.MISSING
        has_default |= field.default_factory is not dataclasses.MISSING
        hint = _without_conversion(hints[field.name])
        keys[field.name] = NotRequired[hint] if has_default else hint
    make: Any = TypedDict
    return TypeAdapter(with_config(_CONFIG)(make(kind.__name__, keys)))


def _without_conversion(hint: Any) -> Any:
    """Return a type whose floats are numbers; pydantic asks a quantity for its `__float__`."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is float:
        return Annotated[float, BeforeValidator(_refuse_conversion)]
    if origin is Annotated and inner[0] is float:
        own = [each for each in inner[1:] if isinstance(each, BeforeValidator)]  # run before ours
        others = [each for each in inner[1:] if not isinstance(each, BeforeValidator)]
        return Annotated[(float, *others, BeforeValidator(_refuse_conversion), *own)]
    if origin is Annotated:
        return Annotated[(_without_conversion(inner[0]), *inner[1:])]
    if origin in (Union, UnionType):
        return Union[tuple(map(_without_conversion, inner))]  # noqa: UP007
    if not inner or origin is Literal:
        return hint
    return origin[tuple(map(_without_conversion, inner))]


def _refuse_conversion(value: Any) -> Any:
    if isinstance(value, int | float) or not hasattr(value, "__float__"):
        return value
    raise PydanticCustomError("not_a_number", "not a number")


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


def _schema_at(schema: dict[str, Any], place: tuple[int | str, ...]) -> tuple[dict[str, Any], int]:
    """Return the schema of a place, or of what surrounds it, and how many steps lead there."""
    definitions, here = schema.get("$defs", {}), schema
    for depth, step in enumerate(place):
        inner: Any = None
        if isinstance(step, str):
            inner = here.get("properties", {}).get(step, here.get("additionalProperties"))
        elif "prefixItems" not in here:
            inner = here.get("items")
        if not isinstance(inner, dict) or "$comment" in here:
            return here, depth
        here = definitions.get(inner.get("$ref", "").removeprefix("#/$defs/"), inner)
    return here, len(place)


_SINGULAR_AND_PLURAL = {
    "integer": ("a whole number", "whole numbers"),
    "number": ("a number", "numbers"),
    "string": ("a string", "strings"),
    "boolean": ("true or false", "true or false"),
    "array": ("a list", "lists"),
    "object": ("a table", "tables"),
}


def _phrase(schema: dict[str, Any], *, plural: bool = False) -> str:
    """Return what a schema allows, in words."""
    if "$comment" in schema:
        return str(schema["$comment"])
    if "anyOf" in schema:
        some = [each for each in schema["anyOf"] if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(_phrase(each, plural=plural) for each in some))
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    if "const" in schema:
        return repr(schema["const"])
    kind = schema.get("type", "object" if "$ref" in schema else "")
    head = _SINGULAR_AND_PLURAL.get(kind, ("a value", "values"))[plural]
    if schema.get("minLength"):
        head = "non-empty strings" if plural else "a non-empty string"
    inner = schema.get("items", schema.get("additionalProperties"))
    if isinstance(inner, dict) and inner:
        head += f" of {_phrase(inner, plural=True)}"
    return head + _bounds(schema)


def _bounds(schema: dict[str, Any]) -> str:
    words = [
        (" of at least ", "minimum"), (" above ", "exclusiveMinimum"),
        (" of at most ", "maximum"), (" below ", "exclusiveMaximum"),
    ]  # fmt: skip
    parts = [f"{word}{schema[key]}" for word, key in words if key in schema]
    if "minimum" in schema and "maximum" in schema:
        return f" from {schema['minimum']} to {schema['maximum']}"
    return " and".join(parts).replace(" and of at most", " and up to")
