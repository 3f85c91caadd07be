"""Dense connectivity: every unit may project to every unit."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ratenet.connectivity.base import AbstractConnectivity, Change
from ratenet.connectivity.product import Product
from ratenet.errors import InputError


@dataclass(frozen=True, eq=False)
class Dense(AbstractConnectivity):
    """A full weight matrix.

    Parameters
    ----------
    W : Tensor, shape (N, N)
        ``W[post, pre]``, in the unit of the recurrent input over that of the output.

    Raises
    ------
    InputError
        If W is not square, or holds NaN or infinite entries.

    Examples
    --------
    >>> W = torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    >>> Dense(W).apply(torch.tensor([[1.0, 10.0]]))
    tensor([[10.,  2.]])
    """

    W: Tensor
    _forward: Product = field(init=False, repr=False)
    _backward: Product = field(init=False, repr=False)

    def __post_init__(self) -> None:
        shape = tuple(self.W.shape)
        if self.W.ndim != 2 or shape[0] != shape[1] or shape[0] == 0:
            raise InputError(f"W must be square, (N, N) with W[post, pre]; got shape {shape}.")
        if not self.W.is_floating_point():
            raise InputError(f"W must hold floating-point numbers, got {self.W.dtype}.")
        bad = torch.nonzero(~torch.isfinite(self.W))
        if len(bad):
            post, pre = bad[0].tolist()
            raise InputError(
                f"W holds {len(bad)} NaN or infinite entries, the first at W[{post}, {pre}]; "
                "weights must be finite."
            )
        object.__setattr__(self, "_forward", Product(self.W, transposed=False))
        object.__setattr__(self, "_backward", Product(self.W, transposed=True))

    @property
    def units(self) -> int:
        """N, the number of units."""
        return int(self.W.shape[0])

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

    def accumulate(self, left: Tensor, right: Tensor) -> Tensor:
        """Return sum_b left_b right_b^T, shape (N, N)."""
        return left.T @ right

    @torch.no_grad()
    def add_(self, delta: Change) -> None:
        """Add a change of shape (N, N) to W in place."""
        self.W.add_(self.named(delta)["W"])

    def dense(self) -> Tensor:
        """Return W itself."""
        return self.W
