"""How large a model's variables and inputs are: for random networks of any model, in any unit."""

import numpy as np
import torch

from ratenet.equations import JointSpec, ModelSpec
from ratenet.equations.parameters import Distribution
from ratenet.equations.units import DIMENSIONLESS, Dimension, Quantity
from ratenet.network.network import Network


def typical_size(model: ModelSpec | JointSpec, dimensions: Dimension) -> float | None:
    """Return the largest parameter of these dimensions in SI units; 1 for plain numbers.

    None where the model has no parameter that says.
    """
    if dimensions is DIMENSIONLESS:
        return 1.0
    entries = [
        entry
        for parameter in model.defaults.values()
        if parameter.dimensions == dimensions
        for entry in parameter.entries.values()
    ]
    return max((_largest(entry) for entry in entries), default=0.0) or None


def _largest(entry: Quantity | Distribution) -> float:
    if isinstance(entry, Distribution):
        return max(abs(entry.first), abs(entry.second))
    return float(np.abs(np.asarray(entry)).max())


def typical_state(model: ModelSpec | JointSpec) -> dict[str, float]:
    """Return a size for each state variable, SI."""
    return {name: typical_size(model, model.dimensions(name)) or 1.0 for name in model.states}


def typical_input(network: Network) -> float:
    """Return a size for the recurrent input and the drive, SI.

    That of a parameter of the same unit; where there is none, what moves a state of typical size
    about as much as its own decay does, |F_s| s / |F_I|.
    """
    model = network.model
    size = typical_size(model, model.dimensions(model.recurrent))
    if size is not None:
        return size
    state = network.as_state(typical_state(model), 1)
    blocks = network.jacobian_blocks(state, torch.zeros_like(state[0]))
    decay = (blocks.F_s.diagonal().permute(2, 0, 1).abs() * state.abs()).flatten(1)
    ratios = decay / blocks.F_I.abs().flatten(1)
    found = ratios[torch.isfinite(ratios) & (ratios > 0)]
    return float(found.min()) if len(found) else 1.0


def typical_weight(network: Network) -> float:
    """Return a standard deviation of weights for a spectral radius of about one, SI.

    Such that sqrt(N) rates of typical size sum up to an input of typical size.
    """
    state = network.as_state(typical_state(network.model), 1)
    rates = float(network.output(state).abs().max())
    return typical_input(network) / (rates or 1.0) / network.units**0.5
