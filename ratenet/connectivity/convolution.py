"""Convolutional connectivity: units on C channels of a grid, the same weights at every place.

Rows of rates (B, C H W) are seen as images (B, C, H, W), channel by channel, row by row. As in
torch, a convolution is a correlation: with p = (k - 1) / 2

    (W y)[o, i, j] = sum_{c, a, b} kernel[o, c, a, b] y[c, i + a - p, j + b - p]

W^T is the same with the kernel turned by half a turn and its channels exchanged.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad
from torch.nn.grad import conv2d_weight

from ratenet.connectivity.base import AbstractConnectivity, Change, dense_by_products
from ratenet.connectivity.checks import check_weights
from ratenet.errors import InputError
from ratenet.validation import check_choice, check_whole

BORDERS = ("circular", "zero")


@dataclass(frozen=True, eq=False, repr=False)
class Convolution(AbstractConnectivity):
    """Weights that are shared over the places of a grid, of stride 1.

    Parameters
    ----------
    kernel : Tensor, shape (C_post, C_pre, k, k)
        k odd, at most the height and the width.
    height, width : int
        Size of the grid, H and W; a channel has H W units.
    border : {"circular", "zero"}
        What lies beyond the edge: the opposite edge, or nothing.

    Raises
    ------
    InputError
        If the kernel does not fit the grid, or an argument is unknown.

    Examples
    --------
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

    def __post_init__(self) -> None:
        check_weights(self.kernel, "kernel", "C_post, C_pre, k, k")
        for name in ("height", "width"):
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
        places = self.height * self.width
        return int(self.kernel.shape[0]) * places, int(self.kernel.shape[1]) * places

    @property
    def cost(self) -> int:
        """Multiplications of a product."""
        return self.kernel.numel() * self.height * self.width

    @property
    def parameters(self) -> dict[str, Tensor]:
        """The kernel alone."""
        return {"kernel": self.kernel}

    def with_parameters(self, parameters: Mapping[str, Tensor]) -> "Convolution":
        """Return the same grid with another kernel."""
        return Convolution(parameters["kernel"], self.height, self.width, self.border)

    def apply(self, rates: Tensor) -> Tensor:
        """Return W y for each row of `rates` (B, C_pre H W)."""
        return conv2d(self._padded(rates), self.kernel).flatten(1)

    def apply_transpose(self, values: Tensor) -> Tensor:
        """Return W^T v for each row of `values` (B, C_post H W)."""
        turned = self.kernel.flip(2, 3).transpose(0, 1)
        return conv2d(self._padded(values), turned).flatten(1)

    def accumulate(self, left: Tensor, right: Tensor) -> Tensor:
        """Return the kernel's gradient: correlations of `left` with shifted `right`."""
        images = left.unflatten(1, (-1, self.height, self.width))
        return conv2d_weight(self._padded(right), self.kernel.shape, images)

    @torch.no_grad()
    def add_(self, delta: Change) -> None:
        """Add a change of the kernel in place."""
        self.kernel.add_(self.named(delta)["kernel"])
        self.touch_()

    def constrain_(self) -> None:
        """Leave the kernel as it is: every one is allowed."""

    def dense(self) -> Tensor:
        """Return W (post, pre)."""
        return dense_by_products(self)

    def _padded(self, rows: Tensor) -> Tensor:
        """Return rows (B, C H W) as images with a margin of (k - 1) / 2 beyond the border."""
        images = rows.unflatten(1, (-1, self.height, self.width))
        p = self.kernel.shape[2] // 2
        mode = "circular" if self.border == "circular" else "constant"
        return pad(images, (p, p, p, p), mode=mode) if p else images
