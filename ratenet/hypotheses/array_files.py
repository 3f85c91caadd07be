"""Arrays in files: zarr groups and CSV tables, read within limits; nothing is unpickled."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ratenet.errors import DataError, InputError, UnsupportedError
from ratenet.files import check_regular
from ratenet.validation.archives import LARGEST, reason

ZARR_GROUP = ("zarr.json", ".zgroup")  # of format 3 and 2


def is_zarr(path: Path) -> bool:
    """Return whether a path is that of a zarr group."""
    return any((path / name).exists() for name in ZARR_GROUP)


def read_csv(file: Path, header: Any = "infer") -> pd.DataFrame:
    """Return a CSV table.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    try:
        check_regular(file, LARGEST)
        return pd.read_csv(file, header=header)
    except (OSError, ValueError) as error:  # the errors of pandas' parser are ValueErrors
        raise DataError(f"{str(file)!r} cannot be read as CSV ({reason(error)}).") from None


def read_matrix(file: Path) -> np.ndarray:
    """Return a table without a heading as a matrix; empty cells are NaN.

    Raises
    ------
    DataError
        If it cannot be read.
    InputError
        If it does not consist of numbers.
    """
    try:
        return read_csv(file, header=None).to_numpy(dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{str(file)!r}: expected rows of numbers, without a heading; got something else."
        ) from None


def read_zarr(
    path: Path, names: Collection[str] | None = None
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return arrays of a zarr group by name, those of some names or all, and its attributes.

    Raises
    ------
    DataError
        If it cannot be read, or there is a group where an array is expected.
    UnsupportedError
        If zarr is not installed in a version that executes nothing.
    """
    zarr = _safe_zarr(path)
    try:
        group, found = zarr.open_group(path, mode="r"), {}
        for name in sorted(group.keys()) if names is None else names:
            if (array := group.get(name)) is None:
                continue
            if not isinstance(array, zarr.Array):
                raise DataError(f"{str(path)!r}: {name}: expected an array, got a group.")
            if array.dtype.hasobject:
                raise DataError(f"{str(path)!r}: {name}: expected numbers, got Python objects.")
            found[name] = np.asarray(array[...])
        return found, dict(group.attrs)
    except DataError:
        raise
    except Exception as error:  # zarr takes metadata at their word, and fails in many ways
        raise DataError(f"{str(path)!r} cannot be read as zarr ({reason(error)}).") from None


def _safe_zarr(path: Path) -> Any:
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
    return zarr
