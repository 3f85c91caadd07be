"""Units that rates are recorded in, and those that cannot be the unit of a rate."""

import re

import numpy as np

from ratenet.errors import InputError

# By how many each is multiplied to be in Hz.
PER_SECOND = {"hz": 1.0, "1/s": 1.0, "s^-1": 1.0, "spikes/s": 1.0, "spikes/second": 1.0,
              "spikes per second": 1.0, "khz": 1e3, "1/ms": 1e3, "1/min": 1 / 60}  # fmt: skip
COUNTS = ("spikes", "spike count", "counts")
_PREFIX = "(?:[fpnuµmckMG]|femto|pico|nano|micro|milli|centi|kilo|mega|giga)?"
_NAMES = (
    "volts?", "amp(?:ere)?s?", "met(?:re|er)s?", "seconds?", "grams?", "kelvins?", "celsius",
    "pascals?", "newtons?", "joules?", "watts?", "ohms?", "siemens", "farads?", "coulombs?",
    "teslas?", "degrees?", "radians?", "min(?:ute)?s?", "hours?",
)  # fmt: skip
_SYMBOLS = ("V", "A", "m", "s", "g", "K", "C", "Pa", "N", "J", "W", "S", "F", "T", "Ω")
_PHYSICAL = re.compile(
    rf"(?i:{_PREFIX}(?:{'|'.join(_NAMES)}))|{_PREFIX}(?:{'|'.join(_SYMBOLS)})|deg|rad|°C?"
)


def in_hertz(unit: str) -> float:
    """Return by how much rates of a unit are multiplied to be in Hz; 1 for relative units."""
    return PER_SECOND.get(unit.strip().lower(), 1.0)


def check_rates(rates: np.ndarray, unit: str, where: str = "rates") -> None:
    """Refuse what cannot be rates: a unit such as volts, or negative frequencies and counts.

    Rates without a unit, and those in relative units such as dF/F, may be negative.

    Raises
    ------
    InputError

    Examples
    --------
    >>> check_rates(np.ones(2), "volts")
    Traceback (most recent call last):
    ratenet.errors.InputError: rates: expected a unit of rates, such as Hz or dF/F, got 'volts'.
    """
    if not isinstance(unit, str):
        raise InputError.at("rate_unit", got=unit, expected="the name of a unit, such as 'Hz'")
    plain = unit.strip()
    if _PHYSICAL.fullmatch(plain):
        raise InputError.at(where, got=plain, expected="a unit of rates, such as Hz or dF/F")
    is_frequency = plain.lower() in PER_SECOND or plain.lower() in COUNTS
    if is_frequency and np.any(rates < 0):
        raise InputError.at(
            where,
            found=f"{float(np.nanmin(rates)):.3g} {plain}",
            expected=f"rates of at least 0 {plain}",
            remedy="leave rate_unit out where rates are relative",
        )
