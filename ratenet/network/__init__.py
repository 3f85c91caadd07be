"""Network: a model with its weights and parameter values, and what values become at the door."""

from ratenet.network.components import Component as Component
from ratenet.network.from_rnn import AffineReadIn as AffineReadIn, from_rnn as from_rnn
from ratenet.network.linearization import (
    JacobianBlocks as JacobianBlocks,
    UnitResponse as UnitResponse,
)
from ratenet.network.network import Network as Network
from ratenet.network.saved import load_network as load_network
