"""Angles between the three rules' weight changes along learning."""

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from torch import Tensor

from ratenet.errors import STOPPED_BY_SCIENCE
from ratenet.hypotheses.comparison.measures import degrees
from ratenet.hypotheses.tasks.linear import LinearTask, linear_task
from ratenet.report.figures import COLOURS, new_figure
from ratenet.reproduce.linear import NAMES, RULES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RATES = (0.1, 1.0)
STEPS, MEASURED = 1_000, 60
PAIRS = tuple(itertools.combinations(RULES, 2))


def angles(
    seed: int, progress: Callable[[int, int], object], steps: int = STEPS
) -> tuple[pd.DataFrame, "Figure"]:
    """Return a row for each learning rate, rule that is followed and step; and their picture.

    At the weights to which one rule has led, the changes of all three are compared.
    """
    measured = set(np.unique(np.geomspace(1, steps, MEASURED).round().astype(int) - 1).tolist())
    rows = []
    for index, (rate, followed) in enumerate(itertools.product(RATES, RULES)):
        progress(index, len(RATES) * len(RULES))
        task = linear_task(seed)
        for step in range(steps):
            if (changes := _changes(task, rate, step in measured, followed)) is None:
                break
            if step in measured:
                found = {f"{a}, {b}": degrees(changes[a], changes[b]) for a, b in PAIRS}
                rows.append({"rate": rate, "followed": followed, "step": step + 1, **found})
            task.network.connectivity.add_(changes[followed])
    table = pd.DataFrame(rows)
    return table, _draw(table)


def _changes(
    task: LinearTask, rate: float, all_rules: bool, followed: str
) -> dict[str, Tensor] | None:
    """Return the changes of all rules, or of the followed one; None where one does not exist."""
    fp = task.reached()
    error, changes = task.error(fp.rates), {}
    try:
        for name in RULES if all_rules else (followed,):
            change = RULES[name].update(fp, error, rate)
            assert isinstance(change, Tensor)  # W is dense
            changes[name] = change
    except STOPPED_BY_SCIENCE:
        return None
    return changes


def _draw(table: pd.DataFrame) -> "Figure":
    figure, axes = new_figure(figsize=(10, 6), nrows=len(RATES), ncols=len(RULES), sharey=True)
    for row, rate in zip(axes, RATES, strict=True):
        for axis, followed in zip(row, RULES, strict=True):
            rows = table[(table["rate"] == rate) & (table["followed"] == followed)]
            for index, (a, b) in enumerate(PAIRS):
                axis.plot(
                    rows["step"],
                    rows[f"{a}, {b}"],
                    ("-", "--", ":")[index],
                    color=COLOURS[index],
                    label=f"{a} and {b}",
                )
            axis.set_xscale("log")
            axis.set_ylim(0, 95)
            axis.set_title(f"along {followed}, learning rate {rate:g}", fontsize="medium")
        row[0].set_ylabel("angle (degrees)")
    for axis in axes[-1]:
        axis.set_xlabel("iteration")
    axes[0][0].legend(frameon=False, fontsize="small")
    figure.suptitle(f"Between the changes of {', '.join(NAMES.values())}")
    return figure
