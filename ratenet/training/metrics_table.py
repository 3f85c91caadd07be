"""The table of metrics, one row per step: metrics.csv, checked as numbers with steps 1, 2, ..."""

import io
import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ratenet.errors import RunFolderError, counted
from ratenet.files import read_regular, write_text

# iterations: mean over the batch. Abscissas, 1/s: of a few samples at the end of an epoch; at the
# batch's mean gains, and with a barrier at its largest gains, after the step. weight_abscissa: the
# largest real part of W's eigenvalues; weight_norm: W's spectral norm, at the end of an epoch. For
# a stack these are the largest among its layers. The last two: where they were asked for.
METRICS = (
    "step", "epoch", "train_loss", "train_accuracy", "settled", "residual", "iterations",
    "abscissa", "abscissa_mean_gain", "abscissa_largest_gain", "weight_abscissa", "weight_norm",
    "validation_accuracy", "test_accuracy",
)  # fmt: skip
_SCORES = {"validation_accuracy": "validation_loss", "test_accuracy": "test_loss"}
METRICS_OF_TARGETS = tuple(
    _SCORES.get(name, name) for name in METRICS if name != "train_accuracy"
)  # of images with targets, which have no accuracy
_HEADINGS = {",".join(names): len(names) for names in (METRICS, METRICS_OF_TARGETS)}
LARGEST = 2**31  # bytes of a table


def keep_metrics(
    file: Path, steps: int, recent: Sequence[str] = (), columns: Sequence[str] = METRICS
) -> None:
    """Leave the rows of the first steps as they are, and drop later ones.

    Parameters
    ----------
    file : Path
    steps : int
    recent : sequence of str
        The last of these rows, as the checkpoint holds them: they replace what is damaged.
    columns : sequence of str
        `METRICS` or `METRICS_OF_TARGETS`.

    Raises
    ------
    RunFolderError
        If other rows are missing or damaged.
    """
    rows = _whole_rows(_content(file))[:steps] if steps else []
    known = max(0, steps - len(recent))  # steps of the rows before them
    if known <= len(rows) < steps:
        rows += recent[len(rows) - known :]
    if len(rows) < steps:
        raise RunFolderError(
            f"{file}: the first {counted(len(rows), 'row')} {'is' if len(rows) == 1 else 'are'} "
            f"whole, the checkpoint is at step {steps}; restore the file, or start again "
            "with --overwrite."
        )
    write_text(file, "\n".join([",".join(columns), *rows, ""]))


def read_metrics(file: Path) -> pd.DataFrame:
    """Return the table.

    Raises
    ------
    RunFolderError
        If it is missing or damaged.
    """
    content = _content(file)
    rows = _whole_rows(content)
    if content.count("\n") != len(rows) + 1 or not content.endswith("\n"):
        raise RunFolderError(f"{file}: damaged in line {len(rows) + 2}; restore the file.")
    return pd.read_csv(io.StringIO(content))


def sync_metrics(file: Path) -> None:
    """Have the table on disk before a checkpoint relies on it."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _content(file: Path) -> str:
    try:
        return read_regular(file, LARGEST).decode()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8"
        raise RunFolderError(f"{file}: missing or damaged ({why}); restore the file.") from None


def _whole_rows(content: str) -> list[str]:
    """Return the rows before the first one that is cut, out of order or holds no number."""
    heading, *lines = content.split("\n")[:-1] or [""]
    if heading not in _HEADINGS:
        return []
    cells = _HEADINGS[heading]
    wrong = (index for index, line in enumerate(lines) if not _is_row(line, index + 1, cells))
    return lines[: next(wrong, len(lines))]


def _is_row(line: str, step: int, number: int) -> bool:
    cells = line.split(",")
    try:
        numbers = [float(cell or "nan") for cell in cells]
    except ValueError:
        return False
    return len(numbers) == number and cells[0] == str(step)
