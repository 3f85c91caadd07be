"""AbstractConnectivity: everything else sees W only through these operations.

    apply            y -> W y        a batch of rows (B, N) to (B, N)
    apply_transpose  v -> W^T v      likewise
    accumulate       left, right -> the gradient of sum_b left_b^T W right_b for the parameters

so that one implementation of each plasticity rule and solver serves every kind of connectivity.

A change of the weights is one tensor where a connectivity has one parameter, and a dict of tensors
by the parameters' names where it has several.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

Change = Tensor | dict[str, Tensor]


def scaled(change: Change, factor: float) -> Change:
    """Return a change of weights times a number."""
    if isinstance(change, Tensor):
        return factor * change
    return {name: factor * tensor for name, tensor in change.items()}


class AbstractConnectivity(ABC):
    """Recurrent weights of N units; ``W[post, pre]``."""

    @property
    @abstractmethod
    def units(self) -> int:
        """N, the number of units."""

    @property
    @abstractmethod
    def parameters(self) -> dict[str, Tensor]:
        """The tensors that plasticity changes, by name."""

    @abstractmethod
    def apply(self, rates: Tensor) -> Tensor:
        """Return W y for each row of `rates` (B, N), as a tensor that nobody else holds."""

    @abstractmethod
    def apply_transpose(self, values: Tensor) -> Tensor:
        """Return W^T v for each row of `values` (B, N)."""

    @abstractmethod
    def accumulate(self, left: Tensor, right: Tensor) -> Change:
        """Return the gradient of sum_b left_b^T W right_b with respect to the parameters."""

    @abstractmethod
    def add_(self, delta: Change) -> None:
        """Add a change, shaped like the parameters, in place."""

    @abstractmethod
    def dense(self) -> Tensor:
        """Return W as a (N, N) tensor: for figures, eigenvalues and small checks."""

    def named(self, change: Change) -> dict[str, Tensor]:
        """Return a change as a dict of tensors by the parameters' names."""
        if isinstance(change, dict):
            return change
        (name,) = self.parameters
        return {name: change}

    @property
    def dtype(self) -> torch.dtype:
        """Floating type of the parameters."""
        return next(iter(self.parameters.values())).dtype

    @property
    def device(self) -> torch.device:
        """Device of the parameters."""
        return next(iter(self.parameters.values())).device

    @property
    def version(self) -> tuple[int, ...]:
        """Changes with every in-place change of a parameter (torch's own version counter)."""
        return tuple(parameter._version for parameter in self.parameters.values())
