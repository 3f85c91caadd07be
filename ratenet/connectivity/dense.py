"""Dense connectivity: every unit may project to every unit."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from ratenet.connectivity.base import AbstractConnectivity
from ratenet.connectivity.checks import check_weights
from ratenet.connectivity.matmul import AbstractProduct, Product


class AbstractMatrix(AbstractConnectivity):
    """What holds W as one matrix, and multiplies with it."""

    W: Tensor
    _forward: AbstractProduct
    _backward: AbstractProduct

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of post- and presynaptic units."""
        return int(self.W.shape[0]), int(self.W.shape[1])

    @property
    def cost(self) -> int:
        """Multiplications of a product."""
        return self._forward.cost

    @property
    def parameters(self) -> dict[str, Tensor]:
        """W alone."""
        return {"W": self.W}

    def apply(self, rates: Tensor) -> Tensor:
        """Return W y for each row of `rates` (B, N)."""
        return self._forward(rates)

    def apply_transpose(self, values: Tensor) -> Tensor:
        """Return W^T v for each row of `values` (B, N)."""
        return self._backward(values)

    def add_product_(self, total: Tensor, rates: Tensor) -> None:
        """Add W y to `total` in place."""
        self._forward.add_to_(total, rates)

    def add_transposed_product_(self, total: Tensor, values: Tensor) -> None:
        """Add W^T v to `total` in place."""
        self._backward.add_to_(total, values)

    def dense(self) -> Tensor:
        """Return W itself."""
        return self.W


@dataclass(frozen=True, eq=False, repr=False)
class Dense(AbstractMatrix):
    """A full weight matrix.

    Parameters
    ----------
    W : Tensor, shape (post, pre)
        ``W[post, pre]``, in the unit of the recurrent input over that of the output.

    Raises
    ------
    InputError
        If W is not a matrix, or holds NaN or infinite entries.

    Examples
    --------
    >>> import torch
    >>> W = torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    >>> Dense(W).apply(torch.tensor([[1.0, 10.0]]))
    tensor([[10.,  2.]])
    """

    W: Tensor
    _forward: Product = field(init=False, repr=False)
    _backward: Product = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_weights(self.W, "W", "post, pre")
        object.__setattr__(self, "_forward", Product(self.W, transposed=False))
        object.__setattr__(self, "_backward", Product(self.W, transposed=True))

    def with_parameters(self, parameters: Mapping[str, Tensor]) -> "Dense":
        """Return the same with another W."""
        return Dense(parameters["W"])

    def accumulate(self, left: Tensor, right: Tensor) -> Tensor:
        """Return sum_b left_b right_b^T, shape (post, pre)."""
        return left.T @ right
