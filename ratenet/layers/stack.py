"""Stack: layers in a row, and the one network that its recurrent layers are.

With the rates y_l of recurrent layer l, F_l the linear maps (read-ins, pooling, convolutions) from
the layer before it, and b_l their constants,

    drive of layer l = F_l y_{l-1} + b_l            l > 1
    drive of layer 1 = F_1 x + b_1                  x: the images

so that all layers together have the weights W = [diagonal: W_l; below it: F_l] and the drive
[F_1 x + b_1, b_2, ..., b_L], in which only the first part depends on the images.
"""

import itertools
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from ratenet.connectivity.computation import computation
from ratenet.equations.units import DIMENSIONLESS
from ratenet.errors import InputError, UnsupportedError, counted
from ratenet.fixed_points import FixedPoints
from ratenet.fixed_points.certificate import certify
from ratenet.layers.base import AbstractFixedPointLayer
from ratenet.layers.core import FixedPointCore
from ratenet.layers.linear_maps import NamedModule
from ratenet.layers.stacked_layer import StackedLayer, joined_network
from ratenet.network import Network
from ratenet.network.coerce import as_tensor


class Stack(torch.nn.Sequential):
    """Layers in a row, as torch.nn.Sequential has them; its recurrent layers are one network.

    Called, it finds the fixed points of one layer after the other. `network` is the same as one
    dynamical system, in which all layers move at once: `simulate`, `find_fixed_points`,
    `measure_lag` and the like take it, with the drive that `drive` makes of images.

    Parameters
    ----------
    *modules : Module, or one OrderedDict of them
        Recurrent layers (`FixedPointLayer`, `FeedbackLayers`, `ConvFixedPointLayer`,
        `FixedPointCore`) and modules of torch. Between two recurrent layers these must be linear:
        Linear, Conv2d, AvgPool2d, Flatten, Unflatten. Before the first and behind the last one
        anything may stand.

    Examples
    --------
    >>> import ratenet as rn
    >>> stack = Stack(rn.FixedPointLayer(3, 5), rn.FixedPointLayer(5, 4), torch.nn.Linear(4, 2))
    >>> network, images = stack.network(), torch.ones(2, 3)
    >>> network.populations
    {'layer1': slice(0, 5, None), 'layer2': slice(5, 9, None)}
    >>> fp = rn.find_fixed_points(network, stack.drive(images))
    >>> torch.allclose(stack.outputs(fp.rates), stack(images), atol=1e-4)
    True
    """

    saved_row: ClassVar[str] = "one-network"  # its kind in a file

    def __init__(self, *modules: Any) -> None:
        super().__init__(*modules)
        self._kept: tuple[list[Any], Network] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the network, which shares its memory with the layers."""
        return {**super().__getstate__(), "_kept": None}

    @computation()
    def network(self) -> Network:
        """Return all recurrent layers as one network.

        Returns
        -------
        Network
            Its populations are the layers, by their names (layer1, layer2 ...; those of a
            `FeedbackLayers` are layer2_1, layer2_2 ...), its weights a `Block`: on the diagonal
            each layer's recurrent connectivity itself, below it the linear maps between layers.
            All share their memory with the layers' parameters, so a step of an optimizer changes
            the network, whose `version` tells. Where the layers' tensors are replaced (``.to``),
            ask for it again.

        Raises
        ------
        UnsupportedError
            If a module between recurrent layers is not linear, or a model has noise or does not
            take the sum of its recurrent input and its drive.
        InputError
            If there is no recurrent layer, or a module does not take what comes before it.
        """
        layers = self._layers()
        modules = [module for layer in layers for _, module in layer.modules]
        tensors = [p for module in modules for p in module.parameters()]
        now = [
            *(layer.core.network for layer in layers),
            *modules,
            *((p.data_ptr(), p.dtype) for p in tensors),
        ]
        if self._kept is None or not _are_same(self._kept[0], now):
            self._kept = (now, joined_network(layers))
        return self._kept[1]

    @computation()
    def drive(self, images: Any, *, keep_graph: bool = False) -> Tensor:
        """Return the drive of `network` while images are shown.

        Parameters
        ----------
        images : array_like, shape (B, ...)
            What the stack itself takes.
        keep_graph : bool
            Whether the result can be differentiated, to the read-ins and the images.

        Returns
        -------
        Tensor, shape (B, N)
            What the modules before the first recurrent layer, and its read-in, make of the images;
            for the other layers the constants of their read-ins.
        """
        with torch.set_grad_enabled(keep_graph and torch.is_grad_enabled()):
            return self._drive(images)

    def _drive(self, images: Any) -> Tensor:
        layers = self._layers()
        first, like = layers[0], layers[0].core.network
        rows = as_tensor(images, DIMENSIONLESS, "images", like.dtype, like.device)
        if rows.ndim < 2:
            raise InputError.at(
                "images", got=tuple(rows.shape), expected="a batch, one image in each row"
            )
        parts = [first.padded(first.read_in(rows))]
        for before, layer in itertools.pairwise(layers):
            nothing = torch.zeros(1, *before.shape, dtype=like.dtype, device=like.device)
            parts.append(layer.padded(layer.read_in(nothing)).expand(len(rows), -1))
        return torch.cat(parts, dim=1)

    def outputs(self, rates: Tensor) -> Tensor:
        """Return what the modules behind the last recurrent layer make of rates of `network`.

        Parameters
        ----------
        rates : Tensor, shape (B, N)
            As in ``find_fixed_points(stack.network(), ...).rates``.

        Returns
        -------
        Tensor, shape (B, K)
            What the stack itself returns for these rates. Differentiable.
        """
        layers = self._layers()
        units = sum(layer.core.units for layer in layers)
        if not isinstance(rates, Tensor) or rates.ndim != 2 or rates.shape[1] != units:
            raise InputError.at(
                "rates",
                got=tuple(rates.shape) if isinstance(rates, Tensor) else rates,
                expected=f"a tensor (B, N) with N = {counted(units, 'unit')}, as of network()",
            )
        found, last = layers[-1].read(rates), self._last()
        modules = [module for _, module in _flat(self)]
        for module in modules[last + 1 :]:
            found = module(found)
        return found

    @computation()
    @torch.no_grad()
    def split(self, fp: FixedPoints) -> dict[str, FixedPoints]:
        """Return fixed points of `network`, or states measured with it, layer by layer.

        Parameters
        ----------
        fp : FixedPoints
            With the joint network, as from `find_fixed_points` or `fixed_points_at`.

        Returns
        -------
        dict of str to FixedPoints
            Each layer's rates, gains and residual by the layer's name, of the layer's own network
            at the drive that it has there, F_l y_{l-1} + b_l: what the layer's rule takes. A sample
            counts as settled in a layer if it is settled as a whole.

        Raises
        ------
        StaleError
            If the weights changed after the fixed points were found.
        InputError
            If they belong to another network.
        """
        if not isinstance(fp, FixedPoints) or fp.network is not self.network():
            raise InputError.at("fp", got=fp, expected="fixed points of this stack's network()")
        fp.check_current()
        layers, found = self._layers(), {}
        parts = fp.network.components or (None,)  # one for each layer
        for layer, part in zip(layers, parts, strict=True):
            own = fp if part is None else fp.within(part)
            point = certify(layer.core.network, own.state, own.drive, fp.tol)
            found[layer.name] = replace(
                point,
                status=fp.status,
                iterations=fp.iterations,
                examined=fp.examined,
                adjoint=own.adjoint,
            )
        return found

    @contextmanager
    def given(self, fp: FixedPoints) -> Iterator[None]:
        """Let the next call within this context take the states of `network`, and solve for none.

        Its outputs are those of the given rates, and its backward pass takes place at them: from
        the top down each layer solves for its adjoint, and its rule gets its own rates, gains and
        error.

        Parameters
        ----------
        fp : FixedPoints
            With the joint network, such as the states that a simulation reached.

        Examples
        --------
        >>> import ratenet as rn
        >>> stack, images = Stack(rn.FixedPointLayer(3, 5), torch.nn.Linear(5, 2)), torch.ones(4, 3)
        >>> run = rn.simulate(stack.network(), stack.drive(images), duration=0.2, dt=1e-3)
        >>> with stack.given(rn.fixed_points_at(stack.network(), stack.drive(images), run.final)):
        ...     stack(images).sum().backward()
        """
        parts = self.split(fp)
        with ExitStack() as contexts:
            for layer in self._layers():
                contexts.enter_context(layer.core.given(parts[layer.name]))
            yield

    def _layers(self) -> list[StackedLayer]:
        """Return the recurrent layers, each with what lies before it."""
        found: list[StackedLayer] = []
        before: list[NamedModule] = []
        for name, module in _flat(self):
            if isinstance(module, AbstractFixedPointLayer | FixedPointCore):
                if isinstance(module, AbstractFixedPointLayer):
                    before.append((f"{name}.read_in", module.get_submodule("read_in")))
                found.append(StackedLayer(_layer_name(name), module, tuple(before)))
                before = []
                continue
            if any(isinstance(part, FixedPointCore) for part in module.modules()):
                raise UnsupportedError(
                    f"layers, {name} ({type(module).__name__}): its recurrent layer is inside a "
                    "module of another class; put it into the stack itself.",
                    argument="layers",
                    got=module,
                )
            before.append((name, module))
        if not found:
            raise InputError(
                "layers: none of them is recurrent; put in a FixedPointLayer, FeedbackLayers or "
                "ConvFixedPointLayer.",
                argument="layers",
            )
        return found

    def _last(self) -> int:
        """Return the number of the last recurrent layer among the modules."""
        kinds = [
            isinstance(module, AbstractFixedPointLayer | FixedPointCore)
            for _, module in _flat(self)
        ]
        return len(kinds) - 1 - kinds[::-1].index(True)


def _flat(module: torch.nn.Module, prefix: str = "") -> Iterator[NamedModule]:
    """Return the modules in a row, those of inner rows in their place."""
    for name, child in module._modules.items():  # one that stands in two places counts twice
        if child is None:
            continue
        if type(child) in (torch.nn.Sequential, Stack):
            yield from _flat(child, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", child


def _layer_name(name: str) -> str:
    """Return the name of a population: that of its layer, counted from 1 where it is a number."""
    parts = [f"layer{int(part) + 1}" if part.isdecimal() else part for part in name.split(".")]
    plain = re.sub("[^A-Za-z0-9_]", "_", "_".join(parts))
    return plain if plain[0].isalpha() else f"layer_{plain}"


def _are_same(before: list[Any], now: list[Any]) -> bool:
    return len(before) == len(now) and all(
        one is other or (isinstance(one, tuple) and one == other)
        for one, other in zip(before, now, strict=True)
    )
