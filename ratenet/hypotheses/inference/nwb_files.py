"""Recordings in NWB files, read by pynwb: paths inside the file, with their units and times.

A path is that of HDF5, as viewers show it: ``processing/ophys/DfOverF/RoiResponseSeries`` for a
time series, ``intervals/trials/outcome`` for a column of intervals.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ratenet.errors import (
    DataError,
    InputError,
    RatenetError,
    UnknownNameError,
    UnsupportedError,
    shorten,
)
from ratenet.files import check_regular
from ratenet.hypotheses.inference.rate_units import in_hertz
from ratenet.validation.archives import LARGEST, reason

BOUNDS = ("start_time", "stop_time")
SLACK = 1e-6  # of a step: times that differ by rounding alone are the same


@dataclass(frozen=True, eq=False)
class Contents:
    """What is in a file that stays open: time series and columns of intervals, by path."""

    path: Path
    series: Mapping[str, Any]
    columns: Mapping[str, tuple[Any, str]]  # table of intervals, and name of the column

    def find(self, path: Any, argument: str, among: Mapping[str, Any] | None = None) -> str:
        """Return the full path that a path, or its end, stands for.

        Raises
        ------
        UnknownNameError
            If there is none, or several end so.
        """
        known = {**self.series, **self.columns} if among is None else among
        wanted = str(path).strip("/").removeprefix("root/")
        found = [name for name in known if name == wanted] or [
            name for name in known if name.endswith(f"/{wanted}")
        ]
        if len(found) != 1:
            remedy = f"{len(found)} paths end so, give more of it" if found else ""
            error = UnknownNameError.among("path", path, found or known, remedy=remedy)
            raise error.within(f"{shorten(str(self.path))}, {argument}")
        return found[0]


@contextmanager
def opened(path: Path) -> Iterator[Contents]:
    """Open an NWB file for reading.

    Raises
    ------
    UnsupportedError
        If pynwb is not installed.
    DataError
        If it is missing, or cannot be read as NWB.
    """
    try:
        import pynwb
    except ImportError:
        raise UnsupportedError(
            f"{str(path)!r} is an NWB file, which needs pynwb: pip install 'ratenet[nwb]'."
        ) from None
    try:
        check_regular(path, LARGEST)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about versions of the format
            with pynwb.NWBHDF5IO(path, "r") as file:
                yield _contents(path, file, pynwb.TimeSeries)
    except RatenetError:
        raise
    except Exception as error:  # hdmf takes a file at its word, and fails in many ways
        raise DataError(f"{str(path)!r} cannot be read as NWB ({reason(error)}).") from None


def _contents(path: Path, file: Any, time_series: type) -> Contents:
    series: dict[str, Any] = {}
    columns: dict[str, tuple[Any, str]] = {}
    for item in file.read().objects.values():
        builder = file.manager.get_builder(item)
        place = str(getattr(builder, "path", "")).removeprefix("root/")
        if isinstance(item, time_series):
            series[place] = item
        elif set(BOUNDS) <= set(getattr(item, "colnames", ())):
            columns |= {f"{place}/{name}": (item, name) for name in item.colnames
                        if name not in BOUNDS}  # fmt: skip
    return Contents(path, series, columns)


def read_nwb(
    path: Path,
    *,
    rates: str | None = None,
    drive: str | None = None,
    weights: str | None = None,
    stimulus: str | None = None,
    signals: Mapping[str, str] | None = None,
    noise: Mapping[str, Any] | None = None,
    animal: str | None = None,
    session: str | None = None,
) -> dict[str, Any]:
    """Return what `Recording` takes, from paths inside an NWB file; as `Recording.from_nwb`."""
    if signals is not None and not isinstance(signals, Mapping):
        raise InputError.at("signals", got=signals, expected="a dict of paths by name")
    with opened(path) as found:
        place = found.find("" if rates is None else rates, "rates", found.series)
        series = found.series[place]
        time, values = _samples(series, f"{found.path}, {place}")
        unit = str(series.unit or "")
        factor = in_hertz(unit)
        given: dict[str, Any] = {
            "time": time,
            "rates": (values if values.ndim > 1 else values[:, None]) * factor,  # of one unit
            "rate_unit": unit if factor == 1 else "Hz",
            "names": _names(series, values),
            "animal": animal or _animal(series),
            "session": session,
            "noise": dict(noise or {}),
        }
        if drive is not None:
            given["drive"] = _held(found, drive, "drive", time)
        if weights is not None:
            given["weights"] = _placed(found, weights, time)
        if stimulus is not None:
            given["stimulus"] = _stimuli(found, stimulus, time)
        given["signals"] = {
            name: _signal(found, each, f"signals, {name}", time)
            for name, each in (signals or {}).items()
        }
    return given


def _samples(series: Any, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Return times (T,) in seconds and values (T, ...) of a time series, in its unit."""
    values = np.asarray(series.data[:])
    if values.dtype.kind not in "iufb":
        raise InputError.at(where, got=str(values.dtype), expected="numbers")
    values = values * float(series.conversion) + float(series.offset or 0.0)
    if series.timestamps is not None:
        time = np.asarray(series.timestamps[:], dtype=np.float64)
    else:
        time = float(series.starting_time or 0.0) + np.arange(len(values)) / float(series.rate)
    if len(time) != len(values):
        raise InputError.at(where, found=f"{len(values)} rows and {len(time)} timestamps",
                            expected="a timestamp for each row")  # fmt: skip
    if len(time) > 1 and not np.all(np.diff(time) > 0):
        row = int(np.argmin(np.diff(time) > 0))
        raise InputError.at(f"{where}, timestamps", expected="increasing times",
                            found=f"{time[row + 1]:.12g} after {time[row]:.12g}")  # fmt: skip
    return time, values


def _slack(time: np.ndarray) -> float:
    """Return up to which difference two times count as the same, in seconds."""
    return SLACK * float(np.diff(time).min()) if len(time) > 1 else 0.0


def _names(series: Any, values: np.ndarray) -> list[str] | None:
    """Return the ids of regions of interest or electrodes, where the file has them."""
    table = getattr(series, "rois", None) or getattr(series, "electrodes", None)
    if table is None or values.ndim != 2 or len(table.data) != values.shape[1]:
        return None
    found = [str(table.table.id[int(row)]) for row in table.data[:]]
    return found if len(set(found)) == len(found) else None


def _animal(series: Any) -> str | None:
    """Return the subject's id, where the file says it."""
    file = series.get_ancestor("NWBFile")
    return getattr(getattr(file, "subject", None), "subject_id", None)


def _held(found: Contents, path: str, argument: str, time: np.ndarray) -> np.ndarray:
    """Return the last value of a series at or before each time; NaN before the first."""
    place = found.find(path, argument, found.series)
    at, values = _samples(found.series[place], f"{found.path}, {place}")
    row = np.searchsorted(at, time + _slack(time), side="right") - 1
    held: np.ndarray = np.array(values[np.maximum(row, 0)], dtype=np.float64)
    held[row < 0] = np.nan
    return held


def _placed(found: Contents, path: str, time: np.ndarray) -> np.ndarray:
    """Return weights at the first time at or after their own, and NaN at all others."""
    place = found.find(path, "weights", found.series)
    at, values = _samples(found.series[place], f"{found.path}, {place}")
    row = np.searchsorted(time, at - _slack(time))
    if np.any(row == len(time)) or len(np.unique(row)) < len(row):
        raise InputError.at(
            f"{found.path}, weights",
            found=f"times from {at.min():g} to {at.max():g} s",
            expected="at most one in each interval of the rates' times, "
            f"{time[0]:g} to {time[-1]:g} s",
        )
    weights = np.full((len(time), *values.shape[1:]), np.nan)
    weights[row] = values
    return weights


def _intervals(
    found: Contents, path: str, argument: str, time: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the entries of a column, and at each time the interval that holds it, or -1."""
    place = found.find(path, argument, found.columns)
    table, name = found.columns[place]
    start, stop = (np.asarray(table[each][:], dtype=np.float64) for each in BOUNDS)
    entries = np.asarray(table[name][:])
    order = np.argsort(start, kind="stable")
    start, stop, entries = start[order], stop[order], entries[order]
    if np.any(stop[:-1] > start[1:]):
        late = int(np.argmax(stop[:-1] > start[1:]))
        raise InputError.at(
            f"{found.path}, {place}",
            found=f"one until {stop[late]:g} s and the next from {start[late + 1]:g} s",
            expected="intervals that do not overlap",
        )
    time = time + _slack(time)
    row = np.searchsorted(start, time, side="right") - 1
    inside = (row >= 0) & (time < stop[np.maximum(row, 0)]) if len(start) else row >= 0
    return entries, np.where(inside, row, -1)


def _stimuli(found: Contents, path: str, time: np.ndarray) -> np.ndarray:
    entries, row = _intervals(found, path, "stimulus", time)
    _, numbers = np.unique(entries, return_inverse=True)
    if not len(entries):
        return np.full(len(time), np.nan)
    return np.where(row >= 0, numbers[np.maximum(row, 0)], np.nan)


def _signal(found: Contents, path: str, argument: str, time: np.ndarray) -> np.ndarray:
    place, _, wanted = str(path).partition("=")
    full = found.find(place, argument)
    if full in found.series:
        return _held(found, full, argument, time)
    entries, row = _intervals(found, full, argument, time)
    labels = list(dict.fromkeys(map(str, entries)))
    if wanted:
        if wanted not in labels:
            error = UnknownNameError.among("label", wanted, labels)
            raise error.within(f"{shorten(str(found.path))}, {full}")
        values = np.array([str(each) == wanted for each in entries], dtype=np.float64)
    elif entries.dtype.kind in "iufb":
        values = entries.astype(np.float64)
    else:
        raise InputError.at(
            f"{found.path}, {full}", got=labels[:5], expected="numbers",
            remedy=f"'{full}={labels[0] if labels else 'LABEL'}' is 1 where they are that label",
        )  # fmt: skip
    if not len(values):
        return np.zeros(len(time))
    return np.where(row >= 0, values[np.maximum(row, 0)], 0.0)
