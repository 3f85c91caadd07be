"""Circuit: a published network with its weights, stimulus, initial state and time steps."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from ratenet.errors import counted
from ratenet.network import Network
from ratenet.notebook import Html, table


class Coordinate(NamedTuple):
    """What distinguishes the units: a label with its physical unit, and one value per unit."""

    label: str
    values: np.ndarray  # (N,)


@dataclass(frozen=True, eq=False)
class Circuit:
    """A network with everything that a simulation of it needs.

    Attributes
    ----------
    name, title, source : str
        Short name, one line of description, and the publication.
    network : Network
        In float64; weights ``W[post, pre]``.
    drive : Tensor, shape (B, N)
        The stimulus, in the SI unit of the model's drive.
    initial : mapping of str to array, or None
        The initial state, by state variable; None: zero.
    duration, dt : float
        In seconds: long enough to see the effect, and a step that suits Euler's method.
    coordinate : Coordinate or None
        Preferred orientation, position ..., where units have one.

    Examples
    --------
    >>> from ratenet import circuits, simulate
    >>> circuit = circuits.wilson_cowan_oscillating()
    >>> trajectory = simulate(
    ...     circuit.network, circuit.drive, 1000 * circuit.dt, circuit.dt, initial=circuit.initial
    ... )
    >>> trajectory.rates.shape[1:]
    torch.Size([1, 2])
    """

    name: str
    title: str
    source: str
    network: Network
    drive: Tensor
    initial: Mapping[str, Any] | None
    duration: float
    dt: float
    coordinate: Coordinate | None = None

    def __repr__(self) -> str:
        B, N = self.drive.shape
        return (
            f"Circuit({self.name}: {self.title}; {counted(N, 'unit')}, {counted(B, 'stimulus')}, "
            f"{self.duration:g} s in steps of {self.dt:g} s)"
        )

    def _repr_html_(self) -> str:
        rows = {
            "source": self.source,
            "stimuli": str(len(self.drive)),
            "duration": f"{self.duration:g} s in steps of {self.dt:g} s",
            "units by": self.coordinate.label if self.coordinate else "number",
            "network": Html(self.network._repr_html_()),
        }
        return table(self.title, rows)

    def plot(self, ax: Any = None, *, stimuli: Any = None) -> Any:
        """Simulate the circuit, and draw its tuning curve; rates over time where it has none.

        A tuning curve is the rate of each unit at the end, over its coordinate, such as its
        preferred orientation.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; default new axes, which a notebook shows.
        stimuli : int or sequence of int, optional
            Which stimuli; default at most 5, evenly chosen.

        Returns
        -------
        matplotlib.axes.Axes or array of them

        Raises
        ------
        InputError
            If there is no such stimulus.

        Examples
        --------
        >>> from ratenet import circuits
        >>> circuits.wilson_cowan_oscillating().plot().get_xlabel()
        'time (ms)'
        """
        from ratenet.report.pictures import plot_circuit

        return plot_circuit(self, ax, stimuli)
