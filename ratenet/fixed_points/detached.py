"""Fixed points hold no graph: a warning says so where something requires a gradient."""

import functools
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

from ratenet.errors import RatenetWarning
from ratenet.network import Network

P = ParamSpec("P")
R = TypeVar("R")


def detached(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function that keeps no graph, and warns where an argument requires a gradient."""

    @functools.wraps(function)
    def shielded(*args: P.args, **kwargs: P.kwargs) -> R:
        if torch.is_grad_enabled() and (names := _requiring([*args, *kwargs.values()])):
            verb = "requires" if len(names) == 1 else "require"
            warnings.warn(
                f"{function.__name__}: {', '.join(names)} {verb} a gradient, and the result is "
                "detached; use rn.FixedPointCore(network) for gradients, or torch.no_grad().",
                RatenetWarning,
                stacklevel=3,  # the caller of the computation around this
            )
        with torch.no_grad():
            return function(*args, **kwargs)

    return shielded


def _requiring(given: list[Any]) -> list[str]:
    """Return names of what requires a gradient: weights, parameters, and tensors by themselves."""
    names = []
    for value in given:
        if isinstance(value, Network):
            every = {**value.connectivity.parameters, **value.parameters}
            names += [name for name, tensor in every.items() if tensor.requires_grad]
        elif isinstance(value, Tensor) and value.requires_grad:
            names.append("the drive or the state")
    return list(dict.fromkeys(names))
