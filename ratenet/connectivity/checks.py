"""Checks of the tensors that a connectivity is made of, one sentence for each."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ratenet.connectivity.base import AbstractConnectivity
from ratenet.errors import InputError, counted
from ratenet.linear_algebra import is_finite


def check_weights(weights: Tensor, name: str, dimensions: str) -> None:
    """Refuse anything but a tensor of finite floating-point numbers of the given dimensions.

    Parameters
    ----------
    weights : Tensor
    name : str
        What an error begins with.
    dimensions : str
        The names of the dimensions, as in "post, pre".
    """
    if not isinstance(weights, Tensor):
        raise InputError.at(
            name, found=type(weights).__name__, expected=f"a torch tensor ({dimensions})"
        )
    if weights.ndim != dimensions.count(",") + 1 or weights.numel() == 0:
        raise InputError.at(
            name,
            got=tuple(weights.shape),
            expected=f"shape ({dimensions}) with at least one entry",
        )
    if not weights.is_floating_point():
        raise InputError.at(name, got=weights.dtype, expected="floating-point numbers")
    if weights.device.type == "meta":
        raise InputError.at(name, found="a meta tensor, which has none", expected="values")
    if not is_finite(weights):
        bad = ~torch.isfinite(weights)
        where = ", ".join(map(str, torch.nonzero(bad)[0].tolist()))
        raise InputError(
            f"{name} holds {counted(int(bad.sum()), 'NaN or infinite entry')}, the first at "
            f"{name}[{where}]; weights must be finite.",
            argument=name,
        )


def check_alike(parts: Mapping[str, AbstractConnectivity], where: str) -> None:
    """Refuse parts that are not connectivities, or differ in dtype or device."""
    if not parts:
        raise InputError.at(where, found="none", expected="at least one connectivity")
    for name, part in parts.items():
        if not isinstance(name, str) or not name or "." in name:
            raise InputError.at(where, got=name, expected="a name without a dot")
        if not isinstance(part, AbstractConnectivity):
            raise InputError.at(
                f"{where}, {name}",
                got=part,
                found=type(part).__name__,
                expected="a connectivity, such as Dense(W)",
            )
    first_name, first = next(iter(parts.items()))
    for name, part in parts.items():
        if (part.dtype, part.device) != (first.dtype, first.device):
            raise InputError(
                f"{where}, {name}: {part.dtype} on {part.device} does not go with {first_name}, "
                f"{first.dtype} on {first.device}; make all parts alike.",
                argument=where,
            )


def check_square(shape: tuple[int, ...]) -> None:
    """Refuse weights that do not lead from N units to the same ones."""
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] == 0:
        raise InputError.at(
            "W", got=tuple(shape), expected="a square matrix, (N, N) with W[post, pre]"
        )
