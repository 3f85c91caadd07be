"""What a user gives for a network's drive and state, as tensors in SI units."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ratenet.errors import InputError, counted
from ratenet.network.coerce import as_tensor, expand_to
from ratenet.network.populations import check_complete, join_populations

if TYPE_CHECKING:
    from ratenet.network.network import Network


def tensor_of(
    network: "Network", value: Any, name: str, where: str, *, finite: bool = True
) -> Tensor:
    """Return a value of the model's variable `name` as a tensor, its unit checked."""
    dimensions = network.model.dimensions(name)
    return as_tensor(value, dimensions, where, network.dtype, network.device, finite=finite)


def drive_of(network: "Network", drive: Any) -> Tensor:
    """Return a constant drive as a tensor (B, N); see `Network.as_drive`."""
    name, N = network.model.drive, network.units
    if isinstance(drive, Mapping):
        check_complete(drive, network.populations, "drive")
        parts = {p: tensor_of(network, v, name, f"drive, {p}") for p, v in drive.items()}
        drive = join_populations(parts, network.populations, "drive")
    tensor = tensor_of(network, drive, name, "drive")
    if tensor.ndim == 0:
        tensor = tensor.repeat(N)
    if tensor.ndim == 1:
        tensor = tensor[None]
    if tensor.ndim != 2 or tensor.shape[1] != N:
        is_turned = tensor.ndim == 2 and tensor.shape[0] == N
        raise InputError.at(
            "drive",
            got=tuple(tensor.shape),
            expected=f"one number, or shape (N,) or (B, N) with N = {counted(N, 'unit')}",
            remedy="each row is one stimulus: give its transpose" if is_turned else "",
        )
    return tensor


def state_of(network: "Network", state: Any, stimuli: int, *, finite: bool) -> Tensor:
    """Return a state as a tensor (k, B, N); see `Network.as_state`."""
    shape, names = (stimuli, network.units), network.model.states
    if state is None:
        return torch.zeros(len(names), *shape, dtype=network.dtype, device=network.device)

    def row(value: Any, name: str) -> Tensor:
        where = f"state, {name}"
        tensor = tensor_of(network, value, name, where, finite=finite)
        return expand_to(tensor, torch.Size(shape), where)

    if isinstance(state, Mapping):
        if set(state) != set(names):
            raise InputError.at(
                "state",
                got=list(state),
                expected=f"the state variables of {network.model.name!r}, {', '.join(names)}",
            )
        return torch.stack([row(state[name], name) for name in names])
    tensor = tensor_of(network, state, names[0], "state", finite=finite)
    if tensor.ndim == 3 and tuple(tensor.shape) == (len(names), *shape):
        return tensor.clone()
    if len(names) > 1:
        raise InputError.at(
            "state",
            got=tuple(tensor.shape),
            expected=f"a mapping with {', '.join(names)}, or shape {(len(names), *shape)}",
        )
    return row(tensor, names[0])[None].clone()
