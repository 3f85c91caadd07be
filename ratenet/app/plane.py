"""Plane: a circuit of two units whose numbers are moved, with what then rests and moves.

Nullclines and basins are those of the figures, branches those of `continue_fixed_points`.
"""

import dataclasses
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ratenet import circuits
from ratenet.app.knobs import Knob, controls_type, knobs_of, moved
from ratenet.circuits.arguments import numbers
from ratenet.errors import ConvergenceError, DivergenceError, InputError, UnsupportedError
from ratenet.fixed_points import FixedPointSet, Relaxation, find_all_fixed_points, find_fixed_points
from ratenet.fixed_points.continuation.branch import Branch
from ratenet.fixed_points.continuation.follow import continue_fixed_points
from ratenet.network import Network
from ratenet.report.phase_plane import basins, nullclines, unit_names
from ratenet.report.rates import unit_name
from ratenet.simulation import simulate

SIDE = 7  # starts along each axis, for the fixed points
BASIN_SIDE = 40
ITERATIONS = 400  # in which the dynamics come to rest, or are taken not to
ROOM = 1.2  # from 0 to the end of an axis, over the way to a fixed point beyond the plane
DURATION = 20  # of a trajectory, in longest time constants
STEPS = 1000


@dataclass(frozen=True, eq=False)
class Portrait:
    """The phase plane: what rests, and where it is come to from.

    Attributes
    ----------
    found : FixedPointSet
        C fixed points, stable ones first.
    span : pair of float
        Range of both axes: that of the plane, or more where there is a fixed point beyond it.
    nullclines : pair of list of array (P, 2)
    basins : Tensor of int, shape (40, 40)
        Number of the fixed point that is reached from a grid of starts, rows the first unit; -1:
        none.
    """

    found: FixedPointSet
    span: tuple[float, float]
    nullclines: tuple[list[np.ndarray], list[np.ndarray]]
    basins: Tensor


@dataclass(frozen=True, eq=False)
class Path:
    """A trajectory: times (T,) in seconds, states (T, 2), and a sentence if it diverged."""

    t: Tensor
    states: Tensor
    note: str = ""


class Plane:
    """A circuit of two units with one state variable each.

    Parameters
    ----------
    name : str
        Name of the circuit.

    Attributes
    ----------
    knobs : dict of str to Knob
        What can be moved.
    start, controls : object
        Values of the knobs as the circuit has them, and as they are now: frozen dataclasses.
    span : pair of float
        Range of both axes as the circuit is by itself, in the state's SI unit.

    Raises
    ------
    UnknownNameError
        If there is no such circuit.
    UnsupportedError
        If it has more units or state variables.
    """

    def __init__(self, name: str) -> None:
        self.circuit = circuits.load(name)
        network = self.circuit.network
        if network.units != 2 or len(network.model.states) != 1:
            raise UnsupportedError(
                f"{name}: the page shows circuits of two units with one state variable each, got "
                f"{network.units} with {len(network.model.states)}; use `ratenet simulate {name}`.",
                argument="target",
            )
        self.knobs = knobs_of(name)
        self.start: Any = controls_type(self.knobs)()
        self.controls = self.start
        self.span = self._span()

    @property
    def unit_names(self) -> list[str]:
        """What the two units are called."""
        return unit_names(self.circuit.network)

    @property
    def unit(self) -> str:
        """The unit of the state, in words."""
        model = self.circuit.network.model
        return unit_name(model.dimensions(model.states[0]))

    def knob(self, name: str) -> Knob:
        """Return what a slider moves.

        Raises
        ------
        InputError
            If there is no such knob.
        """
        if name not in self.knobs:
            expected = f"one of {', '.join(self.knobs)}"
            raise InputError.at("along", got=name, expected=expected)
        return self.knobs[name]

    def moved(self, **values: float) -> tuple[Network, Tensor]:
        """Return network and drive (1, 2) as the sliders say, or with other values of some."""
        return moved(self.circuit.name, {**dataclasses.asdict(self.controls), **values})

    def portrait(self) -> Portrait:
        """Return fixed points, nullclines and basins."""
        network, drive = self.moved()
        found = self._resting(network, drive)
        low, high = self.span
        for end in found.points.state.flatten().tolist():
            low, high = min(low, ROOM * end), max(high, ROOM * end)
        return Portrait(
            found,
            (low, high),
            nullclines(network, drive, low, high),
            basins(found, low, high, side=BASIN_SIDE, iterations=ITERATIONS),
        )

    def path(self, start: Any) -> Path:
        """Return the trajectory from a start (2,), 20 longest time constants long.

        Raises
        ------
        InputError
            If the start is not a pair of finite numbers.
        """
        place = numbers(start, "start")
        if len(place) != 2:
            raise InputError.at("start", got=start, expected="two numbers, the states of the units")
        network, drive = self.moved()
        state = network.as_state(place[None], 1)
        duration = DURATION * network.longest_time_constant()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what does not settle is seen
            try:
                run = simulate(
                    network, drive, duration, duration / STEPS, initial=state, method="rk4", seed=0
                )
            except DivergenceError as error:
                return Path(torch.zeros(1), state[0].cpu(), str(error))
        return Path(run.t, run.states[network.model.states[0]][:, 0])

    def diagram(self, along: str) -> list[Branch]:
        """Return the branches of fixed points that begin at either end of a knob's range.

        Raises
        ------
        InputError
            If there is no such knob.
        """
        low, high = self.knob(along)[3:5]
        branches: list[Branch] = []
        for start, stop in ((low, high), (high, low)):
            for state in self._resting(*self.moved(**{along: start})).points.state.split(1, dim=1):
                if not any(_passes(branch, start, state) for branch in branches):
                    branches += self._branch(along, start, stop, state)
        return branches

    def _branch(self, along: str, start: float, stop: float, state: Tensor) -> list[Branch]:
        def follow(network: Network, drive: Tensor, value: float) -> tuple[Network, Tensor]:
            return self.moved(**{along: value})

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # why it ended is in the branch
            try:
                return [
                    continue_fixed_points(
                        *self.moved(), follow, start=start, stop=stop, initial=state
                    )
                ]
            except ConvergenceError:
                return []

    def _resting(self, network: Network, drive: Tensor) -> FixedPointSet:
        """Return the fixed points that a grid of starts in the plane leads to."""
        axis = torch.linspace(*self.span, SIDE, dtype=torch.float64)
        starts = torch.cartesian_prod(axis, axis)
        return find_all_fixed_points(network, drive, starts=starts, dynamics=Relaxation(ITERATIONS))

    def _span(self) -> tuple[float, float]:
        """Return up to twice what the circuit reaches, at least 1; below 0 if it gets there."""
        network, initial = self.circuit.network, self.circuit.initial
        state = network.as_state(initial, len(self.circuit.drive))
        fp = find_fixed_points(
            network, self.circuit.drive, initial=state, certificate="residual",
            max_iterations=ITERATIONS, on_failure="return",
        )  # fmt: skip
        seen = torch.cat([fp.state, state]).nan_to_num(0.0, 0.0, 0.0)
        size = max(1.0, 2 * float(seen.abs().max()))
        return (-size if bool((seen < -1e-6 * size).any()) else 0.0), size


def _passes(branch: Branch, value: float, state: Tensor) -> bool:
    """Return whether a branch has a point at a value and a state (1, 1, 2)."""
    same = torch.isclose(branch.values, torch.tensor(value, dtype=branch.values.dtype))
    near = (branch.states[0] - state[0]).abs().amax(dim=1) <= 1e-6 * (1 + state.abs().max())
    return bool((same & near).any())
