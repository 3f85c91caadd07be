"""MetricsLog: one row per step, to a table on disk and to TensorBoard."""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from ratenet.errors import InputError, RunFolderError
from ratenet.training.metrics_table import METRICS, keep_metrics
from ratenet.training.run import Run
from ratenet.training.run_folder import RunFolder


class MetricsLog:
    """Writes metrics.csv and TensorBoard events during the run.

    Parameters
    ----------
    folder : RunFolder
    kept_steps : int
        Rows that stay when a run is resumed; later ones are dropped and written again.
    recent : sequence of str
        The last of them, as the checkpoint holds them.
    columns : sequence of str
        Those of metrics.csv.

    Raises
    ------
    RunFolderError
        If they cannot be written.
    """

    def __init__(
        self,
        folder: RunFolder,
        kept_steps: int,
        recent: Sequence[str] = (),
        columns: Sequence[str] = METRICS,
    ) -> None:
        keep_metrics(folder.metrics_file, kept_steps, recent, columns)
        self._folder, self._columns = folder, columns
        with self._writing(), ExitStack() as stack:
            table = folder.metrics_file.open("a", newline="", encoding="utf-8")
            self._table = stack.enter_context(table)
            self._events = _Events(folder.tensorboard_folder, kept_steps + 1, stack)
            self._open = stack.pop_all()

    def __call__(self, run: Run, row: dict[str, Any]) -> None:
        """Write one row; a metric that was not measured is NaN and left empty."""
        cells = [row[name] for name in self._columns]
        measured = {
            name: _number(name, value)
            for name, value in row.items()
            if name not in ("step", "epoch") and not _missing(value)
        }
        with self._writing():
            line = ",".join("" if _missing(cell) else str(cell) for cell in cells)
            self._table.write(line + "\n")
            self._table.flush()
            run.keep_row(line)
            self._events.write(row["step"], measured)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:  # a full disk, for instance
            raise RunFolderError(
                f"{str(self._folder.path)!r}: metrics cannot be written ({error.strerror}); the "
                "last checkpoint is unharmed."
            ) from None

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(OSError):  # of a row that could not be written, which has been told
            self._open.close()


class _Events:
    """A file of TensorBoard events, each on disk when `write` returns.

    Torch's SummaryWriter writes in a thread: later, so that a run that is killed loses events, and
    with errors that nobody can catch.
    """

    def __init__(self, folder: Path, first_step: int, stack: ExitStack) -> None:
        # Imported here: it takes a moment, and the command line is to answer at once.
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog  # type: ignore[import-untyped]
        from tensorboard.summary.writer.record_writer import RecordWriter  # type: ignore[import-untyped]

        folder.mkdir(exist_ok=True)  # not a link, as `RunFolder.opened` saw to
        # TensorBoard reads files in the order of their names.
        path = folder / f"events.out.tfevents.{time.time_ns()}"
        self._file = stack.enter_context(path.open("xb"))
        self._records = RecordWriter(self._file)
        self._put(Event(file_version="brain.Event:2"))
        # Hides the events from this step on that other files may hold.
        self._put(Event(step=first_step, session_log=SessionLog(status=SessionLog.START)))
        self._file.flush()

    def write(self, step: int, values: dict[str, float]) -> None:
        """Write the values of a step."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]

        found = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._put(Event(step=step, summary=Summary(value=found)))
        self._file.flush()

    def _put(self, event: Any) -> None:
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())


def _missing(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InputError.at(f"callbacks, metric {name!r}", got=value, expected="a number") from None
