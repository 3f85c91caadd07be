"""Third factors of a plasticity rule: one for each unit or one for all, constant or in time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ratenet.equations.units import Dimension
from ratenet.errors import InputError
from ratenet.network.coerce import as_tensor


@dataclass(frozen=True)
class Feedback:
    """A signal that follows from the rates, such as an error or a reward in a closed loop.

    Parameters
    ----------
    function : callable
        From the time in seconds and the rates (B, N) at that time to the signal: a number, or an
        array shaped as any other signal.

    Raises
    ------
    InputError
        If it is not a function.

    Examples
    --------
    >>> import torch, ratenet as rn
    >>> network = rn.Network("rate", torch.zeros(2, 2, dtype=torch.float64))
    >>> reward = rn.simulation.Feedback(lambda t, rates: rates.sum(dim=1))  # (B,)
    >>> run = rn.simulate(network, [1.0, 0.5], 0.1, 1e-3, plasticity="three_factor",
    ...                   signals={"reward": reward})
    >>> bool((run.final_weights > 0).all())
    True
    """

    function: Callable[[float, Tensor], Any]

    def __post_init__(self) -> None:
        if not callable(self.function) or isinstance(self.function, type):
            raise InputError.at(
                "Feedback, function", got=self.function, expected="a function of t and the rates"
            )


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
    source : Tensor, callable or Feedback
        The constant value, a function of the time in seconds, or one of the rates as well.
    """

    name: str
    shape: tuple[int, int]
    dimensions: Dimension
    like: Tensor
    source: Tensor | Callable[[float], Any] | Feedback

    @property
    def is_constant(self) -> bool:
        """Whether it does not change in time."""
        return isinstance(self.source, Tensor)

    @property
    def needs_rates(self) -> bool:
        """Whether it follows from the rates."""
        return isinstance(self.source, Feedback)

    def at(self, t: float, rates: Tensor) -> Tensor:
        """Return the value at time t in seconds with the rates (B, N), shape (B, N) or (B, 1)."""
        source = self.source
        if isinstance(source, Tensor):
            return source
        value = source.function(t, rates) if isinstance(source, Feedback) else source(t)
        return self._fitted(value, f" at t = {t:g} s")

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
    value : array_like, function of the time in seconds, object with such a method ``at``, Feedback
    """
    method = getattr(value, "at", None)
    is_source = callable(value) or isinstance(value, Feedback)
    source = method if callable(method) else value if is_source else None
    if isinstance(value, type):
        raise InputError.at(f"signals, {name}", got=value, expected="an instance, not a class")
    if source is not None:
        return Signal(name, shape, dimensions, like, source)
    empty = Signal(name, shape, dimensions, like, torch.empty(0))
    return Signal(name, shape, dimensions, like, empty._fitted(value).contiguous())
