"""The sliders of the page, as validated tables; the address of a tab holds what was moved."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, TypeVar
from urllib.parse import urlencode

from pydantic import Field

from ratenet.errors import InputError
from ratenet.validation import check_fields, json_schema, validated

T = TypeVar("T")


@dataclass(frozen=True)
class Controls:
    """What the sliders of a trained run say.

    Parameters
    ----------
    tau : float
        Time constant of the network in ms; of several, the longest, the others in proportion.
    hold : float
        How long an image is held, in time constants.
    fade : float
        How long it takes to fade in, in time constants.
    weight_scale : float
        Factor of the recurrent weights.
    gain : float
        Factor of the drive.
    noise : float
        Standard deviation of the noise in each unit's drive, an Ornstein-Uhlenbeck process with
        the network's time constant.
    speed : float
        Time constants of the network that pass in a second on the screen.
    """

    tau: Annotated[float, Field(ge=1, le=200)] = 10.0
    hold: Annotated[float, Field(ge=1, le=50)] = 20.0
    fade: Annotated[float, Field(ge=0, le=50)] = 5.0
    weight_scale: Annotated[float, Field(ge=0, le=5)] = 1.0
    gain: Annotated[float, Field(ge=0, le=5)] = 1.0
    noise: Annotated[float, Field(ge=0, le=1)] = 0.0
    speed: Annotated[float, Field(ge=0.25, le=25)] = 5.0

    def __post_init__(self) -> None:
        check_fields(self)


class Slider(NamedTuple):
    """A field with bounds: what a slider shows."""

    name: str
    low: float
    high: float
    help: str


def sliders(kind: type) -> list[Slider]:
    """Return the numbers of a table as sliders, in their order.

    Examples
    --------
    >>> sliders(Controls)[0][:3]
    ('tau', 1, 200)
    """
    facts = json_schema(kind)["properties"]
    return [
        Slider(name, each["minimum"], each["maximum"], each.get("description", ""))
        for name, each in facts.items()
    ]


def from_query(start: T, query: Mapping[str, str]) -> T:
    """Return controls with what an address says in place of some of their values.

    Raises
    ------
    InputError
        If a name is unknown, or a value is not a number within its bounds, or not a known name.

    Examples
    --------
    >>> from_query(Controls(), {"tau": "20"}).tau
    20.0
    """
    values: dict[str, Any] = dataclasses.asdict(start)  # type: ignore[call-overload]
    given = {
        name: text if isinstance(values.get(name), str) else _number(name, text)
        for name, text in query.items()
    }
    return validated(type(start), values | given, where="address", noun="query parameter")


def as_query(now: Any, start: Any) -> str:
    """Return the query of an address that says what differs from the start.

    Examples
    --------
    >>> as_query(Controls(tau=20), Controls())
    'tau=20'
    """
    before, after = dataclasses.asdict(start), dataclasses.asdict(now)
    moved = {name: value for name, value in after.items() if value != before[name]}
    return urlencode({n: v if isinstance(v, str) else f"{v:.6g}" for n, v in moved.items()})


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError.at(f"address, {name}", got=text, expected="a number") from None
