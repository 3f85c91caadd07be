"""Networks as data: a table, and tensors by name, of which a file of one is made."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ratenet.connectivity.tables import from_table, under
from ratenet.equations import JointSpec, ModelSpec
from ratenet.equations.files import parse_model
from ratenet.errors import DataError, InputError, RatenetError, escape
from ratenet.network.network import Network
from ratenet.network.parameters import Known
from ratenet.tensor_files import read_table
from ratenet.validation import validated


@dataclass(frozen=True, kw_only=True)
class _NetworkTable:
    """What a network is made of, except its tensors."""

    model: dict[str, Any]
    connectivity: dict[str, Any]
    populations: dict[str, int] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class _JointTable:
    """What `JointSpec.to_table` gives."""

    models: dict[str, dict[str, Any]]
    sizes: dict[str, int]


def load_network(
    path: str | Path, *, device: str | torch.device = "cpu", dtype: torch.dtype | None = None
) -> Network:
    """Load a network from a file that `Network.save` wrote; nothing in it is executed.

    Parameters
    ----------
    path : path
        A file that `Network.save` wrote.
    device : str or torch.device
        Where its tensors are put, wherever they were.
    dtype : torch.dtype, optional
        Default: the one that it was saved with.

    Returns
    -------
    Network
        The same model, weights and parameter values, to the last bit unless the dtype is another.

    Raises
    ------
    DataError
        If there is no such file, or it is damaged, holds something else, or is of a newer version.
    InputError
        If the device is not available or the dtype is not a floating-point one.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "net.safetensors"
    >>> Network("rate", [[0.0, 0.5], [0.5, 0.0]]).save(path)
    >>> load_network(path).connectivity.dense()
    tensor([[0.0000, 0.5000],
            [0.5000, 0.0000]], dtype=torch.float64)
    """
    check_target(device, dtype)
    table, tensors = read_table(path, "network", "load layers with ratenet.layers.load")
    with damage_named(path):
        return network_of(table, moved(tensors, device, dtype))


def network_of(table: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Network:
    """Return the network that `table_of` and `tensors_of` tell of."""
    found = validated(_NetworkTable, table, where="network")
    W, values = under(tensors, "connectivity"), under(tensors, "parameters")
    left = set(tensors) - {f"connectivity.{n}" for n in W} - {f"parameters.{n}" for n in values}
    if left:
        raise InputError(
            f"network: it has no place for the tensor {min(left)!r}.", argument="network"
        )
    model = _model_of(found.model)
    missing = set(model.defaults) - set(values)
    if missing:
        raise InputError(
            f"network, parameters: the value of {min(missing)!r} is missing.", argument="network"
        )
    return Network(
        model,
        from_table(found.connectivity, W),
        {name: Known(value) for name, value in values.items()},
        populations=found.populations,
        seed=found.seed,
    )


def _model_of(table: Mapping[str, Any]) -> ModelSpec | JointSpec:
    """Return the model of a table, or the models of several populations."""
    if "models" not in table:
        return parse_model(table)
    found = validated(_JointTable, table, where="model")
    models = {name: parse_model(each) for name, each in found.models.items()}
    return JointSpec(tuple(models.items()), tuple(found.sizes.items()))


def check_target(device: Any, dtype: Any) -> None:
    """Refuse a device that this machine does not have, and what is not a floating-point type."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError, ValueError) as error:
        if isinstance(error, MemoryError):
            raise
        expected = "a device of this machine, such as 'cpu'"
        raise InputError.at("device", got=device, expected=expected) from None
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise InputError.at("dtype", got=dtype, expected="torch.float64 or torch.float32")


def moved(
    tensors: Mapping[str, Tensor], device: Any, dtype: torch.dtype | None
) -> dict[str, Tensor]:
    """Return tensors on a device, floating-point ones in a dtype; what was one tensor stays one."""
    found: dict[int, Tensor] = {}
    for tensor in tensors.values():
        target = dtype if tensor.is_floating_point() else None
        found.setdefault(id(tensor), tensor.to(device=device, dtype=target))
    return {name: found[id(tensor)] for name, tensor in tensors.items()}


@contextmanager
def damage_named(path: str | Path) -> Iterator[None]:
    """Say of which file it is that its content does not go together."""
    try:
        yield
    except KeyError as error:
        said = f"{error} is missing"
    except (RatenetError, RuntimeError, TypeError, ValueError, AttributeError) as error:
        said = escape(str(error).rstrip("."))
    else:
        return
    where = escape(str(path))
    raise DataError(f"{where}: its content cannot be used ({said}).", argument="path", got=path)
