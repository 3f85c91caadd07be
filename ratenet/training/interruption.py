"""Ctrl-C and SIGTERM, caught, so that what is being done is brought to an end first."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def caught_signals(*, at_once: bool = False) -> Iterator[list[int]]:
    """Collect Ctrl-C and SIGTERM, which end nothing by themselves.

    Parameters
    ----------
    at_once : bool
        Whether either raises KeyboardInterrupt, too.
    """
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught  # only the main thread may set signal handlers
        return

    def catch(number: int, frame: object) -> None:
        caught.append(number)
        if at_once:
            raise KeyboardInterrupt("Interrupted.")

    before = {number: signal.signal(number, catch) for number in ENDING_SIGNALS}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
