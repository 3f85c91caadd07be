"""CellFiles: finished cells, each in a file of its own, so that an interruption loses none."""

import hashlib
import json
import warnings
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ratenet.errors import RatenetWarning, counted
from ratenet.files import read_regular, write_text
from ratenet.hypotheses.comparison.config import Cell, cell_id
from ratenet.hypotheses.comparison.schedulers import Finished
from ratenet.validation import parse_json

LARGEST = 2**28  # bytes of a cell
Progress = Callable[[int, int], None]  # of cells done, and of all


@dataclass(frozen=True)
class CellFiles:
    """The files of finished cells, with a SHA-256 each."""

    path: Path

    def keep(self, cell: Cell, found: dict[str, Any]) -> None:
        """Write down what a finished cell found, at once or not at all."""
        text = json.dumps(found)
        write_text(self._file(cell), json.dumps({"sha256": _digest(cell, text), "found": text}))

    def kept(self, cell: Cell) -> dict[str, Any] | None:
        """Return what a cell found; None where it is not finished. A damaged file is not."""
        try:
            whole = parse_json(read_regular(self._file(cell), LARGEST), where="cell")
            if _digest(cell, whole["found"]) == whole["sha256"]:
                found: dict[str, Any] = parse_json(whole["found"], where="cell")
                return found
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass
        warnings.warn(
            RatenetWarning(f"{self._file(cell)} is damaged; the cell is run again."),
            stacklevel=2,
        )
        return None

    def finish(
        self, cells: Sequence[Cell], run: Callable[[list[Cell]], Finished], progress: Progress
    ) -> None:
        """Run the cells that are not finished, and write each down when it is."""
        missing = [cell for cell in cells if self.kept(cell) is None]
        done = len(cells) - len(missing)
        progress(done, len(cells))
        try:
            with closing(run(missing)) as finished:  # with its processes
                for cell, found in finished:
                    self.keep(cell, found)
                    done += 1
                    progress(done, len(cells))
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"Interrupted after {done} of {counted(len(cells), 'cell')}; repeat the command to "
                "continue."
            ) from None

    def _file(self, cell: Cell) -> Path:
        return self.path / f"{cell_id(cell)}.json"


def _digest(cell: Cell, found: str) -> str:
    """Return a SHA-256 of which cell it is and of what it found."""
    return hashlib.sha256(json.dumps([cell, found], sort_keys=True).encode()).hexdigest()
