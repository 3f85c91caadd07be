"""The layouts of model and plasticity files: keys, what each takes, JSON schema for editors."""

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


@dataclass(frozen=True, kw_only=True)
class PlasticityTable:
    """The table of a plasticity file; `ratenet.equations.plasticity.PlasticitySpec` explains it."""

    name: Annotated[Written, Field(description="Short name")] = "plasticity"
    title: Annotated[Text, Field(description="One line of description")] = ""
    source: Annotated[Text, Field(description="Where the rule was published")] = ""
    equations: Annotated[
        Written,
        Field(
            description="Lines 'dw/dt = expression : unit' of a synapse (names of its units end in "
            "_pre and _post), and 'dx/dt = expression : unit' of a unit or a synapse"
        ),
    ]
    weight: Annotated[Written, Field(description="Name of the weight in the equations")] = "w"
    functions: Annotated[
        dict[str, Text], Field(description="Functions of one argument u, by name")
    ] = field(default_factory=dict)
    parameters: Annotated[
        dict[str, Value],
        Field(
            description="Defaults: a number, a quantity such as '10*ms', a distribution such as "
            "'normal(10*ms, 2*ms)', or a list with one value per unit"
        ),
        Expected("a table of values"),
    ] = field(default_factory=dict)
    signals: Annotated[
        dict[str, Text],
        Field(description="Third factors given to simulate(signals=), each with its unit"),
        Expected('a table of names with units, such as reward = "1"'),
    ] = field(default_factory=dict)


def model_schema() -> dict[str, Any]:
    """Return the JSON schema of model files, by which editors complete and check them."""
    return json_schema(ModelTable, title="ratenet model")


def plasticity_schema() -> dict[str, Any]:
    """Return the JSON schema of plasticity files."""
    return json_schema(PlasticityTable, title="ratenet plasticity rule")
