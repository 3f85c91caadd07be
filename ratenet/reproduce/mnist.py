"""MNIST: loss, accuracy and eigenvalues of W along learning, by rules 1 and 3 at five rates each.

The panels of the paper for each of its rules: loss and accuracy on batches of training and of test
images against the iteration. Read-in and read-out stay as they are drawn. Where samples did not
settle, a run leaves them out, and is made again with them kept, as in the paper.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from ratenet.report.figures import GREY, new_figure
from ratenet.report.rule_looks import LABELS, look_of, shades
from ratenet.reproduce.runs import Planned, Progress, carried_out, outcome, swept
from ratenet.training import TrainingConfig
from ratenet.training.callbacks import Row
from ratenet.training.run import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RATES = {  # those of the authors' public code
    "euclidean": (0.001, 0.0025, 0.005, 0.01, 0.025),
    "linearized-reparameterized": (0.01, 0.025, 0.05, 0.1, 0.25),
}
COMMON: dict[str, Any] = {"presentation": "static", "batch_size": 512, "epochs": 3, "units": 300}
SEEDS = 2
KEPT = {"leave-out": "left out", "include": "kept"}
TESTED, EVERY = 512, 5  # test images that are shown every so many iterations
ALONG, SPECTRA = "along.csv", "spectra.csv"


def mnist(
    seed: int, progress: Progress, folder: Path, images: dict[str, str], **options: Any
) -> tuple[pd.DataFrame, "Figure"]:
    """Return a row for each run, and their picture.

    Parameters
    ----------
    seed : int
        The first of two.
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
            planned = Planned(_name(rule, rate, of_run, unsettled), said, config)
            summary, metrics = carried_out(planned, folder, [measure_along])
            last = metrics["train_loss"].tail(max(1, len(metrics) // 20)).mean()
            rows.append({**said, "train_loss": last, **outcome(summary)})
            if not summary["unsettled_samples"]:
                break  # with none to leave out, both ways are one and the same run
    progress(len(runs), len(runs))
    return pd.DataFrame(rows), _draw(folder, range(seed, seed + SEEDS))


def measure_along(run: Run, row: Row) -> None:
    """Measure a batch of test images every few steps, and W's eigenvalues after each epoch.

    A callback; the files stand in the run's folder.
    """
    step, place = run.progress.step, run.folder.path
    if step == 1:
        _start(place / ALONG, "step,train_loss,train_accuracy,test_loss,test_accuracy")
        _start(place / SPECTRA, "step,real,imag")
    if step % EVERY == 0:
        images = run.images.test
        generator = torch.Generator().manual_seed(step)
        chosen = torch.randperm(len(images), generator=generator)[:TESTED]
        tested = run.evaluate(images[chosen.to(images.pixels.device)])
        values = row["train_loss"], row["train_accuracy"], tested.loss, tested.accuracy
        _append(place / ALONG, [(step, *values)])
    if run.epoch_ends:
        W = run.learner.network.connectivity.dense().detach().cpu().double()
        values = torch.linalg.eigvals(W).numpy()
        _append(place / SPECTRA, [(step, each.real, each.imag) for each in values])


def _start(file: Path, heading: str) -> None:
    file.write_text(f"{heading}\n", encoding="utf-8")


def _append(file: Path, rows: list[tuple[float | None, ...]]) -> None:
    with file.open("a", encoding="utf-8") as table:
        table.writelines(",".join(f"{value:.9g}" for value in row) + "\n" for row in rows)


def _name(rule: str, rate: float, seed: int, unsettled: str) -> str:
    return f"{rule}-{rate:g}-{seed}-{unsettled}"


def _read(folder: Path, rule: str, rate: float, seeds: range, name: str) -> pd.DataFrame:
    """Return a table of the runs of all seeds, unsettled samples left out."""
    each = []
    for seed in seeds:
        table = pd.read_csv(folder / _name(rule, rate, seed, "leave-out") / name)
        each.append(table.assign(seed=seed))
    return pd.concat(each, ignore_index=True)


def _draw(folder: Path, seeds: range) -> "Figure":
    shown = {
        "train_loss": "training loss (nats)",
        "test_loss": "test loss (nats)",
        "train_accuracy": "training accuracy",
        "test_accuracy": "test accuracy",
    }
    figure, axes = new_figure(
        figsize=(7.2, 13), nrows=len(shown) + 1, ncols=len(RATES), sharey="row", squeeze=False
    )
    for column, (rule, rates) in enumerate(RATES.items()):
        colours = shades(look_of(rule)["color"], len(rates))
        for rate, colour in zip(rates, colours, strict=True):
            along = _read(folder, rule, rate, seeds, ALONG).groupby("step")
            for axis, name in zip(axes[:, column], shown, strict=False):
                axis.plot(along[name].mean(), color=colour, lw=1.3, label=f"{rate:g}")
                ends = along[name].min(), along[name].max()
                axis.fill_between(ends[0].index, *ends, color=colour, alpha=0.25, lw=0)
        axes[0, column].set_title(LABELS.get(rule, rule), fontsize="medium")
        axes[0, column].legend(
            frameon=False, title=r"learning rate $\eta$", fontsize="small", ncols=3,
            loc="upper right",
        )  # fmt: skip
        axes[3, column].set_xlabel("iteration")
        _draw_spectra(axes[-1, column], folder, rule, seeds[:1])
    for axis, label in zip(axes[:, 0], (*shown.values(), r"Im $\lambda$"), strict=True):
        axis.set_ylabel(label)
    for axis in axes[:2].flat:
        axis.set_ylim(0, 3.8)  # room for the legend
    for axis in axes[2:4].flat:
        axis.set_ylim(0, 1)
    reach = max(abs(end) for axis in axes[-1] for end in axis.dataLim.intervalx)
    for axis in axes[-1]:
        axis.set_xlim(-1.05 * reach, 1.05 * reach)
        axis.set_ylim(-1.2, 2)  # likewise
        axis.set_yticks([-1, 0, 1])
    return figure


def _draw_spectra(axis: Any, folder: Path, rule: str, seeds: range) -> None:
    """Draw the eigenvalues of W after each epoch at the highest rate, on the same axes for all."""
    rate, turn = RATES[rule][-1], np.linspace(0, 2 * np.pi, 200)
    axis.plot(0.5 * np.cos(turn), 0.5 * np.sin(turn), color=GREY, lw=0.8, label="at the start")
    spectra = _read(folder, rule, rate, seeds, SPECTRA)
    colours = shades(look_of(rule)["color"], spectra["step"].nunique())
    for epoch, (_, values) in enumerate(spectra.groupby("step"), start=1):
        look = {"color": colours[epoch - 1], "ms": 3, "label": f"after epoch {epoch}"}
        axis.plot(values["real"], values["imag"], ".", **look)
    axis.axvline(1, ymax=0.75, color="black", lw=0.8)
    axis.set_aspect("equal", adjustable="box")
    axis.set_xlabel(rf"Re $\lambda$ of $W$, $\eta$ = {rate:g}")
    axis.legend(frameon=False, fontsize="x-small", loc="upper center", ncols=2)
