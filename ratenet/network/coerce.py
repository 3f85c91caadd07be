"""Arrays at the door: numbers, lists, NumPy arrays, quantities and tensors become SI tensors."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ratenet.equations.arrays import real_numbers
from ratenet.equations.units import (
    DIMENSIONLESS,
    Dimension,
    Quantity,
    get_dimensions,
    is_dimensionless,
    show_unit,
)
from ratenet.errors import InputError, shorten
from ratenet.linear_algebra import is_finite
from ratenet.validation import check_seed


def check_arguments(parameters: Any, seed: Any, dtype: Any) -> None:
    """Refuse a network's arguments that are of another kind, each in a sentence of its own."""
    if parameters is not None and not isinstance(parameters, Mapping):
        raise InputError.at(
            "parameters", got=parameters, expected='names with values, such as {"tau": 20*ms}'
        )
    check_seed(seed)
    if dtype is not None and not isinstance(dtype, torch.dtype):
        raise InputError.at("dtype", got=dtype, expected="torch.float64 or torch.float32")


def as_tensor(
    value: Any,
    dimensions: Dimension,
    where: str,
    dtype: torch.dtype,
    device: torch.device,
    *,
    finite: bool = True,
) -> Tensor:
    """Return a value as a tensor in SI units.

    Parameters
    ----------
    value : array_like, Quantity or Tensor
        Plain numbers are in SI base units.
    dimensions : Dimension
        What the unit of a quantity must be.
    where : str
        What an error begins with.
    dtype, device
        Those of the result.
    finite : bool
        Whether NaN and infinite entries are refused.

    Raises
    ------
    InputError
        If the value is not an array of real numbers, or its unit does not fit.
    """
    tensor = numbers_of(value, dimensions, where).to(dtype=dtype, device=device)
    if finite and not is_finite(tensor):
        raise InputError(
            f"{where}: NaN or infinite entries; all values must be finite.",
            argument=where,
            got=value,
            expected="finite numbers",
        )
    return tensor


def numbers_of(value: Any, dimensions: Dimension, where: str, note: str = "") -> Tensor:
    """Return real numbers in SI units as a tensor of their own dtype; see `check_unit`."""
    numbers = real_numbers(value, where)
    if isinstance(numbers, Quantity):
        check_unit(numbers, dimensions, where, note)
    return numbers if isinstance(numbers, Tensor) else torch.from_numpy(np.asarray(numbers))


def check_unit(value: Quantity, dimensions: Dimension, where: str, note: str = "") -> None:
    """Refuse a quantity of another unit; one without a unit is in SI base units."""
    if is_dimensionless(value) or get_dimensions(value) == dimensions:
        return
    unit = f"the unit {show_unit(dimensions)}"
    expected = "numbers without a unit" if dimensions is DIMENSIONLESS else unit
    found = str(value) if value.ndim == 0 else f"values in {show_unit(value.dim)}"
    raise InputError(
        f"{where}: expected {expected}{note}, got {shorten(found)}.",
        argument=where,
        got=value,
        expected=expected,
    )


def expand_to(value: Tensor, shape: torch.Size, where: str) -> Tensor:
    """Return a tensor expanded to a shape (B, N) or (N,), or say that it does not fit."""
    try:
        return value.expand(shape)
    except RuntimeError:
        sizes = (
            f"(N,) or (B, N) with B = {shape[0]} and N = {shape[1]}"
            if len(shape) == 2
            else f"(N,) with N = {shape[0]}"
        )
        raise InputError.at(
            where, got=tuple(value.shape), expected=f"a number, or shape {sizes}"
        ) from None
