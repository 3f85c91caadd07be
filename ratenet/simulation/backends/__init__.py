"""Backends: simulators that run one model specification and must agree."""

from ratenet.errors import UnknownNameError
from ratenet.simulation.backends.base import AbstractBackend as AbstractBackend
from ratenet.simulation.backends.brian2_backend import Brian2Backend as Brian2Backend
from ratenet.simulation.backends.torch_backend import TorchBackend as TorchBackend

BACKENDS: dict[str, AbstractBackend] = {"torch": TorchBackend(), "brian2": Brian2Backend()}


def backend_named(name: str) -> AbstractBackend:
    """Return the backend with a given name.

    Raises
    ------
    UnknownNameError
        If there is none.
    """
    if not isinstance(name, str) or name not in BACKENDS:
        raise UnknownNameError.among("backend", name, BACKENDS)
    return BACKENDS[name]
