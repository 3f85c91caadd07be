"""Measurements in files: a folder of CSV tables, an .npz file or a zarr group, with the same names.

weights         (N, N), before learning; not needed where synapses lists them all
drive           (B, N), one row per stimulus
targets         (B, N), rates that were taught; or errors (B, N), dL/dy
synapses        columns post, pre, before, after (in .npz and zarr: an array each); or
weights_after   (N, N), empty or NaN where not measured; or
rates           columns stimulus, unit, before, after; or
rates_before, rates_after   (B, N)

Both tables may have more columns (`ratenet.hypotheses.identification.long_tables`), such as animal
and session. In a folder, a folder for each animal holds what is its own.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import chain
from operator import methodcaller
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from ratenet.errors import DataError, InputError, shorten
from ratenet.hypotheses.array_files import is_zarr, read_csv, read_matrix, read_zarr
from ratenet.hypotheses.identification.long_tables import (
    EXTRA,
    MEASURED,
    RATES,
    SYNAPSES,
    read_sheets,
)
from ratenet.hypotheses.identification.observation import Observation, Observations, of_animal
from ratenet.hypotheses.identification.observe import Networks, observe_rates, observe_weights
from ratenet.network import Network
from ratenet.validation import read_npz

TABLES = {"synapses": SYNAPSES, "rates": RATES}
GIVEN = ("weights", "drive", "targets", "errors")
MATRICES = (*GIVEN, "weights_after", "rates_before", "rates_after")
NAMES = (*MATRICES, *TABLES)
ENTRIES = tuple(
    dict.fromkeys(chain(*(layout.keys for layout in TABLES.values()), *MEASURED, EXTRA))
)
KINDS = {
    "weights": "synapses, or weights_after",
    "rates": "rates_before and rates_after",
}
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Measurements:
    """What was found in files, by name.

    Attributes
    ----------
    path : Path
    arrays : dict of str to ndarray
    tables : dict of str to pandas.DataFrame
        By synapses and rates.
    animals : dict of str to Measurements
        What is each animal's own, with what all have in common.
    """

    path: Path
    arrays: dict[str, np.ndarray] = field(repr=False)
    tables: dict[str, pd.DataFrame] = field(repr=False)
    animals: "dict[str, Measurements]" = field(repr=False, default_factory=dict)

    def kind(self, wanted: str | None = None) -> str:
        """Return whether weights or rates were measured; weights where both were."""
        if wanted is not None and wanted not in KINDS:
            raise InputError.at("kind", got=wanted, expected="'weights' or 'rates'")
        found = [name for name in KINDS if wanted in (None, name) and self._has(name)]
        if not found:
            needed = KINDS[wanted] if wanted else "; or ".join(KINDS.values())
            raise InputError(
                f"{self.path}: no measurements found; provide {needed}.", argument="data"
            )
        return found[0]

    def _has(self, kind: str) -> bool:
        if kind == "weights":
            is_there = "synapses" in self.tables or "weights_after" in self.arrays
        else:
            is_there = "rates" in self.tables or {"rates_before", "rates_after"} <= set(self.arrays)
        return is_there or any(part._has(kind) for part in self.animals.values())

    def of_each(self, get: "Callable[[Measurements], T]") -> T | dict[str, T]:
        """Return something of each animal by its name, or of all where animals have no folders."""
        if not self.animals:
            return get(self)
        return {name: get(part) for name, part in self.animals.items()}

    def networks(self, model: str) -> Networks:
        """Return the network before learning, or that of each animal."""
        found = self.of_each(lambda part: part.weights())
        if not isinstance(found, dict):
            return Network(model, found)
        return {name: Network(model, W) for name, W in found.items()}

    def weights(self) -> Any:
        """Return W (N, N) before learning, from the table of synapses if that is complete.

        With a table of several animals, a dict of one for each.
        """
        if "weights" in self.arrays:
            return self.arrays["weights"]
        if "synapses" not in self.tables:
            raise InputError(
                f"{self.path}: weights is missing, the (N, N) weights before.", argument="data"
            )
        units = self.array("drive").shape[-1]
        found: dict[Any, np.ndarray] = {}
        for sheet in read_sheets(self.tables["synapses"], SYNAPSES, lambda *_: (units, units)):
            if sheet.animal in found:
                continue
            if sheet.before is None or len(sheet.rows) < units**2:
                known = 0 if sheet.before is None else len(sheet.rows)
                raise InputError(
                    f"{self.path}: synapses lists {known} of {units**2} weights before, and the "
                    "fixed points before learning depend on all; add weights, an (N, N) table.",
                    argument="data",
                )
            found[sheet.animal] = np.zeros((units, units))
            found[sheet.animal][sheet.rows, sheet.columns] = sheet.before
        return found.get(None, found)

    def array(self, name: str) -> np.ndarray:
        """Return one of the arrays.

        Raises
        ------
        InputError
            If it is missing.
        """
        if name not in self.arrays:
            raise InputError(
                f"{self.path}: {name} is missing; found: {', '.join(self.arrays) or 'nothing'}.",
                argument="data",
            )
        return self.arrays[name]

    def drive(self) -> Any:
        """Return the stimuli (B, N), or those of each animal."""
        return self.of_each(lambda part: part.array("drive"))

    def taught(self) -> dict[str, Any]:
        """Return the targets or errors, as `identify` takes them; none is allowed."""
        names = {"targets": "target", "errors": "error"}
        parts = [*self.animals.values()] or [self]
        return {
            argument: self.of_each(methodcaller("array", name))
            for name, argument in names.items()
            if any(name in part.arrays for part in parts)
        }

    def observed(
        self, network: Networks, noise: float | None, kind: str
    ) -> Observation | Observations:
        """Return the measured changes of a kind, `Observations` where there are several animals."""
        table = self.tables.get("synapses" if kind == "weights" else "rates")
        observe: Any = observe_weights if kind == "weights" else observe_rates
        if table is not None:
            return observe(network, table, noise=noise)
        if self.animals:
            return self._observed_by_animal(network, noise, kind)
        names = ("weights_after",) if kind == "weights" else ("rates_before", "rates_after")
        return observe(network, *map(self.array, names), noise=noise)

    def _observed_by_animal(
        self, network: Networks, noise: float | None, kind: str
    ) -> Observations:
        found: list[Observation] = []
        for name, part in self.animals.items():
            try:
                observed = part.observed(of_animal(network, name, None, "weights"), noise, kind)
            except InputError as error:
                raise error.within(f"animal {shorten(name)}") from None
            several = observed if isinstance(observed, Observations) else [observed]
            found += [replace(each, animal=name) for each in several]
        return Observations(tuple(found))

    def with_table(self, file: Path) -> "Measurements":
        """Return the same with a table of synapses or of rates in place of what was measured.

        Raises
        ------
        DataError
            If it cannot be read as CSV.
        InputError
            If it has the columns of neither.
        """
        table = read_csv(file)
        for name, layout in TABLES.items():
            if set(layout.keys) <= set(table.columns):
                return replace(self.without_changes(), tables={name: table})
        wanted = " or ".join(", ".join(layout.keys) for layout in TABLES.values())
        raise InputError.at(
            "observed", got=list(table.columns), expected=f"a table with the columns {wanted}"
        )

    def without_changes(self) -> "Measurements":
        """Return networks, stimuli and what was taught, without what was measured."""
        arrays = {name: self.arrays[name] for name in self.arrays if name in GIVEN}
        animals = {name: part.without_changes() for name, part in self.animals.items()}
        return Measurements(self.path, arrays, {}, animals)


def load_measurements(path: Path) -> Measurements:
    """Read a folder of CSV tables, an .npz file or a zarr group.

    Raises
    ------
    DataError
        If the path is missing or cannot be read.
    InputError
        If a table does not consist of numbers.
    UnsupportedError
        If it is a zarr group and the package that reads it is not there.
    """
    if is_zarr(path):
        return _from_arrays(path, read_zarr(path, (*MATRICES, *ENTRIES))[0])
    if path.is_dir():
        return _from_folder(path)
    if not path.exists():
        raise DataError(
            f"{str(path)!r} does not exist; give a folder of CSV tables, an .npz file or a zarr "
            "group."
        )
    if path.suffix != ".npz":
        raise DataError(
            f"{str(path)!r} cannot be read: expected a folder with {', '.join(NAMES)} as .csv, or "
            "an .npz file or a zarr group with these names."
        )
    return _from_arrays(path, read_npz(path, (*MATRICES, *ENTRIES)))


def _from_folder(path: Path) -> Measurements:
    own = _from_one_folder(path)
    parts = {part.name: _from_one_folder(part) for part in sorted(path.iterdir()) if part.is_dir()}
    animals = {
        name: replace(part, arrays={**own.arrays, **part.arrays})
        for name, part in parts.items()
        if part.arrays or part.tables
    }
    return replace(own, animals=animals)


def _from_one_folder(path: Path) -> Measurements:
    found = {name: path / f"{name}.csv" for name in NAMES if (path / f"{name}.csv").exists()}
    arrays = {name: read_matrix(file) for name, file in found.items() if name not in TABLES}
    tables = {name: read_csv(found[name]) for name in TABLES if name in found}
    return Measurements(path, arrays, tables)


def _from_arrays(path: Path, arrays: dict[str, np.ndarray]) -> Measurements:
    tables = {}
    columns = {name: arrays.pop(name) for name in ENTRIES if name in arrays}
    if any(column.ndim != 1 for column in columns.values()) or (
        len({len(column) for column in columns.values()}) > 1
    ):
        shapes = {name: column.shape for name, column in columns.items()}
        raise InputError(
            f"{path}: synapses and rates are arrays of one length, (M,); found {shapes}.",
            argument="data",
        )
    if columns:
        is_rates = "stimulus" in columns
        tables["rates" if is_rates else "synapses"] = pd.DataFrame(columns)
    return Measurements(path, arrays, tables)
