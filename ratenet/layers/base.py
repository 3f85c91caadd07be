"""What fixed-point layers have in common: a read-in, and a recurrent core that it drives."""

import torch
from torch import Tensor

from ratenet.errors import InputError
from ratenet.layers.gradients import Settled
from ratenet.layers.saving import SavedLayer
from ratenet.network import Network
from ratenet.validation import check_whole

RADIUS = 0.5  # spectral radius of the first recurrent weights


class AbstractFixedPointLayer(SavedLayer):
    """A read-in and a core; a final layer says how inputs become drives, and rates outputs."""

    @property
    def network(self) -> Network:
        """The recurrent network with the present weights."""
        return self.core.network

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.core.extra_repr()})"

    @property
    def last(self) -> Settled | None:
        """Outcome of the samples of the last call."""
        return self.core.last


def check_inputs(layer: torch.nn.Module, x: Tensor, wanted: int) -> None:
    """Refuse inputs that are not rows of M numbers."""
    if x.ndim == 0 or x.shape[-1] != wanted:
        raise InputError.at(
            "x",
            got=tuple(x.shape),
            expected=f"shape (..., M) with M = {wanted}, the layer's in_features",
        )


def check_counts(**counts: int) -> None:
    """Refuse anything but a number of units, channels or places."""
    for name, count in counts.items():
        check_whole(count, name)


def new_seed() -> int:
    """Return a seed from torch's global generator."""
    return int(torch.randint(2**31, (), device="cpu"))
