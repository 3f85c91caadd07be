"""Slow: how slowly images must change for learning from a network that never quite rests.

Digits fade into one another without a hold, over a time T; the rule acts when one has just come, on
the rates as they are or with the predicted lag subtracted. The measure is tau / T. By Euler steps:
where digits come too fast, learning can drive W off to where no adaptive step is long.
"""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ratenet.report.figures import GREY, new_figure
from ratenet.report.rule_looks import LABELS, look_of
from ratenet.reproduce.runs import Planned, Progress, all_carried_out, outcome
from ratenet.training import TrainingConfig

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TAU = 0.01  # s, the model's own
SPEEDS = (0.03, 0.1, 0.3, 1.0)  # tau / T
SEEDS = 2
RATES = {"euclidean": 0.025, "linearized-reparameterized": 0.25}
COMMON: dict[str, Any] = {"epochs": 5, "unsettled": "include", "threads": 1}


def slow(
    seed: int, progress: Progress, folder: Path, images: dict[str, str], **options: Any
) -> tuple[pd.DataFrame, "Figure"]:
    """Return a row for each run, and their picture.

    Parameters
    ----------
    seed, progress, folder, images, **options
        As for `mnist`.
    """
    plan = list(_plan(range(seed, seed + SEEDS), {**COMMON, **images, **options}))
    rows = [
        {**planned.said, **outcome(summary)}
        for planned, summary, _ in all_carried_out(plan, folder, progress)
    ]
    table = pd.DataFrame(rows)
    return table, _draw(table)


def _plan(seeds: Iterable[int], common: dict[str, Any]) -> Iterator[Planned]:
    for seed, (rule, rate) in itertools.product(seeds, RATES.items()):
        own = {**common, "rule": rule, "learning_rate": rate, "seed": seed}
        said = {"rule": rule, "rate": rate, "seed": seed}
        static = TrainingConfig(**own, presentation="static")
        name = f"{rule}-{seed}"
        yield Planned(f"{name}-static", {**said, "speed": 0.0, "corrected": False}, static)
        for speed, corrects in itertools.product(SPEEDS, (False, True)):
            moving = TrainingConfig(
                **own, hold=0, fade=TAU / speed, correct_lag=corrects, method="euler"
            )
            how = f"{speed:g}{'-corrected' if corrects else ''}"
            yield Planned(f"{name}-{how}", {**said, "speed": speed, "corrected": corrects}, moving)


def _draw(table: pd.DataFrame) -> "Figure":
    """Draw means over the seeds, and the range."""
    figure, axes = new_figure(figsize=(9, 3.8), ncols=2, sharey=True)
    for axis, rule in zip(axes, RATES, strict=True):
        mine, colour = table[table["rule"] == rule], look_of(rule)["color"]
        for corrects, style, shown, label in (
            (False, "o-", colour, "rates as they are"),
            (True, "s--", "black", "predicted lag subtracted"),
        ):
            rows = mine[(mine["speed"] > 0) & (mine["corrected"] == corrects)]
            each = rows.groupby("speed")["test_accuracy"]
            axis.plot(each.mean(), style, color=shown, label=label)
            axis.fill_between(
                each.min().index, each.min(), each.max(), color=shown, alpha=0.2, lw=0
            )
        static = mine.loc[mine["speed"] == 0, "test_accuracy"]
        axis.axhline(static.mean(), color=GREY, lw=1, label="fixed points, solved")
        axis.axhspan(static.min(), static.max(), color=GREY, alpha=0.2, lw=0)
        axis.set(xscale="log", xlabel=r"speed of the images, $\tau/T$")
        axis.set_title(LABELS[rule], fontsize="medium")
        axis.legend(frameon=False, fontsize="small", loc="lower left")
    axes[0].set(ylabel="test accuracy at fixed points", ylim=(0, 1))
    return figure
