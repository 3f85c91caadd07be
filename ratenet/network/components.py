"""Components: populations that settle one after another, since nothing leads back.

The populations of a `Block` are the nodes of a graph, its blocks the arrows. Populations that reach
one another belong to one component, and the components have an order in which each gets input only
from those before it, so that with y_p the rates of component p and F_pq the blocks between them

    W = block lower triangular,      I_p = W_p y_p + sum_{q < p} F_pq y_q + x_p

Whatever is solved with I - G W is then solved component by component: fixed points and lags in this
order, adjoints in the reverse one.
"""

import copy
import dataclasses
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ratenet.connectivity import AbstractConnectivity, Block, Dense
from ratenet.equations import JointSpec, ModelSpec
from ratenet.equations.parameters import ByPopulation, ParameterText
from ratenet.network.dynamics import dynamics_of
from ratenet.network.populations import slices

if TYPE_CHECKING:
    from ratenet.network.network import Network


@dataclass(frozen=True, eq=False)
class Component:
    """Some populations of a network as a network of their own, which shares its weights.

    Attributes
    ----------
    network : Network
        The populations as a network of their own.
    units : slice
        Where its units are in the whole network.
    rows : list of int
        Which of the whole network's state variables are its own.
    inputs : tuple of (slice, slice, AbstractConnectivity)
        Blocks from components before it: its own units, the presynaptic ones, both as in the whole
        network, and the weights.

    Examples
    --------
    >>> import ratenet as rn
    >>> stack = rn.Stack(rn.FixedPointLayer(3, 4), rn.FixedPointLayer(4, 2))
    >>> lower, upper = stack.network().components
    >>> upper.units, len(upper.inputs)
    (slice(4, 6, None), 1)
    """

    network: "Network"
    units: slice
    rows: list[int]
    inputs: tuple[tuple[slice, slice, AbstractConnectivity], ...]

    def input(self, rates: Tensor) -> Tensor:
        """Return what the components before it drive it with, (B, n), for all rates (B, N).

        Parameters
        ----------
        rates : Tensor, shape (B, N)
            Rates of all units of the whole network.
        """
        total = rates.new_zeros(len(rates), self.units.stop - self.units.start)
        for post, pre, F in self.inputs:
            total[:, self._own(post)] += F.apply(rates[:, pre])
        return total

    def add_back(self, values: Tensor, total: Tensor) -> None:
        """Add F^T v of its own values (B, n) to `total` (B, N), where its inputs come from.

        Parameters
        ----------
        values : Tensor, shape (B, n)
            Values of its own units.
        total : Tensor, shape (B, N)
            Changed in place.
        """
        for post, pre, F in self.inputs:
            total[:, pre] += F.apply_transpose(values[:, self._own(post)])

    def of(self, values: Tensor) -> Tensor:
        """Return what belongs to it of values (..., N) of all units, as a view.

        Parameters
        ----------
        values : Tensor, shape (..., N)
            Values of all units.
        """
        return values[..., self.units]

    def states_of(self, values: Tensor) -> Tensor:
        """Return what belongs to it of values (k, ..., N) of all state variables and units.

        Parameters
        ----------
        values : Tensor, shape (k, ..., N)
            Values of all state variables and units.
        """
        return values[self.rows][..., self.units]

    def put_states(self, values: Tensor, own: Tensor) -> None:
        """Write its own values into those of all state variables (k, B, N).

        Parameters
        ----------
        values : Tensor, shape (k, B, N)
            Changed in place.
        own : Tensor, shape (k', B, n)
            Values of its own state variables and units.
        """
        values[self.rows, :, self.units] = own

    def _own(self, units: slice) -> slice:
        return slice(units.start - self.units.start, units.stop - self.units.start)


def components(network: "Network") -> tuple[Component, ...]:
    """Return the components of a network in the order in which they settle; none if it is one."""
    W = network.connectivity
    groups = _in_order(W) if isinstance(W, Block) else []
    if not isinstance(W, Block) or len(groups) < 2:
        return ()
    places = slices(dict(W.sizes))
    spans = [_span([places[name] for name in group]) for group in groups]
    if None in spans:  # populations of a component that do not follow one another
        return ()
    return tuple(
        _component(network, W, group, span, places)
        for group, span in zip(groups, spans, strict=True)
        if span is not None
    )


def _component(
    network: "Network", W: Block, group: list[str], units: slice, places: Mapping[str, slice]
) -> Component:
    own, states = _within(network, W, group, units), network.model.states
    rows = [states.index(n) for n in _names(network.model, own.model, own.model.states).values()]
    return Component(own, units, rows, _inputs(W, group, places))


def _in_order(W: Block) -> list[list[str]]:
    """Return the populations of each component, those first that get input from none behind."""
    reached = {name: _reached_from(name, W) for name in W.sizes}
    groups: list[list[str]] = []
    for name in W.sizes:
        mates = [other for other in W.sizes if other in reached[name] and name in reached[other]]
        if mates[0] == name:
            groups.append(mates)
    # Those that reach more stand before those that they reach.
    return sorted(groups, key=lambda group: -len(reached[group[0]]))


def _reached_from(start: str, W: Block) -> set[str]:
    """Return the populations that one drives, over any number of others, itself among them."""
    found, left = {start}, [start]
    while left:
        pre = left.pop()
        new = [post for post, row in W.blocks.items() if pre in row and post not in found]
        found.update(new)
        left += new
    return found


def _span(places: list[slice]) -> slice | None:
    """Return the units of populations that follow one another; None where they do not."""
    places = sorted(places, key=lambda place: place.start)
    if any(one.stop != other.start for one, other in itertools.pairwise(places)):
        return None
    return slice(places[0].start, places[-1].stop)


def _inputs(
    W: Block, group: list[str], places: Mapping[str, slice]
) -> tuple[tuple[slice, slice, AbstractConnectivity], ...]:
    return tuple(
        (places[post], places[pre], F)
        for post in group
        for pre, F in W.blocks.get(post, {}).items()
        if pre not in group
    )


def _within(network: "Network", W: Block, group: list[str], units: slice) -> "Network":
    """Return some populations as a network; nothing is copied, so changes are seen by both."""
    own = {
        post: {pre: part for pre, part in W.blocks[post].items() if pre in group}
        for post in group
        if post in W.blocks
    }
    part, model = copy.copy(network), network.model
    part.model = model.within(group) if isinstance(model, JointSpec) else _alone(model)
    names = _names(model, part.model, part.model.defaults)
    part._dynamics = dynamics_of(part.model)
    part.connectivity = _own_weights(own, group, W)
    part.populations = {}
    values = {name: network.parameters[joint] for name, joint in names.items()}
    part.parameters = {name: v[units] if v.ndim else v for name, v in values.items()}
    part._numbers = part._components = None
    return part


def _names(
    whole: ModelSpec | JointSpec, part: ModelSpec | JointSpec, names: Iterable[str]
) -> dict[str, str]:
    """Return what names of a component's model are called in that of the whole network."""
    if not isinstance(whole, JointSpec):
        return {name: name for name in names}
    models = [part] if isinstance(part, ModelSpec) else [model for _, model in part.models]
    found = {
        (part.joint_name(model, own) if isinstance(part, JointSpec) else own): whole.joint_name(
            model, own
        )
        for model in models
        for own in (*model.states, *model.defaults)
    }
    return {name: found[name] for name in names}


def _own_weights(
    blocks: dict[str, dict[str, AbstractConnectivity]], group: list[str], W: Block
) -> AbstractConnectivity:
    """Return what connects the populations of a component to one another."""
    sizes = {name: W.sizes[name] for name in group}
    if len(group) > 1:
        return Block(blocks, sizes)
    (name,) = group
    if name in blocks.get(name, {}):
        return blocks[name][name]
    zeros = torch.zeros(sizes[name], sizes[name], dtype=W.dtype, device=W.device)
    return Dense(zeros)  # it only hands on


@lru_cache(maxsize=64)
def _alone(model: ModelSpec) -> ModelSpec:
    """Return a model without its populations."""
    if not model.populations:
        return model
    parameters = tuple((name, _first(value)) for name, value in model.parameters)
    return dataclasses.replace(model, populations=(), parameters=parameters)


def _first(value: ParameterText) -> ParameterText:
    return value.values[0][1] if isinstance(value, ByPopulation) else value
