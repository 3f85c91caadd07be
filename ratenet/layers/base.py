"""What fixed-point layers have in common: a read-in, and a recurrent core that it drives."""

from pathlib import Path

import torch
from torch import Tensor

from ratenet.errors import InputError
from ratenet.layers.core import FixedPointCore
from ratenet.layers.gradients import Settled
from ratenet.network import Network

RADIUS = 0.5  # spectral radius of the first recurrent weights


class AbstractFixedPointLayer(torch.nn.Module):
    """A read-in and a core; a final layer says how inputs become drives, and rates outputs."""

    core: FixedPointCore

    @property
    def network(self) -> Network:
        """The recurrent network with the present weights."""
        return self.core.network

    def save(self, path: str | Path) -> None:
        """Write the layer to one safetensors file; see `ratenet.layers.save` and `load`."""
        from ratenet.layers.saved import save  # which knows all layers

        save(self, path)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.core.extra_repr()})"

    @property
    def last(self) -> Settled | None:
        """What became of the samples of the last call."""
        return self.core.last


def check_inputs(layer: torch.nn.Module, x: Tensor, wanted: int) -> None:
    """Refuse inputs that are not rows of M numbers."""
    if x.ndim == 0 or x.shape[-1] != wanted:
        raise InputError(
            f"{type(layer).__name__}: input shape {tuple(x.shape)} does not fit; expected "
            f"(..., M) with M = {wanted}."
        )


def check_counts(**counts: int) -> None:
    """Refuse anything but a number of units, channels or places."""
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise InputError(f"{name}: expected a whole number of at least 1, got {count!r}.")


def new_seed() -> int:
    """Return a seed from torch's global generator."""
    return int(torch.randint(2**31, (), device="cpu"))
