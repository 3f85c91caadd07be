"""Tables become dataclasses, or one sentence."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from brian2 import ms
from pydantic import AfterValidator, Field

from ratenet.errors import InputError, ModelError, UnknownNameError
from ratenet.validation import (
    Expected,
    check_fields,
    expected_of,
    json_schema,
    validated,
)


def _no_cats(value: str) -> str:
    if value == "cat":
        raise UnknownNameError.among("animal", value, ["dog"])
    if value == "bird":
        raise InputError.at("animal", got=value, expected="four legs")
    if value == "fish":
        raise ValueError("it swims")
    return value


@dataclass(frozen=True)
class Example:
    """Every kind of field.

    Parameters
    ----------
    count : int
        How many.
    share, rate : float
        How much,
        or how fast.
    name : str
    """

    count: Annotated[int, Field(ge=1)]
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    rate: float | None = None
    name: Annotated[str, Field(min_length=1)] = "a"
    mode: Literal["slow", "static"] = "slow"
    is_on: bool = False
    sizes: Sequence[Annotated[int, Field(ge=1, le=10)]] = ()
    times: Literal["always"] | Sequence[Annotated[float, Field(gt=0, le=1)]] = "always"
    picks: Annotated[Sequence[Literal["a", "b"]], Field(min_length=1)] = ("a",)
    texts: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    time: Annotated[Any, Expected("a time such as '20*ms'")] = None
    animal: Annotated[str, AfterValidator(_no_cats)] = "dog"


@dataclass(frozen=True)
class Checked:
    """A dataclass that checks itself, and that its two fields fit."""

    low: Annotated[float, Field(ge=0)] = 0.0
    high: Annotated[float, Field(ge=0)] = 1.0

    def __post_init__(self) -> None:
        check_fields(self)
        if self.low > self.high:
            raise InputError.at("low", got=self.low, expected=f"at most {self.high}")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"count": 0}, "count: expected a whole number of at least 1, got 0."),
        ({"count": "5"}, "count: expected a whole number of at least 1, got '5'."),
        ({"count": True}, "count: expected a whole number of at least 1, got True."),
        ({"count": 5.0}, "count: expected a whole number of at least 1, got 5.0."),
        ({"count": None}, "count: expected a whole number of at least 1, got None."),
        ({}, "count: missing; expected a whole number of at least 1."),
        ({"share": 0}, "share: expected a number above 0 and up to 1, got 0."),
        ({"share": 1.5}, "share: expected a number above 0 and up to 1, got 1.5."),
        ({"rate": float("nan")}, "rate: expected a finite number, got nan."),
        ({"rate": np.float32("inf")}, "rate: expected a finite number, got np.float32(inf)."),
        ({"rate": np.complex128(1j)}, "rate: expected a number, got np.complex128(1j)."),
        ({"rate": 5 * ms}, "rate: expected a number, got 5. ms."),
        ({"name": ""}, "name: expected a non-empty string, got ''."),
        ({"name": 3}, "name: expected a non-empty string, got 3."),
        ({"mode": "fast"}, "mode: expected one of slow, static, got 'fast'."),
        ({"is_on": 1}, "is_on: expected true or false, got 1."),
        ({"sizes": 3}, "sizes: expected a list of whole numbers from 1 to 10, got 3."),
        ({"sizes": "3"}, "sizes: expected a list of whole numbers from 1 to 10, got '3'."),
        ({"sizes": [3, 11]}, "sizes, 2: expected a whole number from 1 to 10, got 11."),
        (
            {"times": [0.5, 2.0]},
            "times: expected 'always' or a list of numbers above 0 and up to 1, got [0.5, 2.0].",
        ),
        ({"texts": [1]}, "texts: expected a table of strings, got [1]."),
        ({"texts": {"f": 3}}, "texts, f: expected a string, got 3."),
        (
            {"picks": ["b", "c"]},
            "picks, 2: expected one of a, b, got 'c'.",
        ),
        ({"picks": []}, "picks: expected a non-empty list of any of a, b, got []."),
        ({"options": 3}, "options: expected a table, got 3."),
        ({"animal": "cat"}, "Unknown animal 'cat'; available: dog."),
        ({"animal": "bird"}, "animal: expected four legs, got 'bird'."),
        ({"animal": "fish"}, "animal: expected a string, got 'fish'; it swims."),
        ({"name": "\x1b[31m"}, None),
        ({"texts": {"\x1b[31m": 3}}, r"texts, \x1b[31m: expected a string, got 3."),
        ({"count": 16**5000}, None),
        ({"count": -(16**5000)},
         "count: expected a whole number of at least 1, got a huge number."),
    ],
)  # fmt: skip
def test_a_wrong_value_is_one_sentence(values: dict[str, Any], sentence: str | None) -> None:
    whole = values if "count" in values or not values else {"count": 1, **values}
    if sentence is None:
        assert validated(Example, whole) == Example(**whole)
        return
    with pytest.raises((InputError, UnknownNameError)) as caught:
        validated(Example, whole)
    assert str(caught.value) == sentence
    with pytest.raises((InputError, UnknownNameError)) as caught:
        validated(Example, whole, where="a.toml")
    separator = ": " if sentence.startswith("Unknown") or "bird" in sentence else ", "
    assert str(caught.value) == f"a.toml{separator}{sentence}"


def test_an_error_says_where_to_a_program_too() -> None:
    with pytest.raises(ModelError) as caught:
        validated(Example, {"count": 0}, where="a.toml", error=ModelError)
    error = caught.value
    assert (error.argument, error.got) == ("count", 0)
    assert error.expected == "a whole number of at least 1" == expected_of(Example, "count")


def test_an_unknown_key_explains_a_missing_one() -> None:
    with pytest.raises(InputError) as caught:
        validated(Example, {"cuont": 3}, where="a.toml", noun="option")
    assert "a.toml: Unknown option 'cuont'; did you mean 'count'?" in str(caught.value)
    assert caught.value.argument == "cuont"


@pytest.mark.parametrize("table", [None, 3, [1], "count = 3"])
def test_what_is_not_a_table_is_refused(table: Any) -> None:
    with pytest.raises(InputError, match=r"training: expected a table, got"):
        validated(Example, table, where="training")


def test_numbers_of_numpy_are_taken_as_pythons() -> None:
    found = validated(
        Example,
        {
            "count": np.int64(5), "share": np.float32(0.5), "rate": np.int32(2),
            "name": np.str_("b"), "is_on": np.bool_(True), "sizes": np.arange(1, 4),
            "times": np.array([0.5, 1.0]), "options": {"gamma": np.float64(0.5)},
        },
    )  # fmt: skip
    assert found == Example(
        5, 0.5, 2.0, "b", "slow", True, [1, 2, 3], [0.5, 1.0], options={"gamma": 0.5}
    )
    assert type(found.count) is int
    assert type(found.share) is float
    assert type(found.options["gamma"]) is float


@pytest.mark.parametrize(
    "value", [np.timedelta64(5, "ms"), np.datetime64("2020-01-01"), np.array(["5"]), np.ma.masked]
)
def test_no_time_and_no_masked_entry_becomes_a_number(value: Any) -> None:
    with pytest.raises(InputError, match="^count: expected a whole number of at least 1, got"):
        validated(Example, {"count": value})


def test_a_quantity_keeps_its_unit() -> None:
    assert validated(Example, {"count": 1, "time": 5 * ms}).time == 5 * ms


def test_values_nested_too_deeply_are_refused() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for values in ({"count": 1, "options": {"a": deep}}, {"count": deep}):
        with pytest.raises(InputError, match="nested too deeply"):
            validated(Example, values)


def test_a_dataclass_checks_itself() -> None:
    assert type(Checked(high=np.float32(2)).high) is float
    with pytest.raises(InputError, match=r"^high: expected a number of at least 0, got -1\.$"):
        Checked(high=-1)
    with pytest.raises(InputError, match=r"^low: expected at most 1\.0, got 2\.0\.$"):
        Checked(low=2)
    with pytest.raises(InputError, match=r"^a\.toml: low: expected at most 1\.0") as caught:
        validated(Checked, {"low": 2.0}, where="a.toml")
    assert (caught.value.argument, caught.value.got) == ("low", 2.0)


def test_the_schema_holds_types_bounds_defaults_and_help() -> None:
    schema = json_schema(Example, title="An example")
    assert schema["title"] == "An example"
    assert schema["required"] == ["count"]
    assert schema["additionalProperties"] is False
    count, share, mode = (schema["properties"][name] for name in ("count", "share", "mode"))
    assert (count["type"], count["minimum"], count["description"]) == ("integer", 1, "How many.")
    assert (share["exclusiveMinimum"], share["maximum"], share["default"]) == (0, 1, 1.0)
    assert share["description"] == "How much, or how fast."
    assert "description" not in schema["properties"]["name"]
    assert mode["enum"] == ["slow", "static"]
    json.dumps(schema)
