"""The populations of a network that get a NeuronGroup each in Brian2, and what connects them.

A network whose weights are a `Block` has a group for each of its populations and Synapses for each
block, so that Brian2 holds no synapses where there are none; so has one whose populations have
different models. Every other network is one group.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

from ratenet.connectivity import AbstractConnectivity, Block, Masked
from ratenet.connectivity.masked import is_listed
from ratenet.equations import JointSpec, ModelSpec
from ratenet.errors import UnsupportedError
from ratenet.network import Network
from ratenet.network.populations import slices
from ratenet.simulation.backends.base import Task


@dataclass(frozen=True, eq=False)
class Part:
    """The units of one NeuronGroup.

    Attributes
    ----------
    suffix : str
        What the names of its objects in Brian2 end with; nothing where it is all units.
    units : slice
    model : ModelSpec
    rows : tuple of int
        Which of the network's state variables are its own.
    parameters : dict of str to Tensor
        Values of its model's parameters, () or (n,).
    """

    suffix: str
    units: slice
    model: ModelSpec
    rows: tuple[int, ...]
    parameters: Mapping[str, Tensor]


def most_synapses(task: Task) -> int:
    """Return how many synapses a stimulus has at most."""
    W, is_plastic = task.network.connectivity, task.plasticity is not None
    if is_plastic:
        return task.network.units**2
    if isinstance(W, Block) and not task.network.model.noises:
        return sum(_synapses(part) for row in W.blocks.values() for part in row.values())
    return _synapses(W)


def _synapses(W: AbstractConnectivity) -> int:
    """Return how many synapses a connectivity becomes at most."""
    return W.cost if is_listed(W) else math.prod(W.shape)


def parts_of(task: Task) -> tuple[Part, ...]:
    """Return the parts of a task's network, in the order of the units."""
    network, model = task.network, task.network.model
    if isinstance(model, JointSpec):
        if task.plasticity is not None:
            raise UnsupportedError(
                "plasticity: backend 'brian2' has it for networks of one model, and this one has "
                f"{model.name}; use backend='torch'.",
                argument="plasticity",
            )
        models, places = dict(model.models), slices({n: int(size) for n, size in model.sizes})
    else:
        W = network.connectivity
        # What plasticity and noise add is written for one group.
        is_split = isinstance(W, Block) and not model.noises and task.plasticity is None
        sizes = dict(W.sizes) if isinstance(W, Block) and is_split else {"": network.units}
        models, places = dict.fromkeys(sizes, model), slices(sizes)
    return tuple(
        _part(network, str(n) if len(places) > 1 else "", place, models[name])
        for n, (name, place) in enumerate(places.items())
    )


def _part(network: Network, suffix: str, units: slice, model: ModelSpec) -> Part:
    whole = network.model

    def called(name: str) -> str:
        return whole.joint_name(model, name) if isinstance(whole, JointSpec) else name

    values = {name: network.parameters[called(name)] for name in model.defaults}
    return Part(
        suffix,
        units,
        model,
        tuple(whole.states.index(called(state)) for state in model.states),
        {name: value[units] if value.ndim else value for name, value in values.items()},
    )


def connections(task: Task, parts: tuple[Part, ...]) -> Iterator[tuple[int, int, Tensor | Masked]]:
    """Give the number of a postsynaptic and a presynaptic part, and W (N_post, N_pre), for each.

    W is a matrix, or `Masked` where its synapses are stored one by one.
    """
    W = task.network.connectivity
    if len(parts) == 1:
        yield 0, 0, W if is_listed(W) else W.dense()
        return
    if isinstance(W, Block) and list(slices(dict(W.sizes)).values()) == [p.units for p in parts]:
        names = list(W.sizes)
        for post, row in W.blocks.items():
            for pre, block in row.items():
                weights = block if is_listed(block) else block.dense()
                yield names.index(post), names.index(pre), weights
        return
    whole = W.dense()
    for i, post_part in enumerate(parts):
        for j, pre_part in enumerate(parts):
            yield i, j, whole[post_part.units, pre_part.units]
