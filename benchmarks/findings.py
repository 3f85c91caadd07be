"""Three findings about the reparameterized rules: powers of G, det A = 0, and locality.

The rules are those of Zhu and Rosenbaum (2024, arXiv 2307.06732). Small networks of several
seeds and step lengths learn side by side (benchmarks/fleet.py):

    power     left factors (I - W G) G^a e for a = -1, 0, 1, 2, with rule 3's right factor, at three
              scales of the drive, so that tanh saturates
    border    linear networks whose start and whose target have det A of either sign, A = (I - W)^-1
    locality  rule 3 with other weights in place of the W^T in its right factor: those of the start,
              random ones, none

    python benchmarks/findings.py [power|border|locality ...] [--seeds N]

Each takes some minutes on one core. All runs go to runs/findings, the tables to
benchmarks/results/findings.md, the figures to docs/images/finding-NAME.png.
"""

import argparse
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"

import numpy as np
import pandas as pd
import torch
from findings_tables import report
from fleet import FACTORS, Factors, Fleet, State, mean_outer, plan
from torch import Tensor

from ratenet.hypotheses.identification.simulated import random_network
from ratenet.hypotheses.tasks.base import Setting, parts, solved
from ratenet.hypotheses.tasks.linear import LinearRegression
from ratenet.hypotheses.tasks.teacher import RADIUS, TEACHER_RADIUS, Teacher
from ratenet.network import Network

ROOT = Path(__file__).parent.parent
LENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0)
POWERS, SATURATIONS = (-1, 0, 1, 2), (0.5, 1.0, 2.0)
BORDER_LENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
BORDER_RULES = (
    ("rule 1", "rate"), ("rule 2", "rate"), ("rule 3", "rate"),
    ("rule 1", "line-search"), ("rule 3", "line-search"),
)  # fmt: skip
RECORDS = 40  # of the eigenvalues along the way


@dataclass(frozen=True)
class Saturated:
    """Draws `Teacher` with drives of another scale, the standard deviation of x."""

    scale: float

    def drawn(self, setting: Setting, seed: int) -> Teacher:
        """Return the task at its start."""
        rng = np.random.default_rng(seed)
        network, teacher = (
            random_network(setting.model, setting.units, radius, rng)
            for radius in (RADIUS, TEACHER_RADIUS)
        )
        drive = self.scale * torch.as_tensor(rng.standard_normal((setting.total, setting.units)))
        return Teacher(network, *parts(drive, solved(teacher, drive).rates, setting))


@dataclass(frozen=True)
class Sided:
    """Draws a linear task without noise whose start and target have det A of given signs."""

    start: int
    target: int

    def drawn(self, setting: Setting, seed: int) -> LinearRegression:
        """Return the task at its start."""
        generator = torch.Generator().manual_seed(seed)
        N = setting.units

        def weights(sign: int) -> Tensor:
            W = torch.randn(N, N, generator=generator, dtype=torch.float64)
            direction = torch.randn(N, generator=generator, dtype=torch.float64)
            return with_sign(RADIUS * W / math.sqrt(N), direction, sign)

        W, teacher = weights(self.start), weights(self.target)
        x = torch.randn(setting.total, N, generator=generator, dtype=torch.float64)
        target = torch.linalg.solve(torch.eye(N, dtype=torch.float64) - teacher, x.T).T
        return LinearRegression(Network("linear", W), *parts(x, target, setting))


def with_sign(W: Tensor, u: Tensor, sign: int) -> Tensor:
    """Return W, if need be with a change of rank one that turns the sign of det(I - W).

    det(I - W - c u v^T) = det(I - W) (1 - c v^T (I - W)^-1 u), which is -det(I - W) here.
    """
    M = torch.eye(len(W), dtype=W.dtype) - W
    if torch.linalg.det(M).sign() == sign:
        return W
    v = torch.linalg.solve(M, u)
    return W + 2 * torch.outer(u, v) / (v @ v)


class Exact(Fleet):
    """Rule 2: the step in A, mapped back exactly, for linear networks with plain steps."""

    def change(
        self, W: Tensor, y: Tensor, known: Tensor, aim: Tensor, runs: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return (M - (M^-1 - eta grad)^-1) / eta with M = I - W."""
        eta = (self.share * self.length[runs])[:, None, None]
        M = torch.eye(W.shape[1], dtype=W.dtype) - W
        gradient = mean_outer(self.errors(y, aim, runs), y @ M.mT, known)
        A = torch.linalg.inv_ex(M)[0] - eta * gradient
        return (M - torch.linalg.inv_ex(A)[0]) / eta, torch.zeros(len(W), dtype=W.dtype)


def with_power(a: int) -> Factors:
    """Return the factors (I - W G) G^a e, and that of rule 3."""

    def factors(at: State) -> tuple[Tensor, Tensor]:
        q = at.g**a * at.e
        return q - at.forward(at.g * q), at.right()

    return factors


def with_feedback(feedback: Tensor) -> Factors:
    """Return the factors of rule 3 with a matrix for each network in place of its W^T."""

    def factors(at: State) -> tuple[Tensor, Tensor]:
        s = at.y - at.g * at.forward(at.y)
        return at.left(), s - (at.g * s) @ feedback[at.runs].mT

    return factors


def power(seeds: Sequence[int]) -> pd.DataFrame:
    """Learn with each power at each saturation."""
    tables = []
    for scale in SATURATIONS:
        made = plan(Saturated(scale), "rate", 30, (60, 60), steps=80, batch=60)
        for a in POWERS:
            for step in ("rate", "normalized"):
                fleet = Fleet(made, seeds, LENGTHS, with_power(a), step)
                drive, _ = (each[fleet.seed] for each in fleet.samples("train"))
                gain = 1 - fleet.rates(fleet.W, drive)[0].square()
                fleet.learn()
                case = {"saturation": scale, "step": step, "a": a}
                own = {"gain": gain.mean(dim=(1, 2)), "least_gain": gain.amin(dim=(1, 2))}
                tables.append(fleet.outcome().assign(**case, **own))
                print(case, flush=True)
    return pd.concat(tables)


def border(seeds: Sequence[int]) -> pd.DataFrame:
    """Learn from and to det A of either sign; eigenvalues of W along the way."""
    tables = []
    for start in (1, -1):
        for target in (1, -1):
            made = plan(Sided(start, target), "linear", 10, (40, 40), steps=400, batch=40)
            for rule, step in BORDER_RULES:
                # rule 2 is no product of factors, and needs none
                kind, of = (Exact, "rule 3") if rule == "rule 2" else (Fleet, rule)
                fleet = kind(made, seeds, BORDER_LENGTHS, FACTORS[of], step)
                case = {"start": start, "target": target, "rule": rule, "step": step}
                tables.append(eigenvalues(fleet).assign(**case))
                print(case, flush=True)
    return pd.concat(tables)


def eigenvalues(fleet: Fleet) -> pd.DataFrame:
    """Learn; return the outcome, a row for each network and record of its eigenvalues."""
    tables, every = [], fleet.made.steps // RECORDS
    for number in range(fleet.made.steps):
        if number % every == 0:
            tables.append(spectrum(fleet).assign(number=number))
        fleet.take_step(number, *fleet.samples("train"))
    tables.append(spectrum(fleet).assign(number=fleet.made.steps))
    same = ["seed", "length"]
    return pd.concat(tables).merge(fleet.outcome(), on=same)


def spectrum(fleet: Fleet) -> pd.DataFrame:
    """Return the ends of W's eigenvalues, and the sign and the least singular value of A."""
    M = torch.eye(fleet.W.shape[1], dtype=fleet.W.dtype) - fleet.W
    real = torch.linalg.eigvals(fleet.W).real
    return fleet.table(
        leftmost=real.amin(dim=1),
        rightmost=real.amax(dim=1),
        sign=torch.linalg.det(M).sign(),
        least_of_A=1 / torch.linalg.matrix_norm(M, ord=2),
    )


def locality(seeds: Sequence[int]) -> pd.DataFrame:
    """Learn with each kind of feedback weights, on two tasks."""
    plans = {
        "linear": plan(LinearRegression, "linear", 100, (50, 50), steps=100, batch=50),
        "teacher": plan(Teacher, "rate", 30, (60, 60), steps=80, batch=60),
    }
    feedbacks: dict[str, Callable[[Fleet], Factors]] = {
        "W^T": lambda fleet: FACTORS["rule 3"],
        "W^T of the start": lambda fleet: with_feedback(fleet.W.mT.clone()),
        "random B": lambda fleet: with_feedback(random_like(fleet)),
        "none": lambda fleet: with_feedback(torch.zeros_like(fleet.W)),
    }
    tables = []
    for task, made in plans.items():
        for feedback, factors_of in feedbacks.items():
            fleet = Fleet(made, seeds, LENGTHS, FACTORS["rule 3"], "normalized")
            fleet.factors = factors_of(fleet)
            start = cosine(random_like(fleet), fleet.W.mT)
            fleet.learn()
            end = cosine(random_like(fleet), fleet.W.mT)
            case = {"task": task, "feedback": feedback, "cosine_before": start, "cosine": end}
            tables.append(fleet.outcome().assign(**case))
            print(task, feedback, flush=True)
    return pd.concat(tables)


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Return the cosine between matrices, one for each network."""
    return torch.cosine_similarity(a.flatten(1), b.flatten(1))


def random_like(fleet: Fleet) -> Tensor:
    """Return normal matrices with the spread of the weights at the start, one for each seed."""
    N = fleet.W.shape[1]
    drawn = [
        torch.randn(N, N, generator=torch.Generator().manual_seed(1000 + seed), dtype=torch.float64)
        for seed in fleet.seeds
    ]
    return RADIUS * torch.stack(drawn)[fleet.seed] / math.sqrt(N)


FINDINGS = {"power": power, "border": border, "locality": locality}
SEEDS = {"power": 8, "border": 20, "locality": 8}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(FINDINGS))
    parser.add_argument("--seeds", type=int, help="of each finding")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "findings")
    parser.add_argument("--report", action="store_true", help="Only write what is there.")
    options = parser.parse_args()
    if unknown := set(options.names) - set(FINDINGS):
        parser.error(f"unknown finding {min(unknown)!r}; available: {', '.join(FINDINGS)}")
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    if not options.report:
        for name in options.names or FINDINGS:
            rows = FINDINGS[name](range(options.seeds or SEEDS[name]))
            rows.to_csv(options.out / f"{name}.csv", index=False)
    found = {name: options.out / f"{name}.csv" for name in FINDINGS}
    report({name: pd.read_csv(path) for name, path in found.items() if path.exists()})


if __name__ == "__main__":
    main()
