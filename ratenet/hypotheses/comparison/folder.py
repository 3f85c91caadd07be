"""ComparisonFolder: what a comparison writes, and what it continues from.

config.toml     all that was resolved: options, model, versions
cells/ID.json   one finished cell each, with a SHA-256
cells.csv       a row for each cell;  steps.csv: for each cell and step that was measured
best.csv        the chosen learning rates;  differences.csv: between rules
*.parquet       the same tables, where pyarrow is installed
code/*.py       copies of the user's own code that it used
report.html     all of it to look at, in one file
figures/        its figures, with the numbers that they show
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd

from ratenet.equations.recording import without_folders
from ratenet.errors import RunFolderError
from ratenet.files import (
    ResultsFolder,
    make_folder,
    open_folder,
    remove_parts,
    write_whole,
)
from ratenet.hypotheses.comparison.cell_files import CellFiles
from ratenet.hypotheses.comparison.config import RESTATED, ComparisonConfig
from ratenet.report.comparison import FIGURES
from ratenet.report.record import code_entries, copy_of, write_config
from ratenet.validation import read_toml

CODE = "code"  # copies of the user's own code
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
    def cells(self) -> CellFiles:
        """What the finished cells found."""
        return CellFiles(self.cells_folder)

    @property
    def report_file(self) -> Path:
        """All of it to look at."""
        return self.path / "report.html"

    @contextmanager
    def opened(self, config: ComparisonConfig, *, overwrite: bool) -> Iterator[None]:
        """Make the folder, or open the one that holds this very comparison; keep others out.

        Raises
        ------
        RunFolderError
            If it holds something else, cannot be made or written to, or is written to by another
            process.
        """
        with open_folder(self.path):
            recorded = self._recorded()
            if recorded is None or overwrite:
                self._begin(config, is_empty=recorded is None, overwrite=overwrite)
            else:
                self._refuse_others(recorded, config)
                self._restate(recorded, config)
            make_folder(self.cells_folder)
            remove_parts(self.cells_folder)
            yield

    def _recorded(self) -> dict[str, Any] | None:
        """Return the configuration of the comparison that is there; None in an empty place."""
        if not os.path.lexists(self.config_file):
            return None
        found = read_toml(self.config_file, error=RunFolderError)
        if not isinstance(found.get("compare"), dict):
            raise RunFolderError(
                f"out: {str(self.path)!r} already holds other results; choose another folder."
            )
        return found

    def _begin(self, config: ComparisonConfig, *, is_empty: bool, overwrite: bool) -> None:
        """Write the configuration, in place of the comparison that may be there."""
        names = [f"{name}.{kind}" for name in TABLES for kind in ("csv", "parquet")]
        cells = [str(file.relative_to(self.path)) for file in self.cells_folder.glob("*.json")]
        kind = "results" if is_empty else "a comparison"
        code = config.code()
        old = [str(file.relative_to(self.path)) for file in (self.path / CODE).glob("*.py")]
        copies = dict.fromkeys([*old, *map(copy_of, code)])
        figures = [str(file.relative_to(self.path)) for file in (self.path / FIGURES).glob("*.*")]
        files = [self.report_file.name, *names, *cells, *copies, *figures]
        results = ResultsFolder(self.path, files, kind=kind)
        results.refuse_existing(overwrite=overwrite)
        table = {**config.table(), **({"code": code_entries(code)} if code else {})}
        try:
            if code:
                make_folder(self.path / CODE)
            for source in code:
                results.write_text(copy_of(source), source.text)
            results.write(self.config_file.name, lambda part: write_config(part, table))
            results.commit()
        finally:
            results.discard()

    def _restate(self, recorded: dict[str, Any], config: ComparisonConfig) -> None:
        """Record what may be asked for anew of the same cells: seeds, level and interval."""
        wanted, code = config.table(), recorded.get("code")
        if any(recorded["compare"].get(name) != wanted["compare"][name] for name in RESTATED):
            write_config(self.config_file, {**wanted, **({"code": code} if code else {})})

    def _refuse_others(self, recorded: dict[str, Any], config: ComparisonConfig) -> None:
        """Refuse a configuration that differs from the recorded one."""
        wanted = config.table()
        begun, asked = recorded["compare"], wanted["compare"]
        for name, value in asked.items():
            if name not in RESTATED and _comparable(begun.get(name)) != _comparable(value):
                raise RunFolderError(
                    f"out: {str(self.path)!r} holds a comparison with {name} {begun.get(name)!r}, "
                    f"not {value!r}; choose another folder, or replace it with --overwrite."
                )
        if recorded.get("model") != wanted["model"]:
            raise RunFolderError(
                f"out: {str(self.path)!r} holds a comparison with another model; choose another "
                "folder, or replace it with --overwrite."
            )
        known = {each["sha256"] for each in recorded.get("code", [])}
        for source in config.code():
            if source.sha256 not in known:
                raise RunFolderError(
                    f"out: {str(self.path)!r} holds a comparison with another {source.file}, of "
                    f"which it keeps a copy in {CODE}/; choose another folder, or replace it with "
                    "--overwrite."
                )

    def write_tables(self, tables: dict[str, pd.DataFrame]) -> None:
        """Write each table as CSV, and as parquet where pyarrow is installed."""
        has_parquet = find_spec("pyarrow") is not None
        for name, table in tables.items():
            _write(table.to_csv, self.path / f"{name}.csv")
            if has_parquet:
                _write(table.to_parquet, self.path / f"{name}.parquet")


def _comparable(value: Any) -> Any:
    """Return a value with the names of files only, whose folders may have moved."""
    if not isinstance(value, list):
        return value
    return [without_folders(each) if isinstance(each, str) else each for each in value]


def _write(write: Any, path: Path) -> None:
    write_whole(path, lambda beside: write(beside, index=False))
