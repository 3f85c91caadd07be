"""A layer or a stack as a table of what it is made of, beside its tensors: one safetensors file."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from ratenet.errors import UnsupportedError
from ratenet.layers.core import FixedPointCore
from ratenet.network.contents import table_of, tensors_of
from ratenet.plasticity import RULES
from ratenet.tensor_files import write_table

OPTIONS = ("step_size", "tol", "max_iterations", "on_unsettled")  # of a core


class SavedLayer(torch.nn.Module):
    """A layer with a read-in and a core that can be made again from its arguments."""

    saved_as: ClassVar[str]
    core: FixedPointCore

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """Return the arguments of its class, those of the core left out."""

    def save(self, path: str | Path) -> None:
        """Write the layer to one safetensors file; see `ratenet.layers.save` and `load`."""
        save(self, path)


def save(module: torch.nn.Module, path: str | Path) -> None:
    """Write a layer, or a stack of layers, to one safetensors file; see `load`.

    Parameters
    ----------
    module : Module
        A fixed-point layer, a `FixedPointCore`, or a `Stack` or torch.nn.Sequential of these and of
        torch's Linear, Flatten, Unflatten and AvgPool2d.
    path : path
        What is there is replaced, by the whole file or not at all.

    Raises
    ------
    UnsupportedError
        If there is a module of another kind, or a connectivity of your own.
    RunFolderError
        If the file cannot be written.

    Notes
    -----
    Weights, masks, parameters and models are kept, rules by their names, and which weights are to
    learn; a solver of your own, gradients and the state of an optimizer are not.

    Examples
    --------
    >>> import tempfile
    >>> import ratenet as rn
    >>> layer = rn.FixedPointLayer(3, 4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rn.layers.save(layer, f"{folder}/layer.safetensors")
    ...     again = rn.layers.load(f"{folder}/layer.safetensors")
    >>> bool((again.read_in.weight == layer.read_in.weight).all())
    True
    """
    table, tensors = _taken_apart(module, "")
    frozen = [name for name, p in module.named_parameters() if not p.requires_grad]
    write_table(path, "layers", {"module": table, "frozen": frozen}, tensors)


class Part(NamedTuple):
    """How modules of torch become arguments."""

    made: type[torch.nn.Module]
    arguments: Callable[[Any], dict[str, Any]]


def has_bias(module: torch.nn.Module) -> bool:
    """Return whether a module has a bias of its own."""
    return "bias" in dict(module.named_parameters(recurse=False))


def _own(module: torch.nn.Module, *names: str) -> dict[str, Any]:
    return {name: getattr(module, name) for name in names}


PARTS: dict[str, Part] = {
    "linear": Part(
        torch.nn.Linear,
        lambda module: {**_own(module, "in_features", "out_features"), "bias": has_bias(module)},
    ),
    "flatten": Part(torch.nn.Flatten, lambda module: _own(module, "start_dim", "end_dim")),
    "unflatten": Part(torch.nn.Unflatten, lambda module: _own(module, "dim", "unflattened_size")),
    "average-pool": Part(
        torch.nn.AvgPool2d,
        lambda module: _own(
            module,
            "kernel_size",
            "stride",
            "padding",
            "ceil_mode",
            "count_include_pad",
            "divisor_override",
        ),
    ),
}


def _taken_apart(module: torch.nn.Module, name: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return what a module is made of: a table, and tensors by name."""
    row = "stack" if type(module) is torch.nn.Sequential else vars(type(module)).get("saved_row")
    if row is not None:
        parts = {name: _taken_apart(part, name) for name, part in module.named_children()}
        tables = {name: table for name, (table, _) in parts.items()}
        return {"kind": row, "modules": tables}, _joined({n: t for n, (_, t) in parts.items()})
    if type(module) is FixedPointCore:
        return _core_table(module), tensors_of(module.network)
    if isinstance(module, SavedLayer) and "saved_as" in vars(type(module)):
        return _layer_taken_apart(module)
    kind = next((name for name, each in PARTS.items() if type(module) is each.made), None)
    if kind is None:
        raise UnsupportedError(
            f"save: {name}{name and ', '}{type(module).__name__}: only fixed-point layers and "
            "torch's Sequential, Linear, Flatten, Unflatten and AvgPool2d can be saved; keep the "
            "state_dict of other modules."
        )
    return {"kind": kind, "arguments": PARTS[kind].arguments(module)}, module.state_dict()


def _layer_taken_apart(layer: SavedLayer) -> tuple[dict[str, Any], dict[str, Tensor]]:
    table = {"kind": layer.saved_as, "arguments": layer.arguments()}
    read_in = layer.get_submodule("read_in").state_dict()
    tensors = _joined({"read_in": read_in, "core": tensors_of(layer.core.network)})
    return {**table, "core": _core_table(layer.core)}, tensors


def _core_table(core: FixedPointCore) -> dict[str, Any]:
    return {
        "kind": "core",
        "network": table_of(core.network),
        "rule": RULES.written(core.rule),
        "options": {name: getattr(core, name) for name in OPTIONS},
    }


def _joined(parts: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {f"{part}.{name}": t for part, tensors in parts.items() for name, t in tensors.items()}
