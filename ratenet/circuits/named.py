"""The circuits by name, and their arguments."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from ratenet.circuits.attractors import hopfield, ring_attractor, wong_wang
from ratenet.circuits.base import Circuit
from ratenet.circuits.excitation_inhibition import (
    balanced_amplification,
    inhibition_stabilized,
    wilson_cowan_multistable,
    wilson_cowan_oscillating,
)
from ratenet.circuits.random_networks import chaotic, low_rank
from ratenet.circuits.supralinear import ssn_four_types, ssn_line, ssn_ring, ssn_stochastic
from ratenet.circuits.synapses import short_term_plasticity, synaptic_currents
from ratenet.errors import UnknownNameError
from ratenet.validation import descriptions

_CIRCUITS: dict[str, Callable[..., Circuit]] = {
    constructor.__name__: constructor
    for constructor in (
        balanced_amplification,
        chaotic,
        hopfield,
        inhibition_stabilized,
        low_rank,
        ring_attractor,
        short_term_plasticity,
        ssn_four_types,
        ssn_line,
        ssn_ring,
        ssn_stochastic,
        synaptic_currents,
        wilson_cowan_multistable,
        wilson_cowan_oscillating,
        wong_wang,
    )
}


def names() -> list[str]:
    """Return the names of the circuits, sorted."""
    return sorted(_CIRCUITS)


class Argument(NamedTuple):
    """An argument of a circuit: its default value, and what the circuit's docstring says of it."""

    default: Any
    help: str


def arguments(name: str) -> dict[str, Argument]:
    """Return the arguments of a circuit by their names, in their order.

    Raises
    ------
    UnknownNameError
        If there is no circuit of that name.

    Examples
    --------
    >>> arguments("ssn_ring")["contrast"].default
    20.0
    """
    constructor = _constructor(name)
    helps = descriptions(constructor)
    return {
        each.name: Argument(each.default, helps[each.name])
        for each in inspect.signature(constructor).parameters.values()
    }


def load(name: str, **given: Any) -> Circuit:
    """Return the circuit with a given name.

    Parameters
    ----------
    name : str
        One of `names`.
    **given
        Some of its `arguments`, in place of their defaults.

    Returns
    -------
    Circuit

    Raises
    ------
    UnknownNameError
        If there is none of that name, or it has no such argument.
    InputError
        If a value cannot be used.

    Examples
    --------
    >>> load("ssn_ring", contrast=[10, 50]).drive.shape
    torch.Size([2, 360])
    """
    available = arguments(name)
    for argument in given:
        if argument not in available:
            raise UnknownNameError.among(f"argument of {name}", argument, available)
    return _constructor(name)(**given)


def _constructor(name: str) -> Callable[..., Circuit]:
    if not isinstance(name, str) or name not in _CIRCUITS:
        raise UnknownNameError.among("circuit", name, names())
    return _CIRCUITS[name]
