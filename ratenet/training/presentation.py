"""How images reach the network: slowly changing, or as the quasi-static limit.

A presentation takes drives (B, N) and returns the rates that the network has, certified.
"""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from ratenet.fixed_points import find_fixed_points, fixed_points_at
from ratenet.network import Network
from ratenet.results import FixedPoints
from ratenet.simulation import simulate
from ratenet.stimuli import HoldAndFade

SETTLED_RESIDUAL = 1e-3  # of a state that a simulation reached
STEPS_PER_TAU = 10
MAX_ITERATIONS = 2_000  # of a solved fixed point; a sample that needs more did not settle


class AbstractPresentation(ABC):
    """Shows one batch after another."""

    @abstractmethod
    def show(self, network: Network, drive: Tensor) -> FixedPoints:
        """Return the rates reached for drives (B, N), with their residuals."""

    @abstractmethod
    def position(self) -> dict[str, Tensor]:
        """Return what a resumed run must know to go on, as tensors."""

    @abstractmethod
    def go_to(self, position: dict[str, Tensor]) -> None:
        """Take up a position that `position` gave."""


class Static(AbstractPresentation):
    """The quasi-static limit: the fixed point of each drive, solved from rest.

    Stability is not examined batch by batch, which would take longer than to solve: the abscissa
    of a few samples is in metrics.csv after each epoch.
    """

    def show(self, network: Network, drive: Tensor) -> FixedPoints:
        """Return the solved fixed points."""
        return find_fixed_points(
            network,
            drive,
            max_iterations=MAX_ITERATIONS,
            certificate="residual",
            on_failure="return",
        )

    def position(self) -> dict[str, Tensor]:
        """Nothing: batches do not depend on one another."""
        return {}

    def go_to(self, position: dict[str, Tensor]) -> None:
        """Nothing to take up."""


class Slow(AbstractPresentation):
    """B streams of images: each fades into the next and is held; the state is carried over.

    Parameters
    ----------
    hold, fade : float
        In seconds.

    Notes
    -----
    Euler steps of at most a tenth of the shortest time constant. The first images fade in from
    no drive at all, with the network at rest.
    """

    def __init__(self, hold: float, fade: float) -> None:
        self.hold, self.fade = hold, fade
        self._state: Tensor | None = None  # (k, B, N)
        self._previous: Tensor | None = None  # (B, N)

    def show(self, network: Network, drive: Tensor) -> FixedPoints:
        """Simulate the fade and the hold; return the state at their end, measured."""
        trajectory = simulate(
            network,
            HoldAndFade(self._last_drive(drive), drive, self.fade),
            duration=self.hold + self.fade,
            dt=self.time_step(network),
            initial=None if self._state is None else self._state[:, : len(drive)],
            record_every=self.steps(network),
        )
        self._state = torch.stack(list(trajectory.final.values()))
        self._previous = drive
        return fixed_points_at(network, drive, self._state, tol=SETTLED_RESIDUAL)

    def steps(self, network: Network) -> int:
        """Return the number of time steps of one presentation."""
        longest_step = network.shortest_time_constant() / STEPS_PER_TAU
        # float32 holds 10 ms as 9.9999998 ms, which is no reason for one step more
        return math.ceil((self.hold + self.fade) / longest_step * (1 - 1e-6))

    def time_step(self, network: Network) -> float:
        """Return dt in seconds."""
        return (self.hold + self.fade) / self.steps(network)

    def _last_drive(self, drive: Tensor) -> Tensor:
        # The last batch of a test set may be smaller: its streams are the first ones.
        return torch.zeros_like(drive) if self._previous is None else self._previous[: len(drive)]

    def position(self) -> dict[str, Tensor]:
        """Return the network's state and the last drive."""
        if self._state is None or self._previous is None:
            return {}
        return {"stream_state": self._state, "stream_drive": self._previous}

    def go_to(self, position: dict[str, Tensor]) -> None:
        """Go on from a state and drive."""
        self._state = position.get("stream_state")
        self._previous = position.get("stream_drive")
