"""How much must be measured, and how exactly, to tell plasticity rules apart.

Experiments are simulated whose rule is known: a network learns, by each rule in turn and by others
that are not among the candidates; changes are measured with noise, and `identify` is asked. The
network, stimuli and targets are drawn at random, or given.
"""

import inspect
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Real
from typing import Any, Literal

import numpy as np
import pandas as pd

from ratenet.connectivity.computation import shielded
from ratenet.errors import InputError
from ratenet.hypotheses.evidence import NONE
from ratenet.hypotheses.held_out import FOLDS
from ratenet.hypotheses.identification.animals import together
from ratenet.hypotheses.identification.identify import check_level
from ratenet.hypotheses.identification.observation import LEAST
from ratenet.hypotheses.identification.observe import one_network
from ratenet.hypotheses.identification.power_results import (
    DESIGN,
    Power,
    things,
    with_intervals,
)
from ratenet.hypotheses.identification.prediction import Rules, named_rules
from ratenet.hypotheses.identification.simulated import (
    EXTRAS,
    Experiment,
    Setting,
    Truth,
    can_change,
    identifications,
)
from ratenet.linear_algebra.memory import require_memory
from ratenet.network import Network
from ratenet.plasticity import AbstractRule
from ratenet.validation import check_choice, check_positive, check_seed, check_whole


@shielded()
def power(
    rules: Rules,
    *,
    network: Network | None = None,
    drive: Any = None,
    target: Any = None,
    units: int | Sequence[int] | None = None,
    stimuli: int | Sequence[int] | None = None,
    observed: int | Sequence[int | None] | None = None,
    noise: float | Sequence[float] = 0.1,
    correlation: float = 0.0,
    weight_error: float = 0.0,
    steps: int = 1,
    change: float = 0.01,
    animals: int | Sequence[int] = 1,
    others: Rules | Mapping[str, Truth] | Sequence[Truth] | None = None,
    kind: Literal["weights", "rates"] = "weights",
    model: str | None = None,
    radius: float = 0.5,
    experiments: int = 100,
    level: float = 0.05,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Power:
    """Simulate experiments under each rule, and count which rule `identify` names.

    Parameters
    ----------
    rules : sequence of str, AbstractRule or mapping; or mapping of names to rules
        Two or more.
    network : Network, optional
        That of one's own experiment, before learning. All animals have it.
    drive : array_like, shape (B, N), optional
        The stimuli of one's own experiment.
    target : array_like, shape (B, N), optional
        Rates that are taught, with L = |y - target|^2 / 2.
    units, stimuli : int or sequence of int, optional
        N and B, where network and drive are not given; default 50 and 20.
    observed : int, sequence of int or None, optional
        Number of synapses (of neurons, for rates) that are measured, chosen at random; None: all.
    noise : float or sequence of float
        Standard deviation of the measurement error of a change, over the root mean square of the
        changes. `identify` is told it.
    correlation : float
        Share of the variance of the measurement errors, from 0 to below 1, that they have in
        common: half of it by postsynaptic, half by presynaptic neuron (for rates by stimulus, and
        by neuron). `identify` is not told it.
    weight_error : float
        Standard deviation of the error of W before learning as `identify` is told it, over the root
        mean square of W; the changes are measured apart from it.
    steps : int
        Steps of learning, each at the fixed points of its own W.
    change : float
        What is learned in all steps together, over the size of W. It does not matter for weights
        that change in one step.
    animals : int or sequence of int
        Animals of an experiment. From two animals on it is the verdict on all animals that counts.
    others : rules, or functions; or a mapping of names to them, optional
        Truths that are not among the candidates. A function of (fp, error), and of rng (a generator
        of NumPy) if it draws, returns the change of W, (N, N), at the fixed points fp, with error
        (B, N) = dL/dy; its size does not matter.
    kind : {"weights", "rates"}
    model : str, optional
        A name or the path of a model file, where network is not given; default rate.
    radius : float
        Spectral radius of a random W, in typical weights of the model.
    experiments : int
        For each design and each truth: the rules, others, and none (random changes of all weights).
    level : float
        As for `identify`.
    seed : int
    progress : callable, optional
        Told how many of the `number_of_steps` are done.

    Returns
    -------
    Power

    Raises
    ------
    InputError
        If a number does not fit, or a design needs more memory than is free.
    UnsettledError
        If none of the stimuli of an experiment settles.

    Notes
    -----
    Every combination of the numbers is a design. All designs with the same units and stimuli
    share their networks, stimuli and teachers, which are drawn anew for each animal and experiment
    where they are not given: W normal, a standard normal drive in typical inputs, and as targets
    the rates of another such network. For weights a single step is a small one, exactly; for rates
    the fixed points are solved again with the changed W.

    Examples
    --------
    >>> found = power(["euclidean", "hebb"], units=20, stimuli=10, experiments=10)
    >>> found.confusion().loc["hebb", "hebb"]
    np.float64(1.0)
    >>> outside = power(
    ...     ["euclidean", "hebb"], others=["oja"], units=20, stimuli=10, experiments=10, noise=1.0
    ... )
    >>> int(outside.table["wrong"].sum())  # Oja's rule resembles Hebb's, which does not fit
    0
    """
    check_level(level)
    check_seed(seed)
    named = named_rules(rules)
    if len(named) < 2:
        raise InputError.at("rules", got=list(named), expected="two or more to tell apart")
    check_choice(kind, "kind", ("weights", "rates"))
    check_whole(experiments, "experiments")
    check_positive(radius, "radius")
    numbers = _several(animals, "animals")
    for number in numbers:
        check_whole(number, "animals")
    setting = Setting(
        named, _others(others, named), kind, _model(model, network), radius,
        None if network is None else one_network(network), drive, target,
        check_whole(steps, "steps"), check_positive(change, "change", most=1.0),
        _share(weight_error, "weight_error"), _share(correlation, "correlation"),
    )  # fmt: skip
    grid = _grid(setting, units, stimuli, observed, noise)
    counts: dict[tuple[Any, ...], int] = {}
    done = itertools.count(1)
    for (N, B), index in itertools.product(grid, range(experiments)):
        for row in _outcomes(setting, grid[N, B], numbers, [seed, N, B, index], level):
            counts[N, B, *row] = counts.get((N, B, *row), 0) + 1
        if progress is not None:
            progress(next(done))
    table = _table(grid, numbers, counts, setting, experiments)
    return Power(tuple(named), table, kind, level, tuple(setting.others))


def _outcomes(
    setting: Setting, designs: list[tuple[int, float]], numbers: list[int], seeds: list[int],
    level: float,
) -> Iterator[tuple[int, float, int, str, str]]:  # fmt: skip
    """Yield (observed, noise, animals, truth, named) of each design and truth."""
    N, B = seeds[1:3]
    each = [
        dict(identifications(Experiment.drawn(setting, N, B, own), designs, level))
        for own in ([*seeds, animal] if animal else seeds for animal in range(max(numbers)))
    ]
    for observed, noise, truth in each[0]:
        found = [animal[observed, noise, truth] for animal in each]
        for number in dict.fromkeys(numbers):
            if number == 1:
                rule = found[0].rule
            else:
                animals = {str(n): [found[n]] for n in range(number)}
                rule = together(animals, {}, level, seeds[-1]).rule
            yield observed, noise, number, truth, NONE if rule is None else rule


def number_of_steps(units: Any, stimuli: Any, experiments: int) -> int:
    """Return how often `power` reports its progress."""
    return len(_several(units, "units")) * len(_several(stimuli, "stimuli")) * experiments


Grid = dict[tuple[int, int], list[tuple[int, float]]]  # (N, B) -> observed and noise


def _several(value: Any, where: str) -> list[Any]:
    """Return one or several values as a list."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    found = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    if not found:
        raise InputError.at(where, got=value, expected="one value, or one or more in a list")
    return found


def _others(others: Any, rules: Mapping[str, AbstractRule]) -> dict[str, Truth]:
    """Return the truths that are not among the candidates, by name."""
    if others is None or (isinstance(others, Sequence) and not others):
        return {}
    is_named = isinstance(others, Mapping) and "name" not in others  # else a rule as a table
    several = others.items() if is_named else ((None, each) for each in _several(others, "others"))
    found: dict[str, Truth] = {}
    for name, other in several:
        own: Mapping[Any, Truth]
        if callable(other) and not isinstance(other, AbstractRule | type):
            own = {name or getattr(other, "__name__", "function"): _checked_function(other)}
        else:
            own = _named_rule(name, other)
        for label, truth in own.items():
            if label in (*rules, *found, NONE, "any rule"):
                raise InputError.at(
                    "others", got=label, expected="names that are not among the rules, each once"
                )
            found[str(label)] = truth
    return found


def _named_rule(name: Any, rule: Any) -> dict[str, AbstractRule]:
    try:
        return named_rules([rule] if name is None else {name: rule})
    except InputError as error:
        raise error.within("others") from None


def _checked_function(function: Callable[..., Any]) -> Callable[..., Any]:
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        names = []
    if len(names) not in (2, 3) or not set(names[2:]) <= set(EXTRAS):
        raise InputError.at(
            "others",
            got=function,
            expected=f"a rule, or a function of (fp, error) and of {' or '.join(EXTRAS)}",
        )
    return function


def _model(model: str | None, network: Network | None) -> str:
    if model is not None and network is not None:
        raise InputError.at("model", got=model, expected="none beside network, which has its own")
    return model or "rate"


def _share(value: Any, where: str) -> float:
    """Return a share from 0 to below 1."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not 0 <= value < 1:
        raise InputError.at(where, got=value, expected="a number from 0 to below 1")
    return float(value)


def _sizes(setting: Setting, units: Any, stimuli: Any) -> tuple[list[int], list[int]]:
    """Return N and B: those of what is given, or the numbers asked for."""
    try:
        shape = None if setting.drive is None else np.shape(setting.drive)
    except ValueError:
        shape = ()  # rows of different lengths
    if shape is not None and len(shape) not in (1, 2):
        raise InputError.at(
            "drive", got=shape or setting.drive, expected="shape (B, N), one row per stimulus"
        )
    network = setting.network
    N = network.units if network is not None else shape[-1] if shape else None
    B = None if shape is None else 1 if len(shape) == 1 else shape[0]
    pairs = {"units": (units, N, "network or drive", 50), "stimuli": (stimuli, B, "drive", 20)}
    found = []
    for name, (asked, own, what, default) in pairs.items():
        if asked is not None and own is not None:
            raise InputError.at(name, got=asked, expected=f"none beside {what}, which has {own}")
        value = own if own is not None else default if asked is None else asked
        found.append(_several(value, name))
    return found[0], found[1]


def _grid(setting: Setting, units: Any, stimuli: Any, observed: Any, noise: Any) -> Grid:
    """Return the designs, each once, after looking at the numbers."""
    every_N, every_B = _sizes(setting, units, stimuli)
    for N in every_N:
        check_whole(N, "units", least=FOLDS)
    for B in every_B:
        check_whole(B, "stimuli")
    for sd in _several(noise, "noise"):
        check_positive(sd, "noise")
    _check_memory(setting, max(every_N), max(every_B))
    _check_scale(setting)
    return {
        (N, B): [
            (_number_observed(some, N, B, setting), float(sd))
            for some in _several(observed, "observed")
            for sd in _several(noise, "noise")
        ]
        for N in every_N
        for B in every_B
    }


def _check_memory(setting: Setting, N: int, B: int) -> None:
    """Refuse designs whose changes of all weights, by all truths, do not fit into memory."""
    truths = len(setting.rules) + len(setting.others) + 1
    entries = N * N * (4 * truths + 6) + B * N * (3 * truths + 20)
    require_memory(
        8.0 * entries,
        f"units: a design of {N:,} units, {B:,} stimuli and {truths} truths",
        "choose fewer units or stimuli",
    )


def _check_scale(setting: Setting) -> None:
    """Refuse sizes that are relative to weights which are all 0."""
    is_relative = {
        "weight_error": setting.weight_error > 0,
        "change": setting.steps > 1 or setting.kind == "rates",
    }
    network = setting.network
    if network is not None and any(is_relative.values()) and not network.connectivity.dense().any():
        name = next(name for name in is_relative if is_relative[name])
        raise InputError(
            f"{name}: it is relative to the size of W, and all weights of the network are 0.",
            argument=name,
        )


def _number_observed(observed: int | None, N: int, B: int, setting: Setting) -> int:
    is_weights = setting.kind == "weights"
    most, least = (N * N, LEAST) if is_weights else (N, max(FOLDS, math.ceil(LEAST / B)))
    if is_weights and setting.network is not None:
        most = int(can_change(setting.network).sum())
    if observed is None:
        return most
    check_whole(observed, "observed", least=least)
    if observed > most:
        raise InputError.at(
            "observed",
            got=observed,
            expected=f"at most the {most} {things(setting.kind)} of {N} units",
            remedy="None observes all",
        )
    return int(observed)


def _table(
    grid: Grid, animals: list[int], counts: dict[tuple[Any, ...], int], setting: Setting,
    experiments: int,
) -> pd.DataFrame:  # fmt: skip
    rows = [
        (N, B, observed, noise, number, truth, named)
        for (N, B), designs in grid.items()
        for observed, noise in dict.fromkeys(designs)
        for number in dict.fromkeys(animals)
        for truth in [*setting.rules, *setting.others, NONE]
        for named in [*setting.rules, NONE]
    ]
    table = pd.DataFrame(rows, columns=[*DESIGN, "truth", "named"])
    table["count"] = [counts.get(row, 0) for row in rows]
    is_wrong = (table["named"] != table["truth"]) & (table["named"] != NONE)
    table["wrong"] = table["count"].where(is_wrong, 0)
    table["experiments"] = experiments
    return with_intervals(table)
