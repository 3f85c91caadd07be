"""Third factors of a plasticity rule: one for each unit or one for all, constant or in time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ratenet.equations.units import Dimension
from ratenet.errors import InputError
from ratenet.network.coerce import as_tensor


@dataclass(frozen=True, eq=False)
class Signal:
    """One signal, checked; `at` gives (B, N), or (B, 1) for one that all units share.

    Attributes
    ----------
    name : str
    shape : tuple of int
        (B, N), or (B, 1).
    dimensions : Dimension
    like : Tensor
        Has the network's dtype and device.
    source : Tensor or callable
        The constant value, or a function of the time in seconds.
    """

    name: str
    shape: tuple[int, int]
    dimensions: Dimension
    like: Tensor
    source: Tensor | Callable[[float], Any]

    @property
    def is_constant(self) -> bool:
        """Whether it does not change in time."""
        return isinstance(self.source, Tensor)

    def at(self, t: float) -> Tensor:
        """Return the value at time t in seconds, shape (B, N) or (B, 1)."""
        if isinstance(self.source, Tensor):
            return self.source
        return self._fitted(self.source(t), f" at t = {t:g} s")

    def _fitted(self, value: Any, when: str = "") -> Tensor:
        where = f"signals, {self.name}{when}"
        tensor = as_tensor(value, self.dimensions, where, self.like.dtype, self.like.device)
        B, last = self.shape
        found = tuple(tensor.shape)
        if last == 1 and found == (B,):
            tensor = tensor[:, None]
        elif found not in ((), (1,), (last,), (B, last)):
            allowed = (
                f"(B,) = ({B},)" if last == 1 else f"(N,) = ({last},) or (B, N) = ({B}, {last})"
            )
            of = "one for all units" if last == 1 else "one per unit"
            raise InputError.at(
                where, got=found, expected=f"a number, or shape {allowed}", remedy=f"it is {of}"
            )
        return tensor.expand(self.shape)


def signal_for(
    name: str, value: Any, shape: tuple[int, int], dimensions: Dimension, like: Tensor
) -> Signal:
    """Return a signal, whatever it was given as.

    Parameters
    ----------
    value : array_like, function of the time in seconds, or object with such a method ``at``
    """
    method = getattr(value, "at", None)
    source = method if callable(method) else value if callable(value) else None
    if isinstance(value, type):
        raise InputError.at(f"signals, {name}", got=value, expected="an instance, not a class")
    if source is not None:
        return Signal(name, shape, dimensions, like, source)
    empty = Signal(name, shape, dimensions, like, torch.empty(0))
    return Signal(name, shape, dimensions, like, empty._fitted(value).contiguous())
