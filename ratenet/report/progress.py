"""StepBar: the progress bar of whatever takes many steps."""

import sys
import time
from importlib.util import find_spec
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

PATIENCE = 1.0  # s: what is shorter needs no bar


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f}/s")


class StepBar:
    """Shows on standard error how many steps are done.

    Parameters
    ----------
    steps : int or None
        All of them; None where that is not known yet.
    doing, unit : str
        What is being done; what the steps are.
    done : int
        Steps that are done already.
    shown : bool, optional
        Default: where standard error is a terminal. With True, in notebooks too; one without
        ipywidgets, which rich warns of at each refresh, gets a line instead.
    """

    def __init__(
        self,
        steps: int | None,
        doing: str = "simulating",
        unit: str = "steps",
        *,
        done: int = 0,
        shown: bool | None = None,
    ) -> None:
        console = Console(stderr=True)
        shown = console.is_terminal if shown is None else shown
        if shown and console.is_jupyter and find_spec("ipywidgets") is None:
            shown = False
            print(f"{doing}: {steps} {unit} (ipywidgets shows a bar here)", file=sys.stderr)
        self._progress = Progress(
            TextColumn(doing),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(unit),
            _Speed(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not (shown and (console.is_terminal or console.is_jupyter)),
        )
        self._task = self._progress.add_task(doing, total=steps, completed=done, note="")
        self._began = time.monotonic()

    def show(self, done: int, note: str = "", *, steps: int | None = None) -> None:
        """Show the number of steps done, and a note on the last one."""
        if time.monotonic() - self._began > PATIENCE:
            self._progress.start()
        self._progress.update(self._task, completed=done, note=note, total=steps)

    def __enter__(self) -> "StepBar":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()
