"""A progress bar with loss, accuracy and speed."""

from types import TracebackType
from typing import Any

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

from ratenet.training.run import Run


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f} steps/s")


class ProgressBar:
    """Shows how far a run is.

    Parameters
    ----------
    steps, done : int
        Steps of the whole run, and those that are done already.
    shown : bool
    """

    def __init__(self, steps: int, done: int, *, shown: bool) -> None:
        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.3f}  accuracy {task.fields[accuracy]:.3f}"),
            _Speed(),
            TimeRemainingColumn(),
            disable=not shown,
        )
        self._task = self._progress.add_task(
            "train", total=steps, completed=done, epoch=0, loss=float("nan"), accuracy=float("nan")
        )

    def __call__(self, run: Run, row: dict[str, Any]) -> None:
        """Show one more step and its metrics."""
        self._progress.update(
            self._task,
            advance=1,
            epoch=row["epoch"],
            loss=row["train_loss"],
            accuracy=row["train_accuracy"],
        )

    def __enter__(self) -> "ProgressBar":
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()
