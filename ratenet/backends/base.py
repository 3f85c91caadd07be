"""What a backend is, and what it is given: a network, a drive, a grid of time steps."""

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from ratenet.network import Network


@runtime_checkable
class Drive(Protocol):
    """An external input that changes in time."""

    def at(self, t: float) -> Tensor:
        """Return the drive at time t in seconds, shape (B, N)."""


@dataclass(frozen=True)
class ConstantDrive:
    """A drive that does not change: ``at(t)`` is the same (B, N) for every t."""

    value: Tensor

    def at(self, t: float) -> Tensor:
        """Return the constant value, shape (B, N)."""
        return self.value


@dataclass(frozen=True)
class TimeGrid:
    """Equal time steps, and which of them are recorded."""

    steps: int
    dt: float  # s
    record_every: int  # divides steps


class AbstractBackend(ABC):
    """A simulator."""

    name: str

    @property
    @abstractmethod
    def methods(self) -> Collection[str]:
        """Names of the integration methods that it offers."""

    @abstractmethod
    def run(
        self, network: Network, drive: Drive, initial: Tensor, grid: TimeGrid, method: str
    ) -> Tensor:
        """Return the recorded states, shape (T, k, B, N), the initial one first.

        Parameters
        ----------
        network : Network
        drive : Drive
        initial : Tensor, shape (k, B, N)
        grid : TimeGrid
        method : str
            One of `methods`.
        """
