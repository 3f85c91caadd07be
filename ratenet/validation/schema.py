"""What the fields of a dataclass take: as pydantic checks it, as a JSON schema, and in words.

pydantic is there because it knows annotated types, its errors are structured, and it writes JSON
schemas.
"""

import dataclasses
import inspect
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints

from pydantic import (
    BeforeValidator,
    ConfigDict,
    GetJsonSchemaHandler,
    TypeAdapter,
    with_config,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError
from typing_extensions import TypedDict  # which pydantic asks for below Python 3.12

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_CONFIG = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True)


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


Time = Annotated[Any, Expected("a time such as 20*ms")]  # whoever has such a field converts it


def json_schema(kind: type, **more: Any) -> dict[str, Any]:
    """Return the JSON schema of a dataclass's tables, by which editors check and complete them.

    Parameters
    ----------
    kind : type
        The dataclass; its numpydoc describes the keys.
    **more
        What the schema says besides, such as ``title``.
    """
    schema = {"$schema": DIALECT, **adapter(kind).json_schema(), **more}
    described = descriptions(kind)
    for field in init_fields(kind):
        facts = schema["properties"][field.name]
        if field.name in described:
            facts.setdefault("description", described[field.name])
        if isinstance(field.default, str | int | float | tuple):  # None is a key that is not there
            facts["default"] = field.default
    return schema


def descriptions(kind: Any) -> dict[str, str]:
    """Return what numpydoc says of a function's parameters, or of a dataclass's fields.

    Fields that it has of another class are among them.

    Examples
    --------
    >>> class Pool:
    ...     \"\"\"Means over squares.
    ...
    ...     Parameters
    ...     ----------
    ...     size : int
    ...         Places a side.
    ...     \"\"\"
    >>> descriptions(Pool)
    {'size': 'Places a side.'}
    """
    found: dict[str, list[str]] = {}
    entry: list[str] = []
    documented = kind.__mro__[-2::-1] if isinstance(kind, type) else [kind]
    docs = [inspect.cleandoc(each.__doc__ or "") for each in documented]
    for line in "\n".join(docs).splitlines():
        if line.startswith(" "):
            entry.append(line.strip())
        elif line:
            names = line.partition(" : ")[0]
            entry = []
            found |= dict.fromkeys(names.split(", "), entry)
    return {name: " ".join(lines) for name, lines in found.items() if lines}


def expected_of(kind: type, name: str) -> str:
    """Return what a field takes, as the sentences say it."""
    return in_words(schema_at(kind, (name,))[0])


def init_fields(kind: type) -> list["dataclasses.Field[Any]"]:
    """Return the fields that are set when a dataclass is made."""
    return [field for field in dataclasses.fields(kind) if field.init]


@cache
def adapter(kind: type) -> TypeAdapter[dict[str, Any]]:
    """Return pydantic's check of a table: a dictionary with the dataclass's fields as keys."""
    hints = get_type_hints(kind, include_extras=True)
    keys: dict[str, Any] = {}
    for field in init_fields(kind):
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


def schema_at(kind: type, place: tuple[int | str, ...]) -> tuple[dict[str, Any], int]:
    """Return the schema of a place, or of what surrounds it, and how many steps lead there."""
    whole = adapter(kind).json_schema()
    definitions, here = whole.get("$defs", {}), whole
    for depth, step in enumerate(place):
        if isinstance(step, str):
            inner = here.get("properties", {}).get(step, here.get("additionalProperties"))
        else:
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


def in_words(schema: dict[str, Any], *, plural: bool = False) -> str:
    """Return what a schema allows, in words."""
    if "$comment" in schema:
        return str(schema["$comment"])
    if "anyOf" in schema:
        some = [each for each in schema["anyOf"] if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(in_words(each, plural=plural) for each in some))
    if "enum" in schema:
        return f"{'any' if plural else 'one'} of {', '.join(map(str, schema['enum']))}"
    if "const" in schema:
        return repr(schema["const"])
    kind = schema.get("type", "object" if "$ref" in schema else "")
    head = _SINGULAR_AND_PLURAL.get(kind, ("a value", "values"))[plural]
    if schema.get("minLength"):
        head = "non-empty strings" if plural else "a non-empty string"
    inner = schema.get("items", schema.get("additionalProperties"))
    if schema.get("minItems"):
        head = "non-empty lists" if plural else "a non-empty list"
    if isinstance(inner, dict) and inner:
        head += f" of {in_words(inner, plural=True)}"
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
