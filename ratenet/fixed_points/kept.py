"""What is kept of a network for later calls: bounds, which follow from its weights alone.

They belong to one network object, go with it, and are left out of copies and files. A
preconditioner is not kept: rates would depend, within the tolerance, on earlier calls, and a
resumed run could not repeat them.
"""

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field

from ratenet.connectivity import AbstractConnectivity
from ratenet.network import Network


@dataclass
class Kept:
    """What is kept for one network."""

    _bounds: dict[str, tuple["weakref.ref[AbstractConnectivity]", int, float]] = field(
        default_factory=dict
    )

    def bound(self, name: str, network: Network, compute: Callable[[Network], float]) -> float:
        """Return a number that follows from the weights, computed anew only after they changed."""
        connectivity = network.connectivity
        changes, held = connectivity.changes, self._bounds.get(name)
        if held is not None and held[0]() is connectivity and held[1] == changes:
            return held[2]
        value = compute(network)
        self._bounds[name] = (weakref.ref(connectivity), changes, value)
        return value


_kept: "weakref.WeakKeyDictionary[Network, Kept]" = weakref.WeakKeyDictionary()


def kept_for(network: Network) -> Kept:
    """Return what is kept for this network; empty at first."""
    return _kept.setdefault(network, Kept())
