"""Layers and stacks from the file that they were saved in."""

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ratenet.connectivity.tables import under
from ratenet.equations.recording import Recorded
from ratenet.errors import InputError, counted
from ratenet.layers.convolutional import ConvFixedPointLayer
from ratenet.layers.core import FixedPointCore
from ratenet.layers.feedback import FeedbackLayers
from ratenet.layers.full import FixedPointLayer
from ratenet.layers.saving import PARTS, SavedLayer
from ratenet.layers.stack import Stack
from ratenet.network.saved import check_target, damage_named, moved, network_of
from ratenet.plasticity import RULES, AbstractRule
from ratenet.tensor_files import read_table

ROWS: dict[str, type[torch.nn.Sequential]] = {"stack": torch.nn.Sequential, Stack.saved_row: Stack}
MADE: dict[str, type[torch.nn.Module]] = {
    **{each.saved_as: each for each in (FixedPointLayer, ConvFixedPointLayer, FeedbackLayers)},
    **{name: part.made for name, part in PARTS.items()},
}


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
        A file that `save` wrote.
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


def _put_together(table: Any, tensors: Mapping[str, Tensor], rules: Rules) -> torch.nn.Module:
    """Return the module that `save` tells of."""
    kind = table["kind"]
    if kind in ROWS:
        parts = {
            name: _put_together(part, under(tensors, name), rules)
            for name, part in table["modules"].items()
        }
        return ROWS[kind](OrderedDict(parts))
    if kind == "core":
        network = network_of(table["network"], tensors)
        return FixedPointCore(network, rules[table["rule"]], **table["options"])
    made, written = MADE[kind], table["arguments"].items()
    arguments = {name: tuple(v) if isinstance(v, list) else v for name, v in written}
    if not issubclass(made, SavedLayer):
        return _filled(made(**arguments), tensors)
    core = _put_together(table["core"], under(tensors, "core"), rules)
    assert isinstance(core, FixedPointCore)
    layer = made(**arguments)
    if core.units != layer.core.units:
        raise InputError.at("core", got=core.units, expected=counted(layer.core.units, "unit"))
    layer.core = core
    _filled(layer.get_submodule("read_in"), under(tensors, "read_in"))
    return layer


def _filled(module: torch.nn.Module, tensors: Mapping[str, Tensor]) -> torch.nn.Module:
    """Return a module of torch with its tensors, in their dtype."""
    for tensor in tensors.values():
        module.to(tensor.dtype)
    module.load_state_dict(dict(tensors))
    return module
