"""Validation in one place: TOML, JSON and .npz within limits, and tables as frozen dataclasses.

    @dataclass(frozen=True)
    class Pool:
        size: Annotated[int, Field(ge=1)] = 2

    validated(Pool, {"size": 0})  # size: expected a whole number of at least 1, got 0.

The fields of a dataclass say their types and bounds, and its numpydoc describes them; from these
follow the check, the sentence about a wrong value, the JSON schema for editors, and the options of
the command line.
"""

from ratenet.validation.archives import (
    names_in_npz as names_in_npz,
    read_npz as read_npz,
    reason as reason,
)
from ratenet.validation.numbers import (
    check_choice as check_choice,
    check_positive as check_positive,
    check_seed as check_seed,
    check_whole as check_whole,
)
from ratenet.validation.reading import (
    LARGEST_FILE as LARGEST_FILE,
    parse_json as parse_json,
    parse_toml as parse_toml,
    read_toml as read_toml,
)
from ratenet.validation.schema import (
    Expected as Expected,
    Time as Time,
    descriptions as descriptions,
    expected_of as expected_of,
    json_schema as json_schema,
)
from ratenet.validation.tables import (
    check_fields as check_fields,
    check_values as check_values,
    validated as validated,
)
