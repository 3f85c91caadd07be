"""ComparisonFolder: what a comparison writes, and what it goes on from.

config.toml     all that was resolved: options, model, versions
cells/ID.json   one finished cell each, with a SHA-256
cells.csv       a row for each cell;  steps.csv: for each cell and step that was measured
best.csv        the chosen learning rates;  differences.csv: between rules
*.parquet       the same tables, where pyarrow is installed
report.html     all of it to look at, in one file
"""

import hashlib
import json
import tomllib
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd

from ratenet.errors import RatenetWarning, RunFolderError
from ratenet.files import write_whole
from ratenet.hypotheses.comparison.config import Cell, ComparisonConfig, cell_id
from ratenet.report.record import make_folder, write_config

TABLES = ("cells", "steps", "best", "differences")


@dataclass(frozen=True)
class ComparisonFolder:
    """The files of one comparison."""

    path: Path

    @property
    def config_file(self) -> Path:
        """All that was resolved."""
        return self.path / "config.toml"

    @property
    def cells_folder(self) -> Path:
        """Finished cells."""
        return self.path / "cells"

    @property
    def report_file(self) -> Path:
        """All of it to look at."""
        return self.path / "report.html"

    def prepare(self, config: ComparisonConfig, *, overwrite: bool) -> None:
        """Make the folder, or take up the one that holds this very comparison.

        Raises
        ------
        RunFolderError
            If it holds something else, or cannot be made or written to.
        """
        if overwrite and self._recorded() is not None:
            self._remove()
        recorded = self._recorded()
        make_folder(self.cells_folder)
        if recorded is None:
            write_config(self.config_file, config.table())
        else:
            self._refuse_others(recorded, config.table())

    def _recorded(self) -> dict[str, Any] | None:
        """Return the configuration of the comparison that is there; None in an empty place."""
        if (self.path / "checkpoint.safetensors").exists():
            raise RunFolderError(
                f"out: {str(self.path)!r} holds a training run; choose another folder."
            )
        try:
            found = tomllib.loads(self.config_file.read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise RunFolderError(
                f"{self.config_file}: no configuration of a comparison ({error}); choose another "
                "folder."
            ) from None
        if "compare" not in found:
            raise RunFolderError(
                f"out: {str(self.path)!r} already holds other results; choose another folder."
            )
        return found

    def _remove(self) -> None:
        files = [self.report_file, *self.cells_folder.glob("*.json*"), self.config_file]
        files += [self.path / f"{name}.{kind}" for name in TABLES for kind in ("csv", "parquet")]
        try:
            for file in files:
                file.unlink(missing_ok=True)
        except OSError as error:
            raise RunFolderError(
                f"out: {str(self.path)!r}: the old comparison cannot be removed ({error.strerror})."
            ) from None

    def _refuse_others(self, recorded: dict[str, Any], wanted: dict[str, Any]) -> None:
        """Refuse to go on with another configuration than that which is recorded."""
        begun, asked = recorded["compare"], wanted["compare"]
        for name, value in asked.items():
            if begun.get(name) != value:
                raise RunFolderError(
                    f"out: {str(self.path)!r} holds a comparison with {name} {begun.get(name)!r}, "
                    f"not {value!r}; choose another folder, or replace it with --overwrite."
                )
        if recorded.get("model") != wanted["model"]:
            raise RunFolderError(
                f"out: {str(self.path)!r} holds a comparison with another model; choose another "
                "folder, or replace it with --overwrite."
            )

    def keep(self, cell: Cell, found: dict[str, Any]) -> None:
        """Write down what a finished cell found, at once or not at all."""
        text = json.dumps(found)
        whole = json.dumps({"sha256": hashlib.sha256(text.encode()).hexdigest(), "found": text})
        write_whole(self._file(cell), lambda beside: beside.write_text(whole))

    def kept(self, cell: Cell) -> dict[str, Any] | None:
        """Return what a cell found; None where it is not finished. A damaged file is not."""
        try:
            whole = json.loads(self._file(cell).read_text())
            if hashlib.sha256(whole["found"].encode()).hexdigest() == whole["sha256"]:
                found: dict[str, Any] = json.loads(whole["found"])
                return found
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass
        warnings.warn(
            RatenetWarning(f"{self._file(cell)} is damaged; the cell is run again."), stacklevel=2
        )
        return None

    def _file(self, cell: Cell) -> Path:
        return self.cells_folder / f"{cell_id(cell)}.json"

    def write_tables(self, tables: dict[str, pd.DataFrame]) -> None:
        """Write each table as CSV, and as parquet where pyarrow is installed."""
        has_parquet = find_spec("pyarrow") is not None
        for name, table in tables.items():
            _write(table.to_csv, self.path / f"{name}.csv")
            if has_parquet:
                _write(table.to_parquet, self.path / f"{name}.parquet")


def _write(write: Any, path: Path) -> None:
    write_whole(path, lambda beside: write(beside, index=False))
