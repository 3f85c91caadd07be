"""Simulated experiments whose rule is known: a network learns, and some of it is recorded."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ratenet.equations import PlasticitySpec
from ratenet.fixed_points import find_fixed_points
from ratenet.hypotheses.identification.simulated import random_network
from ratenet.hypotheses.inference.families import read_family
from ratenet.hypotheses.inference.learning import Learner
from ratenet.hypotheses.inference.recording import Recording

RADIUS = 0.3  # spectral radius of the weights at the start, in typical weights
SHARE = 0.2  # of units that a sparse stimulus drives
PRECISION = 1e-7  # of fixed points


@dataclass(frozen=True)
class Design:
    """What is recorded of how many.

    Parameters
    ----------
    units : int
        N.
    stimuli : int
        Different stimuli, shown in random order.
    shown : {"dense", "sparse", "single"}
        Stimuli that drive all units (normal), a fifth of them, or one each.
    minutes : float
    every : float
        Seconds for which a stimulus is shown, and from one row of the recording to the next.
    recorded : int
        Units whose rates are recorded.
    synapses : int
        Synapses that are observed, of N squared.
    sightings : int
        Times at which these are observed, evenly over the recording.
    noise : float
        Standard deviation of a measured rate over that of the rates, and of a measured weight over
        that of the weights. `infer` is told it.
    animals : int
    """

    units: int = 20
    stimuli: int = 20
    shown: str = "dense"
    minutes: float = 2.0
    every: float = 1.0
    recorded: int = 20
    synapses: int = 100
    sightings: int = 10
    noise: float = 0.01
    animals: int = 1

    @property
    def rows(self) -> int:
        """T."""
        return max(2, round(60 * self.minutes / self.every) + 1)


def simulated(
    design: Design, spec: PlasticitySpec, model: str, rng: np.random.Generator
) -> list[Recording]:
    """Return a recording of each animal.

    Raises
    ------
    DivergenceError, ConvergenceError
        If learning makes the weights infinite, or the network has no fixed point.
    """
    found = [_animal(design, spec, model, rng) for _ in range(design.animals)]
    return [Recording(**each, animal=str(n)) for n, each in enumerate(found, 1)]


def _animal(
    design: Design, spec: PlasticitySpec, model: str, rng: np.random.Generator
) -> dict[str, Any]:
    N, T = design.units, design.rows
    network = random_network(model, N, RADIUS, rng)
    patterns = _patterns(design, rng)
    stimulus = rng.integers(len(patterns), size=T)
    shapes = {name: (T,) if name in spec.global_signals else (T, N) for name, _ in spec.signals}
    signals = {name: rng.integers(0, 2, shape).astype(float) for name, shape in shapes.items()}
    rates, weights = np.empty((T, N)), np.empty((T, N, N))
    learning = _Learning(spec, network.connectivity.dense().double(), signals)
    for t in range(T):
        drive = torch.from_numpy(patterns[stimulus[t]])
        fp = find_fixed_points(network, drive, tol=PRECISION, certificate="residual")
        rates[t], weights[t] = fp.rates[0].numpy(), learning.weights.numpy()
        before = learning.weights
        learning.advance(t, fp.rates[0].double(), design.every)
        network.connectivity.add_((learning.weights - before).to(network.connectivity.dense()))
    return {
        "time": design.every * np.arange(T), "drive": patterns[stimulus], "stimulus": stimulus,
        "signals": signals, **_observed(design, rates, weights, rng),
    }  # fmt: skip


def _patterns(design: Design, rng: np.random.Generator) -> np.ndarray:
    """Return the drives (B, N) of the stimuli."""
    B, N = design.stimuli, design.units
    if design.shown == "single":
        return 2.0 * np.eye(N)[np.arange(B) % N]
    normal = rng.normal(size=(B, N))
    if design.shown == "dense":
        return normal
    return np.where(rng.random((B, N)) < SHARE, normal / np.sqrt(SHARE), 0.0)


class _Learning:
    """The weights (N, N) of a network that learns by a rule in time."""

    def __init__(
        self, spec: PlasticitySpec, W: torch.Tensor, signals: dict[str, np.ndarray]
    ) -> None:
        N = len(W)
        family = read_family(spec, None, N)
        post, pre = (torch.from_numpy(each) for each in np.divmod(np.arange(N * N), N))
        self._learner = Learner(family, post, pre, len(family.free))
        self._values = self._learner.values(torch.from_numpy(family.start))
        tangent = torch.zeros(N * N, len(family.free), dtype=torch.float64)
        self._synapses = self._learner.synapses_at_start(W.reshape(-1), tangent)
        self._units = self._learner.units_at_start(N)
        self._signals = {name: torch.from_numpy(each) for name, each in signals.items()}
        self._weight = family.weight

    @property
    def weights(self) -> torch.Tensor:
        """W (N, N) of now."""
        flat = self._synapses[self._weight][0]
        N = round(len(flat) ** 0.5)
        return flat.reshape(N, N)

    def advance(self, t: int, rates: torch.Tensor, dt: float) -> None:
        """Learn from rates (N,) for a while."""
        signals = {name: each[t] for name, each in self._signals.items()}
        self._synapses, self._units = self._learner.advance(
            self._synapses, self._units, rates, None, self._values, signals, dt
        )


def _observed(
    design: Design, rates: np.ndarray, weights: np.ndarray, rng: np.random.Generator
) -> dict[str, Any]:
    """Return what is seen of rates and weights, with noise; NaN elsewhere."""
    T, N = rates.shape
    seen = rng.permutation(N)[: design.recorded]
    noise = {"rates": design.noise * rates.std(), "weights": design.noise * weights.std()}
    shown = np.full_like(rates, np.nan)
    shown[:, seen] = rates[:, seen] + noise["rates"] * rng.normal(size=(T, len(seen)))
    which = np.isin(np.arange(N * N), rng.permutation(N * N)[: design.synapses]).reshape(N, N)
    rows = np.unique(np.linspace(0, T - 1, design.sightings).round().astype(int))
    measured = weights[rows] + noise["weights"] * rng.normal(size=(len(rows), N, N))
    W = np.full_like(weights, np.nan)
    W[rows] = np.where(which, measured, np.nan)
    return {"rates": shown, "weights": W, "noise": {k: v for k, v in noise.items() if v > 0}}
