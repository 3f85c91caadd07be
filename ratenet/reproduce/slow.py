"""Slow: how slowly images must change for learning from a network that never quite rests.

Digits fade into one another without a hold, over a time T; the rule acts when one has just come, on
the rates as they are or with the predicted lag subtracted. The measure is tau / T.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ratenet.report.figures import COLOURS, GREY, new_figure
from ratenet.report.rule_looks import LABELS
from ratenet.reproduce.runs import Planned, Progress, all_carried_out, outcome
from ratenet.training import TrainingConfig

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TAU = 0.01  # s, the model's own
SPEEDS = (0.03, 0.1, 0.3, 1.0)  # tau / T
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
    rows = [
        {**planned.said, **outcome(summary)}
        for planned, summary, _ in all_carried_out(
            list(_plan(seed, {**COMMON, **images, **options})), folder, progress
        )
    ]
    table = pd.DataFrame(rows)
    return table, _draw(table)


def _plan(seed: int, common: dict[str, Any]) -> Any:
    for rule, rate in RATES.items():
        own = {**common, "rule": rule, "learning_rate": rate, "seed": seed}
        said = {"rule": rule, "rate": rate, "seed": seed}
        static = TrainingConfig(**own, presentation="static")
        yield Planned(f"{rule}-static", {**said, "speed": 0.0, "corrected": False}, static)
        for speed in SPEEDS:
            for corrects in (False, True):
                moving = TrainingConfig(**own, hold=0, fade=TAU / speed, correct_lag=corrects)
                name = f"{rule}-{speed:g}{'-corrected' if corrects else ''}"
                yield Planned(name, {**said, "speed": speed, "corrected": corrects}, moving)


def _draw(table: pd.DataFrame) -> "Figure":
    figure, axes = new_figure(figsize=(9, 3.8), ncols=2, sharey=True)
    for axis, rule in zip(axes, RATES, strict=True):
        mine = table[table["rule"] == rule]
        for number, (corrects, label) in enumerate(
            ((False, "rates as they are"), (True, "predicted lag subtracted"))
        ):
            rows = mine[(mine["speed"] > 0) & (mine["corrected"] == corrects)]
            axis.plot(
                rows["speed"], rows["test_accuracy"], ("o-", "s--")[number],
                color=COLOURS[number], label=label,
            )  # fmt: skip
        static = mine.loc[mine["speed"] == 0, "test_accuracy"].iloc[0]
        axis.axhline(static, color=GREY, lw=1, label="fixed points, solved")
        axis.set(xscale="log", xlabel="speed of the images, tau / T", title=LABELS[rule])
    axes[0].set(ylabel="test accuracy at fixed points (share)", ylim=(0, 1))
    axes[0].legend(frameon=False, fontsize="small", loc="lower left")
    figure.suptitle("Digits that never rest: how slow is slow enough?")
    return figure
