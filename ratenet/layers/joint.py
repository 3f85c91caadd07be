"""Networks whose populations are the networks of layers: one model, one state, shared weights."""

import dataclasses
from collections.abc import Mapping

import torch
from torch import Tensor

from ratenet.connectivity import Block
from ratenet.equations import ModelSpec
from ratenet.equations.symbolic import left_derivative
from ratenet.errors import UnsupportedError
from ratenet.network import Network
from ratenet.network.parameters import Known

Parts = Mapping[str, tuple[Network, tuple[str, ...]]]  # a layer's network, and its populations


def joint_network(W: Block, parts: Parts) -> Network:
    """Return the network of all layers, whose weights and populations are those of W.

    Parameters
    ----------
    W : Block
    parts : mapping of str to (Network, tuple of str)
        Each layer's network and the populations of W that are its units, in the order of the units.

    Raises
    ------
    UnsupportedError
        If a layer's model has noise, or its input is not the sum of recurrent input and drive.
    """
    for name, (network, _) in parts.items():
        _check_model(name, network.model)
    model = next(iter(parts.values()))[0].model
    return Network(
        dataclasses.replace(model, populations=tuple(W.sizes.items())),
        W,
        {name: Known(value) for name, value in _parameters(parts).items()},
    )


def _check_model(name: str, model: ModelSpec) -> None:
    """Refuse what cannot be one part of a larger network that settles."""
    if model.noises:
        raise UnsupportedError(
            f"layers, {name}: model {model.name!r} has noise ({', '.join(model.noises)}), and so "
            "no fixed points; use model.without_noise().",
            argument="layers",
            got=model,
        )
    for rhs in model.right_hand_sides:
        if left_derivative(rhs, model.recurrent) != left_derivative(rhs, model.drive):
            raise UnsupportedError(
                f"layers, {name}: in model {model.name!r} {model.recurrent} and {model.drive} do "
                "not enter as a sum, and the rates of the layer before would enter by the former; "
                f"write {model.recurrent} + {model.drive}.",
                argument="layers",
                got=model,
            )


def _parameters(parts: Parts) -> dict[str, Tensor]:
    """Return the values of all units, as one number where all layers share it."""
    networks = [network for network, _ in parts.values()]
    found = {}
    for name in networks[0].parameters:
        values = [network.parameters[name] for network in networks]
        first = values[0]
        is_shared = all(value.ndim == 0 and torch.equal(value, first) for value in values)
        rows = [
            value.expand(network.units) for value, network in zip(values, networks, strict=True)
        ]
        found[name] = first if is_shared else torch.cat(rows)
    return found
