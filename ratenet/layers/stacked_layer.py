"""StackedLayer: a recurrent layer in its place in a stack; the network of several of them."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ratenet.connectivity import AbstractConnectivity, Block
from ratenet.errors import InputError, counted, shorten
from ratenet.layers.base import AbstractFixedPointLayer
from ratenet.layers.convolutional import ConvFixedPointLayer
from ratenet.layers.core import FixedPointCore
from ratenet.layers.feedback import FeedbackLayers
from ratenet.layers.joint import joint_network
from ratenet.layers.linear_maps import NamedModule, Shape, linear_map
from ratenet.network import Network


@dataclass(frozen=True)
class StackedLayer:
    """A recurrent layer of a stack, with the modules that make its drive."""

    name: str
    layer: AbstractFixedPointLayer | FixedPointCore
    modules: tuple[NamedModule, ...]  # from the layer before to its drive, its read-in the last

    @property
    def core(self) -> FixedPointCore:
        """Its recurrent part."""
        return self.layer if isinstance(self.layer, FixedPointCore) else self.layer.core

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Its populations: itself, or the layers that have feedback to one another."""
        if not isinstance(self.layer, FeedbackLayers):
            return {self.name: self.core.units}
        return {f"{self.name}_{n}": size for n, size in enumerate(self.layer.units, start=1)}

    @property
    def driven(self) -> str:
        """The population that gets its drive."""
        return next(iter(self.sizes))

    @property
    def handed_on(self) -> str:
        """The population whose rates it hands on."""
        return list(self.sizes)[-1]

    @property
    def shape(self) -> Shape:
        """Shape of what it hands on."""
        if isinstance(self.layer, ConvFixedPointLayer):
            return self.layer.grid
        return (self.sizes[self.handed_on],)

    def read_in(self, x: Tensor) -> Tensor:
        """Return the drive that samples make, (B, N of the driven population)."""
        given = tuple(x.shape)
        for name, module in self.modules:
            try:
                x = module(x)
            except RuntimeError as error:  # torch has no class of its own for shapes
                raise InputError.at(
                    "images",
                    got=given,
                    expected="a batch of the shape that the stack takes",
                    remedy=f"at {name} torch says: {shorten(str(error))}",
                ) from None
        rows, wanted = x.flatten(1), self.sizes[self.driven]
        if rows.shape[1] != wanted:
            raise InputError.at(
                f"layers, {self.name}",
                got=tuple(x.shape),
                expected=f"a drive of {counted(wanted, 'unit')}",
            )
        return rows

    def padded(self, rows: Tensor) -> Tensor:
        """Return a drive of all its units, of which only some are driven."""
        return torch.nn.functional.pad(rows, (0, self.core.units - rows.shape[1]))

    def read(self, rates: Tensor) -> Tensor:
        """Return what it hands on, of rates (B, N) of a network that it is the end of."""
        return rates[:, -self.sizes[self.handed_on] :].unflatten(1, self.shape)

    def recurrent(self) -> dict[str, dict[str, AbstractConnectivity]]:
        """Return its recurrent weights by post- and presynaptic population."""
        W = self.core.network.connectivity
        if not isinstance(self.layer, FeedbackLayers):
            return {self.name: {self.name: W}}
        assert isinstance(W, Block), "as FeedbackLayers makes it"
        names = dict(zip(W.sizes, self.sizes, strict=True))
        return {
            names[post]: {names[pre]: part for pre, part in row.items()}
            for post, row in W.blocks.items()
        }


def joined_network(layers: list[StackedLayer]) -> Network:
    """Return the layers as one network: W_l on the diagonal, F_l below it."""
    blocks: dict[str, dict[str, AbstractConnectivity]] = {}
    sizes: dict[str, int] = {}
    for before, layer in zip([None, *layers], layers, strict=False):
        for name in layer.sizes:
            if name in sizes:
                raise InputError(
                    f"layers: two of them would be called {name}; give them other names "
                    "(Stack(OrderedDict(...))).",
                    argument="layers",
                    got=name,
                )
        blocks.update(layer.recurrent())
        sizes.update(layer.sizes)
        if before is not None:
            like = next(iter(layer.core.network.connectivity.parameters.values()))
            F = linear_map(layer.modules, before.shape, like.detach().new_zeros(()))
            if F.shape[0] != layer.sizes[layer.driven]:
                raise InputError.at(
                    f"layers, {layer.name}",
                    found=f"a read-in that gives {counted(F.shape[0], 'number')}",
                    expected=f"one for its {counted(layer.sizes[layer.driven], 'unit')}",
                )
            blocks[layer.driven] = {**blocks[layer.driven], before.handed_on: F}
    parts = {layer.name: (layer.core.network, tuple(layer.sizes)) for layer in layers}
    return joint_network(Block(blocks, sizes), parts)
