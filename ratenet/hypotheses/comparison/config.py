"""ComparisonConfig: everything that decides a comparison, checked once."""

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from numbers import Real
from typing import Annotated, Any

from pydantic import Field

from ratenet.errors import InputError, UnknownNameError
from ratenet.validation import Expected, check_fields

Cell = dict[str, Any]
Name = Annotated[str, Field(min_length=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1, le=10**9)]
AtLeastTwo = Annotated[int, Field(ge=2, le=10**9)]


@dataclass(frozen=True)
class ComparisonConfig:
    """What is compared; the same configuration gives the same tables.

    Parameters
    ----------
    tasks : sequence of str
        Tasks: linear, teacher, association, mnist; each once.
    rules : sequence of str
        Plasticity rules, each once: names, or sums such as `0.5*euclidean+0.5*hebb`.
    learning_rates : sequence of float
        Learning rates, each once; every rule is run at all of them.
    seeds : int
        Number of seeds.
    seed : int
        The first seed; the others follow it: seed + 1, ...
    steps : int
        Number of weight changes.
    units : int
        Number of units, N.
    samples : int
        Number of training samples; for mnist, training images.
    held_out : int
        Number of validation samples, by which the learning rate is chosen, and of test samples.
    batch_size : int
        Samples in a step, B.
    record_every : int
        Steps between rows of the table of steps.
    model : ModelSpec or str
        Name of a model, or path of a model file (.toml); for all tasks but linear.
    data : str
        Data set of the task mnist: mnist-5k (embedded), mnist or fashion-mnist.
    level : float
        Confidence level of the intervals.

    Raises
    ------
    InputError, UnknownNameError
        If a value cannot be used.

    Examples
    --------
    >>> config = ComparisonConfig(["teacher"], ["euclidean", "hebb"], [0.1, 0.01], seeds=3)
    >>> config.learning_rates, len(list(config.cells()))
    ((0.01, 0.1), 12)
    """

    tasks: Annotated[Sequence[Name], Field(min_length=1)]
    rules: Annotated[Sequence[Name], Field(min_length=1)]
    learning_rates: Annotated[Sequence[Positive], Field(min_length=1)]
    seeds: Count = 5
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    steps: Count = 100
    units: AtLeastTwo = 50
    samples: Count = 400
    held_out: AtLeastTwo = 200
    batch_size: Count = 50
    record_every: Count = 10
    model: Annotated[Any, Expected("the name of a model, a path or a ModelSpec")] = "rate"
    data: Name = "mnist-5k"
    level: Annotated[float, Field(ge=0.5, lt=1)] = 0.95

    def __post_init__(self) -> None:
        for name in _LISTS:
            object.__setattr__(self, name, _as_list(getattr(self, name)))
        check_fields(self)
        for name in _LISTS:
            object.__setattr__(self, name, _each_once(getattr(self, name), name))
        object.__setattr__(self, "learning_rates", tuple(sorted(self.learning_rates)))
        self._check_names()
        if self.seed + self.seeds > 2**63:
            raise InputError.at("seed", got=self.seed, expected="at most 2**63 - seeds")
        if self.batch_size > self.samples:
            expected = f"at most the number of samples, {self.samples}"
            raise InputError.at("batch_size", got=self.batch_size, expected=expected)

    def _check_names(self) -> None:
        # Imported here, so that `ratenet compare --help` does not wait for torch.
        from ratenet.equations import ModelSpec, load_model
        from ratenet.hypotheses.tasks import TASKS
        from ratenet.plasticity import rule_named
        from ratenet.stimuli import DATA, source_of

        for task in self.tasks:
            if task not in TASKS:
                raise UnknownNameError.among("task", task, TASKS)
        for rule in self.rules:
            rule_named(rule)
        DATA.check(source_of(self.data))
        model = load_model(self.model) if isinstance(self.model, str) else self.model
        if not isinstance(model, ModelSpec):
            expected = "the name of a model, a path or a ModelSpec"
            raise InputError.at("model", got=model, expected=expected)
        object.__setattr__(self, "model", model)

    def table(self) -> dict[str, dict[str, Any]]:
        """Return all of it as plain data: sections `compare` and `model`."""
        names = [one.name for one in fields(self) if one.name != "model"]
        plain = {name: getattr(self, name) for name in names}
        plain |= {name: list(plain[name]) for name in _LISTS}
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


def _as_list(values: Any) -> Any:
    """Return a single name or number as a list, and any other iterable as one."""
    if isinstance(values, str | Real):
        return [values]
    return [*values] if isinstance(values, Iterable) else values


def _each_once(values: Sequence[Any], name: str) -> tuple[Any, ...]:
    if len(set(values)) < len(values):
        raise InputError.at(name, got=list(values), expected="each entry once")
    return tuple(float(value) if isinstance(value, int) else value for value in values)
