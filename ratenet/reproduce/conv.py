"""Conv: the rules on a convolutional recurrent layer, beyond the paper.

A layer of 8 channels on 14 x 14 places between a trained read-in and a trained read-out, over
learning rates of the recurrent kernel; the control's kernel is frozen.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ratenet.report.figures import COLOURS, GREY, new_figure
from ratenet.report.rule_looks import LABELS
from ratenet.reproduce.runs import Planned, Progress, all_carried_out, outcome
from ratenet.training import TrainingConfig

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RATES = (1e-4, 3e-4, 1e-3)  # of the recurrent kernel
RULES = ("euclidean", "linearized-reparameterized", "gain-free-reparameterized")
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
    common, rows = {**COMMON, **images, **options, "seed": seed}, []
    for planned, summary, metrics in all_carried_out(list(_plan(common)), folder, progress):
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


def _plan(common: dict[str, Any]) -> Any:
    frozen = TrainingConfig(**common, rule="frozen")
    yield Planned("frozen", {"rule": "frozen", "rate": 0.0}, frozen)
    for rule in RULES:
        for rate in RATES:
            config = TrainingConfig(**common, rule=rule, recurrent_learning_rate=rate)
            yield Planned(f"{rule}-{rate:g}", {"rule": rule, "rate": rate}, config)


def _draw(table: pd.DataFrame) -> "Figure":
    figure, axes = new_figure(figsize=(11, 3.8), ncols=3)
    ends = table.groupby(["rule", "rate"], as_index=False).tail(1)
    shown = {
        "test_accuracy": "test accuracy (share)",
        "iterations": "iterations per sample, last epoch",
        "weight_abscissa_then": "largest real part of\nW's eigenvalues, last epoch",
    }
    for axis, (name, label) in zip(axes, shown.items(), strict=True):
        for number, rule in enumerate(RULES):
            rows = ends[ends["rule"] == rule]
            axis.plot(
                rows["rate"], rows[name], ("o-", "s--", "^-.")[number], color=COLOURS[number],
                label=LABELS[rule],
            )  # fmt: skip
        control = ends.loc[ends["rule"] == "frozen", name]
        axis.axhline(control.mean(), color=GREY, ls=":", label=LABELS["frozen"])
        axis.set(xscale="log", xlabel="learning rate of the recurrent kernel", ylabel=label)
    axes[0].legend(frameon=False, fontsize="small")
    figure.suptitle("A convolutional recurrent layer learns digits by three rules")
    return figure
