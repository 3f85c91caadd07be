"""Weights of their own for each stream of a batch: B matrices, as plasticity in time makes them."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ratenet.connectivity.base import AbstractConnectivity, Change, dense_by_products
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

    def dense(self) -> Tensor:
        """Return the mean over the streams, shape (post, pre)."""
        return self.W.mean(dim=0)


@dataclass(frozen=True, eq=False, repr=False)
class SynapseStreams(AbstractConnectivity):
    """Weights of the same synapses for each stream; rows of a batch are streams, in this order.

    Parameters
    ----------
    W : Tensor, shape (B, synapses)
    places : Tensor of int, shape (2, synapses)
        Their post- and presynaptic units.
    number : int
        N.

    Examples
    --------
    >>> places = torch.tensor([[0], [1]])
    >>> two = SynapseStreams(torch.tensor([[2.0], [3.0]]), places, 2)
    >>> two.apply(torch.tensor([[1.0, 10.0], [1.0, 10.0]]))
    tensor([[20.,  0.],
            [30.,  0.]])
    """

    W: Tensor
    places: Tensor
    number: int

    def __post_init__(self) -> None:
        check_weights(self.W, "W", "stream, synapses")

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of post- and presynaptic units."""
        return self.number, self.number

    @property
    def cost(self) -> int:
        """One multiplication for each synapse of a stream."""
        return self.W.shape[1]

    @property
    def parameters(self) -> dict[str, Tensor]:
        """W alone."""
        return {"W": self.W}

    def with_parameters(self, parameters: Mapping[str, Tensor]) -> "SynapseStreams":
        """Return the same with other weights."""
        return SynapseStreams(parameters["W"], self.places, self.number)

    def apply(self, rates: Tensor) -> Tensor:
        """Return W_b y_b for each row of `rates` (B, N)."""
        return self._summed(rates, *self.places)

    def apply_transpose(self, values: Tensor) -> Tensor:
        """Return W_b^T v_b for each row of `values` (B, N)."""
        return self._summed(values, *self.places.flip(0))

    def _summed(self, rows: Tensor, target: Tensor, source: Tensor) -> Tensor:
        products = self.W[: len(rows)] * rows[:, source]
        return torch.zeros_like(rows).index_add_(1, target, products)

    def accumulate(self, left: Tensor, right: Tensor) -> Change:
        """Return left_b right_b^T of each stream on the synapses, shape (B, synapses)."""
        post, pre = self.places
        return left[:, post] * right[:, pre]

    def dense(self) -> Tensor:
        """Return the mean over the streams, shape (post, pre)."""
        return dense_by_products(
            SynapseStreams(self.W.mean(dim=0).expand(self.number, -1), self.places, self.number)
        )
