"""Experiments whose rule is known: a random network learns from a random teacher in one step."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ratenet.equations import ModelSpec
from ratenet.fixed_points import find_fixed_points
from ratenet.hypotheses.identification.identify import candidates_for
from ratenet.hypotheses.identification.model_comparison import NONE, Candidates, weigh
from ratenet.hypotheses.identification.observation import Observation
from ratenet.hypotheses.identification.prediction import Lesson, lesson, predict_weights
from ratenet.network import Network
from ratenet.network.scales import typical_input, typical_weight
from ratenet.plasticity import AbstractRule

STEP = 0.01  # of the size of W: a change of W whose effect on rates is measured


class Places(NamedTuple):
    """Which entries are observed."""

    rows: np.ndarray  # (M,)
    columns: np.ndarray  # (M,)


@dataclass(frozen=True, eq=False)
class Experiment:
    """One network, what it was taught, and what each truth would change."""

    names: tuple[str, ...]
    taught: Lesson
    changes: Tensor  # (K, N, N), for unit learning rate
    true: np.ndarray  # (K + 1, rows, columns) of what is measured; last of random changes
    kind: Literal["weights", "rates"]
    seeds: list[int]

    @classmethod
    def drawn(
        cls,
        rules: Mapping[str, AbstractRule],
        model: str,
        N: int,
        B: int,
        radius: float,
        kind: Literal["weights", "rates"],
        seeds: list[int],
    ) -> "Experiment":
        """Draw network, stimuli and teacher, and let each rule learn."""
        rng = np.random.default_rng(seeds)
        network, teacher = (random_network(model, N, radius, rng) for _ in range(2))
        drive = torch.as_tensor(rng.standard_normal((B, N))) * typical_input(network)
        # Any target will do, so it is no matter whether the teacher has settled.
        aim = find_fixed_points(teacher, drive, on_failure="return").rates.nan_to_num()
        taught = lesson(network, drive, target=aim)
        changes = predict_weights(taught, rules)
        random = torch.as_tensor(rng.standard_normal((1, N, N))).to(changes)
        every = torch.cat([changes, random])
        true = every.numpy() if kind == "weights" else _solved_rates(taught, every)
        return cls(tuple(rules), taught, changes, true, kind, seeds)

    def places(self, number: int) -> Places:
        """Choose what is observed."""
        rng = np.random.default_rng([*self.seeds, number])
        shape = self.true.shape[1:]
        if self.kind == "weights":
            chosen = rng.permutation(shape[0] * shape[1])[:number]
            return Places(*np.divmod(np.sort(chosen), shape[1]))
        neurons = np.sort(rng.permutation(shape[1])[:number])
        settled = np.nonzero(np.isfinite(self.true).all(axis=(0, 2)))[0]
        grid = np.meshgrid(settled, neurons, indexing="ij")
        return Places(grid[0].ravel(), grid[1].ravel())


def random_network(
    model: str | ModelSpec, N: int, radius: float, rng: np.random.Generator
) -> Network:
    """Return a network with normal weights of a spectral radius, in typical weights."""
    normal = torch.as_tensor(rng.standard_normal((N, N)))
    network = Network(model, torch.zeros_like(normal))
    return network.changed(W=radius * typical_weight(network) * normal)


def _solved_rates(taught: Lesson, changes: Tensor) -> np.ndarray:
    """Return rates after less before, (K, B, N), each after a step of 1 % of W; NaN: unsettled."""
    fp, rows = taught.fp, []
    W = fp.network.connectivity.dense()
    for change in changes:
        stepped = fp.network.changed(W=W + STEP * float(W.norm() / change.norm()) * change)
        after = find_fixed_points(stepped, fp.drive, initial=fp.state, on_failure="return")
        settled = (after.converged & fp.converged)[:, None]
        rows.append((after.rates - fp.rates).masked_fill(~settled, torch.nan))
    return torch.stack(rows).numpy()


def outcomes(
    experiment: Experiment, designs: list[tuple[int, float]], level: float
) -> Iterator[tuple[Any, ...]]:
    """Yield (units, stimuli, observed, noise, truth, named) of each design and truth."""
    fp = experiment.taught.fp
    prepared: dict[int, tuple[Places, Candidates]] = {}
    for observed, noise in designs:
        if observed not in prepared:
            prepared[observed] = _prepared(experiment, observed, level)
        places, candidates = prepared[observed]
        for number, truth in enumerate([*experiment.names, NONE]):
            rng = np.random.default_rng([*experiment.seeds, observed, number])
            clean = experiment.true[number][places.rows, places.columns]
            whole = experiment.true[number]
            sd = noise * float(np.sqrt(np.nanmean(whole**2)))
            changes = clean + sd * rng.standard_normal(len(clean))
            found = weigh(candidates, changes, sd, level, int(rng.integers(2**62)))
            named = NONE if found.rule is None else found.rule
            yield fp.network.units, len(fp), observed, noise, truth, named


def _prepared(experiment: Experiment, observed: int, level: float) -> tuple[Places, Candidates]:
    """Return what is observed, and the predictions of it."""
    places = experiment.places(observed)
    clean = experiment.true[0][places.rows, places.columns]
    shape = experiment.true.shape[1:]
    pattern = Observation(experiment.kind, clean, places.rows, places.columns, clean, shape)
    rng = np.random.default_rng([*experiment.seeds, observed])
    candidates = candidates_for(
        experiment.taught, experiment.names, experiment.changes, pattern, level,
        int(rng.integers(2**62)),
    )  # fmt: skip
    return places, candidates
