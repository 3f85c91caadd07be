"""Weights of their own for each stream of a batch: B matrices, as plasticity in time makes them."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ratenet.connectivity.base import AbstractConnectivity, Change
from ratenet.connectivity.checks import check_weights


@dataclass(frozen=True, eq=False, repr=False)
class Streams(AbstractConnectivity):
    """One full matrix for each stream; rows of a batch are streams, in this order.

    Parameters
    ----------
    W : Tensor, shape (B, post, pre)

    Examples
    --------
    >>> two = Streams(torch.tensor([[[2.0]], [[3.0]]]))
    >>> two.apply(torch.tensor([[1.0], [1.0]]))
    tensor([[2.],
            [3.]])
    """

    W: Tensor

    def __post_init__(self) -> None:
        check_weights(self.W, "W", "stream, post, pre")

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of post- and presynaptic units."""
        return int(self.W.shape[1]), int(self.W.shape[2])

    @property
    def cost(self) -> int:
        """One multiplication for each weight of a stream."""
        return self.W[0].numel()

    @property
    def parameters(self) -> dict[str, Tensor]:
        """W alone."""
        return {"W": self.W}

    def with_parameters(self, parameters: Mapping[str, Tensor]) -> "Streams":
        """Return the same with other weights."""
        return Streams(parameters["W"])

    def apply(self, rates: Tensor) -> Tensor:
        """Return W_b y_b for each row of `rates` (B, N)."""
        return torch.bmm(self.W[: len(rates)], rates[:, :, None])[:, :, 0]

    def apply_transpose(self, values: Tensor) -> Tensor:
        """Return W_b^T v_b for each row of `values` (B, N)."""
        return torch.bmm(values[:, None], self.W[: len(values)])[:, 0]

    def accumulate(self, left: Tensor, right: Tensor) -> Tensor:
        """Return left_b right_b^T of each stream, shape (B, post, pre)."""
        return left[:, :, None] * right[:, None]

    @torch.no_grad()
    def add_(self, delta: Change) -> None:
        """Add a change of shape (B, post, pre) in place."""
        self.W.add_(self.named(delta)["W"])
        self.touch_()

    def constrain_(self) -> None:
        """Leave W as it is: every matrix is allowed."""

    def dense(self) -> Tensor:
        """Return the mean over the streams, shape (post, pre)."""
        return self.W.mean(dim=0)
