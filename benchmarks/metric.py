"""Metric or step size? The same rules with plain, normalised and searched steps.

A plasticity rule fixes a direction, its learning rate a length, and a comparison of rules at a
learning rate compares both. Here the directions of rules 1, 3 and 4 of Zhu and Rosenbaum (2024,
arXiv 2307.06732), of the first order in A (a = -1), and of the two halves of rule 3 (its left
factor alone, its right one alone) are followed with steps of three kinds, as in `ratenet train
--step`: `rate` (the learning rate times the change), `normalized` (each step has a given Frobenius
length) and `line-search` (halved until the batch's loss has fallen), each at seven lengths.

    python benchmarks/metric.py [--seeds 8]

All lengths and four seeds of a cell are one batch of networks (benchmarks/fleet.py). Finished cells
are kept in --out and not computed again; the tables go to benchmarks/results/metric.md, all runs to
metric.csv beside it, the figure to docs/images/metric.png.
"""

import argparse
import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"

import pandas as pd
import torch
from fleet import FACTORS, Fleet, Plan, plan
from metric_tables import report

from ratenet.hypotheses.tasks.digits import Digits
from ratenet.hypotheses.tasks.linear import LinearRegression
from ratenet.hypotheses.tasks.teacher import Teacher

ROOT = Path(__file__).parent.parent
LENGTHS = {  # of each kind of step, so that the best one is inside
    "rate": (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0),
    "normalized": (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
    "line-search": (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0),
}
SEEDS, TOGETHER = 8, 4  # seeds, and how many of them learn side by side
PLANS: dict[str, Plan] = {
    "linear": plan(LinearRegression, "linear", 100, (50, 50), steps=100, batch=50),
    "teacher": plan(Teacher, "rate", 30, (60, 60), steps=80, batch=60),
    "digits": plan(Digits, "rate", 40, (1000, 500), steps=40, batch=100),
}
SAME_WHERE_LINEAR = ("rule 4", "a = -1")  # as rule 3


def cells() -> Iterator[tuple[str, str, str]]:
    """Give task, rule and kind of step of each cell."""
    for task, step, rule in itertools.product(PLANS, LENGTHS, FACTORS):
        if task != "linear" or rule not in SAME_WHERE_LINEAR:
            yield task, rule, step


def ordered(seeds: int) -> list[tuple[int, tuple[str, str, str]]]:
    """Return the first seed of each batch, with its cell.

    A script that is stopped has the same seeds for all rules but of the last task; the searched
    steps of digits, which take longest, come last.
    """
    every = list(itertools.product(range(0, seeds, TOGETHER), cells()))
    return sorted(every, key=lambda each: each[1][::2] == ("digits", "line-search"))


def compute(task: str, rule: str, step: str, seeds: range) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a row for each length and seed, and their losses along the way."""
    began = time.process_time()
    fleet = Fleet(PLANS[task], seeds, LENGTHS[step], FACTORS[rule], step)
    curves = fleet.learn()
    key = {"task": task, "rule": rule, "step": step}
    print(key, f"{time.process_time() - began:.0f} s", flush=True)
    return fleet.outcome().assign(**key), curves.assign(**key)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "metric")
    parser.add_argument("--report", action="store_true", help="Only write what is there.")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    rows, curves = [], []
    for first, cell in ordered(options.seeds):
        paths = [
            options.out / f"{'-'.join(cell).replace(' ', '')}-{first}-{kind}.csv"
            for kind in ("curves", "rows")  # the last one says that the cell is whole
        ]
        if not paths[1].exists():
            if options.report:
                continue
            seeds = range(first, min(first + TOGETHER, options.seeds))
            for path, table in zip(paths, reversed(compute(*cell, seeds)), strict=True):
                table.to_csv(path, index=False)
        curves.append(pd.read_csv(paths[0]))
        rows.append(pd.read_csv(paths[1]))
    report(pd.concat(rows), pd.concat(curves), PLANS)


if __name__ == "__main__":
    main()
