"""MNIST: loss and accuracy of three rules over learning rates, and the eigenvalues after learning.

Read-in and read-out stay as they are drawn, as in the paper; the control is the network before
learning. Where samples did not settle, a run leaves them out, and is made again with them kept.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from ratenet.report.figures import COLOURS, GREY, new_figure
from ratenet.reproduce.runs import LABELS, Planned, Progress, carried_out, outcome, swept
from ratenet.training import TrainingConfig
from ratenet.training.run_folder import RunFolder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RATES = {
    "euclidean": (0.005, 0.01, 0.025),
    "linearized-reparameterized": (0.1, 0.25, 0.5),
    "gain-free-reparameterized": (0.025, 0.05, 0.1),
}
COMMON: dict[str, Any] = {"presentation": "static", "batch_size": 512, "epochs": 3, "units": 300}
SEEDS = 3
KEPT = {"leave-out": "left out", "include": "kept"}


def mnist(
    seed: int, progress: Progress, folder: Path, images: dict[str, str], **options: Any
) -> tuple[pd.DataFrame, "Figure"]:
    """Return a row for each run, and their picture.

    Parameters
    ----------
    seed : int
        The first of three.
    progress : callable
    folder : Path
        Folder in which each run has its own.
    images : dict of str to str
        data and data_root, as of `TrainingConfig`.
    **options
        Options of `TrainingConfig` that replace those of the figure.
    """
    runs, rows = list(swept(RATES, range(seed, seed + SEEDS))), []
    for index, (rule, rate, of_run) in enumerate(runs):
        progress(index, len(runs))
        for unsettled in KEPT:
            said = {"rule": rule, "rate": rate, "seed": of_run, "unsettled": KEPT[unsettled]}
            config = TrainingConfig(
                **{**COMMON, **images, **options}, rule=rule, learning_rate=rate, seed=of_run,
                unsettled=unsettled,  # type: ignore[arg-type]
            )  # fmt: skip
            planned = Planned(f"{rule}-{rate:g}-{of_run}-{unsettled}", said, config)
            summary, metrics = carried_out(planned, folder)
            last = metrics["train_loss"].tail(max(1, len(metrics) // 20)).mean()
            rows.append({**said, "train_loss": last, **outcome(summary)})
            if not summary["unsettled_samples"]:
                break  # with none to leave out, both ways are one and the same run
    progress(len(runs), len(runs))
    table = pd.DataFrame(rows)
    return table, _draw(table, folder, seed)


def _draw(table: pd.DataFrame, folder: Path, seed: int) -> "Figure":
    figure, axes = new_figure(figsize=(11, 7), nrows=2, ncols=3)
    shown = {
        "train_loss": "training loss at the end (nats)",
        "test_accuracy": "test accuracy (share)",
        "weight_abscissa": "largest real part of\nW's eigenvalues",
    }
    for axis, (name, label) in zip(axes[0], shown.items(), strict=True):
        for number, rule in enumerate(RATES):
            for kept, marker in (("left out", "o"), ("kept", "x")):
                rows = table[(table["rule"] == rule) & (table["unsettled"] == kept)]
                points = rows[rows[name].notna()]
                named = f"{LABELS[rule]}, unsettled {kept}" if len(points) else None
                axis.plot(
                    points["rate"], points[name], marker, color=COLOURS[number], ms=5,
                    mfc="none", label=named,
                )  # fmt: skip
                if kept == "left out":
                    means = points.groupby("rate")[name].mean()
                    axis.plot(means.index, means, "-", color=COLOURS[number], lw=1)
        axis.set(xscale="log", xlabel="learning rate", ylabel=label)
    control = table["control_accuracy"].mean()
    axes[0, 1].axhline(control, color=GREY, ls="--", lw=1, label="control, W as drawn")
    axes[0, 1].legend(frameon=False, fontsize="x-small", loc=(0.02, 0.08))
    axes[0, 2].axhline(1, color=GREY, lw=0.8)
    for axis, rule in zip(axes[1], RATES, strict=True):
        _draw_eigenvalues(axis, table, rule, folder, seed)
    figure.suptitle("Images learned by three rules, read-in and read-out fixed; three seeds")
    return figure


def _draw_eigenvalues(axis: Any, table: pd.DataFrame, rule: str, folder: Path, seed: int) -> None:
    """Draw the eigenvalues of W after learning at the rate with the best mean accuracy."""
    mine = table[(table["rule"] == rule) & (table["unsettled"] == "left out")]
    means = mine.groupby("rate")["test_accuracy"].mean()
    rate = max(RATES[rule], key=lambda one: means.fillna(0.0).get(one, 0.0))
    place = RunFolder(folder / f"{rule}-{rate:g}-{seed}-leave-out")
    W = place.read_checkpoint(place.checkpoint_file, "cpu").tensors["W"]
    values = torch.linalg.eigvals(W.double()).numpy()
    axis.plot(values.real, values.imag, ".", color=COLOURS[list(RATES).index(rule)], ms=3)
    turn = np.linspace(0, 2 * np.pi, 200)
    axis.plot(0.5 * np.cos(turn), 0.5 * np.sin(turn), color=GREY, lw=0.8, label="as drawn")
    axis.axvline(1, color="black", lw=0.8, label="1: unstable where gains are 1")
    axis.set_aspect("equal", adjustable="datalim")
    axis.set(
        xlabel="real part", ylabel="imaginary part",
        title=f"W's eigenvalues, {LABELS[rule]}\nrate {rate:g}, seed {seed}",
    )  # fmt: skip
    axis.legend(frameon=False, fontsize="x-small", loc="upper left")
