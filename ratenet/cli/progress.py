"""The progress bar of what takes many steps."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

PATIENCE = 1.0  # s: what is shorter needs no bar


class StepBar:
    """Shows on standard error, where that is a terminal, how many steps are done.

    Parameters
    ----------
    steps : int
        All of them.
    doing, unit : str
        What is being done; what the steps are.
    """

    def __init__(self, steps: int, doing: str = "simulating", unit: str = "steps") -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn(doing),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(unit),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(doing, total=steps)
        self._began = time.monotonic()

    def show(self, done: int) -> None:
        """Show the number of steps done."""
        if time.monotonic() - self._began > PATIENCE:
            self._progress.start()
        self._progress.update(self._task, completed=done)

    def __enter__(self) -> "StepBar":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()
