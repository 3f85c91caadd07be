"""ComparisonConfig: everything that decides a comparison, checked once."""

import hashlib
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

from ratenet.equations import ModelSpec, load_model
from ratenet.errors import InputError, UnknownNameError
from ratenet.hypotheses.tasks import TASKS
from ratenet.plasticity import rule_named
from ratenet.plasticity.base import check_learning_rate, check_whole
from ratenet.stimuli.images import DATA_SETS, EMBEDDED

WHOLE = {"seeds": 1, "seed": 0, "steps": 1, "units": 2, "samples": 1, "held_out": 2,
         "batch_size": 1, "record_every": 1}  # fmt: skip
Cell = dict[str, Any]


@dataclass(frozen=True)
class ComparisonConfig:
    """What is compared; the same configuration gives the same tables.

    Parameters
    ----------
    tasks, rules : sequence of str
        Names, each once.
    learning_rates : sequence of float
    seeds, seed : int
        How many seeds, and the first one: seed, seed + 1, ...
    steps : int
        Changes of the weights.
    units : int
        N.
    samples, held_out : int
        Samples to learn from; samples to choose the learning rate by, and as many to test.
    batch_size : int
        Samples a step.
    record_every : int
        Steps from one row of the table to the next.
    model : ModelSpec or str
        For all tasks but "linear".
    data : str
        A data set of `load_images`, for the task "mnist".
    level : float
        Of the intervals.

    Raises
    ------
    InputError, UnknownNameError
        If a value cannot be used.
    """

    tasks: Sequence[str]
    rules: Sequence[str]
    learning_rates: Sequence[float]
    seeds: int = 5
    seed: int = 0
    steps: int = 100
    units: int = 50
    samples: int = 400
    held_out: int = 200
    batch_size: int = 50
    record_every: int = 10
    model: ModelSpec | str = "rate"
    data: str = EMBEDDED
    level: float = 0.95

    def __post_init__(self) -> None:
        for name in ("tasks", "rules", "learning_rates"):
            object.__setattr__(self, name, _each_once(getattr(self, name), name))
        for task in self.tasks:
            if task not in TASKS:
                raise UnknownNameError(f"There is no task {task!r}; there are {', '.join(TASKS)}.")
        for rule in self.rules:
            rule_named(rule)
        for rate in self.learning_rates:
            check_learning_rate(rate)
        rates = tuple(sorted(map(float, self.learning_rates)))
        object.__setattr__(self, "learning_rates", rates)
        self._check_numbers()
        if self.data not in DATA_SETS:
            raise UnknownNameError(
                f"There is no data set {self.data!r}; there are {', '.join(DATA_SETS)}."
            )
        if isinstance(self.model, str):
            object.__setattr__(self, "model", load_model(self.model))

    def _check_numbers(self) -> None:
        for name, least in WHOLE.items():
            check_whole(getattr(self, name), name, least)
        if self.seed + self.seeds > 2**63:
            raise InputError(f"seed: {self.seed} is not from 0 to 2**63 - seeds.")
        if self.batch_size > self.samples:
            raise InputError(
                f"batch_size: {self.batch_size} is more than the {self.samples} samples to learn "
                "from; give fewer."
            )
        if not isinstance(self.level, Real) or not 0.5 <= self.level < 1:
            raise InputError(f"level: {self.level!r} is no number from 0.5 to below 1.")

    def table(self) -> dict[str, dict[str, Any]]:
        """Return all of it as plain data: sections `compare` and `model`."""
        names = [one.name for one in fields(self) if one.name != "model"]
        plain = {name: getattr(self, name) for name in names}
        plain |= {name: list(plain[name]) for name in _LISTS}
        assert isinstance(self.model, ModelSpec)  # since __post_init__
        return {"compare": plain, "model": self.model.to_table()}

    def cells(self) -> Iterator[Cell]:
        """Yield the cells as plain data: each seed first, so that all are seen early."""
        table = self.table()
        shared = {name: value for name, value in table["compare"].items() if name not in _SWEPT}
        seeds = range(self.seed, self.seed + self.seeds)
        every = itertools.product(seeds, self.tasks, self.rules, self.learning_rates)
        for seed, task, rule, rate in every:
            own = {"task": task, "rule": rule, "learning_rate": rate, "seed": seed}
            yield {**shared, **own, "model": table["model"]}


_LISTS = ("tasks", "rules", "learning_rates")
# What no cell depends on; rules stay, since each cell compares with the changes of all of them.
_SWEPT = ("tasks", "learning_rates", "seeds", "seed", "level")


def cell_id(cell: Cell) -> str:
    """Return what a cell's file is called: a hash of all that its numbers depend on."""
    return hashlib.sha256(json.dumps(cell, sort_keys=True).encode()).hexdigest()[:16]


def _each_once(values: Any, name: str) -> tuple[Any, ...]:
    given = (values,) if isinstance(values, str | Real) else tuple(values)
    if not given or len(set(given)) < len(given):
        raise InputError(f"{name}: {list(given)}; needed is one or more, each once.")
    return given
