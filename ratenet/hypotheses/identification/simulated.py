"""Experiments whose rule is known: an animal's network learns, and changes are measured."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ratenet.connectivity import Dense
from ratenet.equations import ModelSpec
from ratenet.errors import InputError
from ratenet.fixed_points import FixedPoints, find_fixed_points
from ratenet.hypotheses.evidence import (
    NONE,
    Candidates,
    Identification,
    weigh,
)
from ratenet.hypotheses.identification.identify import candidates_for
from ratenet.hypotheses.identification.observation import Observation
from ratenet.hypotheses.identification.prediction import Lesson, lesson, predict_weights
from ratenet.network import Network
from ratenet.network.scales import typical_input, typical_weight
from ratenet.plasticity import AbstractRule

Truth = AbstractRule | Callable[..., Any]  # a function of (fp, error) and, if named, of one more:
EXTRAS = ("rng", "learning_rate")


class Places(NamedTuple):
    """Which entries are observed."""

    rows: np.ndarray  # (M,)
    columns: np.ndarray  # (M,)


@dataclass(frozen=True, eq=False)
class Setting:
    """What all experiments of a power analysis have in common.

    Attributes
    ----------
    rules : mapping of str to AbstractRule
        The candidates.
    others : mapping of str to AbstractRule or callable
        Truths that are not among the candidates.
    kind : {"weights", "rates"}
    model : str or ModelSpec
    radius : float
    network, drive, target : optional
        None: drawn anew for each animal.
    steps : int
    change : float
        Size of what is learned in all steps, over that of W.
    weight_error : float
        Standard deviation of the error of W before, over the root mean square of W.
    correlation : float
        Share of the variance of a measurement error that entries of one row or column have in
        common.
    """

    rules: Mapping[str, AbstractRule]
    others: Mapping[str, Truth]
    kind: Literal["weights", "rates"]
    model: str | ModelSpec
    radius: float
    network: Network | None
    drive: Any
    target: Any
    steps: int
    change: float
    weight_error: float
    correlation: float


@dataclass(frozen=True, eq=False)
class Experiment:
    """One animal: its network, what it was taught, and what each truth would change."""

    setting: Setting
    known: Lesson  # by the network as it is known
    changes: Tensor  # (K, N, N), predicted for the network that is known, for unit learning rate
    true: dict[str, np.ndarray]  # by truth, (rows, columns) of what is measured; NaN: unsettled
    free: np.ndarray  # bool, (rows, columns): what can be observed
    seeds: list[int]

    @classmethod
    def drawn(cls, setting: Setting, N: int, B: int, seeds: list[int]) -> "Experiment":
        """Draw what is not given, and let each truth learn."""
        rng = np.random.default_rng(seeds)
        network = setting.network
        if network is None:
            network = random_network(setting.model, N, setting.radius, rng)
        drive, target = setting.drive, setting.target
        normal = None if target is not None else torch.as_tensor(rng.standard_normal((N, N)))
        if drive is None:
            drive = torch.as_tensor(rng.standard_normal((B, N))) * typical_input(network)
        if normal is not None:
            teacher = with_random_weights(network, setting.radius, normal)
            # Any target will do, so it is no matter whether the teacher has settled.
            target = find_fixed_points(teacher, drive, on_failure="return").rates.nan_to_num()
        taught = lesson(network, drive, target=target)
        random = torch.as_tensor(rng.standard_normal((1, N, N))).to(taught.fp.rates)
        changes = predict_weights(taught, setting.rules)
        true = _true(
            setting, taught, target, changes, random, np.random.default_rng([*seeds, 1, 1])
        )
        known = taught
        if setting.weight_error:
            rng = np.random.default_rng([*seeds, 1, 2])
            mismeasured = _mismeasured(network, setting.weight_error, rng)
            known = lesson(mismeasured, drive, target=target)
            changes = predict_weights(known, setting.rules)
        return cls(setting, known, changes, true, _free(setting, network, known, true), seeds)

    def places(self, number: int) -> Places:
        """Choose what is observed: a number of synapses, or of neurons at all stimuli."""
        rng = np.random.default_rng([*self.seeds, number])
        shape = self.free.shape
        if self.setting.kind == "weights":
            every = np.flatnonzero(self.free)
            chosen = every[rng.permutation(len(every))[:number]]
            return Places(*np.divmod(np.sort(chosen), shape[1]))
        neurons = np.sort(rng.permutation(shape[1])[:number])
        settled = np.nonzero(self.free.all(axis=1))[0]
        grid = np.meshgrid(settled, neurons, indexing="ij")
        return Places(grid[0].ravel(), grid[1].ravel())


def random_network(
    model: str | ModelSpec, N: int, radius: float, rng: np.random.Generator
) -> Network:
    """Return a network with normal weights of a spectral radius, in typical weights."""
    normal = torch.as_tensor(rng.standard_normal((N, N)))
    return with_random_weights(Network(model, torch.zeros_like(normal)), radius, normal)


def with_random_weights(network: Network, radius: float, normal: Tensor) -> Network:
    """Return a network with normal weights of a spectral radius in place of its own."""
    normal = normal.to(dtype=network.dtype, device=network.device)
    empty = network.changed(W=torch.zeros_like(normal))
    return empty.changed(W=radius * typical_weight(empty) * normal)


def can_change(network: Network) -> np.ndarray:
    """Return where there are synapses, (N, N): all of a full W, those that are not 0 of others."""
    W = network.connectivity
    if isinstance(W, Dense):
        return np.ones(W.shape, dtype=bool)
    return (W.dense() != 0).cpu().numpy()


def _free(
    setting: Setting, network: Network, known: Lesson, true: dict[str, np.ndarray]
) -> np.ndarray:
    if setting.kind == "weights":
        return can_change(network)
    settled = np.all([np.isfinite(each) for each in true.values()], axis=0)
    return settled & known.fp.converged.cpu().numpy()[:, None]


def _mismeasured(network: Network, error: float, rng: np.random.Generator) -> Network:
    """Return a network as it is known: each weight that is not 0 with an error, in sizes of W."""
    W, parts = network.connectivity, {}
    for name, values in W.parameters.items():
        normal = torch.as_tensor(rng.standard_normal(tuple(values.shape))).to(values)
        there = values != 0
        size = values[there].pow(2).mean().sqrt() if there.any() else 0.0
        parts[name] = values + error * size * normal * there
    known = W.with_parameters(parts)
    known.constrain_()
    return network.changed(W=known)


def _true(
    setting: Setting, taught: Lesson, target: Any, changes: Tensor, random: Tensor, rng: Any
) -> dict[str, np.ndarray]:
    """Return what each truth changes, the candidates first and random changes last."""
    W = taught.fp.network.connectivity.dense()
    first = dict(zip(setting.rules, changes, strict=True))
    first |= {name: _changed_by(other, name, taught, rng) for name, other in setting.others.items()}
    truths: dict[str, Truth] = {**setting.rules, **setting.others}
    total = {}
    for name, change in first.items():
        if not change.any():
            raise InputError(
                f"{name} changes nothing in this design, so that noise, which is relative to the "
                "size of the changes, has no scale; choose other stimuli, targets or rules.",
                argument="others" if name in setting.others else "rules",
            )
        rate = setting.change * float(W.norm() / change.norm())
        is_linear = setting.steps == 1 and setting.kind == "weights"  # any rate will do
        learned = change if is_linear else rate * change
        if setting.steps > 1:
            learned = _learned(setting, truths[name], name, taught, target, rate, rng)
        total[name] = learned
    random = random[0] * torch.as_tensor(can_change(taught.fp.network)).to(random)
    total[NONE] = random
    if setting.kind == "weights":
        return {name: each.cpu().numpy() for name, each in total.items()}
    total[NONE] = setting.change * float(W.norm() / random.norm()) * random
    return {name: _solved_rates(taught.fp, each) for name, each in total.items()}


def _changed_by(truth: Truth, name: str, taught: Lesson, rng: np.random.Generator) -> Tensor:
    """Return the change (N, N) that a truth makes for unit learning rate."""
    if isinstance(truth, AbstractRule):
        return predict_weights(taught, {name: truth})[0]
    settled = torch.nonzero(taught.fp.converged)[:, 0]
    assert taught.error is not None, "all are taught targets"
    extras = dict(zip(EXTRAS, (rng, 1.0), strict=True))
    named = list(inspect.signature(truth).parameters)[2:]
    made = truth(
        taught.fp.select(settled), taught.error[settled], **{each: extras[each] for each in named}
    )
    rates = taught.fp.rates
    try:
        change = torch.as_tensor(made).to(rates)
    except (TypeError, ValueError, RuntimeError):
        change = rates.new_empty(0)
    N = rates.shape[1]
    if tuple(change.shape) != (N, N) or not torch.isfinite(change).all():
        raise InputError.at(
            f"others, {name}",
            got=made if change.shape != (N, N) else None,
            found="" if change.shape != (N, N) else "NaN or infinite entries",
            expected=f"a function that returns the change of W, {(N, N)} finite numbers",
        )
    return change


def _learned(
    setting: Setting, truth: Truth, name: str, taught: Lesson, target: Any, rate: float, rng: Any
) -> Tensor:
    """Return the change of W (N, N) after several steps, each at the fixed points of its own W."""
    fp, W = taught.fp, taught.fp.network.connectivity
    total = torch.zeros_like(W.dense())
    for step in range(setting.steps):
        if step:
            moved = fp.network.changed(W=W.dense() + total)
            taught = lesson(moved, fp.drive, target=target)
        total = total + rate / setting.steps * _changed_by(truth, name, taught, rng)
    return total


def _solved_rates(fp: FixedPoints, change: Tensor) -> np.ndarray:
    """Return rates after less before, (B, N), with W changed; NaN: unsettled."""
    stepped = fp.network.changed(W=fp.network.connectivity.dense() + change)
    after = find_fixed_points(stepped, fp.drive, initial=fp.state, on_failure="return")
    settled = (after.converged & fp.converged)[:, None]
    return (after.rates - fp.rates).masked_fill(~settled, torch.nan).cpu().numpy()


def identifications(
    experiment: Experiment, designs: list[tuple[int, float]], level: float
) -> Iterator[tuple[tuple[int, float, str], Identification]]:
    """Yield (observed, noise, truth) and what is found, for each design and truth."""
    prepared: dict[int, tuple[Places, Candidates]] = {}
    for observed, noise in designs:
        if observed not in prepared:
            prepared[observed] = _prepared(experiment, observed, level)
        places, candidates = prepared[observed]
        for number, (truth, whole) in enumerate(experiment.true.items()):
            rng = np.random.default_rng([*experiment.seeds, observed, number])
            clean = whole[places.rows, places.columns]
            sd = noise * float(np.sqrt(np.mean(whole[experiment.free] ** 2)))
            changes = clean + sd * _errors(places, experiment.setting.correlation, rng)
            found = weigh(candidates, changes, sd, level, int(rng.integers(2**62)))
            yield (observed, noise, truth), found


def _errors(places: Places, correlation: float, rng: np.random.Generator) -> np.ndarray:
    """Return normal errors of variance 1, a share of which a row or a column has in common."""
    own = rng.standard_normal(len(places.rows))
    if not correlation:
        return own
    common = sum(rng.standard_normal(each.max() + 1)[each] for each in places)
    return np.sqrt(1 - correlation) * own + np.sqrt(correlation / 2) * common


def _prepared(experiment: Experiment, observed: int, level: float) -> tuple[Places, Candidates]:
    """Return what is observed, and the predictions of it."""
    places, known = experiment.places(observed), experiment.known
    setting, fp = experiment.setting, known.fp
    clean = next(iter(experiment.true.values()))[places.rows, places.columns]
    matrix = fp.network.connectivity.dense() if setting.kind == "weights" else fp.rates
    before = matrix.double().cpu().numpy()[places.rows, places.columns]
    shape = experiment.free.shape
    pattern = Observation(setting.kind, clean, places.rows, places.columns, before, shape)
    rng = np.random.default_rng([*experiment.seeds, observed])
    candidates = candidates_for(
        known, tuple(setting.rules), experiment.changes, pattern, level, int(rng.integers(2**62))
    )
    return places, candidates
