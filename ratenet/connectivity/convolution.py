"""Convolutional connectivity: units on C channels of a grid, the same weights at every place.

Rows of rates (B, C H W) are seen as images (B, C, H, W), channel by channel, row by row. As in
torch, a convolution is a correlation: with p = (k - 1) / 2

    (W y)[o, i, j] = sum_{c, a, b} kernel[o, c, a, b] y[c, i + a - p, j + b - p]

W^T is the same with the kernel turned by half a turn and its channels exchanged. With a stride s,
as a read-in may have it, only every s-th row and column of places has postsynaptic units.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, pad
from torch.nn.grad import conv2d_weight

from ratenet.connectivity.base import AbstractConnectivity
from ratenet.connectivity.checks import check_weights
from ratenet.errors import InputError
from ratenet.validation import check_choice, check_whole

BORDERS = ("circular", "zero")


@dataclass(frozen=True, eq=False, repr=False)
class Convolution(AbstractConnectivity):
    """Weights that are shared over the places of a grid.

    Parameters
    ----------
    kernel : Tensor, shape (C_post, C_pre, k, k)
        k odd, at most the height and the width.
    height, width : int
        Size of the presynaptic grid, H and W; a channel has H W units.
    border : {"circular", "zero"}
        What lies beyond the edge: the opposite edge, or nothing.
    stride : int
        Places from one postsynaptic unit to the next: there are ceil(H / stride) by
        ceil(W / stride) of them in a channel. Recurrent weights have a stride of 1.

    Raises
    ------
    InputError
        If the kernel does not fit the grid, or an argument is unknown.

    Examples
    --------
    >>> import torch
    >>> kernel = torch.tensor([[[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]])
    >>> row = torch.arange(9.0).reshape(1, 9)
    >>> Convolution(kernel, 3, 3).apply(row).reshape(3, 3)  # from the left neighbour
    tensor([[2., 0., 1.],
            [5., 3., 4.],
            [8., 6., 7.]])
    """

    kernel: Tensor
    height: int
    width: int
    border: Literal["circular", "zero"] = "circular"
    stride: int = 1

    def __post_init__(self) -> None:
        check_weights(self.kernel, "kernel", "C_post, C_pre, k, k")
        for name in ("height", "width", "stride"):
            check_whole(getattr(self, name), name)
        k, other = self.kernel.shape[2:]
        if k != other or k % 2 == 0 or k > min(self.height, self.width):
            raise InputError.at(
                "kernel",
                found=f"{k} x {other}",
                expected=f"k x k with k odd and at most the height {self.height} and the width "
                f"{self.width}",
            )
        check_choice(self.border, "border", BORDERS)

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of post- and presynaptic units."""
        post, pre = self.kernel.shape[:2]
        return int(post) * math.prod(self._grid), int(pre) * self.height * self.width

    @property
    def _grid(self) -> tuple[int, int]:
        """Size of the postsynaptic grid: the presynaptic one over the stride, rounded up."""
        return -(-self.height // self.stride), -(-self.width // self.stride)

    @property
    def cost(self) -> int:
        """Multiplications of a product."""
        return self.kernel.numel() * math.prod(self._grid)

    @property
    def parameters(self) -> dict[str, Tensor]:
        """The kernel alone."""
        return {"kernel": self.kernel}

    def with_parameters(self, parameters: Mapping[str, Tensor]) -> "Convolution":
        """Return the same grid with another kernel."""
        return dataclasses.replace(self, kernel=parameters["kernel"])

    def apply(self, rates: Tensor) -> Tensor:
        """Return W y for each row of `rates` (B, C_pre H W)."""
        images, margin = self._padded(self._images(rates))
        return conv2d(images, self.kernel, stride=self.stride, padding=margin).flatten(1)

    def apply_transpose(self, values: Tensor) -> Tensor:
        """Return W^T v for each row of `values` (B, N_post)."""
        if self.stride == 1:
            turned = self.kernel.flip(2, 3).transpose(0, 1)
            images, margin = self._padded(self._images(values))
            return conv2d(images, turned, padding=margin).flatten(1)
        spread = conv_transpose2d(self._targets(values), self.kernel, stride=self.stride)
        return self._folded(spread).flatten(1)

    def accumulate(self, left: Tensor, right: Tensor) -> Tensor:
        """Return the kernel's gradient: correlations of `left` with shifted `right`."""
        (images, margin), shape = self._padded(self._images(right)), self.kernel.shape
        return conv2d_weight(images, shape, self._targets(left), stride=self.stride, padding=margin)

    @property
    def _margin(self) -> int:
        """How far a kernel reaches beyond the border, (k - 1) / 2."""
        return int(self.kernel.shape[2]) // 2

    def _images(self, rows: Tensor) -> Tensor:
        """Return presynaptic rows (B, C H W) as images."""
        return rows.unflatten(1, (-1, self.height, self.width))

    def _targets(self, rows: Tensor) -> Tensor:
        """Return postsynaptic rows as images."""
        return rows.unflatten(1, (-1, *self._grid))

    def _padded(self, images: Tensor) -> tuple[Tensor, int]:
        """Return images for a convolution, and the margin of zeros that it is to add itself."""
        p = self._margin
        if self.border == "circular" and p:
            return pad(images, (p, p, p, p), mode="circular"), 0
        return images, p

    def _folded(self, spread: Tensor) -> Tensor:
        """Return what a margin holds to where it was taken from: the transpose of adding it."""
        p, sizes = self._margin, (self.height, self.width)
        reach = [0, sizes[1] + 2 * p - spread.shape[3], 0, sizes[0] + 2 * p - spread.shape[2]]
        spread = pad(spread, reach)  # the stride may not come to the last row
        for axis, size in zip((2, 3), sizes, strict=True):
            inside = spread.narrow(axis, p, size).clone()
            if self.border == "circular" and p:
                inside.narrow(axis, size - p, p).add_(spread.narrow(axis, 0, p))
                inside.narrow(axis, 0, p).add_(spread.narrow(axis, p + size, p))
            spread = inside
        return spread
