"""Plasticity rules: from fixed points and errors to a change of the recurrent weights."""

from ratenet.errors import UnknownNameError
from ratenet.plasticity.base import AbstractRule as AbstractRule
from ratenet.plasticity.euclidean import Euclidean as Euclidean
from ratenet.plasticity.reparameterized import GainFreeReparameterized as GainFreeReparameterized
from ratenet.plasticity.reparameterized import (
    LinearizedReparameterized as LinearizedReparameterized,
)
from ratenet.plasticity.reparameterized import Reparameterized as Reparameterized

RULES: dict[str, type[AbstractRule]] = {
    "euclidean": Euclidean,
    "reparameterized": Reparameterized,
    "linearized-reparameterized": LinearizedReparameterized,
    "gain-free-reparameterized": GainFreeReparameterized,
}


def rule_named(name: str) -> AbstractRule:
    """Return the rule with a given name on the command line.

    Raises
    ------
    UnknownNameError
        If there is none.
    """
    if name not in RULES:
        raise UnknownNameError(f"There is no rule {name!r}; there are {', '.join(RULES)}.")
    return RULES[name]()
