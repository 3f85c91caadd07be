"""Network: a model with its weights and parameter values, and what values become at the door."""

from ratenet.network.network import (
    JacobianBlocks as JacobianBlocks,
    Network as Network,
    UnitResponse as UnitResponse,
)
