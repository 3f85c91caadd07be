"""Fleet: small networks of many seeds and step lengths that learn side by side, as one batch.

The rules are those of `ratenet.plasticity` in matrices (R, N, N) for R networks. A test compares
them, the fixed points and the steps with ratenet's own (tests/reproduce/test_metric_benchmark.py).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import pandas as pd
import torch
from torch import Tensor

import ratenet as rn
from ratenet.errors import UnsettledError
from ratenet.hypotheses.tasks.base import AbstractTask, Setting
from ratenet.hypotheses.tasks.digits import Digits
from ratenet.hypotheses.tasks.linear import LinearRegression
from ratenet.training.line_search import MOST_TRIALS, SUFFICIENT

TOLERANCE = 1e-8  # of the residual
ITERATIONS, NEWTON_STEPS = 30, 15
LARGEST_UNSETTLED_SHARE = 0.5
RECORDS = 10  # of the loss along the way


class State(NamedTuple):
    """Where networks are: weights (R, N, N); gains, rates and errors (R, B, N)."""

    W: Tensor
    g: Tensor
    y: Tensor
    e: Tensor
    runs: Tensor  # which networks of the fleet these are, (R,)

    def forward(self, v: Tensor) -> Tensor:
        """Return W v."""
        return v @ self.W.mT

    def adjoint(self) -> Tensor:
        """Return lambda = G (I - W^T G)^-1 e, solved sample by sample."""
        eye = torch.eye(self.W.shape[1], dtype=self.W.dtype)
        if bool((self.g == 1).all()):
            return torch.linalg.solve_ex((eye - self.W).mT, self.e.mT)[0].mT
        matrix = eye - self.W.mT[:, None] * self.g[:, :, None, :]
        return self.g * torch.linalg.solve_ex(matrix, self.e[..., None])[0][..., 0]

    def left(self) -> Tensor:
        """Return (I - W G) G e."""
        q = self.g * self.e
        return q - self.forward(self.g * q)

    def right(self) -> Tensor:
        """Return (I - G W)^T (I - G W) y."""
        s = self.y - self.g * self.forward(self.y)
        return s - (self.g * s) @ self.W


def _rule_4(at: State) -> tuple[Tensor, Tensor]:
    s = at.y - at.forward(at.g * at.y)
    return at.e - at.forward(at.g * at.e), s - at.g * (s @ at.W)


def _first_order(at: State) -> tuple[Tensor, Tensor]:
    s = at.y / at.g - at.forward(at.y)
    return at.e / at.g - at.forward(at.e), s / at.g - s @ at.W


Factors = Callable[[State], tuple[Tensor, Tensor]]
# dW = -eta mean(left right^T)
FACTORS: dict[str, Factors] = {
    "rule 1": lambda at: (at.adjoint(), at.y),
    "rule 3": lambda at: (at.left(), at.right()),
    "rule 4": _rule_4,
    "a = -1": _first_order,
    "left only": lambda at: (at.left(), at.y),
    "right only": lambda at: (at.adjoint(), at.right()),
}


class Kind(Protocol):
    """Something that draws a task: its class, or an object with settings of its own."""

    def drawn(self, setting: Setting, seed: int) -> AbstractTask:
        """Return the task of a seed."""


@dataclass(frozen=True)
class Plan:
    """A task, how much of it is learned, and in how many steps."""

    kind: Kind
    setting: Setting
    steps: int
    batch: int


def plan(
    kind: Kind, model: str, units: int, sizes: tuple[int, int], *, steps: int,
    batch: int,
) -> Plan:  # fmt: skip
    """Return a plan; sizes are samples to learn from, and held out for each other purpose."""
    setting = Setting(units, *sizes, rn.load_model(model), "mnist-5k", "data")
    return Plan(kind, setting, steps, batch)


class Fleet:
    """Networks of some seeds, each with some step lengths, that learn by one rule.

    Parameters
    ----------
    made : Plan
    seeds, lengths : sequence
        Of each combination a network learns: seeds first.
    factors : callable
        The left and right factors of the rule, (R, B, N) each, as in `FACTORS`.
    step : {"rate", "normalized", "line-search"}
    """

    def __init__(
        self, made: Plan, seeds: Sequence[int], lengths: Sequence[float], factors: Factors,
        step: str,
    ) -> None:  # fmt: skip
        self.made, self.factors, self.step = made, factors, step
        self.seeds, self.lengths = seeds, lengths
        self.tasks = [drawn(made, seed) for seed in seeds]
        self.seed = torch.arange(len(seeds)).repeat_interleave(len(lengths))
        self.length = torch.tensor(lengths, dtype=torch.float64).repeat(len(seeds))
        self.W = torch.stack([task.network.connectivity.dense() for task in self.tasks])[self.seed]
        self.path = torch.zeros(len(self.W), dtype=torch.float64)  # in W
        self.stopped = torch.full((len(self.W),), -1)  # at which step, else -1
        self.share = 1.0  # of the cosine, at this step
        self.read_out = torch.empty(0)
        if isinstance(self.tasks[0], Digits):
            self.read_out = torch.stack([task.classifier.read_out for task in self.tasks])

    def samples(self, kind: str, chosen: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return drives and aims by seed, (S, B, N) and (S, B) or (S, B, N)."""
        parts = [getattr(task, kind) for task in self.tasks]
        drive, aim = (torch.stack(list(each)) for each in zip(*parts, strict=True))
        if chosen is None:
            return drive, aim
        rows = torch.arange(len(parts))[:, None]
        return drive[rows, chosen], aim[rows, chosen]

    def rates(
        self, W: Tensor, drive: Tensor, needed: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return fixed points (R, B, N), and which have been found; `needed` as in `solved`."""
        if isinstance(self.tasks[0], LinearRegression):
            eye = torch.eye(W.shape[1], dtype=W.dtype)
            y = torch.linalg.solve_ex(eye - W, drive.mT)[0].mT
            return y, (y @ W.mT + drive - y).abs().amax(dim=2) <= 1e-9
        return solved(W, drive, needed)

    def losses(self, y: Tensor, aim: Tensor, runs: Tensor) -> Tensor:
        """Return each sample's loss, (R, B)."""
        if not isinstance(self.tasks[0], Digits):
            return (y - aim).square().sum(dim=2)
        logits = y @ self.read_out[self.seed[runs]].mT
        return torch.logsumexp(logits, dim=2) - logits.gather(2, aim[..., None])[..., 0]

    def errors(self, y: Tensor, aim: Tensor, runs: Tensor) -> Tensor:
        """Return dL_b/dy_b, (R, B, N)."""
        if not isinstance(self.tasks[0], Digits):
            return 2 * (y - aim)
        read_out = self.read_out[self.seed[runs]]
        surprise = torch.softmax(y @ read_out.mT, dim=2)
        surprise -= torch.nn.functional.one_hot(aim, surprise.shape[2])
        return surprise @ read_out

    def learn(self) -> pd.DataFrame:
        """Take all steps; return the mean loss of the batch along the way."""
        curves, every = [], math.ceil(self.made.steps / RECORDS)
        for number, chosen in zip(range(self.made.steps), self._batches(), strict=False):
            path, loss = self.path.clone(), self.take_step(number, *self.samples("train", chosen))
            if number % every == 0:
                curves.append(self.table(number=number, path=path, loss=loss))
        return pd.concat(curves, ignore_index=True)

    def take_step(self, number: int, drive: Tensor, aim: Tensor) -> Tensor:
        """Take a step with every network that has not stopped; return the losses before, (R,)."""
        self.share = (1 + math.cos(math.pi * number / self.made.steps)) / 2
        runs = torch.nonzero(self.stopped < 0)[:, 0]
        seed, W, loss = self.seed[runs], self.W[runs], torch.full_like(self.length, math.nan)
        y, known = self.rates(W, drive[seed])
        found = mean_of(self.losses(y, aim[seed], runs), known)
        change, slope = self.change(W, y, known, aim[seed], runs)
        if self.step == "normalized":
            norm = change.norm(dim=(1, 2), keepdim=True)
            change = torch.where(norm > 0, change / norm, change)
        length = self.length[runs] * (1 if self.step == "line-search" else self.share)
        change = length[:, None, None] * change
        if self.step == "line-search":
            shares = self._search(runs, (W, change), (drive, aim), (found, length * slope, known))
            change = shares[:, None, None] * change
        is_lost = (~known).double().mean(dim=1) > LARGEST_UNSETTLED_SHARE
        is_lost |= ~torch.isfinite(change).all(dim=2).all(dim=1)
        self.stopped[runs[is_lost]] = number
        runs, change = runs[~is_lost], change[~is_lost]
        self.W[runs] += change
        self.path[runs] += change.norm(dim=(1, 2))
        loss[runs] = found[~is_lost]
        return loss

    def change(
        self, W: Tensor, y: Tensor, known: Tensor, aim: Tensor, runs: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the rule's change at the rate 1, and the slope of the mean loss along it."""
        g = torch.ones_like(y) if isinstance(self.tasks[0], LinearRegression) else 1 - y.square()
        at = State(W, g, y, self.errors(y, aim, runs), runs)
        left, right = self.factors(at)
        change = -mean_outer(left, right, known)
        if self.step != "line-search":
            return change, torch.zeros(len(W), dtype=W.dtype)
        return change, (mean_outer(at.adjoint(), y, known) * change).sum(dim=(1, 2))

    def _search(
        self, runs: Tensor, move: tuple[Tensor, Tensor], samples: tuple[Tensor, Tensor],
        before: tuple[Tensor, Tensor, Tensor],
    ) -> Tensor:  # fmt: skip
        """Return the share of each network's step that lowers the loss enough, as `backtrack`."""
        (W, change), (drive, aim), (loss, slope, known) = move, samples, before
        shares = torch.zeros(len(runs), dtype=W.dtype)
        left = torch.nonzero((slope < 0) & torch.isfinite(change).all(dim=2).all(dim=1))[:, 0]
        for trial in range(MOST_TRIALS):
            if not len(left):
                break
            share, seed = 0.5**trial, self.seed[runs[left]]
            y, is_found = self.rates(W[left] + share * change[left], drive[seed], known[left])
            after = mean_of(self.losses(y, aim[seed], runs[left]), known[left])
            is_whole = (is_found | ~known[left]).all(dim=1)
            falls = is_whole & (after <= loss[left] + SUFFICIENT * share * slope[left])
            shares[left[falls]] = share
            left = left[~falls]
        return shares

    def outcome(self) -> pd.DataFrame:
        """Return the training loss of each network, and the scores to choose by and to report.

        Of the linear task, where 50 samples do not determine the weights, the fit itself is both.
        """
        runs = torch.arange(len(self.W))
        is_linear = isinstance(self.tasks[0], LinearRegression)
        kinds = {"validation": "train" if is_linear else "validation",
                 "score": "train" if is_linear else "test"}  # fmt: skip
        drive, aim = (each[self.seed] for each in self.samples("train"))
        y, known = self.rates(self.W, drive)
        loss = mean_of(self.losses(y, aim, runs), known)
        scores = {name: self._scores(kind) for name, kind in kinds.items()}
        return self.table(path=self.path, stopped=self.stopped, loss=loss, **scores)

    def _scores(self, kind: str) -> Tensor:
        """Return each network's score as the task defines it; unsettled samples are wrong."""
        drive, aim = (each[self.seed] for each in self.samples(kind))
        y, known = self.rates(self.W, drive)
        if isinstance(self.tasks[0], Digits):
            answers = (y @ self.read_out[self.seed].mT).argmax(dim=2)
            return ((answers == aim) & known).double().mean(dim=1)
        spread = (aim.mean(dim=1, keepdim=True) - aim).square().sum(dim=2)
        missed = torch.where(known, (y - aim).square().sum(dim=2), spread)
        return -torch.log10(missed.sum(dim=1) / spread.sum(dim=1))

    def _batches(self) -> Iterator[Tensor | None]:
        """Give the samples of each step by seed: all, or those of shuffled epochs."""
        size, batch = self.made.setting.samples, self.made.batch
        generators = [torch.Generator().manual_seed(int(seed)) for seed in self.seeds]
        while True:
            if batch == size:
                yield None
                continue
            orders = torch.stack([torch.randperm(size, generator=each) for each in generators])
            yield from orders.split(batch, dim=1)

    def table(self, **columns: object) -> pd.DataFrame:
        """Return a row for each network."""
        own = {"seed": torch.as_tensor(list(self.seeds))[self.seed], "length": self.length}
        return pd.DataFrame(
            {n: v.numpy() if isinstance(v, Tensor) else v for n, v in {**own, **columns}.items()}
        )


def drawn(made: Plan, seed: int) -> AbstractTask:
    """Return the task of a seed, or of the next one of another hundred that has fixed points."""
    while True:
        try:
            return made.kind.drawn(made.setting, seed)
        except UnsettledError:
            seed += 100


def mean_of(losses: Tensor, known: Tensor) -> Tensor:
    """Return the mean over the known samples, (R,); NaN where there are none."""
    return torch.where(known, losses, 0.0).sum(dim=1) / known.sum(dim=1)


def mean_outer(left: Tensor, right: Tensor, known: Tensor) -> Tensor:
    """Return the mean over the known samples of left right^T, (R, N, N)."""
    left = torch.where(known[..., None], left, 0.0)
    right = torch.where(known[..., None], right, 0.0)
    return left.mT @ right / known.sum(dim=1).clamp(min=1)[:, None, None]


def solved(W: Tensor, drive: Tensor, needed: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return fixed points y = tanh(W y + x) from rest, (R, B, N), and which have been found.

    Newton steps with the gains' mean over a network's samples, then, for samples that are left,
    with their own. Of use are only networks that have all `needed` samples (R, B), if given: the
    worst is tried first, and where it is not found no other one is tried.
    """
    eye, y = torch.eye(W.shape[1], dtype=W.dtype), torch.zeros_like(drive)
    for _ in range(ITERATIONS):
        f = torch.tanh(y @ W.mT + drive)
        off = f - y
        if bool((off.abs().amax(dim=2) <= TOLERANCE).all()):
            break
        mean = (1 - f.square()).mean(dim=1)
        step = torch.linalg.solve_ex(eye - mean[:, :, None] * W, off.mT)[0].mT
        y = (y + step).nan_to_num(0.0, 0.0, 0.0).clamp(-1, 1)
    off = distance(W, y, drive)
    is_left = ~(off <= TOLERANCE)
    if needed is not None:
        is_left &= needed
        worst = torch.where(is_left, off, -1.0).argmax(dim=1)
        run = torch.nonzero(is_left.any(dim=1))[:, 0]
        y[run, worst[run]] = by_newton(W[run], drive[run, worst[run]])
        off = distance(W, y, drive)
        is_left[run] &= off[run, worst[run], None] <= TOLERANCE
        is_left &= ~(off <= TOLERANCE)
    run, sample = torch.nonzero(is_left, as_tuple=True)
    if len(run):
        y[run, sample] = by_newton(W[run], drive[run, sample])
        off = distance(W, y, drive)
    return y, off <= TOLERANCE


def distance(W: Tensor, y: Tensor, drive: Tensor) -> Tensor:
    """Return the largest |tanh(W y + x) - y| of each sample, (R, B)."""
    return (torch.tanh(y @ W.mT + drive) - y).abs().amax(dim=2)


def by_newton(W: Tensor, drive: Tensor) -> Tensor:
    """Return y = tanh(W y + x) for matrices (n, N, N) and drives (n, N), as far as it is found."""
    eye, y = torch.eye(W.shape[1], dtype=W.dtype), torch.zeros_like(drive)
    for _ in range(NEWTON_STEPS):
        f = torch.tanh((W @ y[..., None])[..., 0] + drive)
        step = torch.linalg.solve_ex(eye - (1 - f.square())[..., None] * W, f - y)[0]
        y = (y + step).nan_to_num(0.0, 0.0, 0.0).clamp(-1, 1)
    return y
