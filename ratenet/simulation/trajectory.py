"""Trajectory: the states and rates of a simulation over time, and how they were computed."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ratenet.equations.units import Dimension, unit_text
from ratenet.errors import counted
from ratenet.network import Network
from ratenet.notebook import table
from ratenet.simulation.datasets import (
    add_states,
    add_weights,
    facts_of,
    population_names,
    variable,
    write_netcdf,
)
from ratenet.simulation.plasticity import PlasticityRecord
from ratenet.simulation.statistics import RateStatistics

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Rates and states of a simulation over time; prints as a line, in a notebook as a table.

    Attributes
    ----------
    t : Tensor, shape (T,)
        Times in seconds; t[0] is that of the initial state.
    rates : Tensor, shape (T, B, U)
        Rates y of the U recorded units, in the unit of the model's output.
    states : dict of str to Tensor, each (T, B, U)
        State variables by name, in SI units.
    final : dict of str to Tensor, each (B, N)
        The last state of all units, recorded or not: fit as `initial` of the next simulation,
        which then has ``start=trajectory.t[-1]``.
    units : Tensor of int, shape (U,)
        Numbers of the recorded units.
    statistics : RateStatistics or None
        Statistics of all units, if `simulate` was given ``statistics=``.
    network : Network
        The network that was simulated.
    dt : float
        Time step in seconds.
    backend, method : str
        Simulator and integration method.
    plasticity : PlasticityRecord or None
        What the weights did, if `simulate` was given ``plasticity=``; `network` has the weights
        from before.

    Examples
    --------
    >>> import ratenet as rn
    >>> run = rn.simulate(rn.Network("linear", [[0.5]]), [1.0], duration=0.5, dt=1e-3)
    >>> run.rates.shape, round(float(run.final["r"]), 3)
    (torch.Size([501, 1, 1]), 2.0)
    """

    t: Tensor
    rates: Tensor
    states: dict[str, Tensor]
    final: dict[str, Tensor]
    units: Tensor
    statistics: RateStatistics | None
    network: Network
    dt: float
    backend: str
    method: str
    plasticity: PlasticityRecord | None = None

    @property
    def final_weights(self) -> Tensor:
        """The weights at the end, shape (B, N, N), or (N, N) where streams share them."""
        if self.plasticity is None:
            return self.network.connectivity.dense()
        return self.plasticity.final_weights

    def __repr__(self) -> str:
        T, B, U = self.rates.shape
        low, high = _range(self.rates)
        units = f"{U} of " * (self.network.units != U) + counted(self.network.units, "unit")
        moved = "" if self.plasticity is None else f", plasticity {self.plasticity.spec.name}"
        return (
            f"Trajectory({self.network.model.name}: {counted(T, 'record')} from "
            f"{float(self.t[0]):g} to {float(self.t[-1]):g} s, {counted(B, 'stimulus')}, {units}, "
            f"rates {low} to {high}; {self.backend}, "
            f"{self.method}, dt = {self.dt:g} s{moved})"
        )

    def _repr_html_(self) -> str:
        model = self.network.model
        rows = {"rates": _range_in(self.rates, model.output_dimensions)}
        for name, values in self.states.items():
            rows[name] = _range_in(values, model.dimensions(name))
        return table(repr(self), rows)

    def plot(
        self,
        ax: Any = None,
        *,
        stimuli: Any = None,
        units: Any = None,
        populations: Any = None,
        drive: Any = None,
    ) -> Any:
        """Draw the rates over time, as `ratenet simulate` does.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or sequence of them, optional
            Where to draw, one for each stimulus; default new axes, which a notebook shows.
        stimuli : int or sequence of int, optional
            Which stimuli, a column for each; default at most 3, evenly chosen.
        units : int or sequence of int, optional
            Numbers of recorded units, a line for each.
        populations : str or sequence of str, optional
            Which populations: thick lines are their means, thin ones single units.
        drive : as for `simulate`, optional
            Drawn above the rates, on axes of its own, if it changes in time.

        Returns
        -------
        matplotlib.axes.Axes or array of them

        Raises
        ------
        InputError
            If there is no such stimulus, unit or population, or the number of axes does not fit.

        Examples
        --------
        >>> import ratenet as rn
        >>> run = rn.simulate(rn.Network("rate", [[0.5]]), [1.0], duration=0.05, dt=0.001)
        >>> run.plot().get_xlabel()
        'time (ms)'
        """
        from ratenet.report.pictures import plot_trajectory

        return plot_trajectory(
            self, ax, stimuli=stimuli, units=units, populations=populations, drive=drive
        )

    def population_names(self) -> list[str]:
        """Return the population of each recorded unit; empty strings where the model has none."""
        return population_names(self.network, self.units)

    def to_xarray(self) -> "xarray.Dataset":
        """Return rates and states as an xarray Dataset with dimensions t, stimulus and unit.

        Returns
        -------
        xarray.Dataset
            Each variable has its physical unit in its attributes, each recorded unit its number and
            its population; the attributes of the data set name model, method, step and versions.
            Weights that moved are ``final_weights``, and ``weights`` at their own times, t_weights.
        """
        import xarray  # imported where it is used: it takes half a second

        model, dims = self.network.model, ("t", "stimulus", "unit")
        dataset = xarray.Dataset(
            {"rates": variable(dims, self.rates, unit_text(model.output_dimensions))},
            coords={
                "t": ("t", self.t.cpu().numpy(), {"units": "s"}),
                "unit": ("unit", self.units.cpu().numpy()),
            },
            attrs={**facts_of(self.network), "backend": self.backend, "method": self.method,
                   "dt": self.dt, "dt_units": "s"},
        )  # fmt: skip
        if self.plasticity is not None:
            add_weights(dataset, self.plasticity)
        add_states(dataset, dims, self.states, self.network)
        if self.network.populations:
            dataset.coords["population"] = ("unit", np.array(self.population_names()))
        return dataset

    def save(self, path: Path | str) -> None:
        """Write `to_xarray` as a netCDF file, whole or not at all.

        Parameters
        ----------
        path : path
            A netCDF file, replaced if it is there.

        Raises
        ------
        InputError
            If a variable is larger than the format's 4 GiB.
        RunFolderError
            If the file cannot be written.
        """
        remedy = "record fewer steps (record_every) or units (record_units)"
        write_netcdf(self.to_xarray(), path, remedy)


def _range_in(values: Tensor, dimensions: Dimension) -> str:
    low, high = _range(values)
    return f"{low} to {high} ({unit_text(dimensions)})"


def _range(values: Tensor) -> tuple[str, str]:
    """Return the lowest and the highest value for a reader."""
    if not values.numel():
        return "none", "none"
    low, high = torch.aminmax(values.detach())
    return f"{float(low):.4g}", f"{float(high):.4g}"
