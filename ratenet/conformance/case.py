"""A small random network of a model, on which the checks are made."""

from functools import cached_property
from typing import Any

import numpy as np

from ratenet.equations import ModelSpec
from ratenet.equations.units import Quantity
from ratenet.errors import RatenetError
from ratenet.fixed_points import FixedPoints, find_fixed_points
from ratenet.network import Network
from ratenet.network.scales import typical_input, typical_state, typical_weight

UNITS = 3  # of each population; twice as many where there are none
TOL = 1e-13  # residual of fixed points: rates may be far below 1 in SI units


class Case:
    """A small random network of a model, with a drive and a state of plausible size.

    Parameters
    ----------
    model : ModelSpec
    seed : int
        Seed of weights, drive and state.
    """

    def __init__(self, model: ModelSpec, seed: int = 0) -> None:
        self.model = model
        self._generator = np.random.default_rng(seed)
        self.silent = model.without_noise() if model.noises else model
        self.sizes = _sizes(model)
        self.units = sum(self.sizes.values()) or _listed(model, None) or 2 * UNITS
        blank = Network(self.silent, np.zeros((self.units, self.units)), populations=self.sizes)
        self.state = {name: self._between(s) for name, s in typical_state(self.silent).items()}
        self.drive = self._between(typical_input(blank)) - 0.3 * typical_input(blank)
        normal = self._generator.standard_normal((self.units, self.units))
        self.W = typical_weight(blank) * normal
        self.network = self.scaled_network(0.5)
        times = blank.time_constants()
        self.dt = 0.02 * blank.shortest_time_constant() if times else 0.02

    def scaled_network(self, factor: float, *, noise: bool = False) -> Network:
        """Return the network with all weights multiplied by a factor."""
        model = self.model if noise else self.silent
        return Network(model, factor * self.W, populations=self.sizes)

    @cached_property
    def settled(self) -> FixedPoints | None:
        """Fixed points of the network, its weights and drive weaker if need be; None: none."""
        for factor in (0.5, 0.25, 0.1, 0.03, 0.0):
            network = self.scaled_network(factor)
            try:
                return find_fixed_points(network, 2 * factor * self.drive, tol=TOL)
            except RatenetError:
                continue
        return None

    def _between(self, size: float) -> Any:
        return size * self._generator.uniform(0.1, 0.9, (2, self.units))


def _sizes(model: ModelSpec) -> dict[str, int]:
    """Return small sizes of the populations; those that lists of parameters have."""
    return {name: _listed(model, name) or UNITS for name, _ in model.populations}


def _listed(model: ModelSpec, population: str | None) -> int:
    """Return how many units a list among the parameters is for; 0 where there is no list."""
    entries = [parameter.entries.get(population) for parameter in model.defaults.values()]
    return max((np.size(e) for e in entries if isinstance(e, Quantity) and np.ndim(e)), default=0)
