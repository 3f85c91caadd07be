"""ComparisonConfig: everything that decides a comparison, checked once."""

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, partial
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from ratenet.errors import InputError
from ratenet.validation import Expected, check_fields

if TYPE_CHECKING:
    from ratenet.equations.own_code import Source
    from ratenet.equations.registry import Registry

Cell = dict[str, Any]
Interval = Literal["t", "bca"]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1, le=10**9)]
AtLeastTwo = Annotated[int, Field(ge=2, le=10**9)]


@dataclass(frozen=True)
class ComparisonConfig:
    """What is compared; the same configuration gives the same tables.

    Parameters
    ----------
    tasks : sequence of str, or of classes derived from AbstractTask
        Tasks, each once: linear, teacher, association, mnist, or FILE.py:NAME of your own.
    rules : sequence of str, AbstractRule or mapping
        Plasticity rules, each once: names, with settings as in `truncated-adjoint(terms=5)`; sums
        such as `0.5*euclidean+0.5*hebb`; FILE.py:NAME of your own; in Python also objects.
    learning_rates : sequence of float
        Learning rates, each once; every rule is run at all of them.
    seeds : int
        Number of seeds. If there are several learning rates, the first third choose among them and
        the others judge; no p-value below 0.05 can come up with fewer than six that judge.
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
        Samples per step, B.
    record_every : int
        Steps between rows of the table of steps.
    model : ModelSpec, str or mapping
        Name of a model, path of a model file (.toml), or FILE.py:NAME; for all tasks but linear.
    data : str or ImageSet
        Images with classes for the task mnist: a data set, an .npz file, a folder or FILE.py:NAME,
        as for a training (docs/own-data.md); in Python also an ImageSet.
    level : float
        Coverage of the intervals; of differences, of all pairs of rules of a task together.
    interval : {"t", "bca"}
        How they are made: Student's, or a bootstrap (bias-corrected and accelerated), for many
        seeds with skewed scores.

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

    tasks: Annotated[Sequence[Annotated[Any, Expected("tasks")]], Field(min_length=1)] = (
        "teacher",
        "association",
    )
    rules: Annotated[Sequence[Annotated[Any, Expected("rules")]], Field(min_length=1)] = (
        "euclidean",
        "linearized-reparameterized",
        "gain-free-reparameterized",
    )
    learning_rates: Annotated[Sequence[Positive], Field(min_length=1)] = (
        *(0.001, 0.003, 0.01, 0.03),
        *(0.1, 0.3, 1.0, 3.0),
    )
    seeds: Count = 10
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    steps: Count = 100
    units: AtLeastTwo = 50
    samples: Count = 400
    held_out: AtLeastTwo = 200
    batch_size: Count = 50
    record_every: Count = 10
    model: Annotated[Any, Expected("the name of a model, a path or a ModelSpec")] = "rate"
    data: Annotated[Any, Expected("a data set or an ImageSet")] = "mnist-5k"
    level: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    interval: Interval = "t"

    def __post_init__(self) -> None:
        for name in _LISTS:
            object.__setattr__(self, name, _as_list(getattr(self, name)))
        check_fields(self)
        self._check_names()
        for name, values in self._labels().items():
            _check_each_once(values, name)
        object.__setattr__(self, "learning_rates", tuple(sorted(map(float, self.learning_rates))))
        if self.seed + self.seeds > 2**63:
            raise InputError.at("seed", got=self.seed, expected="at most 2**63 - seeds")
        if self.batch_size > self.samples:
            expected = f"at most the number of samples, {self.samples}"
            raise InputError.at("batch_size", got=self.batch_size, expected=expected)

    def _check_names(self) -> None:
        # Imported here, so that `ratenet compare --help` does not wait for torch.
        from ratenet.equations import load_model
        from ratenet.hypotheses.tasks import TASKS
        from ratenet.plasticity import RULES
        from ratenet.training.run_data import kept_data

        object.__setattr__(self, "tasks", tuple(map(TASKS.normal, self.tasks)))
        object.__setattr__(self, "rules", tuple(map(RULES.normal, self.rules)))
        object.__setattr__(self, "data", kept_data(self.data))
        object.__setattr__(self, "model", load_model(self.model))
        if self.model.noises:
            raise InputError.at(
                "model", got=self.model.name, expected="a model without noise, which fixed points "
                "leave out",
            )  # fmt: skip

    def table(self) -> dict[str, dict[str, Any]]:
        """Return all of it as plain data: sections `compare` and `model`."""
        names = [one.name for one in fields(self) if one.name != "model"]
        plain = {name: getattr(self, name) for name in names}
        plain |= {name: list(plain[name]) for name in _LISTS} | self._written()
        plain["data"] = self._data_name
        if self._sha256 is not None:
            plain["data_sha256"] = self._sha256
        return {"compare": plain, "model": self.model.to_table()}

    @property
    def _data_name(self) -> str:
        from ratenet.training.run_data import written_data

        return written_data(self.data)

    @cached_property
    def _sha256(self) -> str | None:
        """SHA-256 of images of one's own, which may change in their place; None for named ones."""
        from ratenet.stimuli import load_images
        from ratenet.training.run_data import is_named

        return None if is_named(self.data) else load_images(self.data).sha256()

    def _written(self) -> dict[str, list[str]]:
        """Return how tasks and rules are written."""
        from ratenet.hypotheses.tasks import TASKS
        from ratenet.plasticity import RULES

        return {
            "tasks": [*map(TASKS.written, self.tasks)],
            "rules": [*map(RULES.written, self.rules)],
        }

    def _labels(self) -> dict[str, list[Any]]:
        """Return what tasks, rules and learning rates are called in tables."""
        from ratenet.equations.recording import without_folders

        labels = {name: [*map(without_folders, some)] for name, some in self._written().items()}
        return {**labels, "learning_rates": list(self.learning_rates)}

    @property
    def task_names(self) -> list[str]:
        """What the tasks are called in tables, where files stand without their folders."""
        return self._labels()["tasks"]

    @property
    def rule_names(self) -> list[str]:
        """What the rules are called in tables."""
        return self._labels()["rules"]

    def code(self) -> "list[Source]":
        """Return the files of code besides ratenet's that it needs."""
        from ratenet.hypotheses.tasks import TASKS
        from ratenet.plasticity import RULES

        found = [source for rule in self.rules for source in RULES.sources(rule)]
        found += [source for task in self.tasks for source in TASKS.sources(task)]
        return list({source.file: source for source in found}.values())

    def own(self) -> dict[str, dict[str, Any]]:
        """Return what no name of ours stands for, by kind and label: rules, tasks, images."""
        from ratenet.hypotheses.tasks import TASKS
        from ratenet.plasticity import RULES
        from ratenet.stimuli import ImageSet

        makers = [TASKS.maker(task) for task in self.tasks]
        drawn = [partial(make.args[1], **make.args[2]) for make in makers]  # type: ignore[attr-defined]
        tasks = zip(self.task_names, self.tasks, drawn, strict=True)
        rules = zip(self.rule_names, self.rules, strict=True)
        return {
            "tasks": {name: make for name, task, make in tasks if _is_own(task, TASKS)},
            "rules": {name: RULES.read(rule) for name, rule in rules if _is_own(rule, RULES)},
            "data": {self._data_name: self.data} if isinstance(self.data, ImageSet) else {},
        }

    @property
    def cell_count(self) -> int:
        """Number of cells."""
        return self.seeds * len(self.tasks) * len(self.rules) * len(self.learning_rates)

    def cells(self) -> Iterator[Cell]:
        """Yield the cells as plain data: each seed first, so that all are seen early."""
        table = self.table()
        shared = {name: value for name, value in table["compare"].items() if name not in _SWEPT}
        seeds = range(self.seed, self.seed + self.seeds)
        code = {Path(source.file).name: source.sha256 for source in self.code()}
        shared |= {"rules": self.rule_names, **({"code": code} if code else {})}
        every = itertools.product(seeds, self.task_names, self.rule_names, self.learning_rates)
        for seed, task, rule, rate in every:
            own = {"task": task, "rule": rule, "learning_rate": rate, "seed": seed}
            yield {**shared, **own, "model": table["model"]}


_LISTS = ("tasks", "rules", "learning_rates")
# What no cell depends on; rules stay, since each cell compares with the changes of all of them.
_SWEPT = ("tasks", "learning_rates", "seeds", "seed", "level", "interval")
# What may be asked for anew in the folder of a comparison: its finished cells stay as they are.
RESTATED = ("seeds", "level", "interval")


def cell_id(cell: Cell) -> str:
    """Return what a cell's file is called: a hash of all that its numbers depend on."""
    return hashlib.sha256(json.dumps(cell, sort_keys=True).encode()).hexdigest()[:16]


def _as_list(values: Any) -> Any:
    """Return a single name, object or number as a list, and any other iterable as one."""
    is_single = isinstance(values, str | Real | Mapping | type) or not isinstance(values, Iterable)
    return [values] if is_single else [*values]


def _check_each_once(values: Sequence[Any], name: str) -> None:
    if len(set(values)) < len(values):
        raise InputError.at(name, got=list(values), expected="each entry once")


def _is_own(given: Any, registry: "Registry[Any]") -> bool:
    return not isinstance(given, str) or registry.names_own(given)
