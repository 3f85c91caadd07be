"""Brian2's units; and the one place that imports Brian2, which leaves the process as it found it.

Brian2's import replaces the handler of Ctrl+C (Python allows that in the main thread alone, so the
import fails in any other), the hook for uncaught errors, by one that blames Brian2 for all of them,
and the way in which warnings are shown. Who imports Brian2 before ratenet has asked for that and
keeps it. Elsewhere Brian2 is imported inside functions only (a lint rule holds this), when this
module has been imported.
"""

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

    excepthook, showwarning = sys.excepthook, warnings.showwarning
    shown_by = list(logging.getLogger("py.warnings").handlers)
    signal.signal = set_no_handler  # type: ignore[assignment]
    try:
        yield
    finally:
        signal.signal, sys.excepthook = set_handler, excepthook
        if warnings.showwarning is not showwarning:
            logging.captureWarnings(False)
        logging.getLogger("py.warnings").handlers[:] = shown_by


with _process_untouched():
    from brian2.core.namespace import DEFAULT_UNITS as DEFAULT_UNITS
    from brian2.units.allunits import (
        amp as amp,
        hertz as hertz,
        second as second,
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
        get_unit_for_display as get_unit_for_display,
        is_dimensionless as is_dimensionless,
    )
