"""How images reach the network: slowly changing, or as the quasi-static limit.

A presentation shows drives, those of a batch of images or of any stimulus, and gives the rates that
the network has, certified, each time that the rule is to act; what the rule does to the weights in
between is seen by what comes after.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Literal, Protocol

import torch
from torch import Tensor

from ratenet.fixed_points import FixedPoints, find_fixed_points, fixed_points_at
from ratenet.network import Network
from ratenet.quasi_static import correct_lag
from ratenet.simulation import simulate
from ratenet.stimuli import HeldImages, Images
from ratenet.training.moving_adjoint import Errors, MovingAdjoint
from ratenet.training.moving_weights import MovingWeights, Signals

SETTLED_RESIDUAL = 1e-3  # of a state that a simulation reached
STEPS_PER_TAU = 10
LEAST_STEPS = 20  # of one presentation, so that a fast fade is still a fade
MAX_ITERATIONS = 2_000  # of a solved fixed point; a sample that needs more did not settle
CONTINUOUS = "continuous"
EULER = "euler"
STREAMS = ("stream_state", "stream_drive")  # of a slow presentation, in a checkpoint
ADJOINT = "stream_adjoint"  # where it moves, too
UpdateTimes = Sequence[float] | Literal["continuous"]
NONE: Signals = MappingProxyType({})


class Shown(Protocol):
    """A drive that changes in time: ``ReadIn(stimulus, weights)``, or images that were read in."""

    def at(self, t: float) -> Tensor:
        """Return the drive t seconds after the presentation began, shape (B, N)."""


class AbstractPresentation(ABC):
    """Shows one batch after another."""

    @abstractmethod
    def present(
        self,
        network: Network,
        drive: Tensor | Shown,
        *,
        examine: bool = False,
        seed: int = 0,
        signals: Signals = NONE,
        errors: Errors | None = None,
    ) -> Iterator[FixedPoints]:
        """Give the rates for drives, with their residuals, whenever the rule is to act.

        Parameters
        ----------
        network : Network
            Its weights may be changed before the next one is asked for.
        drive : Tensor, shape (B, N), or object with at(t) -> (B, N)
            Images that were read in, one per stream, which the presentation holds; or what changes
            by itself.
        examine : bool
            Whether the stability of solved fixed points is examined, so that no unstable one
            counts as settled.
        seed : int
            Seed of the noise of this presentation, where the model has some.
        signals : mapping of str to Feedback
            Third factors, where weights move meanwhile.
        errors : callable, optional
            dL/dy (B, N) at a time and rates, for an adjoint that moves meanwhile.
        """

    @abstractmethod
    def update_times(self, network: Network) -> list[float]:
        """Return when that is, in seconds after the presentation began."""

    def show(self, network: Network, drive: Tensor | Shown, seed: int = 0) -> FixedPoints:
        """Return the last rates that `present` gives."""
        *_, last = self.present(network, drive, seed=seed)
        return last

    @property
    @abstractmethod
    def stream_names(self) -> tuple[str, ...]:
        """Names of the tensors of `state_dict` once something was shown."""

    @abstractmethod
    def state_dict(self) -> dict[str, Tensor]:
        """Return what a resumed run must know, as tensors with one row per stream."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Load what `state_dict` gave; other tensors may be among it."""


class Static(AbstractPresentation):
    """The quasi-static limit: the fixed point of each drive, solved from rest.

    Stability is not examined batch by batch unless asked for, which would take longer than to
    solve: the abscissa of a few samples is in metrics.csv after each epoch.
    """

    def present(
        self,
        network: Network,
        drive: Tensor | Shown,
        *,
        examine: bool = False,
        seed: int = 0,
        signals: Signals = NONE,
        errors: Errors | None = None,
    ) -> Iterator[FixedPoints]:
        """Give the solved fixed points, once."""
        yield find_fixed_points(
            network,
            drive if isinstance(drive, Tensor) else drive.at(0.0),
            max_iterations=MAX_ITERATIONS,
            certificate="full" if examine else "residual",
            on_failure="return",
        )

    def update_times(self, network: Network) -> list[float]:
        """Return one time, the beginning."""
        return [0.0]

    @property
    def stream_names(self) -> tuple[str, ...]:
        """None."""
        return ()

    def state_dict(self) -> dict[str, Tensor]:
        """Nothing: batches do not depend on one another."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Nothing to load."""


class Slow(AbstractPresentation):
    """B streams of images, each of which fades into the next and is held, or of another stimulus.

    The network's state is carried over from one presentation to the next, and so is the last drive,
    which images fade in from (`HeldImages`).

    Parameters
    ----------
    hold, fade : float
        In seconds. Without a hold the images never rest, and the rule acts when one has just
        come.
    update_at : sequence of float, or "continuous"
        When the rule acts, as shares of the hold, above 0 and up to 1, rounded to time steps;
        "continuous": after each time step of the hold.
    corrects_lag : bool
        Whether the lag that the speed of the drive predicts is subtracted from the rates that the
        rule gets (`correct_lag`); for images that never rest.
    backend : {"torch", "brian2"}
    method : str
        Integration method of `simulate`.
    dt : float, optional
        Longest time step in seconds, or the grid of the times of updates where the method chooses
        its steps. Default: a tenth of the network's shortest time constant.
    rtol : float, optional
        Tolerance of a method that chooses its steps.
    moving : MovingWeights, optional
        Moves the network's weights throughout fade and hold. Default: they stay as they are from
        one update to the next.
    adjoint : MovingAdjoint, optional
        Moves each stream's adjoint, likewise, and gives it with the rates. Default: it is for the
        rule to solve for it.

    Notes
    -----
    The first images fade in from no drive at all, with the network at rest. A method that chooses
    its steps begins anew with each presentation, so that nothing of them is carried over.
    """

    def __init__(
        self,
        hold: float,
        fade: float,
        update_at: UpdateTimes = (1.0,),
        *,
        corrects_lag: bool = False,
        backend: str = "torch",
        method: str = EULER,
        dt: float | None = None,
        rtol: float | None = None,
        moving: MovingWeights | None = None,
        adjoint: MovingAdjoint | None = None,
    ) -> None:
        self.moving, self.adjoint = moving, adjoint
        self.method, self.dt, self.rtol = method, dt, rtol
        self.hold, self.fade, self.update_at = hold, fade, update_at
        self.corrects_lag, self.backend = corrects_lag, backend
        self.refused = 0  # samples whose lag was not subtracted at the last update
        self._state: Tensor | None = None  # (k, B, N)
        self._previous: Tensor | None = None  # (B, N)

    def present(
        self,
        network: Network,
        drive: Tensor | Shown,
        *,
        examine: bool = False,
        seed: int = 0,
        signals: Signals = NONE,
        errors: Errors | None = None,
    ) -> Iterator[FixedPoints]:
        """Simulate the fade and the hold; give the states on the way, measured."""
        shown = self._held(drive) if isinstance(drive, Tensor) else drive
        dt, done, streams = self.time_step(network), 0, len(shown.at(0.0))
        state = None if self._state is None else self._state[:, :streams]
        moving, adjoint = self.moving, self.adjoint
        on = simulate if moving is None else partial(moving.simulate, signals=signals)
        updates, steps = self.update_steps(network), self.steps(network)
        at_once = steps if adjoint is None else adjoint.steps_at_once(network, streams)
        for mark in sorted({*updates, *range(at_once, steps, at_once), steps}):
            trajectory = on(
                network,
                shown,
                duration=(mark - done) * dt,
                dt=dt,
                initial=state,
                start=done * dt,
                record_every=mark - done if adjoint is None else 1,
                backend=self.backend,
                method=self.method,
                rtol=self.rtol,
                seed=seed if network.model.noises else None,
            )
            if adjoint is not None and errors is not None:
                adjoint.follow(trajectory, shown.at, errors)
            state, done = torch.stack(list(trajectory.final.values())), mark
            self._state, self._previous = state, shown.at(mark * dt)
            if mark in updates:
                yield self._measured(network, shown, mark * dt, dt)

    def _held(self, drive: Tensor) -> HeldImages:
        """Return drives that fade in from the last ones, and are held."""
        # The last batch of a test set may be smaller: its streams are the first ones.
        before = None if self._previous is None else self._previous[: len(drive)]
        unlabelled = torch.zeros(len(drive), dtype=torch.int64, device=drive.device)
        images = Images(drive, unlabelled, is_drive=True)
        return HeldImages(images, len(drive), self.hold, self.fade, shuffle=False, before=before)

    def _measured(self, network: Network, shown: Shown, t: float, dt: float) -> FixedPoints:
        assert self._state is not None
        drive = shown.at(t)
        found = fixed_points_at(network, drive, self._state, tol=SETTLED_RESIDUAL)
        if self.corrects_lag:
            reached = found.state
            found = correct_lag(found, (drive - shown.at(t - dt)) / dt, tol=SETTLED_RESIDUAL)
            self.refused = int((found.state == reached).all(dim=2).all(dim=0).sum())
        return found if self.adjoint is None else replace(found, adjoint=self.adjoint.values)

    def steps(self, network: Network) -> int:
        """Return the number of time steps of one presentation."""
        longest_step = self.dt or network.shortest_time_constant() / STEPS_PER_TAU
        # float32 holds 10 ms as 9.9999998 ms, which is no reason for one step more
        return max(LEAST_STEPS, math.ceil((self.hold + self.fade) / longest_step * (1 - 1e-6)))

    def time_step(self, network: Network) -> float:
        """Return dt in seconds."""
        return (self.hold + self.fade) / self.steps(network)

    def update_times(self, network: Network) -> list[float]:
        """Return when the rule acts, in seconds from the beginning of the fade."""
        return [step * self.time_step(network) for step in self.update_steps(network)]

    def update_steps(self, network: Network) -> list[int]:
        """Return the time steps after which the rule acts, counted from 1."""
        steps, dt = self.steps(network), self.time_step(network)
        if self.update_at == CONTINUOUS:
            return list(range(math.floor(self.fade / dt * (1 + 1e-9)) + 1, steps + 1))
        ends = (self.fade + float(share) * self.hold for share in self.update_at)
        return sorted({max(1, round(end / dt)) for end in ends})

    def state_dict(self) -> dict[str, Tensor]:
        """Return the network's state (B, k, N), the last drive (B, N), and a rule's variables."""
        if self._state is None or self._previous is None:
            return {}
        streams = (self._state.transpose(0, 1).contiguous(), self._previous)
        own = {} if self.moving is None else self.moving.state_dict()
        if self.adjoint is not None and self.adjoint.values is not None:
            own[ADJOINT] = self.adjoint.values
        return {**dict(zip(STREAMS, streams, strict=True)), **own}

    @property
    def stream_names(self) -> tuple[str, ...]:
        """Names of these tensors."""
        own = () if self.moving is None else self.moving.names
        return (*STREAMS, *own, *(() if self.adjoint is None else (ADJOINT,)))

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue from a state and drive."""
        last, self._previous = (state.get(name) for name in STREAMS)
        self._state = None if last is None else last.transpose(0, 1).contiguous()
        if self.moving is not None:
            self.moving.load_state_dict(state)
        if self.adjoint is not None:
            self.adjoint.values = state.get(ADJOINT)
