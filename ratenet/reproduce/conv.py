"""Conv: the rules on a convolutional recurrent layer, beyond the paper.

A layer of 8 channels on 14 x 14 places between a trained read-in and a trained read-out, over
learning rates of the recurrent kernel; the control's kernel is frozen.
"""

import itertools
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ratenet.report.figures import GREY, new_figure
from ratenet.report.rule_looks import CONTROL, LABELS, look_of
from ratenet.reproduce.runs import Planned, Progress, all_carried_out, outcome
from ratenet.training import TrainingConfig

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RATES = (1e-4, 3e-4, 1e-3)  # of the recurrent kernel
RULES = ("euclidean", "linearized-reparameterized", "gain-free-reparameterized")
SEEDS = 3
ALONG = ("train_loss", "iterations", "settled", "abscissa_of_samples", "weight_abscissa_then")
LAYERS: tuple[dict[str, Any], ...] = (
    {"kind": "convolutional", "channels": 8, "kernel_size": 5, "stride": 2},
    {"kind": "read-out"},
)
COMMON: dict[str, Any] = {
    "presentation": "static", "optimizer": "adam", "learning_rate": 2e-3, "epochs": 2,
    "batch_size": 100, "threads": 1, "layers": LAYERS,
}  # fmt: skip


def conv(
    seed: int, progress: Progress, folder: Path, images: dict[str, str], **options: Any
) -> tuple[pd.DataFrame, "Figure"]:
    """Return a row for each run and epoch, and their picture.

    Parameters
    ----------
    seed, progress, folder, images, **options
        As for `mnist`.
    """
    plan = list(_plan({**COMMON, **images, **options}, range(seed, seed + SEEDS)))
    rows = []
    for planned, summary, metrics in all_carried_out(plan, folder, progress):
        found = outcome(summary)
        if len(metrics) == 0:  # ended in its first step
            rows.append({**planned.said, "epoch": 0, **dict.fromkeys(ALONG, math.nan), **found})
        for epoch, of_epoch in metrics.groupby("epoch"):
            last = of_epoch.iloc[-1]
            means = [of_epoch[name].mean() for name in ("train_loss", "iterations", "settled")]
            values = [*means, last["abscissa"], last["weight_abscissa"]]
            along = dict(zip(ALONG, values, strict=True))
            rows.append({**planned.said, "epoch": epoch, **along, **found})
    table = pd.DataFrame(rows)
    return table, _draw(table)


def _plan(common: dict[str, Any], seeds: Iterable[int]) -> Iterator[Planned]:
    for seed in seeds:
        own = {**common, "seed": seed}
        frozen = TrainingConfig(**own, rule=CONTROL)
        yield Planned(f"{CONTROL}-{seed}", {"rule": CONTROL, "rate": 0.0, "seed": seed}, frozen)
        for rule, rate in itertools.product(RULES, RATES):
            config = TrainingConfig(**own, rule=rule, recurrent_learning_rate=rate)
            said = {"rule": rule, "rate": rate, "seed": seed}
            yield Planned(f"{rule}-{rate:g}-{seed}", said, config)


def _draw(table: pd.DataFrame) -> "Figure":
    """Draw means over the seeds, and each seed as a point."""
    figure, axes = new_figure(figsize=(11, 3.8), ncols=3)
    ends = table.groupby(["rule", "rate", "seed"], as_index=False).tail(1)
    shown = {
        "test_accuracy": "test accuracy",
        "iterations": "iterations per sample, last epoch",
        "weight_abscissa_then": r"largest Re $\lambda$ of $W$, last epoch",
    }
    for axis, (name, label) in zip(axes, shown.items(), strict=True):
        for rule in RULES:
            rows, look = ends[ends["rule"] == rule], look_of(rule)
            axis.plot(rows.groupby("rate")[name].mean(), label=LABELS[rule], **look)
            axis.plot(
                rows["rate"], rows[name], look["marker"], color=look["color"], ms=4, mfc="none"
            )
        control = ends.loc[ends["rule"] == CONTROL, name]
        axis.axhline(control.mean(), color=GREY, ls=":", label=LABELS[CONTROL])
        axis.set(xscale="log", xlabel="learning rate of the recurrent kernel", ylabel=label)
    axes[1].set_yscale("log")
    axes[0].legend(frameon=False, fontsize="small")
    return figure
