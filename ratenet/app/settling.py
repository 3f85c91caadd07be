"""Settling: a trained run that is shown images, step by step; what is seen is a `Frame`.

The page draws and nothing else: every number of a frame is what ratenet's own functions return for
the network of the run, its weights and time constants scaled as the sliders say.
"""

import math
import warnings
from collections import deque
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from ratenet.app.controls import Controls
from ratenet.app.drawn import as_digit
from ratenet.app.frames import Examined, Frame
from ratenet.errors import DivergenceError, InputError
from ratenet.fixed_points import FixedPoints, Status, find_fixed_points, fixed_points_at
from ratenet.fixed_points.solvers.newton_krylov import NewtonKrylov
from ratenet.network import Network
from ratenet.quasi_static import predict_lag
from ratenet.simulation import simulate
from ratenet.stimuli import HeldImages, Images
from ratenet.stimuli.base import Delayed, ReadIn
from ratenet.stimuli.ornstein_uhlenbeck import OrnsteinUhlenbeck
from ratenet.training import LoadedRun
from ratenet.training.classifier import Classifier

STEPS = 20  # of the simulation in the shortest time constant
MOST_STEPS = 40  # in a frame: a slow machine shows less time, not a longer wait
ITERATIONS = 60  # of the solver in a frame
PAUSE = 5  # time constants, after a search that found nothing
FOLLOWED = 2_000  # where the certificate is asked for
SETTLED = 1e-3  # residual of a simulated state that counts as settled
KEPT = 5_000  # frames
TRACES = 6


@dataclass(frozen=True, eq=False)
class _Noisy:
    """A drive with noise added to it."""

    read_in: ReadIn
    strength: float
    noise: OrnsteinUhlenbeck

    def at(self, t: float) -> Tensor:
        drive = self.read_in.at(t)
        return drive + self.strength * self.noise.at(t).to(drive)


class Settling:
    """A trained run that is shown images as time passes.

    Parameters
    ----------
    run : LoadedRun
        A run of one network that learned classes.
    images : Images or None
        What it may be shown, such as its test images; None: only what is drawn.
    controls : Controls, optional
        Default those of `controls_of`.
    seed : int
        Seed of the order of the images and of the noise.

    Raises
    ------
    UnsupportedError
        If a stack of layers was trained.
    InputError
        If the images do not fit.
    """

    def __init__(
        self,
        run: LoadedRun,
        images: Images | None = None,
        controls: Controls | None = None,
        *,
        seed: int = 0,
    ) -> None:
        self.run, self._seed = run, seed
        self.controls = controls_of(run) if controls is None else controls
        self.images = None if images is None else images.to(run.network.device, run.network.dtype)
        self._classifier = classifier_of(run)
        self.shape = tuple(run.data.shape)
        self.network = self._scaled()
        self.time, self._owed, self._note = 0.0, 0.0, ""
        self._state = self.network.as_state(None, 1)
        self._answer, self._since = -1, 0.0
        self._target: FixedPoints | None = None  # the latest one that was looked for
        self._retry = 0.0
        self._root: Tensor | None = None  # the state of the fixed point that was examined last
        self._rows: deque[dict[str, float]] = deque(maxlen=KEPT)
        blank = Images(
            torch.zeros(1, run.read_in.shape[1]).to(run.read_in),
            torch.zeros(1, dtype=torch.int64),
            self.shape,
        )
        self._known, self._before = False, blank.pixels
        self._stimulus: Delayed
        self._present(blank, known=False)
        if self.images is not None:
            self.stream()

    @property
    def traced(self) -> list[int]:
        """Units whose rates are drawn over time, evenly chosen."""
        N = self.network.units
        return sorted({round(n * (N - 1) / max(1, TRACES - 1)) for n in range(TRACES)})

    def move(self, controls: Controls) -> None:
        """Go on with other controls, from the present state."""
        moved, self.controls = self.controls, controls
        scaled = (moved.tau, moved.weight_scale) != (controls.tau, controls.weight_scale)
        if scaled:
            self.network, self._target = self._scaled(), None
        self._present(self._rolled(), known=self._known)

    def draw(self, pixels: Any) -> None:
        """Show what was drawn, (height * width,), from now on."""
        digit = as_digit(pixels, self.shape).to(self.run.read_in)
        self._present(
            Images(digit[None], torch.zeros(1, dtype=torch.int64), self.shape), known=False
        )

    def show(self, index: int) -> None:
        """Show one of the images from now on, and no other."""
        images = self._given()
        if not 0 <= index < len(images):
            raise InputError.at(
                "image", got=index, expected=f"a whole number from 0 to {len(images) - 1}"
            )
        self._present(images[index : index + 1], known=True)

    def stream(self) -> None:
        """Show the images from now on, each fading into the next, in a random order."""
        images = self._given()
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(self._seed))
        self._present(images[order.to(images.pixels.device)], known=True)

    def advance(self, seconds: float) -> Frame:
        """Simulate what passes in some seconds on the screen, and return what is seen then.

        Never more than two time constants, so that a slow machine shows less time and stays swift.
        """
        dt = self.network.shortest_time_constant() / STEPS
        self._owed += seconds * self.controls.speed * self.network.longest_time_constant() / dt
        steps = min(MOST_STEPS, int(self._owed))
        self._owed = 0.0 if steps == MOST_STEPS else self._owed - steps
        if steps:
            self._simulate(steps, dt)
        return self._look(dt)

    def examine(self) -> Examined:
        """Return eigenvalues and certificate at the fixed point of what is shown now.

        On a network of its own, so that frames can be made meanwhile in another thread.
        """
        network = self.network.changed()
        drive, state = self._read_in.at(self.time), self._state
        found = find_fixed_points(
            network, drive, initial=state, max_iterations=FOLLOWED, on_failure="return"
        )
        at = found
        if not found.converged[0]:
            at = _root(found, state if self._root is None else self._root)
        if at.converged[0]:
            self._root = at.state
        else:
            at = fixed_points_at(network, drive, state)
        return Examined(
            at_fixed_point=bool(at.converged[0]),
            eigenvalues=at.eigenvalues(0),
            abscissa=float(at.abscissa()[0]),
            converged=bool(found.converged[0]),
            sentence=" ".join([_said(found), *found.notes]),
        )

    def table(self) -> pd.DataFrame:
        """Return one row a frame of the latest ones: time, distances, answer, traced rates."""
        return pd.DataFrame(list(self._rows))

    def _scaled(self) -> Network:
        """Return the run's network with weights and time constants as the sliders say."""
        network, controls = self.run.network, self.controls
        factor = 1e-3 * controls.tau / network.longest_time_constant()
        times = network.time_constants()
        slower = {name: (factor * value).tolist() for name, value in times.items()}
        return network.changed(
            W=controls.weight_scale * network.connectivity.dense(), parameters=slower
        )

    def _given(self) -> Images:
        if self.images is None:
            raise InputError(
                "image: the images that the run was trained on are not there; draw one.",
                argument="image",
            )
        return self.images

    def _present(self, images: Images, *, known: bool) -> None:
        """Show images from now on, one after the other; the first fades in from what is shown."""
        if self.time > 0:
            self._before = self._stimulus.at(self.time)
        controls, self._known, self._begun = self.controls, known, self.time
        tau = self.network.longest_time_constant()
        self._shown = HeldImages(
            images, 1, controls.hold * tau, controls.fade * tau, shuffle=False, before=self._before
        )
        self._stimulus = Delayed(self._shown, self.time)
        self._read_in = ReadIn(self._stimulus, controls.gain * self.run.read_in)
        self._drive: ReadIn | _Noisy = self._read_in
        if controls.noise:
            process = OrnsteinUhlenbeck((1, self.network.units), tau, "app", self._seed)
            self._drive = _Noisy(self._read_in, controls.noise, process)

    def _rolled(self) -> Images:
        """Return the images that are shown, the present one first."""
        images, number = self._shown.images, self._number()
        return images[torch.arange(len(images)).roll(-(number % len(images)))]

    def _number(self) -> int:
        """Return how many images have been shown since the last change."""
        return int((self.time - self._begun) / self._shown.time_scale + 1e-6)

    def _simulate(self, steps: int, dt: float) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it has not settled is what is seen
            try:
                run = simulate(
                    self.network, self._drive, steps * dt, dt, start=self.time,
                    initial=self._state, record_every=steps, seed=self._seed,
                )  # fmt: skip
                self._state = self.network.as_state(run.final, 1)
                self._note = ""
            except DivergenceError as error:
                self._state = self.network.as_state(None, 1)
                self._note = f"The rates began anew from zero: {error}"
        self.time += steps * dt

    def _look(self, dt: float) -> Frame:
        """Measure the present state against the fixed point of the present image."""
        drive, clean = self._drive.at(self.time), self._read_in.at(self.time)
        here = fixed_points_at(self.network, drive, self._state, SETTLED)
        target = self._target_of(clean)
        outputs = self._classifier.logits(here.rates)[0]
        best = outputs.topk(2).values  # without rates there is no answer yet
        answer = int(outputs.argmax()) if best[0] > best[1] else -1
        begun = self._begun + self._number() * self._shown.time_scale
        if answer != self._answer or self._since < begun:
            self._answer, self._since = answer, max(begun, self.time)
        frame = Frame(
            time=self.time,
            image=self._stimulus.at(self.time)[0],
            label=int(self._stimulus.labels_at(self.time)[0]) if self._known else -1,
            drive=drive[0],
            rates=here.rates[0],
            target=None if target is None else target.rates[0],
            distance=math.nan if target is None else float(_apart(here, target)),
            predicted=math.nan if target is None else self._predicted(target, dt),
            residual=float(here.residual[0]),
            outputs=outputs,
            answer=answer,
            confidence=torch.softmax(outputs, dim=0),
            reached=self._since - begun,
            note=self._note,
        )
        self._keep(frame)
        return frame

    def _target_of(self, drive: Tensor) -> FixedPoints | None:
        """Return the fixed point of a drive, or None; a search that failed is not begun at once."""
        latest = self._target
        if latest is not None:
            is_same = torch.equal(latest.drive, drive)
            is_found = bool(latest.converged[0])
            if is_same or (not is_found and self.time < self._retry):
                return latest if is_found else None
        found = find_fixed_points(
            self.network, drive, max_iterations=ITERATIONS, certificate="residual",
            initial=self._state if latest is None or not latest.converged[0] else latest.state,
            on_failure="return",
        )  # fmt: skip
        self._target = found
        self._retry = self.time + PAUSE * self.network.longest_time_constant()
        return found if bool(found.converged[0]) else None

    def _predicted(self, target: FixedPoints, dt: float) -> float:
        """Return the length of the lag that the moving image leaves, over that of the target."""
        before, after = max(0.0, self.time - dt), self.time + dt
        velocity = (self._read_in.at(after) - self._read_in.at(before)) / (after - before)
        if not velocity.any():
            return 0.0
        lag = predict_lag(target, velocity).rates
        return float(lag.norm() / target.rates.norm())

    def _keep(self, frame: Frame) -> None:
        if self._rows and frame.time <= self._rows[-1]["time"]:
            return
        rates = {f"rate_{n}": float(frame.rates[n]) for n in self.traced}
        numbers = ("time", "label", "answer", "distance", "predicted", "residual", "reached")
        self._rows.append({name: getattr(frame, name) for name in numbers} | rates)


def classifier_of(run: LoadedRun) -> Classifier:
    """Return what a run of one network trained, and refuse a stack of layers."""
    _ = run.network
    assert isinstance(run.learner, Classifier)
    return run.learner


def controls_of(run: LoadedRun) -> Controls:
    """Return the controls that leave a run as it was trained."""
    return Controls(tau=round(1e3 * run.network.longest_time_constant(), 6))


def _said(found: FixedPoints) -> str:
    """Return the word for a status, and its sentence."""
    status = Status(int(found.status[0]))
    return f"{status.name.capitalize().replace('_', ' ')}. {status.sentence}"


def _root(found: FixedPoints, state: Tensor) -> FixedPoints:
    """Return the fixed point, stable or not, that a solver finds from a state; or none."""
    return find_fixed_points(
        found.network, found.drive, initial=state, solver=NewtonKrylov(), certificate="residual",
        max_iterations=ITERATIONS, on_failure="return",
    )  # fmt: skip


def _apart(here: FixedPoints, target: FixedPoints) -> Tensor:
    return (here.rates - target.rates).norm() / target.rates.norm()
