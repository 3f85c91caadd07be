"""AbstractConnectivity: everything else sees W only through these operations.

    apply            y -> W y        a batch of rows (B, N) to (B, N)
    apply_transpose  v -> W^T v      likewise
    accumulate       left, right -> the gradient of sum_b left_b^T W right_b for the parameters

so that one implementation of each plasticity rule and solver serves every kind of connectivity.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor


class AbstractConnectivity(ABC):
    """Recurrent weights of N units; ``W[post, pre]``."""

    @property
    @abstractmethod
    def units(self) -> int:
        """N, the number of units."""

    @property
    @abstractmethod
    def parameters(self) -> Sequence[Tensor]:
        """The tensors that plasticity changes."""

    @abstractmethod
    def apply(self, rates: Tensor) -> Tensor:
        """Return W y for each row of `rates` (B, N), as a tensor that nobody else holds."""

    @abstractmethod
    def apply_transpose(self, values: Tensor) -> Tensor:
        """Return W^T v for each row of `values` (B, N)."""

    @abstractmethod
    def accumulate(self, left: Tensor, right: Tensor) -> Tensor:
        """Return the gradient of sum_b left_b^T W right_b with respect to the parameters."""

    @abstractmethod
    def add_(self, delta: Tensor) -> None:
        """Add a change, shaped like the parameters, in place."""

    @abstractmethod
    def dense(self) -> Tensor:
        """Return W as a (N, N) tensor: for figures, eigenvalues and small checks."""

    @property
    def dtype(self) -> torch.dtype:
        """Floating type of the parameters."""
        return self.parameters[0].dtype

    @property
    def device(self) -> torch.device:
        """Device of the parameters."""
        return self.parameters[0].device

    @property
    def version(self) -> tuple[int, ...]:
        """Changes with every in-place change of a parameter (torch's own version counter)."""
        return tuple(parameter._version for parameter in self.parameters)
