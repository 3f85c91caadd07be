"""MetricsLog: one row a step, to a table on disk and to TensorBoard."""

import csv
import math
from types import TracebackType
from typing import Any

from ratenet.errors import RunFolderError
from ratenet.training.run import Run
from ratenet.training.run_folder import METRICS, RunFolder


class MetricsLog:
    """Writes metrics.csv and TensorBoard events as the run goes on.

    Parameters
    ----------
    folder : RunFolder
    kept_steps : int
        Rows that stay when a run is resumed; later ones are dropped and written again.
    """

    def __init__(self, folder: RunFolder, kept_steps: int) -> None:
        from torch.utils.tensorboard import SummaryWriter  # here: it takes a second to import

        folder.keep_metrics(kept_steps)
        self._file = folder.metrics_file.open("a", newline="")
        self._rows = csv.writer(self._file, lineterminator="\n")
        self._events = SummaryWriter(folder.tensorboard_folder, purge_step=kept_steps + 1)

    def __call__(self, run: Run, row: dict[str, Any]) -> None:
        """Write one row; a metric that was not measured is NaN and left empty."""
        cells = [row[name] for name in METRICS]
        try:
            self._rows.writerow(["" if _missing(cell) else cell for cell in cells])
            self._file.flush()
            for name, value in row.items():
                if name not in ("step", "epoch") and not _missing(value):
                    self._events.add_scalar(name, value, row["step"])
        except OSError as error:  # a full disk, for instance
            raise RunFolderError(
                f"metrics cannot be written ({error.strerror}); the last checkpoint is unharmed."
            ) from None

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        self._events.close()


def _missing(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
