"""Loss against iteration for three rules and five learning rates (figure 1 of the paper)."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import pandas as pd

from ratenet.errors import STOPPED_BY_SCIENCE
from ratenet.hypotheses.tasks.linear import linear_task
from ratenet.plasticity import (
    AbstractRule,
    Euclidean,
    LinearizedReparameterized,
    Reparameterized,
)
from ratenet.report.figures import COLOURS, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RATES = (0.03, 0.1, 0.3, 1.0, 3.0)
STEPS = 3_500
RULES: dict[str, AbstractRule] = {
    "rule 1": Euclidean(),
    "rule 2": Reparameterized(),
    "rule 3": LinearizedReparameterized(),
}
NAMES = {"rule 1": "Euclidean", "rule 2": "reparameterized", "rule 3": "linearized"}


def losses(rule: AbstractRule, rate: float, seed: int, steps: int) -> list[float]:
    """Return the loss before each step, and after the last one.

    Where a step cannot be taken, the rest is NaN.
    """
    task, found = linear_task(seed), list[float]()
    for _ in range(steps):
        fp = task.reached()
        found.append(task.loss(fp.rates))
        try:
            change = rule.propose(fp, task.error(fp.rates), rate).delta
        except STOPPED_BY_SCIENCE:
            return found + [math.nan] * (steps + 1 - len(found))
        task.network.connectivity.add_(change)
    return [*found, task.loss(task.reached().rates)]


def linear(
    seed: int, progress: Callable[[int, int], object], steps: int = STEPS
) -> tuple[pd.DataFrame, "Figure"]:
    """Return a row for each rule, learning rate and step, and their picture."""
    rows = []
    for index, (name, rate) in enumerate((n, r) for n in RULES for r in RATES):
        progress(index, len(RULES) * len(RATES))
        values = losses(RULES[name], rate, seed, steps)
        rows.append(
            pd.DataFrame({"rule": name, "rate": rate, "step": range(steps + 1), "loss": values})
        )
    table = pd.concat(rows, ignore_index=True)
    return table, _draw(table)


def _draw(table: pd.DataFrame) -> "Figure":
    figure, axes = new_figure(figsize=(11, 3.8), ncols=3, sharey=True)
    for axis, name in zip(axes, RULES, strict=True):
        for index, rate in enumerate(RATES):
            rows = table[(table["rule"] == name) & (table["rate"] == rate)]
            style = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))[index]
            axis.semilogy(
                rows["step"], rows["loss"], linestyle=style, color=COLOURS[index], label=f"{rate:g}"
            )
        axis.set_xlabel("iteration")
        axis.set_title(f"{name}, {NAMES[name]}", fontsize="medium")
    axes[0].set_ylabel("loss, mean |y - target|^2")
    axes[0].legend(frameon=False, title="learning rate", fontsize="small")
    figure.suptitle("A linear network learns the responses of another one")
    return figure
