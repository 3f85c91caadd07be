"""Pooling: means over squares of a grid, which nothing changes."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad

from ratenet.connectivity.base import AbstractConnectivity, Change
from ratenet.connectivity.checks import check_weights
from ratenet.errors import InputError
from ratenet.validation import check_whole


@dataclass(frozen=True, eq=False, repr=False)
class Pooling(AbstractConnectivity):
    """From C channels of a grid to the sums over squares of it, each place with the same weight.

    Rows (B, C H W) are images, channel by channel, row by row; squares that the border cuts are
    left out, as by ``torch.nn.AvgPool2d(size)``.

    Parameters
    ----------
    share : Tensor, shape ()
        Weight of each place: 1 / size^2 makes means. Plasticity leaves it alone.
    channels, height, width : int
        Size of the presynaptic grid.
    size : int
        Side length of the squares, at most the height and the width.

    Raises
    ------
    InputError
        If an argument does not fit.

    Examples
    --------
    >>> import torch
    >>> pool = Pooling(torch.tensor(0.25), channels=1, height=2, width=4, size=2)
    >>> pool.apply(torch.tensor([[1.0, 2.0, 5.0, 5.0, 3.0, 4.0, 5.0, 5.0]]))
    tensor([[2.5000, 5.0000]])
    """

    share: Tensor
    channels: int
    height: int
    width: int
    size: int

    def __post_init__(self) -> None:
        is_number = isinstance(self.share, Tensor) and self.share.ndim == 0
        check_weights(self.share[None] if is_number else self.share, "share", "place")
        for name in ("channels", "height", "width", "size"):
            check_whole(getattr(self, name), name)
        if self.size > min(self.height, self.width):
            raise InputError.at(
                "size",
                got=self.size,
                expected=f"at most the height {self.height} and the width {self.width}",
            )

    @property
    def grid(self) -> tuple[int, int, int]:
        """Channels, height and width of the postsynaptic grid."""
        return self.channels, self.height // self.size, self.width // self.size

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of post- and presynaptic units."""
        channels, height, width = self.grid
        return channels * height * width, self.channels * self.height * self.width

    @property
    def cost(self) -> int:
        """One multiplication for each postsynaptic unit."""
        return self.shape[0]

    @property
    def parameters(self) -> dict[str, Tensor]:
        """None."""
        return {}

    @property
    def constants(self) -> dict[str, Tensor]:
        """The share."""
        return {"share": self.share}

    def with_parameters(self, parameters: Mapping[str, Tensor]) -> "Pooling":
        """Return the same grid with another share."""
        share = parameters.get("share", self.share)
        return Pooling(share, self.channels, self.height, self.width, self.size)

    def apply(self, rates: Tensor) -> Tensor:
        """Return W y for each row of `rates` (B, C H W)."""
        images = rates.unflatten(1, (self.channels, self.height, self.width))
        return avg_pool2d(images, self.size, divisor_override=1).flatten(1) * self.share

    def apply_transpose(self, values: Tensor) -> Tensor:
        """Return W^T v for each row of `values`."""
        spread = interpolate(values.unflatten(1, self.grid), scale_factor=self.size)
        rest = (0, self.width - spread.shape[3], 0, self.height - spread.shape[2])
        return pad(spread, rest).flatten(1) * self.share

    def accumulate(self, left: Tensor, right: Tensor) -> Change:
        """Return no gradients: there are no parameters."""
        return {}
