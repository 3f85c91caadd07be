"""What data sets of xarray have in common: dimensions, units in attributes, and files of them."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from ratenet.equations.units import unit_text
from ratenet.errors import InputError
from ratenet.files import write_whole
from ratenet.network import Network
from ratenet.simulation.plasticity import PlasticityRecord
from ratenet.tensor_files import as_path

if TYPE_CHECKING:
    import xarray

LARGEST = 2**32 - 4  # bytes of one variable in a netCDF file of the classic kind
Variable = tuple[tuple[str, ...], np.ndarray, dict[str, str]]


def variable(dims: tuple[str, ...], values: Tensor, unit: str) -> Variable:
    """Return values with their dimensions and their unit, as xarray takes them."""
    return dims, values.detach().cpu().numpy(), {"units": unit}


def add_states(
    dataset: "xarray.Dataset", dims: tuple[str, ...], states: dict[str, Tensor], network: Network
) -> None:
    """Add state variables by name; "state_" is put before names that are taken."""
    taken = {"population", "t", *map(str, dataset.variables), *map(str, dataset.dims)}
    for name, values in states.items():
        key = f"state_{name}" if name in taken else name
        dataset[key] = variable(dims, values, unit_text(network.model.dimensions(name)))


def add_weights(dataset: "xarray.Dataset", record: PlasticityRecord) -> None:
    """Add the weights that a plasticity rule moved: at the end, and where they were recorded."""
    unit = unit_text(record.spec.weight_dimensions)
    of_streams = () if record.final_weights.ndim == 2 else ("stimulus",)
    dims = (*of_streams, "post", "pre")
    dataset["final_weights"] = variable(dims, record.final_weights, unit)
    dataset.attrs |= {
        "plasticity": record.spec.name,
        "plasticity_equations": record.spec.equations.strip(),
    }
    if not len(record.t):
        return
    if record.synapses is not None:
        dims = (*of_streams, "synapse")
        for name, numbers in zip(("post", "pre"), record.synapses.T.cpu().numpy(), strict=True):
            dataset.coords[f"synapse_{name}"] = ("synapse", numbers)
    dataset.coords["t_weights"] = variable(("t_weights",), record.t, "s")
    dataset["weights"] = variable(("t_weights", *dims), record.weights, unit)


def population_names(network: Network, units: Tensor) -> list[str]:
    """Return the population of each of these units; empty strings where the model has none."""
    names = np.full(network.units, "", dtype=object)
    for name, place in network.populations.items():
        names[place] = name
    return list(names[units.cpu().numpy()])


def facts_of(network: Network) -> dict[str, Any]:
    """Return attributes that name the model and the versions."""
    model = network.model
    return {
        "model": model.name, "title": model.title, "source": model.source,
        "equations": model.equations.strip(), "python": platform.python_version(),
        **{package: version(package) for package in ("ratenet", "torch", "brian2", "numpy")},
    }  # fmt: skip


def write_netcdf(dataset: "xarray.Dataset", path: Path | str, remedy: str) -> None:
    """Write a data set as a netCDF file of the classic kind, whole or not at all.

    Raises
    ------
    InputError
        If a variable is larger than the format's 4 GiB, or the path is not that of a file.
    RunFolderError
        If the file cannot be written.
    """
    place, size = as_path(path), max(each.nbytes for each in dataset.variables.values())
    if size > LARGEST:
        raise InputError(
            f"Variables of {size / 2**30:.1f} GiB do not fit into a netCDF file (4 GiB); {remedy}.",
            got=size,
        )
    write_whole(place, lambda beside: dataset.to_netcdf(beside, engine="scipy"))
