"""Angles between the weight changes of three rules along learning, over several draws.

As in the paper: between rules 1 and 2 at the weights to which rule 2 leads, and between rules 2 and
3 at those to which rule 3 leads, at four learning rates.
"""

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ratenet.hypotheses.comparison.measures import degrees
from ratenet.hypotheses.tasks.linear import linear_task
from ratenet.report.figures import new_figure
from ratenet.report.rule_looks import STYLES, shades
from ratenet.reproduce.draws import DRAWS, draw_range
from ratenet.reproduce.linear import CHANGES, course

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RATES = (0.03, 0.1, 0.3, 1.0)
STEPS, MEASURED = 3_500, 60
PAIRS = {"rule 2": ("rule 1", "rule 2"), "rule 3": ("rule 2", "rule 3")}  # by what is followed


def angles(
    seed: int, progress: Callable[[int, int], object], steps: int = STEPS, draws: int = DRAWS
) -> tuple[pd.DataFrame, "Figure"]:
    """Return a row for each draw, rate, pair of rules and measured step; and their picture.

    Draws of networks and stimuli have the seeds from `seed` on.
    """
    measured = set(np.unique(np.geomspace(1, steps, MEASURED).round().astype(int) - 1).tolist())
    runs = list(itertools.product(range(seed, seed + draws), RATES, PAIRS))
    rows = []
    for index, (own, rate, followed) in enumerate(runs):
        progress(index, len(runs))
        task, pair = linear_task(own), PAIRS[followed]
        along = course(followed, rate, task.W, task.drive.T, task.target.T, steps - 1)
        for step, here in enumerate(along):
            if step in measured:
                angle = degrees(*(CHANGES[rule](here, rate) for rule in pair))
                said = {"seed": own, "rate": rate, "followed": followed, "step": step + 1}
                rows.append({**said, "between": " and ".join(pair), "angle": angle})
    progress(len(runs), len(runs))
    table = pd.DataFrame(rows)
    return table, _draw(table)


def _draw(table: pd.DataFrame) -> "Figure":
    """Draw means over the draws, and their range; small angles on a scale of their own."""
    figure, axes = new_figure(figsize=(9, 3.8), ncols=len(PAIRS))
    colours = shades("black", len(RATES))  # of no rule
    for axis, (followed, pair) in zip(axes, PAIRS.items(), strict=True):
        for index, rate in enumerate(RATES):
            chosen = (table["followed"] == followed) & (table["rate"] == rate)
            each = table[chosen].groupby("step")["angle"]
            look = {"color": colours[index], "ls": STYLES[index]}
            draw_range(axis, each, "mean", label=rf"$\eta$ = {rate:g}", **look)
        axis.set(xscale="log", xlabel=f"iteration, along {followed}")
        axis.set_ylabel(f"angle between {' and '.join(pair)} (degrees)")
        axis.legend(frameon=False, fontsize="small")
    axes[0].set_ylim(0, 95)
    axes[1].set_yscale("log")
    return figure
