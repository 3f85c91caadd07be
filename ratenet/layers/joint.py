"""Networks whose populations are the networks of layers: one state, shared weights."""

import dataclasses
from collections.abc import Mapping

import torch
from torch import Tensor

from ratenet.connectivity import Block
from ratenet.equations import JointSpec, ModelSpec
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
    models: dict[str, ModelSpec] = {}
    for name, (network, populations) in parts.items():
        assert isinstance(network.model, ModelSpec), "a layer's units share one model"
        _check_model(name, network.model)
        models |= dict.fromkeys(populations, network.model)
    model = _joint_model(models, dict(W.sizes))
    values = _parameters(model, parts)
    return Network(model, W, {name: Known(value) for name, value in values.items()})


def _joint_model(
    models: Mapping[str, ModelSpec], sizes: Mapping[str, int]
) -> ModelSpec | JointSpec:
    """Return the model that all share, with the layers as its populations; or all of them."""
    first, *others = dict.fromkeys(models.values())
    if others or first.populations:
        return JointSpec(tuple(models.items()), tuple(sizes.items()))
    return dataclasses.replace(first, populations=tuple(sizes.items()))


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


def _parameters(model: ModelSpec | JointSpec, parts: Parts) -> dict[str, Tensor]:
    """Return the values of all units, as one number where all layers share it.

    Units of a layer whose model lacks a parameter hold another layer's value, which nothing uses.
    """
    networks = [network for network, _ in parts.values()]
    own = [_own_parameters(model, network) for network in networks]
    found = {}
    for name in model.defaults:
        known = [values[name] for values in own if name in values]
        first = known[0]
        if all(value.ndim == 0 and torch.equal(value, first) for value in known):
            found[name] = first
            continue
        spare = first if first.ndim == 0 else first[0]
        rows = [
            values.get(name, spare).expand(network.units)
            for values, network in zip(own, networks, strict=True)
        ]
        found[name] = torch.cat(rows)
    return found


def _own_parameters(model: ModelSpec | JointSpec, network: Network) -> dict[str, Tensor]:
    """Return a layer's parameters by the names that they have in the whole."""
    if not isinstance(model, JointSpec):
        return dict(network.parameters)
    assert isinstance(network.model, ModelSpec), "a layer's units share one model"
    return {model.joint_name(network.model, n): value for n, value in network.parameters.items()}
