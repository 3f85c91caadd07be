"""Measurements in files: a folder of CSV tables, an .npz file or a zarr group, with the same names.

weights         (N, N), before learning; not needed where synapses lists them all
drive           (B, N), one row per stimulus
targets         (B, N), rates that were taught; or errors (B, N), dL/dy
synapses        columns post, pre, before, after (in .npz and zarr: four arrays); or
weights_after   (N, N), empty or NaN where not measured; or
rates_before, rates_after   (B, N)
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ratenet.errors import DataError, InputError, UnsupportedError
from ratenet.files import check_regular
from ratenet.hypotheses.identification.observation import (
    COLUMNS,
    Observation,
    checked_table,
    observe_rates,
    observe_weights,
)
from ratenet.network import Network
from ratenet.validation.archives import LARGEST, read_npz, reason

NAMES = ("weights", "drive", "targets", "errors", "synapses", "weights_after",
         "rates_before", "rates_after")  # fmt: skip
ZARR_GROUP = ("zarr.json", ".zgroup")  # of format 3 and 2
KINDS = {
    "weights": "synapses, or weights_after",
    "rates": "rates_before and rates_after",
}


@dataclass(frozen=True, eq=False)
class Measurements:
    """What was found in files, by name.

    Attributes
    ----------
    path : Path
    arrays : dict of str to ndarray
    synapses : pandas.DataFrame or None
    """

    path: Path
    arrays: dict[str, np.ndarray] = field(repr=False)
    synapses: pd.DataFrame | None = field(repr=False)

    def kind(self, wanted: str | None = None) -> str:
        """Return whether weights or rates were measured; weights where both were."""
        has = {
            "weights": self.synapses is not None or "weights_after" in self.arrays,
            "rates": "rates_before" in self.arrays and "rates_after" in self.arrays,
        }
        if wanted is not None and wanted not in has:
            raise InputError.at("kind", got=wanted, expected="'weights' or 'rates'")
        found = [name for name in has if has[name] and wanted in (None, name)]
        if not found:
            needed = KINDS[wanted] if wanted else "; or ".join(KINDS.values())
            raise InputError(
                f"{self.path}: no measurements found; provide {needed}.", argument="data"
            )
        return found[0]

    def weights(self) -> np.ndarray:
        """Return W (N, N) before learning, from the table of synapses if that is complete."""
        if "weights" in self.arrays:
            return self.arrays["weights"]
        if self.synapses is None:
            raise InputError(
                f"{self.path}: weights is missing, the (N, N) weights before.", argument="data"
            )
        units = self.array("drive").shape[-1]
        table = checked_table(self.synapses, units)
        if len(table) < units**2:
            raise InputError(
                f"{self.path}: synapses lists {len(table)} of {units**2} weights, and the fixed "
                "points before learning depend on all; add weights, an (N, N) table.",
                argument="data",
            )
        W = np.zeros((units, units))
        W[table["post"].astype(int), table["pre"].astype(int)] = table["before"]
        return W

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

    def taught(self) -> dict[str, Any]:
        """Return the targets or errors, as `identify` takes them; none is allowed."""
        names = {"targets": "target", "errors": "error"}
        return {names[name]: self.arrays[name] for name in names if name in self.arrays}

    def observed(self, network: Network, noise: float | None, kind: str) -> Observation:
        """Return the measured changes of a kind."""
        if kind == "rates":
            before, after = self.arrays["rates_before"], self.arrays["rates_after"]
            return observe_rates(network, before, after, noise=noise)
        if self.synapses is not None:
            return observe_weights(network, self.synapses, noise=noise)
        return observe_weights(network, self.arrays["weights_after"], noise=noise)


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
    if any((path / name).exists() for name in ZARR_GROUP):
        return _from_arrays(path, _zarr_arrays(path))
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
    return _from_arrays(path, read_npz(path, (*NAMES, *COLUMNS)))


def _from_folder(path: Path) -> Measurements:
    found = {name: path / f"{name}.csv" for name in NAMES if (path / f"{name}.csv").exists()}
    arrays = {name: _matrix(file) for name, file in found.items() if name != "synapses"}
    table = _read(found["synapses"], header="infer") if "synapses" in found else None
    return Measurements(path, arrays, table)


def _read(file: Path, header: Any) -> pd.DataFrame:
    try:
        check_regular(file, LARGEST)
        return pd.read_csv(file, header=header)
    except (OSError, ValueError) as error:  # the errors of pandas' parser are ValueErrors
        raise DataError(f"{str(file)!r} cannot be read as CSV ({reason(error)}).") from None


def _matrix(file: Path) -> np.ndarray:
    """Return a table without a heading as a matrix; empty cells are NaN."""
    try:
        return _read(file, header=None).to_numpy(dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InputError(
            f"{str(file)!r}: expected rows of numbers, without a heading; got something else."
        ) from None


def _zarr_arrays(path: Path) -> dict[str, np.ndarray]:
    # Earlier ones unpickle, and so run, what an array's metadata asks for.
    try:
        import zarr

        is_safe = tuple(int(part) for part in zarr.__version__.split(".")[:2]) >= (3, 1)
    except ImportError:
        is_safe = False
    if not is_safe:
        raise UnsupportedError(
            f"{str(path)!r} is a zarr group, which needs zarr 3.1 or later: "
            "pip install 'ratenet[zarr]'."
        )
    try:
        group, found = zarr.open_group(path, mode="r"), {}
        for name in (*NAMES, *COLUMNS):
            if (array := group.get(name)) is None:
                continue
            if not isinstance(array, zarr.Array):
                raise DataError(f"{str(path)!r}: {name}: expected an array, got a group.")
            found[name] = np.asarray(array[...])
    except DataError:
        raise
    except Exception as error:  # zarr takes metadata at their word, and fails in many ways
        raise DataError(f"{str(path)!r} cannot be read as zarr ({error}).") from None
    return found


def _from_arrays(path: Path, arrays: dict[str, np.ndarray]) -> Measurements:
    table = None
    if "post" in arrays:
        columns = {name: arrays.pop(name) for name in COLUMNS if name in arrays}
        if any(column.ndim != 1 for column in columns.values()) or (
            len({len(column) for column in columns.values()}) > 1
        ):
            shapes = {name: column.shape for name, column in columns.items()}
            raise InputError(
                f"{path}: synapses are arrays of one length, (M,); found {shapes}.", argument="data"
            )
        table = pd.DataFrame(columns)
    return Measurements(path, arrays, table)
