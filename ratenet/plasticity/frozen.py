"""Frozen: no plasticity, the control of every other rule."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ratenet.connectivity.base import Change, as_change
from ratenet.fixed_points import FixedPoints
from ratenet.plasticity.base import AbstractRule, Traits
from ratenet.plasticity.loss import Loss


@dataclass(frozen=True)
class Frozen(AbstractRule):
    """The recurrent weights stay as they are.

        dW = 0

    Notes
    -----
    What a read-in and a read-out learn around fixed recurrent weights is the control for what
    recurrent plasticity adds; Zhu and Rosenbaum 2024, arXiv 2307.06732, compare with it.

    Examples
    --------
    >>> import torch, ratenet as rn
    >>> fp = rn.find_fixed_points(rn.Network("linear", [[0.5]]), [1.0])  # y = 2
    >>> error = torch.ones(1, 1, dtype=torch.float64)
    >>> Frozen().update(fp, error, learning_rate=0.1)
    tensor([[0.]], dtype=torch.float64)
    """

    @property
    def traits(self) -> Traits:
        """No plasticity."""
        return Traits("none: no plasticity, a control", uses_error=False)

    def change(
        self, fp: FixedPoints, error: Tensor, learning_rate: float, loss: Loss | None = None
    ) -> Change:
        """Return 0 for each weight."""
        parameters = fp.network.connectivity.parameters
        return as_change({name: torch.zeros_like(tensor) for name, tensor in parameters.items()})
