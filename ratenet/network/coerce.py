"""Arrays at the door: numbers, lists, NumPy arrays, quantities and tensors become SI tensors."""

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ratenet.equations import ModelSpec
from ratenet.equations.quantities import with_units
from ratenet.equations.units import (
    Dimension,
    DimensionMismatchError,
    Quantity,
    get_dimensions,
    is_dimensionless,
    show_unit,
)
from ratenet.errors import InputError, shorten, show_any


def check_arguments(model: Any, parameters: Any, seed: Any, dtype: Any) -> None:
    """Refuse a network's arguments that are of another kind, each in a sentence of its own."""
    if not isinstance(model, ModelSpec):
        raise InputError(
            f"model: {show_any(model)} is no model; give a name, a path or a ModelSpec."
        )
    if parameters is not None and not isinstance(parameters, Mapping):
        raise InputError(
            f"parameters: {show_any(parameters)} is no mapping; give names with values, such as "
            '{"tau": 20*ms}.'
        )
    if not isinstance(seed, Integral) or not 0 <= int(seed) < 2**63:
        raise InputError(f"seed: {show_any(seed)} is no whole number from 0 to 2**63 - 1.")
    if dtype is not None and not isinstance(dtype, torch.dtype):
        raise InputError(
            f"dtype: {show_any(dtype)} is no torch dtype; use torch.float64 or float32."
        )


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
        Of the result.
    finite : bool
        Whether NaN and infinite entries are refused.

    Raises
    ------
    InputError
        If the value is no array of real numbers, or its unit does not fit.
    """
    value = _one_quantity(value, where)
    has_unit = isinstance(value, Quantity) and not is_dimensionless(value)
    if has_unit and get_dimensions(value) != dimensions:
        raise InputError(
            f"{where}: the unit of {shorten(str(value))} does not fit; needed is "
            f"{show_unit(dimensions)}."
        )
    if not isinstance(value, Tensor):
        try:
            value = torch.as_tensor(np.array(value, dtype=np.float64))
        except (TypeError, ValueError):
            raise InputError(f"{where}: {shorten(repr(value))} is no array of numbers.") from None
    if value.is_complex():
        raise InputError(f"{where}: real numbers are needed, got {value.dtype}.")
    tensor: Tensor = value.to(dtype=dtype, device=device)
    if finite and not torch.isfinite(tensor).all():
        raise InputError(f"{where}: NaN or infinite entries; all values must be finite.")
    return tensor


def _one_quantity(value: Any, where: str) -> Any:
    try:
        return with_units(value)
    except DimensionMismatchError:
        raise InputError(f"{where}: the values have different units.") from None
    except (TypeError, ValueError):
        raise InputError(f"{where}: {shorten(repr(value))} is no array of numbers.") from None


def expand_to(value: Tensor, shape: torch.Size, where: str) -> Tensor:
    """Return a tensor expanded to a shape (B, N) or (N,), or say that it does not fit."""
    try:
        return value.expand(shape)
    except RuntimeError:
        needed = (
            f"(N,) or (B, N) with B = {shape[0]} and N = {shape[1]}"
            if len(shape) == 2
            else f"(N,) with N = {shape[0]}"
        )
        raise InputError(
            f"{where}: shape {tuple(value.shape)} does not fit; needed is a number, {needed}."
        ) from None


def join_populations(
    parts: Mapping[str, Tensor], populations: Mapping[str, slice], where: str
) -> Tensor:
    """Return (B, N) from each population's part: a number, (N_p,) or (B, N_p)."""
    stimuli = max(len(part) if part.ndim == 2 else 1 for part in parts.values())
    return torch.cat(
        [
            expand_to(
                parts[population],
                torch.Size((stimuli, place.stop - place.start)),
                f"{where}, {population}",
            )
            for population, place in populations.items()
        ],
        dim=1,
    )
