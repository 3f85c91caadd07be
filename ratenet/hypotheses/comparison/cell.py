"""One cell of a comparison: a task, a rule, a learning rate and a seed, run to its end.

A pure function from plain data to plain data: the same cell gives the same numbers, to the last
bit, whichever process runs it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ratenet.connectivity.base import Change
from ratenet.equations.files import parse_model
from ratenet.equations.own_code import Parcel
from ratenet.errors import (
    ConvergenceError,
    DivergenceError,
    RatenetError,
    SingularError,
    UnsettledError,
    UnsupportedError,
    counted,
)
from ratenet.fixed_points import FixedPoints
from ratenet.hypotheses.comparison.measures import Modes, beside, flat
from ratenet.hypotheses.tasks import TASKS, AbstractTask, Samples, Setting
from ratenet.plasticity import AbstractRule, rule_named
from ratenet.stimuli import batches_of_epoch

EXACT = "euclidean"  # whose change is the exact gradient's
PROBES = 4  # samples whose modes are measured
LARGEST_UNSETTLED_SHARE = 0.5
DONE = "done"
# What ends a cell and not the comparison, and what the cell's status is then.
ENDINGS: dict[type[RatenetError], str] = {
    UnsettledError: "unsettled",
    ConvergenceError: "unsettled",
    DivergenceError: "diverged",
    SingularError: "singular",
    UnsupportedError: "unsupported",
}


def run_cell(cell: dict[str, Any], data_root: str, own: Parcel | None = None) -> dict[str, Any]:
    """Run one cell, and return what it found.

    Parameters
    ----------
    cell : dict
        Plain data, from `ComparisonConfig.cells`.
    data_root : str
        Where torchvision keeps its files on this machine.
    own : Parcel, optional
        The user's own rules, tasks and images, from `ComparisonConfig.own`.

    Returns
    -------
    dict
        status, reason, steps_done; `rows`, one for each step that was measured; and, unless the
        rule is not defined for the task, the scores and losses at the end.
    """
    with _one_thread(), torch.no_grad():
        try:
            task = draw_task(cell, data_root, own)
        except UnsettledError as error:  # of a teacher
            return _outcome("unsettled", str(error), 0, [])
        course = _Course(cell, task, _of(own, "rules"))
        status, reason = course.run()
        ended = {} if status == "unsupported" else course.scores()
        return {**_outcome(status, reason, course.steps_done, course.rows), **ended}


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute in one thread: sums are rounded alike everywhere, and processes do not contend."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def draw_task(cell: dict[str, Any], data_root: str, own: Parcel | None = None) -> AbstractTask:
    """Return a cell's task at its start."""
    names = ("units", "samples", "held_out")
    setting = Setting(
        **{name: cell[name] for name in names},
        data=_of(own, "data").get(cell["data"], cell["data"]),
        model=parse_model(cell["model"]),
        data_root=data_root,
    )
    maker = _of(own, "tasks").get(cell["task"])
    if maker is None:
        return TASKS.read(cell["task"], setting, cell["seed"])
    return TASKS.read(maker(setting, cell["seed"]))


def _of(own: Parcel | None, kind: str) -> dict[str, Any]:
    """Return the user's own things of one kind by their names."""
    return {} if own is None else own.content[kind]


def _outcome(
    status: str, reason: str, steps_done: int, rows: list[dict[str, Any]]
) -> dict[str, Any]:
    return {"status": status, "reason": reason, "steps_done": steps_done, "rows": rows}


@dataclass
class _Course:
    """A cell on its way."""

    cell: dict[str, Any]
    task: AbstractTask
    own: dict[str, AbstractRule] = field(default_factory=dict)
    steps_done: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        # By name; the exact gradient first, and once.
        names = dict.fromkeys((EXACT, *self.cell["rules"]))
        self.rules = {name: self.own.get(name) or rule_named(name) for name in names}
        self.probes = self.task.train.drive[:PROBES]
        self.start = Modes.of(self.task.reached(self.probes))
        self.score_before = self._tested(self.task.test)[1]

    def run(self) -> tuple[str, str]:
        """Learn until the last step, or until there is an end to it; return status and reason."""
        try:
            while self.steps_done < self.cell["steps"]:
                change = self._change()
                self.task.network.connectivity.add_(change)
                self.steps_done += 1
            self._last_look()
        except tuple(ENDINGS) as error:
            return ENDINGS[type(error)], str(error)
        return DONE, ""

    def _change(self) -> Change:
        """Return the followed rule's change for the next batch; measure, where it is time to."""
        samples, cell = self._batch(), self.cell
        fp = self.task.reached(samples.drive)
        is_measured = self.steps_done % cell["record_every"] == 0
        if is_measured:
            self.rows.append(self._state(fp, samples))
        _refuse_unsettled(fp)
        error = self.task.error(fp.rates, samples.aim)
        if not torch.isfinite(error[fp.converged]).all():
            raise DivergenceError("The error of a sample is not finite; lower the learning rate.")
        change = self._by(self.rules[cell["rule"]], fp, error, samples)
        if is_measured:
            own = flat(self.task.network, change)
            every = {cell["rule"]: own, **self._others(fp, error, samples)}
            self.rows[-1] |= beside(every, cell["rule"], EXACT)
        return change

    def _batch(self) -> Samples:
        size, train = self.cell["batch_size"], self.task.train
        epoch, index = divmod(self.steps_done, len(train.drive) // size)
        batch = batches_of_epoch(len(train.drive), size, self.cell["seed"], epoch)[index]
        return Samples(train.drive[batch], train.aim[batch])

    def _by(self, rule: AbstractRule, fp: FixedPoints, error: Tensor, samples: Samples) -> Change:
        def loss(rates: Tensor) -> Tensor:
            return self.task.losses(rates, samples.aim)

        return rule.propose(fp, error, self.cell["learning_rate"], loss=loss).delta

    def _others(self, fp: FixedPoints, error: Tensor, samples: Samples) -> dict[str, Tensor | None]:
        """Return the changes of the rules that are not followed; None where one does not exist."""
        found: dict[str, Tensor | None] = {}
        for name, rule in self.rules.items():
            if name == self.cell["rule"]:
                continue
            try:
                found[name] = flat(self.task.network, self._by(rule, fp, error, samples))
            except tuple(ENDINGS):
                found[name] = None
        return found

    def _state(self, fp: FixedPoints, samples: Samples) -> dict[str, Any]:
        """Return a row with what the network is like before the next step."""
        probed = self.task.reached(self.probes)
        modes = Modes.of(probed)
        return {
            "step": self.steps_done,
            "loss": self._mean_loss(fp, samples),
            "score": self.task.score(fp, samples.aim),
            "unsettled": fp.unsettled / len(fp),
            "iterations": float(fp.iterations.double().mean()),
            "abscissa": modes.abscissa,
            "condition": modes.condition,
            **modes.distances(self.start),
        }

    def _last_look(self) -> None:
        """Measure the network after the last step, at what would be the next batch."""
        samples = self._batch()
        fp = self.task.reached(samples.drive)
        self.rows.append(self._state(fp, samples))
        _refuse_unsettled(fp)

    def _mean_loss(self, fp: FixedPoints, samples: Samples) -> float:
        """Return the mean over the samples that settled; NaN if there are none."""
        return float(self.task.losses(fp.rates, samples.aim)[fp.converged].mean())

    def _tested(self, samples: Samples) -> tuple[float, float, float]:
        """Return mean loss, score and the share of unsettled samples."""
        fp = self.task.reached(samples.drive)
        loss, score = self._mean_loss(fp, samples), self.task.score(fp, samples.aim)
        return loss, score, fp.unsettled / len(fp)

    def scores(self) -> dict[str, float]:
        """Return how well the network does now, on samples that it did not learn from."""
        found = {"test_score_before": self.score_before}
        for name in ("validation", "test"):
            values = self._tested(getattr(self.task, name))
            columns = (f"{name}_loss", f"{name}_score", f"{name}_unsettled")
            found |= dict(zip(columns, values, strict=True))
        return found


def _refuse_unsettled(fp: FixedPoints) -> None:
    if fp.unsettled > LARGEST_UNSETTLED_SHARE * len(fp):
        raise UnsettledError(
            f"{fp.unsettled} of {counted(len(fp), 'sample')} did not settle, more than half; lower "
            "the learning rate."
        )
