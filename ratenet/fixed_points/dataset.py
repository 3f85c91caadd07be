"""Fixed points as a data set of xarray."""

from typing import TYPE_CHECKING

import numpy as np
import torch

from ratenet.equations.units import unit_text
from ratenet.fixed_points.status import Status
from ratenet.simulation.datasets import add_states, facts_of, population_names, variable

if TYPE_CHECKING:
    import xarray

    from ratenet.fixed_points.results import FixedPoints


def as_dataset(fp: "FixedPoints") -> "xarray.Dataset":
    """Return rates, gains, drives, states and certificates by stimulus and unit."""
    import xarray  # imported where it is used: it takes half a second

    network, model, both = fp.network, fp.network.model, ("stimulus", "unit")
    output, recurrent = unit_text(model.output_dimensions), model.dimensions(model.recurrent)
    gain = output if recurrent.is_dimensionless else f"{output} / {unit_text(recurrent)}"
    units = torch.arange(network.units)
    dataset = xarray.Dataset(
        {
            "rates": variable(both, fp.rates, output),
            "gain": variable(both, fp.gain, gain),
            "drive": variable(both, fp.drive, unit_text(model.dimensions(model.drive))),
            "residual": variable(("stimulus",), fp.residual, "1"),
            "converged": ("stimulus", fp.converged.cpu().numpy()),
            "status": ("stimulus", _names(fp.status.tolist())),
            "iterations": ("stimulus", fp.iterations.cpu().numpy().astype(np.int32)),
        },
        coords={"unit": ("unit", units.numpy())},
        attrs={**facts_of(network), "tol": fp.tol, "notes": "\n".join(fp.notes)},
    )
    add_states(dataset, both, dict(zip(model.states, fp.state, strict=True)), network)
    if network.populations:
        dataset.coords["population"] = ("unit", np.array(population_names(network, units)))
    return dataset


def _names(codes: list[int]) -> np.ndarray:
    return np.array([Status(code).words for code in codes], dtype=str)
