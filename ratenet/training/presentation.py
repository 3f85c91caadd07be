"""How images reach the network: slowly changing, or as the quasi-static limit.

A presentation takes drives (B, N) and gives the rates that the network has, certified, each time
that the rule is to act; what the rule does to the weights in between is seen by what comes after.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor

from ratenet.fixed_points import FixedPoints, find_fixed_points, fixed_points_at
from ratenet.network import Network
from ratenet.quasi_static import correct_lag
from ratenet.simulation import simulate
from ratenet.stimuli import HoldAndFade

SETTLED_RESIDUAL = 1e-3  # of a state that a simulation reached
STEPS_PER_TAU = 10
LEAST_STEPS = 20  # of one presentation, so that a fast fade is still a fade
MAX_ITERATIONS = 2_000  # of a solved fixed point; a sample that needs more did not settle
CONTINUOUS = "continuous"
STREAMS = ("stream_state", "stream_drive")  # of a slow presentation, in a checkpoint
UpdateTimes = Sequence[float] | Literal["continuous"]


class AbstractPresentation(ABC):
    """Shows one batch after another."""

    @abstractmethod
    def present(
        self, network: Network, drive: Tensor, *, examine: bool = False, seed: int = 0
    ) -> Iterator[FixedPoints]:
        """Give the rates for drives (B, N), with their residuals, whenever the rule is to act.

        Parameters
        ----------
        network : Network
            Its weights may be changed before the next one is asked for.
        drive : Tensor, shape (B, N)
        examine : bool
            Whether the stability of solved fixed points is examined, so that no unstable one
            counts as settled.
        seed : int
            Of the noise of this presentation, where the model has some.
        """

    @abstractmethod
    def updates(self, network: Network) -> int:
        """Return how many times that is."""

    def show(self, network: Network, drive: Tensor, seed: int = 0) -> FixedPoints:
        """Return the last rates that `present` gives."""
        *_, last = self.present(network, drive, seed=seed)
        return last

    @abstractmethod
    def state_dict(self) -> dict[str, Tensor]:
        """Return what a resumed run must know, as tensors with one stream a row."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Load what `state_dict` gave; other tensors may be among it."""


class Static(AbstractPresentation):
    """The quasi-static limit: the fixed point of each drive, solved from rest.

    Stability is not examined batch by batch unless asked for, which would take longer than to
    solve: the abscissa of a few samples is in metrics.csv after each epoch.
    """

    def present(
        self, network: Network, drive: Tensor, *, examine: bool = False, seed: int = 0
    ) -> Iterator[FixedPoints]:
        """Give the solved fixed points, once."""
        yield find_fixed_points(
            network,
            drive,
            max_iterations=MAX_ITERATIONS,
            certificate="full" if examine else "residual",
            on_failure="return",
        )

    def updates(self, network: Network) -> int:
        """Return 1."""
        return 1

    def state_dict(self) -> dict[str, Tensor]:
        """Nothing: batches do not depend on one another."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Nothing to load."""


class Slow(AbstractPresentation):
    """B streams of images: each fades into the next and is held; the state is carried over.

    Parameters
    ----------
    hold, fade : float
        In seconds. Without a hold the images never rest, and the rule acts when one has just
        come.
    update_at : sequence of float, or "continuous"
        When the rule acts, as shares of the hold, above 0 and up to 1, rounded to time steps;
        "continuous": after each time step of the hold.
    corrects_lag : bool
        Whether the lag that the speed of the drive predicts is taken off the rates that the rule
        gets (`correct_lag`); for images that never rest.
    backend : {"torch", "brian2"}

    Notes
    -----
    Euler steps of at most a tenth of the shortest time constant. The first images fade in from
    no drive at all, with the network at rest.
    """

    def __init__(
        self,
        hold: float,
        fade: float,
        update_at: UpdateTimes = (1.0,),
        *,
        corrects_lag: bool = False,
        backend: str = "torch",
    ) -> None:
        self.hold, self.fade, self.update_at = hold, fade, update_at
        self.corrects_lag, self.backend = corrects_lag, backend
        self._state: Tensor | None = None  # (k, B, N)
        self._previous: Tensor | None = None  # (B, N)

    def present(
        self, network: Network, drive: Tensor, *, examine: bool = False, seed: int = 0
    ) -> Iterator[FixedPoints]:
        """Simulate the fade and the hold; give the states on the way, measured."""
        before, dt, done = self._last_drive(drive), self.time_step(network), 0
        fading = HoldAndFade(before, drive, self.fade)
        state = None if self._state is None else self._state[:, : len(drive)]
        updates = self.update_steps(network)
        for mark in sorted({*updates, self.steps(network)}):
            trajectory = simulate(
                network,
                fading,
                duration=(mark - done) * dt,
                dt=dt,
                initial=state,
                start=done * dt,
                record_every=mark - done,
                backend=self.backend,
                seed=seed if network.model.noises else None,
            )
            state, done = torch.stack(list(trajectory.final.values())), mark
            self._state, self._previous = state, drive
            if mark in updates:
                yield self._measured(network, drive, before)

    def _measured(self, network: Network, drive: Tensor, before: Tensor) -> FixedPoints:
        assert self._state is not None
        reached = fixed_points_at(network, drive, self._state, tol=SETTLED_RESIDUAL)
        if not self.corrects_lag:
            return reached
        return correct_lag(reached, (drive - before) / self.fade, tol=SETTLED_RESIDUAL)

    def steps(self, network: Network) -> int:
        """Return the number of time steps of one presentation."""
        longest_step = network.shortest_time_constant() / STEPS_PER_TAU
        # float32 holds 10 ms as 9.9999998 ms, which is no reason for one step more
        return max(LEAST_STEPS, math.ceil((self.hold + self.fade) / longest_step * (1 - 1e-6)))

    def time_step(self, network: Network) -> float:
        """Return dt in seconds."""
        return (self.hold + self.fade) / self.steps(network)

    def updates(self, network: Network) -> int:
        """Return how many times the rule acts on one batch."""
        return len(self.update_steps(network))

    def update_steps(self, network: Network) -> list[int]:
        """Return the time steps after which the rule acts, counted from 1."""
        steps, dt = self.steps(network), self.time_step(network)
        if self.update_at == CONTINUOUS:
            return list(range(math.floor(self.fade / dt * (1 + 1e-9)) + 1, steps + 1))
        ends = (self.fade + float(share) * self.hold for share in self.update_at)
        return sorted({max(1, round(end / dt)) for end in ends})

    def _last_drive(self, drive: Tensor) -> Tensor:
        # The last batch of a test set may be smaller: its streams are the first ones.
        return torch.zeros_like(drive) if self._previous is None else self._previous[: len(drive)]

    def state_dict(self) -> dict[str, Tensor]:
        """Return the network's state (B, k, N) and the last drive (B, N)."""
        if self._state is None or self._previous is None:
            return {}
        return dict(
            zip(STREAMS, (self._state.transpose(0, 1).contiguous(), self._previous), strict=True)
        )

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue from a state and drive."""
        last, self._previous = (state.get(name) for name in STREAMS)
        self._state = None if last is None else last.transpose(0, 1).contiguous()
