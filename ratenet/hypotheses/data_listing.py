"""What is in a file of data: arrays and tables with shapes, units, times and missing entries."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ratenet.errors import DataError, shorten
from ratenet.hypotheses.array_files import is_zarr, read_csv, read_zarr
from ratenet.hypotheses.inference.nwb_files import Contents, opened
from ratenet.hypotheses.inference.recording_files import read_dataset
from ratenet.validation import names_in_npz, read_npz

COLUMNS = ("name", "shape", "unit", "times", "missing", "lowest", "highest")


def describe(path: Path | str) -> pd.DataFrame:
    """Return what is in a file or folder of data, whatever the names.

    Parameters
    ----------
    path : Path or str
        An .npz file, a zarr group, a netCDF file (.nc), an NWB file, a CSV table, or a folder of
        such.

    Returns
    -------
    pandas.DataFrame
        A row for each array, column or time series: name; shape; unit; times, of an array along
        time; missing, the share of NaN; lowest and highest. Strings have no range, and Python
        objects, which would have to be unpickled, are not read.

    Raises
    ------
    DataError
        If there is no such file, or it cannot be read.
    """
    place = Path(path)
    if not place.exists():
        raise DataError(f"{str(place)!r} does not exist.", argument="path", got=path)
    return pd.DataFrame(list(_rows(place)), columns=list(COLUMNS))


def _rows(place: Path) -> Iterator[dict[str, Any]]:
    if is_zarr(place):
        yield from _alongside({k: (v, "") for k, v in read_zarr(place)[0].items()})
    elif place.is_dir():
        for file in sorted(place.iterdir()):
            if is_zarr(file) or file.is_dir() or file.suffix in (".npz", ".nc", ".nwb", ".csv"):
                yield from (row | {"name": f"{shorten(file.name)}: {row['name']}"
                                   if row["name"] else file.name}
                            for row in _rows(file))  # fmt: skip
    elif place.suffix == ".npz":
        yield from _of_npz(place)
    elif place.suffix == ".nc":
        variables = read_dataset(place).variables
        yield from _alongside({str(name): (each.to_numpy(), str(each.attrs.get("units", "")))
                               for name, each in variables.items()})  # fmt: skip
    elif place.suffix == ".nwb":
        with opened(place) as found:
            yield from _of_nwb(found)
    elif place.suffix == ".csv":
        yield from _of_csv(place)
    else:
        raise DataError(
            f"{str(place)!r}: expected .npz, .zarr, .nc, .nwb, .csv or a folder of these.",
            argument="path",
        )


def _row(name: str, values: Any, unit: str = "", times: str = "") -> dict[str, Any]:
    array = np.asarray(values)
    row = {"name": shorten(name), "shape": array.shape, "unit": unit, "times": times}
    if array.dtype.kind not in "iufb":
        return row | {"missing": np.nan, "lowest": "", "highest": ""}
    there = array[~np.isnan(array)] if array.dtype.kind == "f" else array.ravel()
    share = 1 - there.size / array.size if array.size else np.nan
    ends = (float(there.min()), float(there.max())) if there.size else (np.nan, np.nan)
    return row | {"missing": share, "lowest": ends[0], "highest": ends[1]}


def _alongside(arrays: dict[str, tuple[np.ndarray, str]]) -> Iterator[dict[str, Any]]:
    """Return rows of arrays that have their times, if any, beside them as `time`."""
    time = arrays["time"][0] if "time" in arrays else None
    for name, (array, unit) in arrays.items():
        own = "s" if name == "time" and not unit else unit
        along = time is not None and time.ndim == 1 and array.shape[:1] == time.shape
        yield _row(name, array, own, _span(time) if along else "")


def _span(time: Any) -> str:
    at = np.asarray(time)
    if at.dtype.kind not in "iuf" or not at.size:
        return ""
    return f"{np.nanmin(at):g} to {np.nanmax(at):g} s"


def _of_npz(place: Path) -> Iterator[dict[str, Any]]:
    names = names_in_npz(place)
    arrays: dict[str, np.ndarray] = {}
    if not names:
        read_npz(place, ["time"])  # says what is wrong with the archive
    for name in names:
        try:
            arrays |= read_npz(place, [name])
        except DataError:
            yield _row(f"{name} (not read: Python objects, or damaged)", "") | {"shape": ""}
    yield from _alongside({name: (array, "") for name, array in arrays.items()})


def _of_nwb(found: Contents) -> Iterator[dict[str, Any]]:
    for name, series in found.series.items():
        if series.data is None or not hasattr(series.data, "shape"):
            continue
        if series.timestamps is not None:
            times = _span(series.timestamps[:])
        else:
            start = float(series.starting_time or 0.0)
            times = f"{start:g} to {start + (len(series.data) - 1) / float(series.rate):g} s"
        values = np.asarray(series.data[:])
        if values.dtype.kind in "iuf":
            values = values * float(series.conversion) + float(series.offset or 0.0)
        yield _row(name, values, str(series.unit or ""), times)
    for name, (table, column) in found.columns.items():
        entries = np.asarray(table[column][:])
        start, stop = table["start_time"][:], table["stop_time"][:]
        yield _row(name, entries, "", _span(np.concatenate([start, stop])))


def _of_csv(place: Path) -> Iterator[dict[str, Any]]:
    """Return a row for a matrix of numbers, or one for each column of a table with a heading."""
    table = read_csv(place, header=None)
    if pd.to_numeric(table.iloc[0], errors="coerce").notna().any():
        yield _row("", table.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float))
        return
    for name, column in read_csv(place).items():
        yield _row(str(name), column.to_numpy())
