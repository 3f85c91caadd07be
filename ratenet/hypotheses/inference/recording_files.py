"""Recordings in files: an .npz file, a zarr group, a netCDF file (.nc) or a folder of CSV tables.

time            (T,), seconds
drive, rates    (T, N)
weights         (T, N, N); in a folder synapses.csv: columns time, post, pre, value (and error)
stimulus        (T,)
signal_NAME     (T,) or (T, N); in a folder signals.csv, with a heading, for those of all units
noise_rates, noise_weights
names, rate_unit, animal, session
                strings: attributes of zarr and netCDF; in a folder in recording.toml

An NWB file (.nwb) has paths of its own, which are given by name (`nwb_files`).
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ratenet.errors import DataError, InputError, RunFolderError, shorten
from ratenet.files import check_regular, write_whole
from ratenet.hypotheses.array_files import is_zarr, read_csv, read_matrix, read_zarr
from ratenet.hypotheses.identification.long_tables import SYNAPSES, read_along
from ratenet.validation import names_in_npz, parse_json, read_npz, read_toml
from ratenet.validation.archives import LARGEST, reason

if TYPE_CHECKING:
    import xarray

DIMENSIONS = {
    "time": ("time",),
    "drive": ("time", "unit"),
    "rates": ("time", "unit"),
    "weights": ("time", "post", "pre"),
    "stimulus": ("time",),
}
FACTS = ("rate_unit", "animal", "session", "names")
SIGNAL, NOISE = "signal_", "noise_"
SUFFIXES = (".npz", ".zarr", ".nc", ".nwb")
ON_ROW = 1e-9  # of the time: nearer than that, a synapse was observed at the time of a row
Contents = dict[str, Any]


def read_contents(path: Path) -> Contents:
    """Return what a file or folder holds, by the names that stand above.

    Raises
    ------
    DataError
        If it is missing, of another kind, damaged, or would have to be unpickled.
    InputError
        If tables do not consist of numbers, or no array has one of these names.
    """
    if is_zarr(path):
        arrays, attributes = read_zarr(path)
        found = arrays | _facts(path, attributes)
    elif path.is_dir():
        found = _from_folder(path)
    elif not path.exists():
        raise DataError(f"{str(path)!r} does not exist.", argument="path", got=path)
    elif path.suffix == ".npz":
        names = [name for name in names_in_npz(path) if _is_known(name)]
        found = read_npz(path, names or ["time"])
    elif path.suffix == ".nc":
        found = from_dataset(read_dataset(path), path)
    else:
        raise DataError(
            f"{str(path)!r} cannot be read: expected .npz, .zarr, .nc, .nwb or a folder of CSV "
            "tables.",
            argument="path",
            got=path,
        )
    if "time" not in found:
        listed = ", ".join(_names_at(path)) or "nothing"
        raise InputError(f"{path}: time is missing, the times (T,) in seconds; found: {listed}.",
                         argument="time")  # fmt: skip
    return found


def arguments(contents: Contents) -> dict[str, Any]:
    """Return contents of a file as `Recording` takes them."""
    found: dict[str, Any] = {name: contents[name] for name in DIMENSIONS if name in contents}
    for argument, start in (("signals", SIGNAL), ("noise", NOISE)):
        found[argument] = {name.removeprefix(start): value for name, value in contents.items()
                           if name.startswith(start)}  # fmt: skip
    for name in FACTS:
        if name in contents and len(value := np.atleast_1d(contents[name])):
            found[name] = [str(each) for each in value] if name == "names" else str(value[0])
    return found


def contents_of(recording: Any) -> Contents:
    """Return a recording's arrays and strings by their names in files."""
    found = {name: getattr(recording, name) for name in (*DIMENSIONS, *FACTS)}
    found |= {f"{SIGNAL}{name}": value for name, value in recording.signals.items()}
    found |= {f"{NOISE}{name}": value for name, value in recording.noise.items()}
    return {name: value for name, value in found.items() if value is not None}


def write(contents: Contents, path: Path) -> None:
    """Write a file or folder, whole or not at all.

    Raises
    ------
    InputError
        If the suffix is another one, or a folder cannot say what is there.
    RunFolderError
        If it cannot be written, or a folder is there already.
    """
    if path.suffix == ".npz":
        write_whole(path, lambda part: _write_npz(contents, part))
    elif path.suffix == ".nc":
        from ratenet.simulation.datasets import write_netcdf

        write_netcdf(to_dataset(contents), path, "write .npz or .zarr")
    elif path.suffix == ".zarr":
        _write_folder(path, lambda part: _write_zarr(contents, part))
    elif not path.suffix:
        _write_folder(path, lambda part: _write_tables(contents, part))
    else:
        raise InputError.at("path", got=str(path),
                            expected=".npz, .zarr, .nc, or a folder")  # fmt: skip


def to_dataset(contents: Contents) -> "xarray.Dataset":
    """Return contents as a data set of xarray, strings as its attributes."""
    import xarray

    units = {"time": "s", "rates": contents.get("rate_unit", "")}
    variables = {
        name: (_dimensions(name, value), value, {"units": units.get(name, "")})
        for name, value in contents.items()
        if name not in FACTS
    }
    time = variables.pop("time")
    return xarray.Dataset(variables, coords={"time": time}, attrs=_attributes(contents))


def from_dataset(dataset: "xarray.Dataset", where: Any = "dataset") -> Contents:
    """Return contents from a data set of xarray.

    Raises
    ------
    InputError
        If a variable's dimensions have other names or another order.
    """
    found: Contents = {}
    for key, variable in dataset.variables.items():
        name = str(key)
        if not _is_known(name) or name in FACTS:
            continue
        known = [dims for dims in (_dimensions(name, variable),) if dims]
        if known and set(known[0]) == set(variable.dims):
            variable = variable.transpose(*known[0])
        elif name in DIMENSIONS:
            raise InputError.at(f"{where}, {name}", got=variable.dims,
                                expected=f"the dimensions {DIMENSIONS[name]}")  # fmt: skip
        found[name] = variable.to_numpy()
    return found | _facts(where, dataset.attrs)


def _is_known(name: str) -> bool:
    return name in (*DIMENSIONS, *FACTS) or name.startswith((SIGNAL, NOISE))


def _dimensions(name: str, value: Any) -> tuple[str, ...]:
    key = name.removeprefix(NOISE)
    if key != name:
        return DIMENSIONS.get(key, ()) if np.ndim(value) else ()
    return DIMENSIONS.get(name, ("time", "unit")[: np.ndim(value)])


def _attributes(contents: Contents) -> dict[str, str]:
    given = {name: contents[name] for name in FACTS if name in contents}
    if "names" in given:  # the classic netCDF has no lists of strings
        given["names"] = json.dumps(given["names"])
    return given


def _facts(where: Any, attributes: Mapping[str, Any]) -> Contents:
    found = {name: attributes[name] for name in FACTS if name in attributes}
    if isinstance(found.get("names"), str):
        found["names"] = parse_json(found["names"], where=f"{where}, names")
    return found


def read_dataset(path: Path) -> "xarray.Dataset":
    """Return a data set from a netCDF file of the classic kind.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    import xarray

    try:
        check_regular(path, LARGEST)
        options = {"engine": "scipy", "decode_times": False, "mmap": False}
        return xarray.load_dataset(path, **options)
    except Exception as error:  # SciPy takes a header at its word, and fails in many ways
        raise DataError(
            f"{str(path)!r} cannot be read as netCDF of the classic kind ({reason(error)})."
        ) from None


def _names_at(path: Path) -> list[str]:
    """Return the names of what there is, for a sentence about what is not."""
    if is_zarr(path):
        return sorted(read_zarr(path)[0])
    if path.is_dir():
        return sorted(shorten(file.name) for file in path.iterdir())[:20]
    return names_in_npz(path)[:20] if path.suffix == ".npz" else []


def _from_folder(path: Path) -> Contents:
    found: Contents = {}
    for name in (*DIMENSIONS, f"{NOISE}rates"):
        if name != "weights" and (file := path / f"{name}.csv").exists():
            matrix = read_matrix(file)
            found[name] = matrix.ravel() if _dimensions(name, matrix) == ("time",) else matrix
    if (file := path / "signals.csv").exists():
        found |= {f"{SIGNAL}{name}": column.to_numpy() for name, column in read_csv(file).items()}
    for file in sorted(path.glob(f"{SIGNAL}*.csv")):
        found[file.stem] = read_matrix(file)
    if (file := path / "recording.toml").exists():
        table = read_toml(file)
        found |= {name: value for name, value in table.items() if _is_known(name)}
    if (file := path / "synapses.csv").exists() and "time" in found:
        found |= _weights(read_csv(file), found)
    return found


def _weights(table: pd.DataFrame, found: Contents) -> Contents:
    """Return weights (T, N, N) and their errors from a long table."""
    time = np.asarray(found["time"], dtype=np.float64)
    sized = [found[name] for name in ("rates", "drive") if name in found]
    units = int(sized[0].shape[-1]) if sized else None
    parts = read_along(table, SYNAPSES, "time", units)
    N = units or 1 + int(max(part[list(SYNAPSES.keys)].to_numpy().max() for _, part in parts))
    if 8 * len(time) * N**2 > LARGEST:
        raise InputError.at("synapses, post and pre", got=N - 1, expected="units of the recording",
                            remedy="units are numbered from 0")  # fmt: skip
    weights = np.full((len(time), N, N), np.nan)
    errors = np.full_like(weights, np.nan)
    for at, part in parts:
        row = int(np.argmin(np.abs(time - at)))
        if abs(time[row] - at) > ON_ROW * max(1.0, abs(at)):
            raise InputError.at(
                "synapses, column time", got=at, expected="times that are rows of time",
                remedy=f"the nearest one is {time[row]:g}",
            )  # fmt: skip
        place = (row, part["post"], part["pre"])
        weights[place] = part["value"]
        if "error" in part:
            errors[place] = part["error"]
    known = {"weights": weights}
    return known if np.isnan(errors).all() else known | {f"{NOISE}weights": errors}


def _write_npz(contents: Contents, part: Path) -> None:
    with part.open("wb") as file:
        arrays: dict[str, Any] = {name: np.asarray(value) for name, value in contents.items()}
        np.savez(file, **arrays)


def _write_zarr(contents: Contents, part: Path) -> None:
    import zarr

    group = zarr.create_group(part, attributes=_attributes(contents))
    for name, value in contents.items():
        if name not in FACTS:
            dims = _dimensions(name, value)
            group.create_array(name, data=np.asarray(value), dimension_names=dims)


def _write_tables(contents: Contents, part: Path) -> None:
    import tomli_w

    table: dict[str, Any] = {name: contents[name] for name in FACTS if name in contents}
    part.mkdir()
    signals = {}
    for name, value in contents.items():
        if name in FACTS or name in ("weights", f"{NOISE}weights"):
            continue
        if name.startswith(SIGNAL) and value.ndim == 1:
            signals[name.removeprefix(SIGNAL)] = value
        elif value.ndim == 0:
            table[name] = float(value)
        else:
            pd.DataFrame(value).to_csv(part / f"{name}.csv", header=False, index=False)
    if signals:
        pd.DataFrame(signals).to_csv(part / "signals.csv", index=False)
    if "weights" in contents:
        errors = contents.get(f"{NOISE}weights")
        if errors is not None and errors.ndim == 0:
            table[f"{NOISE}weights"] = float(errors)
        _synapses(contents).to_csv(part / "synapses.csv", index=False)
    (part / "recording.toml").write_bytes(tomli_w.dumps(table).encode())


def _synapses(contents: Contents) -> pd.DataFrame:
    row, post, pre = np.nonzero(~np.isnan(contents["weights"]))
    table = pd.DataFrame({"time": contents["time"][row], "post": post, "pre": pre,
                          "value": contents["weights"][row, post, pre]})  # fmt: skip
    errors = contents.get(f"{NOISE}weights")
    if errors is not None and errors.ndim:
        table["error"] = errors[row, post, pre]
    return table


def _write_folder(path: Path, make: Any) -> None:
    """Write a folder beside its place, then move it there."""
    if path.exists():
        raise RunFolderError(f"{str(path)!r} exists; give another path, or remove it.")
    part = path.with_name(f".{path.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        make(part)
        part.rename(path)
    except OSError as error:
        raise RunFolderError(f"{str(path)!r} cannot be written ({reason(error)}).") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
