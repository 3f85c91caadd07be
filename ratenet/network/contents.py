"""What a network is made of: a table of plain data, and tensors by name."""

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ratenet.connectivity.tables import to_table

if TYPE_CHECKING:
    from ratenet.network.network import Network


def table_of(network: "Network") -> dict[str, Any]:
    """Return what a network is made of, except its tensors.

    Raises
    ------
    UnsupportedError
        If its connectivity is not part of ratenet.
    """
    return {
        "model": network.model.to_table(),
        "connectivity": to_table(network.connectivity),
        "populations": {name: p.stop - p.start for name, p in network.populations.items()},
        "seed": network.seed,
    }


def tensors_of(network: "Network") -> dict[str, Tensor]:
    """Return weights, masks and signs, and parameter values, by names that say which."""
    W = network.connectivity
    own = {f"connectivity.{name}": t for name, t in {**W.parameters, **W.constants}.items()}
    return {**own, **{f"parameters.{name}": t for name, t in network.parameters.items()}}
