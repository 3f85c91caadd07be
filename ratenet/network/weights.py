"""W as a user gives it: an array, nested lists, a quantity, a tensor or a connectivity."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ratenet.connectivity.base import AbstractConnectivity
from ratenet.connectivity.checks import check_square
from ratenet.connectivity.dense import Dense
from ratenet.equations.quantities import with_units
from ratenet.equations.units import (
    Dimension,
    DimensionMismatchError,
    Quantity,
    get_dimensions,
    show_unit,
)
from ratenet.errors import InputError


def as_connectivity(
    W: Any,
    dimensions: Dimension,
    dtype: torch.dtype | None = None,
    device: str | torch.device | None = None,
) -> AbstractConnectivity:
    """Return what was given as W: a connectivity as it is, a matrix as `Dense`.

    Parameters
    ----------
    W : AbstractConnectivity, or array_like of shape (N, N)
    dimensions : Dimension
        Physical dimensions of the weights; a quantity must have them.
    dtype, device : optional
        Default: those of W; float64 where W is no floating tensor.

    Raises
    ------
    InputError
        If the shape, the unit or the type does not fit.
    """
    if isinstance(W, AbstractConnectivity):
        if dtype not in (None, W.dtype) or device not in (
            None,
            W.device,
            str(W.device),
            W.device.type,
        ):
            raise InputError(
                f"W: the connectivity is {W.dtype} on {W.device}; make it with the dtype and "
                "device that the network is to have."
            )
        check_square(W.shape)
        return W
    try:
        W = with_units(W)
    except (DimensionMismatchError, TypeError, ValueError):
        raise InputError("W is no matrix of numbers of one unit; give (N, N).") from None
    if isinstance(W, Quantity) and get_dimensions(W) != dimensions:
        raise InputError(
            f"W: the unit does not fit; needed is {show_unit(dimensions)} "
            "(recurrent input over output)."
        )
    if isinstance(W, Tensor) and W.layout != torch.strided:
        raise InputError("W: a sparse tensor is not taken; give W.to_dense().")
    if not isinstance(W, Tensor):
        try:
            W = torch.as_tensor(np.array(W, dtype=np.float64))
        except (TypeError, ValueError):
            raise InputError("W is no matrix of numbers; give (N, N) with W[post, pre].") from None
    if W.is_complex():
        raise InputError(f"W must hold real numbers, got {W.dtype}.")
    target = dtype or (W.dtype if W.is_floating_point() else torch.float64)
    if not target.is_floating_point:
        raise InputError(f"dtype: {target} is no floating type; use torch.float64 or float32.")
    check_square(tuple(W.shape))
    return Dense(W.to(dtype=target, device=device or W.device))
