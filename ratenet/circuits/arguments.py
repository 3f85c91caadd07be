"""What a user passes to a circuit, checked: numbers in SI units, one or one a stimulus."""

import math
from numbers import Integral
from typing import Any

import numpy as np

from ratenet.equations.units import DIMENSIONLESS, Quantity, Unit, get_dimensions
from ratenet.errors import InputError


def numbers(
    value: Any,
    where: str,
    unit: Unit | None = None,
    *,
    least: float = -math.inf,
    most: float = math.inf,
) -> np.ndarray:
    """Return one or several finite numbers as an array (B,), in SI units.

    Parameters
    ----------
    value : float, Quantity or sequence of them
    where : str
        Circuit and argument, for an error.
    unit : Unit, optional
        What a quantity must have; a plain number is in the SI base unit.
    least, most : float
        Bounds, in SI units, inclusive.

    Raises
    ------
    InputError
    """
    needed = DIMENSIONLESS if unit is None else unit.dim
    try:
        quantity = Quantity(value)
        array = np.atleast_1d(np.asarray(quantity, dtype=np.float64))
    except (TypeError, ValueError):  # a DimensionMismatchError is a TypeError
        raise InputError(f"{where}: {value!r} is no number, and no list of numbers.") from None
    if get_dimensions(quantity) not in (DIMENSIONLESS, needed):
        raise InputError(f"{where}: the unit of {quantity} does not fit; needed is {unit or '1'}.")
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise InputError(f"{where}: give one finite number, or a list of them, one a stimulus.")
    if (array < least).any() or (array > most).any():
        raise InputError(f"{where}: {value!r} is out of range; give {_range(least, most)}.")
    return array


def number(value: Any, where: str, unit: Unit | None = None, **bounds: float) -> float:
    """Return one finite number in SI units; as `numbers`."""
    found = numbers(value, where, unit, **bounds)
    if len(found) != 1:
        raise InputError(f"{where}: one number is needed, got {len(found)}.")
    return float(found[0])


def whole(value: Any, where: str, *, least: int = 1) -> int:
    """Return a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise InputError(f"{where}: {value!r} is no whole number of at least {least}.")
    return int(value)


def stimuli(where: str, *arrays: np.ndarray) -> list[np.ndarray]:
    """Return arrays (B,) or (1,) as columns (B, 1), one row a stimulus."""
    try:
        return [array[:, None] for array in np.broadcast_arrays(*arrays)]
    except ValueError:
        sizes = ", ".join(str(len(array)) for array in arrays)
        raise InputError(
            f"{where}: lists of {sizes} values do not fit together; give one value, or one a "
            "stimulus."
        ) from None


def _range(least: float, most: float) -> str:
    if math.isinf(most):
        return f"at least {least:g}"
    return f"at most {most:g}" if math.isinf(least) else f"{least:g} to {most:g}"
