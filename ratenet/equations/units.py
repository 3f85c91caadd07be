"""Brian2's units; and the one place that imports Brian2, which leaves the process as it found it.

Brian2's import replaces the handler of Ctrl+C (Python allows that in the main thread alone, so the
import fails in any other), the hook for uncaught errors, by one that blames Brian2 for all of them,
and the way in which warnings are shown. Who imports Brian2 before ratenet has asked for that and
keeps it. Elsewhere Brian2 is imported inside functions only (a lint rule holds this), when this
module has been imported.
"""

import itertools
import logging
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def _process_untouched() -> Iterator[None]:
    """Undo what Brian2's import changes in the process; nothing if it is imported already."""
    if "brian2" in sys.modules:
        yield
        return
    thread, set_handler = threading.get_ident(), signal.signal

    def set_no_handler(number: Any, handler: Any) -> Any:
        ours = threading.get_ident() == thread  # other threads go on meanwhile
        return signal.getsignal(number) if ours else set_handler(number, handler)

    excepthook, showwarning, argv = sys.excepthook, warnings.showwarning, sys.argv
    shown_by = list(logging.getLogger("py.warnings").handlers)
    signal.signal = set_no_handler  # type: ignore[assignment]
    sys.argv = [""]  # Brian2 would copy the script and its arguments to a temporary file
    try:
        yield
    finally:
        signal.signal, sys.excepthook, sys.argv = set_handler, excepthook, argv
        if warnings.showwarning is not showwarning:
            logging.captureWarnings(False)
        logging.getLogger("py.warnings").handlers[:] = shown_by


with _process_untouched():
    from brian2.core.namespace import (
        DEFAULT_CONSTANTS as DEFAULT_CONSTANTS,
        DEFAULT_FUNCTIONS as DEFAULT_FUNCTIONS,
        DEFAULT_UNITS as DEFAULT_UNITS,
    )
    from brian2.units.allunits import (
        amp as amp,
        coulomb,
        farad,
        hertz as hertz,
        kelvin,
        metre,
        mole,
        ohm,
        second as second,
        siemens,
        volt as volt,
    )
    from brian2.units.fundamentalunits import (
        DIMENSIONLESS as DIMENSIONLESS,
        Dimension as Dimension,
        DimensionMismatchError as DimensionMismatchError,
        Quantity as Quantity,
        Unit as Unit,
        get_dimensions as get_dimensions,
        get_unit as get_unit,
        get_unit_for_display,
        is_dimensionless as is_dimensionless,
    )

_NAMED = {
    unit.dim: symbol
    for unit, symbol in (
        (second, "s"), (hertz, "Hz"), (volt, "V"), (amp, "A"), (siemens, "S"), (ohm, "ohm"),
        (farad, "F"), (coulomb, "C"), (metre, "m"), (mole, "mol"), (kelvin, "K"),
    )
}  # fmt: skip


def show_unit(dimensions: Dimension) -> str:
    """Return the unit of dimensions as one says it, such as 1, V/s or A/V**2.

    Examples
    --------
    >>> show_unit(volt.dim / second.dim), show_unit(second.dim**-0.5), show_unit(hertz.dim)
    ('V/s', 's**-0.5', 'Hz')
    """
    if dimensions is DIMENSIONLESS:
        return "1"
    if dimensions in _NAMED:
        return _NAMED[dimensions]
    for exponent in (1, 2, 3, -1, -0.5, 0.5, -2, -3):
        power = "" if exponent == 1 else f"**{exponent}"
        for base, symbol in _NAMED.items():
            if base**exponent == dimensions:
                return f"{symbol}{power}"
    for sign, exponent in itertools.product("/*", (1, 2, 0.5, 3)):
        power = "" if exponent == 1 else f"**{exponent}"
        for last, symbol in _NAMED.items():
            by = last**exponent
            first = _NAMED.get(dimensions * by if sign == "/" else dimensions / by)
            if first is not None:
                return f"{first}{sign}{symbol}{power}"
    return str(get_unit_for_display(dimensions))


def unit_text(dimensions: Dimension) -> str:
    """Return the base unit of dimensions as Brian2's equations write it: "1", "second", ..."""
    return "1" if dimensions is DIMENSIONLESS else repr(get_unit(dimensions))
