"""The layout of a model file: its keys, what each takes, and the JSON schema for editors."""

from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema

from ratenet.equations.names import has_control_characters
from ratenet.validation import Expected, json_schema


def _printable(text: str) -> str:
    if has_control_characters(text):
        raise ValueError("remove the control characters")
    return text


def _written(text: str) -> str:
    if not text.strip():
        raise ValueError("write something between the quotes")
    return _printable(text)


Text = Annotated[str, AfterValidator(_printable)]
Written = Annotated[str, Field(min_length=1), AfterValidator(_written)]

_ONE = {"anyOf": [{"type": "number"}, {"type": "string"}]}
_SEVERAL = {"type": "array", "items": _ONE, "minItems": 1}
_VALUE = {
    "anyOf": [
        *_ONE["anyOf"],
        _SEVERAL,
        {"type": "object", "additionalProperties": {"anyOf": [*_ONE["anyOf"], _SEVERAL]}},
    ]
}
# `parameters.as_text` checks the values: Python gives quantities and arrays, too.
Value = Annotated[Any, WithJsonSchema(_VALUE)]
Size = Annotated[
    Annotated[int, Field(ge=1, lt=2**31)] | Annotated[float, Field(gt=0, le=1)],
    Expected("a size (a whole number of at least 1) or a fraction (above 0 and at most 1)"),
]


@dataclass(frozen=True, kw_only=True)
class ModelTable:
    """The table of a model file; `ratenet.equations.spec.ModelSpec` says what the keys mean."""

    name: Annotated[Written, Field(description="Short name")] = "model"
    title: Annotated[Text, Field(description="One line of description")] = ""
    source: Annotated[Text, Field(description="Where the model was published")] = ""
    equations: Annotated[
        Written,
        Field(description="Lines 'dx/dt = expression : unit', 'x = expression : unit', 'x : unit'"),
    ]
    output: Annotated[
        Written, Field(description="What the recurrent weights transmit: states and parameters")
    ]
    recurrent: Annotated[Written, Field(description="Name of the recurrent input W y")]
    drive: Annotated[Written, Field(description="Name of the external input x")]
    functions: Annotated[
        dict[str, Text], Field(description="Functions of one argument u, by name")
    ] = field(default_factory=dict)
    parameters: Annotated[
        dict[str, Value],
        Field(
            description="Defaults: a number, a quantity such as '10*ms', a distribution such as "
            "'normal(10*ms, 2*ms)', a list with one value per unit, or a table by population"
        ),
        Expected("a table of values"),
    ] = field(default_factory=dict)
    populations: Annotated[
        dict[str, Size], Field(description="Sizes of groups of units, or fractions that sum to 1")
    ] = field(default_factory=dict)


def model_schema() -> dict[str, Any]:
    """Return the JSON schema of model files, by which editors complete and check them."""
    return json_schema(ModelTable, title="ratenet model")
