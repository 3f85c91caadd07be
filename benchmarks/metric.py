"""Metric or step size? The same rules with plain, normalised and searched steps.

A plasticity rule fixes a direction, its learning rate a length, and a comparison of rules at a
learning rate compares both. Here the directions of rules 1, 3 and 4 of Zhu and Rosenbaum (2024,
arXiv 2307.06732), of the first order in A (a = -1), and of the two halves of rule 3 (its left
factor alone, its right one alone) are followed with steps of three kinds, as in `ratenet train
--step`: `rate` (the learning rate times the change), `normalized` (each step has a given Frobenius
length) and `line-search` (halved until the batch's loss has fallen), each at seven lengths or more.

    python benchmarks/metric.py [--seeds 8]

The seeds of a cell are one batch of networks (benchmarks/fleet.py). Where each network came to is
kept in benchmarks/results/metric.csv, its way at the chosen length, which is learned once more for
it, in metric_curves.csv; neither is computed again. The tables go to metric.md beside them, the
figure to docs/images/metric.png.
"""

import argparse
import itertools
import os
from collections.abc import Iterator, Sequence
from typing import Any

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
    "line-search": (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0),  # first trials
}
SEEDS = 8
PLANS: dict[str, Plan] = {
    "linear": plan(LinearRegression, "linear", 100, (50, 50), steps=100, batch=50),
    "teacher": plan(Teacher, "rate", 30, (60, 60), steps=80, batch=60),
    "digits": plan(Digits, "rate", 40, (1000, 500), steps=40, batch=100),
}
SAME_WHERE_LINEAR = ("rule 4", "a = -1")  # as rule 3


def cells() -> Iterator[dict[str, Any]]:
    """Give task, rule, kind of step and length of each cell, those that take longest last."""
    for task, step, rule in itertools.product(PLANS, LENGTHS, FACTORS):
        if task != "linear" or rule not in SAME_WHERE_LINEAR:
            for length in LENGTHS[step]:
                yield {"task": task, "rule": rule, "step": step, "length": length}


def fleet(task: str, rule: str, step: str, length: float, seeds: Sequence[int]) -> Fleet:
    """Return the networks of a cell, a seed each, before learning."""
    return Fleet(PLANS[task], seeds, (length,), FACTORS[rule], step)


def outcome(seeds: Sequence[int], **cell: Any) -> pd.DataFrame:
    """Return where the networks of a cell came to."""
    networks = fleet(seeds=seeds, **cell)
    networks.learn()
    return networks.outcome().round(6)


def curve(seeds: Sequence[int], **cell: Any) -> pd.DataFrame:
    """Return the losses of the networks of a cell along their way."""
    learned = fleet(seeds=seeds, **cell).learn()
    rounded = learned[["path", "loss"]].map(lambda value: float(f"{value:.6g}"))
    return learned.assign(**rounded)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--report", action="store_true", help="Only write what is there.")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not options.report:
        for cell in cells():
            computed_together(RUNS, cell, range(options.seeds), outcome)
    rows = complete(pd.read_csv(RUNS), PLANS, LENGTHS)
    ways = chosen(rows, CASE).groupby([*CASE, "length"], sort=False)["seed"].apply(list)
    keys = [dict(zip(ways.index.names, key, strict=True)) for key in ways.index]
    if not options.report:
        for key, seeds in zip(keys, ways, strict=True):
            computed_together(CURVES, key, seeds, curve)
    report(rows, kept(CURVES, keys), PLANS)


if __name__ == "__main__":
    main()
