"""What the sliders of a circuit move: its drives, weights, arguments and model parameters."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import make_dataclass
from typing import Annotated, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from ratenet import circuits
from ratenet.circuits import Circuit
from ratenet.circuits.named import arguments
from ratenet.equations.units import Dimension
from ratenet.errors import InputError
from ratenet.network import Network
from ratenet.network.parameters import Known
from ratenet.report.phase_plane import unit_names
from ratenet.report.rates import unit_name
from ratenet.validation import check_fields

PLACES = 200  # of a slider, from the circuit's own value to an end
REACH = 0.9  # of a value, to either side, so that it keeps its sign
LEAST_DRIVE = 2.0  # to either side where there is none


class Knob(NamedTuple):
    """A number of a circuit, and how far a slider moves it from where it is in the circuit."""

    name: str
    label: str
    start: float
    low: float
    high: float
    step: float
    help: str = ""


@functools.lru_cache(maxsize=16)
def knobs_of(name: str) -> dict[str, Knob]:
    """Return what can be moved in a circuit, by name.

    The drive of each unit, the scale of the weights, the circuit's arguments that are numbers and
    change its network, and the parameters of its model: one for each unit where these differ.

    Parameters
    ----------
    name : str
        Name of the circuit.

    Examples
    --------
    >>> list(knobs_of("inhibition_stabilized"))
    ['drive_0', 'drive_1', 'weight_scale', 'w_EE', 'tau_0', 'tau_1']
    """
    circuit = circuits.load(name)
    scale = Knob("weight_scale", "weight scale", 1.0, 0.0, 3.0, 0.01)
    found = [*_drives(circuit), scale, *_arguments(name), *_parameters(circuit.network)]
    return {knob.name: knob for knob in found}


def controls_type(knobs: Mapping[str, Knob]) -> type:
    """Return a dataclass with a field for each knob, which refuses what is out of its range."""
    fields = [
        (knob.name, Annotated[float, Field(ge=knob.low, le=knob.high)], knob.start)
        for knob in knobs.values()
    ]
    checked = {"__post_init__": check_fields}
    return make_dataclass("CircuitControls", fields, frozen=True, namespace=checked)


def moved(name: str, values: Mapping[str, float]) -> tuple[Network, Tensor]:
    """Return network and drive (1, N) of a circuit whose knobs have these values."""
    known = arguments(name)
    given = tuple((each, value) for each, value in values.items() if each in known)
    network = _network(name, given)
    W = values["weight_scale"] * network.connectivity.dense()
    parameters = {
        each: Known(_parameter(each, value, values)) for each, value in network.parameters.items()
    }
    drive = [values[f"drive_{unit}"] for unit in range(network.units)]
    return network.changed(W=W, parameters=parameters), network.as_drive(drive)


def _drives(circuit: Circuit) -> list[Knob]:
    model, names = circuit.network.model, unit_names(circuit.network)
    now: list[float] = circuit.drive[0].tolist()
    reach = max([LEAST_DRIVE, *(abs(1.5 * value) for value in now)])
    labels = [_label(f"drive to {each}", model.dimensions(model.drive)) for each in names]
    return [
        Knob(f"drive_{n}", labels[n], x, x - reach, x + reach, reach / PLACES)
        for n, x in enumerate(now)
    ]


def _arguments(circuit: str) -> list[Knob]:
    found = []
    for name, (default, told) in arguments(circuit).items():
        if isinstance(default, float):
            accepts = functools.partial(_accepts, circuit, name)
            knob = _around(name, name, default, accepts)._replace(help=told)
            if not _is_drive(circuit, knob):
                found.append(knob)
    return found


def _parameters(network: Network) -> list[Knob]:
    names, found = unit_names(network), []
    for name, value in network.parameters.items():
        dimensions = network.model.dimensions(name)
        if value.ndim == 0:
            found.append(_around(name, _label(name, dimensions), float(value)))
            continue
        for n, each in enumerate(value.tolist()):
            label = _label(f"{name} of {names[n]}", dimensions)
            found.append(_around(f"{name}_{n}", label, each))
    return found


def _around(
    name: str, label: str, start: float, accepts: Callable[[float], bool] = lambda _: True
) -> Knob:
    """Return a knob that reaches as far to either side as its values are accepted."""
    step = (REACH * abs(start) or 1.0) / PLACES
    ends = []
    for side in (-1, 1):
        near, far = 0, PLACES + 1
        while far - near > 1:
            middle = (near + far) // 2
            if accepts(start + side * middle * step):
                near = middle
            else:
                far = middle
        ends.append(start + side * near * step)
    low, high = ends
    return Knob(name, label, start, low, high, step)


def _accepts(circuit: str, name: str, value: float) -> bool:
    try:
        circuits.load(circuit, **{name: value})
    except InputError:
        return False
    return True


def _is_drive(circuit: str, knob: Knob) -> bool:
    """Return whether an argument leaves the network as it is: it sets the drive."""
    before, after = (
        circuits.load(circuit, **{knob.name: end}).network for end in (knob.low, knob.high)
    )
    return torch.equal(before.connectivity.dense(), after.connectivity.dense()) and all(
        torch.equal(value, after.parameters[each]) for each, value in before.parameters.items()
    )


@functools.lru_cache(maxsize=16)
def _network(circuit: str, given: tuple[tuple[str, float], ...]) -> Network:
    return circuits.load(circuit, **dict(given)).network


def _parameter(name: str, now: Tensor, values: Mapping[str, float]) -> float | list[float]:
    if now.ndim == 0:
        return values[name]
    return [values[f"{name}_{unit}"] for unit in range(len(now))]


def _label(name: str, dimensions: Dimension) -> str:
    unit = unit_name(dimensions)
    return name if unit == "dimensionless" else f"{name} ({unit})"
