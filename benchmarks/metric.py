"""Metric or step size? The same rules with plain, normalised and searched steps.

A plasticity rule fixes a direction, its learning rate a length, and a comparison of rules at a
learning rate compares both. Here the directions of rules 1, 3 and 4 of Zhu and Rosenbaum (2024,
arXiv 2307.06732), of the first order in A (a = -1), and of the two halves of rule 3 (its left
factor alone, its right one alone) are followed with steps of three kinds, as in `ratenet train
--step`: `rate` (the learning rate times the change), `normalized` (each step has a given Frobenius
length) and `line-search` (halved until the batch's loss has fallen), each at seven lengths.

    python benchmarks/metric.py [--seeds 8]

All lengths and four seeds of a cell are one batch of networks (benchmarks/fleet.py). Where each
network came to is kept in benchmarks/results/metric.csv, its way at the chosen length, which is
learned once more for it, in metric_curves.csv; neither is computed again. The tables go to
metric.md beside them, the figure to docs/images/metric.png.
"""

import argparse
import itertools
import os
from collections.abc import Iterator, Sequence

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"

import pandas as pd
import torch
from fleet import FACTORS, Fleet, Plan, plan
from fleet_tables import chosen
from kept_rows import computed_together, kept
from metric_tables import CASE, RESULT, complete, report

from ratenet.hypotheses.tasks.digits import Digits
from ratenet.hypotheses.tasks.linear import LinearRegression
from ratenet.hypotheses.tasks.teacher import Teacher

RUNS = RESULT.with_suffix(".csv")
CURVES = RESULT.with_name("metric_curves.csv")
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


def cells() -> Iterator[dict[str, str]]:
    """Give task, rule and kind of step of each cell."""
    for task, step, rule in itertools.product(PLANS, LENGTHS, FACTORS):
        if task != "linear" or rule not in SAME_WHERE_LINEAR:
            yield {"task": task, "rule": rule, "step": step}


def ordered(seeds: Sequence[int]) -> list[tuple[Sequence[int], dict[str, str]]]:
    """Return the seeds of each batch, with its cell.

    A script that is stopped has the same seeds for all rules but of the last task; the searched
    steps of digits, which take longest, come last.
    """
    every = itertools.product(batches(seeds), cells())
    last = "digits", "line-search"
    return sorted(every, key=lambda each: (each[1]["task"], each[1]["step"]) == last)


def batches(seeds: Sequence[int]) -> list[Sequence[int]]:
    """Return the seeds that learn side by side."""
    return [seeds[first : first + TOGETHER] for first in range(0, len(seeds), TOGETHER)]


def outcome(task: str, rule: str, step: str, seeds: Sequence[int]) -> pd.DataFrame:
    """Return where each seed of a cell came to with each length."""
    fleet = Fleet(PLANS[task], seeds, LENGTHS[step], FACTORS[rule], step)
    fleet.learn()
    return fleet.outcome().round(6)


def curve(task: str, rule: str, step: str, length: float, seeds: Sequence[int]) -> pd.DataFrame:
    """Return the losses of each seed of a cell along its way with one length."""
    learned = Fleet(PLANS[task], seeds, (length,), FACTORS[rule], step).learn()
    rounded = learned[["path", "loss"]].map(lambda value: float(f"{value:.6g}"))
    return learned.assign(**rounded)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--report", action="store_true", help="Only write what is there.")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not options.report:
        for seeds, cell in ordered(range(options.seeds)):
            computed_together(RUNS, cell, seeds, outcome)
    rows = complete(pd.read_csv(RUNS), PLANS)
    ways = chosen(rows, CASE).groupby([*CASE, "length"], sort=False)["seed"].apply(list)
    keys = [dict(zip(ways.index.names, key, strict=True)) for key in ways.index]
    if not options.report:
        for key, seeds in zip(keys, ways, strict=True):
            for each in batches(seeds):
                computed_together(CURVES, key, each, curve)
    report(rows, kept(CURVES, keys), PLANS)


if __name__ == "__main__":
    main()
