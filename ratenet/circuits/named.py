"""The circuits by name, each with its default arguments."""

from collections.abc import Callable

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

_CIRCUITS: dict[str, Callable[[], Circuit]] = {
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


def load(name: str) -> Circuit:
    """Return the circuit with a given name, with its default arguments.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    Circuit

    Raises
    ------
    UnknownNameError
        If there is none of that name.

    Examples
    --------
    >>> load("ssn_ring").drive.shape
    torch.Size([1, 360])
    """
    if not isinstance(name, str) or name not in _CIRCUITS:
        raise UnknownNameError.among("circuit", name, names())
    return _CIRCUITS[name]()
