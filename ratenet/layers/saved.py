"""Layers and stacks in one safetensors file: what they are made of as a table, beside the tensors.

Each kind of module has a pair of functions here, from the module to its arguments and back.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ratenet.connectivity.tables import under
from ratenet.equations.recording import Recorded
from ratenet.errors import InputError, UnsupportedError
from ratenet.layers.base import AbstractFixedPointLayer
from ratenet.layers.convolutional import ConvFixedPointLayer
from ratenet.layers.core import FixedPointCore
from ratenet.layers.feedback import FeedbackLayers
from ratenet.layers.full import FixedPointLayer
from ratenet.network.contents import table_of, tensors_of
from ratenet.network.saved import check_target, damage_named, moved, network_of
from ratenet.plasticity import RULES, AbstractRule
from ratenet.tensor_files import read_table, write_table

OPTIONS = ("step_size", "tol", "max_iterations", "on_unsettled")  # of a core


def save(module: torch.nn.Module, path: str | Path) -> None:
    """Write a layer, or a torch.nn.Sequential of layers, to one safetensors file; see `load`.

    Parameters
    ----------
    module : Module
        A fixed-point layer, a `FixedPointCore`, or a Sequential of these and of torch's Linear,
        Flatten, Unflatten and AvgPool2d.
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
    """
    table, tensors = _taken_apart(module, "")
    frozen = [name for name, p in module.named_parameters() if not p.requires_grad]
    write_table(path, "layers", {"module": table, "frozen": frozen}, tensors)


def load(
    path: str | Path,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    rule: Any = None,
    trust: bool = False,
) -> torch.nn.Module:
    """Load the layer or the stack of a file that `save` or a layer's `save` wrote.

    Parameters
    ----------
    path : path
    device : str or torch.device
        Where its tensors are put, wherever they were.
    dtype : torch.dtype, optional
        Default: the one that it was saved with.
    rule : AbstractRule or str, optional
        In place of the recorded rules of all recurrent layers.
    trust : bool
        Whether a rule of your own, which the file names, may be imported.

    Returns
    -------
    Module
        An object of the class that was saved, with the same weights to the last bit.

    Raises
    ------
    DataError
        If there is no such file, or it is damaged, holds something else, or is of a newer version.
    InputError
        If an argument cannot be used, or the file names a rule that is not part of ratenet.

    Examples
    --------
    >>> import tempfile, pathlib, ratenet as rn
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "layer.safetensors"
    >>> layer = rn.FixedPointLayer(3, 5)
    >>> layer.save(path)
    >>> x = torch.ones(2, 3)
    >>> torch.equal(rn.layers.load(path)(x), layer(x))
    True
    """
    check_target(device, dtype)
    asked = None if rule is None else RULES.read(rule)
    table, tensors = read_table(path, "layers", "load a network with ratenet.load_network")
    rules = _recorded_rules(table, asked, trust=trust)
    with damage_named(path), torch.random.fork_rng(devices=[]):
        module = _put_together(table["module"], moved(tensors, device, dtype), rules)
        _freeze(module, table.get("frozen"))
        return module.to(device)


Rules = Mapping[str, AbstractRule]  # by what the file calls them


def _recorded_rules(table: Any, given: AbstractRule | None, *, trust: bool) -> dict[str, Any]:
    """Return the rules that a table names, before anything is built."""
    rules, places = {}, [table]
    while places:
        place = places.pop()
        for key, value in place.items() if isinstance(place, Mapping) else ():
            if key == "rule" and isinstance(value, str):
                recorded = value if trust else Recorded(value)
                rules[value] = RULES.read(recorded) if given is None else given
            places.append(value)
    return rules


def _freeze(module: torch.nn.Module, frozen: Any) -> None:
    """Let the parameters of these names not learn."""
    parameters = dict(module.named_parameters())
    if not isinstance(frozen, list) or not set(frozen) <= set(parameters):
        raise InputError.at("frozen", got=frozen, expected="names of parameters")
    for name in frozen:
        parameters[name].requires_grad_(False)


@dataclass(frozen=True)
class _Kind:
    """How modules of one class become a table of arguments and tensors, and come back."""

    made: type[torch.nn.Module]
    arguments: Callable[[Any], dict[str, Any]]


def _bias(module: torch.nn.Module) -> bool:
    return "bias" in dict(module.named_parameters(recurse=False))


def _own(module: torch.nn.Module, *names: str) -> dict[str, Any]:
    return {name: getattr(module, name) for name in names}


def _convolutional(layer: ConvFixedPointLayer) -> dict[str, Any]:
    read_in = layer.read_in
    channels, height, width = layer.image
    return {
        "in_channels": channels,
        "channels": layer.grid[0],
        "height": height,
        "width": width,
        "border": "circular" if read_in.padding_mode == "circular" else "zero",
        "stride": read_in.stride[0],
        "read_in_size": read_in.kernel_size[0],
        "bias": _bias(read_in),
    }


KINDS: dict[str, _Kind] = {
    "fixed-point": _Kind(
        FixedPointLayer,
        lambda layer: {
            "in_features": layer.read_in.in_features,
            "units": layer.core.units,
            "bias": _bias(layer.read_in),
        },
    ),
    "convolutional": _Kind(ConvFixedPointLayer, _convolutional),
    "feedback": _Kind(
        FeedbackLayers,
        lambda layer: {
            "in_features": layer.read_in.in_features,
            "units": list(layer.units),
            "bias": _bias(layer.read_in),
        },
    ),
    "linear": _Kind(
        torch.nn.Linear,
        lambda module: {**_own(module, "in_features", "out_features"), "bias": _bias(module)},
    ),
    "flatten": _Kind(torch.nn.Flatten, lambda module: _own(module, "start_dim", "end_dim")),
    "unflatten": _Kind(torch.nn.Unflatten, lambda module: _own(module, "dim", "unflattened_size")),
    "average-pool": _Kind(
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
    if type(module) is torch.nn.Sequential:
        parts = {name: _taken_apart(part, name) for name, part in module.named_children()}
        tables = {name: table for name, (table, _) in parts.items()}
        return {"kind": "stack", "modules": tables}, _joined({n: t for n, (_, t) in parts.items()})
    if type(module) is FixedPointCore:
        return _core_table(module), tensors_of(module.network)
    kind = next((name for name, each in KINDS.items() if type(module) is each.made), None)
    if kind is None:
        raise UnsupportedError(
            f"save: {name}{name and ', '}{type(module).__name__}: only fixed-point layers and "
            "torch's Sequential, Linear, Flatten, Unflatten and AvgPool2d can be saved; keep the "
            "state_dict of other modules."
        )
    table = {"kind": kind, "arguments": KINDS[kind].arguments(module)}
    if not isinstance(module, AbstractFixedPointLayer):
        return table, module.state_dict()
    read_in = module.get_submodule("read_in").state_dict()
    tensors = _joined({"read_in": read_in, "core": tensors_of(module.network)})
    return {**table, "core": _core_table(module.core)}, tensors


def _core_table(core: FixedPointCore) -> dict[str, Any]:
    return {
        "kind": "core",
        "network": table_of(core.network),
        "rule": RULES.written(core.rule),
        "options": {name: getattr(core, name) for name in OPTIONS},
    }


def _joined(parts: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {f"{part}.{name}": t for part, tensors in parts.items() for name, t in tensors.items()}


def _put_together(table: Any, tensors: Mapping[str, Tensor], rules: Rules) -> torch.nn.Module:
    """Return the module that `_taken_apart` tells of."""
    kind = table["kind"]
    if kind == "stack":
        parts = {
            name: _put_together(part, under(tensors, name), rules)
            for name, part in table["modules"].items()
        }
        return torch.nn.Sequential(OrderedDict(parts))
    if kind == "core":
        network = network_of(table["network"], tensors)
        return FixedPointCore(network, rules[table["rule"]], **table["options"])
    made, written = KINDS[kind].made, table["arguments"].items()
    arguments = {name: tuple(v) if isinstance(v, list) else v for name, v in written}
    if not issubclass(made, AbstractFixedPointLayer):
        return _filled(made(**arguments), tensors)
    core = _put_together(table["core"], under(tensors, "core"), rules)
    assert isinstance(core, FixedPointCore)
    layer = made(**arguments)
    if core.units != layer.core.units:
        raise InputError.at("core", got=core.units, expected=f"{layer.core.units} units")
    layer.core = core
    _filled(layer.get_submodule("read_in"), under(tensors, "read_in"))
    return layer


def _filled(module: torch.nn.Module, tensors: Mapping[str, Tensor]) -> torch.nn.Module:
    """Return a module of torch with its tensors, in their dtype."""
    for tensor in tensors.values():
        module.to(tensor.dtype)
    module.load_state_dict(dict(tensors))
    return module
