"""The door for arrays: what is not real numbers is refused, before it is taken for some.

NumPy would drop imaginary parts, masks and units, read "3" and dates as numbers, and take a time
difference of 10 ms for 10.
"""

import datetime
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from ratenet.equations.units import DIMENSIONLESS, Quantity, get_dimensions, second
from ratenet.errors import InputError, shorten, show_any

if TYPE_CHECKING:
    from torch import Tensor

_KINDS = {
    "b": ("booleans", "convert them, as with x.astype(float)"),
    "c": ("complex numbers", "take the real part, or the absolute value"),
    "M": ("dates", "give times in seconds"),
    "U": ("strings", "convert them to numbers"),
    "S": ("bytes", "convert them to numbers"),
    "V": ("records", "give one field of them"),
}


def real_numbers(value: Any, where: str) -> Any:
    """Return what was given as numbers: a Tensor, a Quantity, or an array of float64.

    Parameters
    ----------
    value : array_like, Quantity, Tensor, or sparse matrix
        Lists of quantities become one quantity; differences of time (of NumPy, pandas or datetime)
        become quantities in seconds; sparse matrices and tensors become dense.
    where : str
        What an error begins with.

    Raises
    ------
    InputError
        If it is not made of real numbers of one unit, or an entry is masked or missing.

    Examples
    --------
    >>> real_numbers([1, 2], "drive")
    array([1., 2.])
    """
    if is_tensor(value):
        return _real_tensor(value, where)
    if is_scipy_sparse(value):
        value = value.toarray()
    _check_leaves(value, where)
    value, dimensions = _without_units(value, where)
    array = _as_array(value, where)
    if array.dtype.kind == "m":
        array, dimensions = array / np.timedelta64(1, "s"), second.dim
    if array.dtype.kind not in "iuf":
        raise _refusal(where, value, *_KINDS.get(array.dtype.kind, (show_any(value), "")))
    array = array.astype(np.float64, copy=False)
    return array if dimensions is DIMENSIONLESS else Quantity(array, dim=dimensions)


def is_tensor(value: Any) -> "TypeGuard[Tensor]":
    """Return whether a value is a tensor of torch, without importing it: models do without."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def is_scipy_sparse(value: Any) -> bool:
    """Return whether a value is one of SciPy's sparse arrays or matrices, without importing it."""
    return type(value).__module__.startswith("scipy.sparse") and hasattr(value, "toarray")


def _real_tensor(tensor: "Tensor", where: str) -> "Tensor":
    import torch

    if tensor.device.type == "meta":
        raise _refusal(where, tensor, "a meta tensor, which has no values", "give one that has")
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    if tensor.is_complex():
        raise _refusal(where, tensor, *_KINDS["c"])
    if tensor.dtype == torch.bool:
        raise _refusal(where, tensor, "booleans", "convert them, as with x.double()")
    if tensor.is_quantized:
        raise _refusal(where, tensor, "a quantized tensor", "give x.dequantize()")
    # Only outside of inference mode do its tensors become ordinary ones, which gradients can use.
    return tensor.clone() if tensor.is_inference() else tensor


def _check_leaves(value: Any, where: str) -> None:
    """Refuse entries of a list that NumPy would take for numbers although they are none."""
    for leaf in _leaves(value):
        if isinstance(leaf, bool | np.bool_):
            raise _refusal(where, leaf, *_KINDS["b"])
        if isinstance(leaf, np.ma.MaskedArray) and np.ma.is_masked(leaf):
            raise _refusal(where, leaf, "masked entries", "fill them, or leave them out")
        kind = type(leaf)
        of_array = isinstance(leaf, np.ndarray) and hasattr(kind, "unit")
        has_unit = of_array or hasattr(kind, "units")
        if has_unit and not isinstance(leaf, Quantity):
            raise _refusal(where, leaf, f"{shorten(str(leaf))} of {kind.__module__}",
                           "give a Brian2 quantity, or plain numbers in SI base units")  # fmt: skip


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for entry in value:
            yield from _leaves(entry)
    else:
        yield value


def _without_units(value: Any, where: str) -> tuple[Any, Any]:
    """Return the SI values, and their dimensions; quantities in a list must all have the same."""
    if isinstance(value, Quantity):
        return np.asarray(value), get_dimensions(value)
    leaves = list(_leaves(value))
    if not any(isinstance(leaf, Quantity | datetime.timedelta | np.timedelta64) for leaf in leaves):
        return value, DIMENSIONLESS
    dimensions = {second.dim if _is_time(leaf) else get_dimensions(leaf) for leaf in leaves}
    if len(dimensions) > 1:
        raise InputError(f"{where}: the values have different units.", argument=where, got=value)
    return _si(value), dimensions.pop()


def _is_time(leaf: Any) -> bool:
    return isinstance(leaf, datetime.timedelta | np.timedelta64)


def _si(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_si(entry) for entry in value]
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, np.timedelta64):
        return value / np.timedelta64(1, "s")
    return np.asarray(value)


def _as_array(value: Any, where: str) -> np.ndarray:
    try:
        return np.array(value)
    except Exception:  # ragged lists, tensors that require a gradient, whatever __array__ may do
        raise _refusal(where, value, show_any(value), "") from None


def _refusal(where: str, value: Any, what: str, remedy: str) -> InputError:
    end = f"; {remedy}." if remedy else "."
    sentence = f"{where}: expected real numbers, got {what}{end}"
    return InputError(sentence, argument=where, got=value, expected="real numbers")
