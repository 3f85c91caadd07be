"""Network: a model with its weights and parameter values, and what values become at the door."""

from ratenet.network.network import JacobianBlocks as JacobianBlocks
from ratenet.network.network import Network as Network
from ratenet.network.network import UnitResponse as UnitResponse
