"""What a user passes to a circuit, checked: numbers in SI units, one or one per stimulus."""

import math
from numbers import Integral
from typing import Any

import numpy as np

from ratenet.equations.arrays import real_numbers
from ratenet.equations.units import DIMENSIONLESS, Quantity, Unit, get_dimensions
from ratenet.errors import InputError
from ratenet.linear_algebra import require_memory


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
        If it is not a number or a list of them, has another unit or is out of range.
    """
    needed = DIMENSIONLESS if unit is None else unit.dim
    quantity = Quantity(real_numbers(value, where))
    array = np.atleast_1d(np.asarray(quantity))
    if get_dimensions(quantity) not in (DIMENSIONLESS, needed):
        unit_name = "no unit" if unit is None else f"the unit {unit}"
        raise InputError.at(where, got=quantity, expected=f"values with {unit_name}")
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise InputError.at(
            where, got=value, expected="one finite number, or a list with one per stimulus"
        )
    if (array < least).any() or (array > most).any():
        raise InputError.at(where, got=value, expected=f"values of {_range(least, most)}")
    return array


def number(value: Any, where: str, unit: Unit | None = None, **bounds: float) -> float:
    """Return one finite number in SI units; as `numbers`."""
    found = numbers(value, where, unit, **bounds)
    if len(found) != 1:
        raise InputError.at(where, got=value, expected="one number")
    return float(found[0])


def whole(value: Any, where: str, *, least: int = 1, most: int = 2**63 - 1) -> int:
    """Return a whole number of at least `least`."""
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_whole or not least <= int(value) <= most:
        raise InputError.at(where, got=value, expected=f"a whole number of at least {least}")
    return int(value)


def units_of(value: Any, where: str, *, least: int = 1, populations: int = 1) -> int:
    """Return a number of units whose weights fit into memory."""
    units = whole(value, f"{where}, units", least=least)
    N = populations * units
    require_memory(4 * 8 * N * N, f"{where}, units: the weights of {N:,} units", "choose fewer")
    return units


def stimuli(where: str, *arrays: np.ndarray) -> list[np.ndarray]:
    """Return arrays (B,) or (1,) as columns (B, 1), one row per stimulus."""
    try:
        return [array[:, None] for array in np.broadcast_arrays(*arrays)]
    except ValueError:
        sizes = ", ".join(str(len(array)) for array in arrays)
        raise InputError(
            f"{where}: lists of {sizes} values do not fit together; give one value, or one per "
            "stimulus.",
            argument=where,
        ) from None


def _range(least: float, most: float) -> str:
    if math.isinf(most):
        return f"at least {least:g}"
    return f"at most {most:g}" if math.isinf(least) else f"{least:g} to {most:g}"
