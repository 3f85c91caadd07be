"""Runs of trained layers on images, each made once: short ones for the rates, and those in full.

What layers_accuracy.py shows and slow_full_mnist.py compares with. A run is one command
`ratenet train --config benchmarks/architectures/NAME.toml ...`, kept as a row of
benchmarks/results/layers_accuracy.csv; one that was stopped goes on from its folder.
"""

import json
import math
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pandas as pd
from kept_rows import computed, kept

ROOT = Path(__file__).parents[1]
RUNS = ROOT / "benchmarks" / "results" / "layers_accuracy.csv"
RULES = ("euclidean", "linearized-reparameterized", "gain-free-reparameterized")
CONTROL = "frozen"
SWEEP_SEEDS = (0, 1)
LEAST, LARGEST = 1e-6, 10.0  # recurrent learning rates
ONE_IN = 10_000  # samples lost, beyond which a rate is given up
SGD = ("--optimizer", "sgd", "--momentum", "0.9", "--learning-rate", "0.05", "--weight-decay", "0")


@dataclass(frozen=True)
class Row:
    """A network on a data set: what is to be reached, and how its learning rate is chosen."""

    network: str
    data: str
    title: str
    asked: float
    epochs: int  # of a run in full
    rates: tuple[float, ...]  # that the sweep begins with
    options: tuple[str, ...] = ()  # of `ratenet train`, beside those of the file

    @property
    def name(self) -> str:
        """What run folders and --only call it."""
        return f"{self.network}-{self.data}" + ("-sgd" if self.options == SGD else "")


ROWS = (
    Row("one_layer_300", "mnist", "one layer, N = 300", 0.975, 6, (3e-5, 1e-4, 3e-4, 1e-3, 3e-3)),
    Row("one_layer_300", "mnist", "one layer, N = 300, SGD", 0.975, 6, (0.01, 0.03, 0.1), SGD),
    Row("one_layer_1000", "mnist", "one layer, N = 1,000", 0.982, 6, (1e-4, 3e-4, 1e-3)),
    Row("feedback", "mnist", "two layers with feedback", 0.982, 6, (1e-4, 3e-4, 1e-3)),
    Row("convolutional", "mnist", "convolutional, two layers", 0.990, 4, (1e-4, 3e-4, 1e-3)),
    Row(
        "convolutional", "fashion-mnist", "convolutional, two layers", 0.900, 6, (1e-4, 3e-4, 1e-3)
    ),
)


@dataclass(frozen=True)
class Run:
    """One command."""

    row: str
    rule: str
    rate: float  # 0: of the control
    seed: int
    epochs: int
    unsettled: str = "leave-out"

    @property
    def folder(self) -> str:
        """Where it runs, under --out."""
        rate = f"-{self.rate:g}" if self.rate else ""
        kept = "" if self.unsettled == "leave-out" else "-kept"
        return f"{self.row}/{self.rule}{rate}-{self.epochs}-{self.seed}{kept}"

    def options(self, row: Row) -> list[str]:
        """Return the options of `ratenet train`, without folders."""
        rates = ["--recurrent-learning-rate", f"{self.rate:g}"] if self.rate else []
        return [
            "--config", f"benchmarks/architectures/{row.network}.toml", "--data", row.data,
            "--epochs", str(self.epochs), "--rule", self.rule, *rates, "--seed", str(self.seed),
            "--unsettled", self.unsettled, *row.options,
        ]  # fmt: skip


LEFT_BY_ANOTHER = ("summary.json", "checkpoint.safetensors", "processor_seconds.txt")


def carry_out(options: list[str], folder: Path, data_root: Path) -> dict:
    """Run one command to its end, or go on with it, and return its summary."""
    architecture = ROOT / options[options.index("--config") + 1]
    asked, note = f"{options}\n{architecture.read_text()}", folder / "asked.txt"
    is_same = note.exists() and note.read_text() == asked
    if not is_same or not (summary := finished(folder)):
        under_way = is_same and (folder / "checkpoint.safetensors").exists()
        folder.mkdir(parents=True, exist_ok=True)
        for old in () if is_same else LEFT_BY_ANOTHER:
            (folder / old).unlink(missing_ok=True)
        note.write_text(asked)
        given = ["--resume"] if under_way else [*options, "--data-root", str(data_root)]
        if not under_way:
            given.append("--overwrite")
        print("ratenet train", *given, flush=True)
        arguments = [sys.executable, "-m", "ratenet", "train", *given, "--out", str(folder)]
        done = subprocess.run(arguments, stdout=subprocess.DEVNULL, cwd=ROOT)
        if done.returncode not in (0, 3):  # done, or stopped by itself
            raise SystemExit(done.returncode)
        summary = finished(folder)
    print(f"  {folder.name}: {summary.get('status')}, test accuracy "
          f"{summary.get('test_accuracy')}, unsettled {summary.get('unsettled_samples')}, "
          f"{summary.get('seconds')} s", flush=True)  # fmt: skip
    return summary


def finished(folder: Path) -> dict:
    """Return the summary of a run that came to an end, by itself or by science; else nothing."""
    file = folder / "summary.json"
    summary = json.loads(file.read_text()) if file.exists() else {}
    return summary if summary.get("status") in ("done", "stopped") else {}


@dataclass(frozen=True)
class Runs:
    """Makes runs, and remembers them.

    Parameters
    ----------
    out, data_root : Path or None
        Folders of runs and of images; None: look at what is there, and make nothing.
    """

    out: Path | None = None
    data_root: Path | None = None

    def of(self, row: Row, keys: list[Run]) -> pd.DataFrame:
        """Return a row for each run that is there, or has now been made."""
        wanted = [vars(key) for key in keys]
        if self.out is None:
            return kept(RUNS, wanted)
        return computed(RUNS, wanted, lambda **key: self._made(row, Run(**key)))

    def _made(self, row: Row, run: Run) -> dict:
        folder = self.out / run.folder
        summary = carry_out(run.options(row), folder, self.data_root)
        metrics = pd.read_csv(folder / "metrics.csv")
        last = metrics[metrics["epoch"] == metrics["epoch"].max()]
        taken = ("status", "steps", "test_accuracy", "best_validation_accuracy",
                 "unsettled_samples", "unsettled_share", "weight_abscissa", "weight_norm",
                 "seconds")  # fmt: skip
        return {
            **{name: summary.get(name) for name in taken},
            "iterations": last["iterations"].mean(),
            "abscissa": last["abscissa"].ffill().iloc[-1],  # none: it stopped before
            "made": f"{date.today()}",
        }

    def swept(self, row: Row, rule: str) -> pd.Series:
        """Return the mean validation accuracy of each rate.

        A rate with a stopped run has none, and none that was given up.
        """
        rates = {*row.rates, *scores(row, rule).index}
        least = given_up(row, rule)["rate"].min()  # NaN: none was
        while True:
            keys = [
                Run(row.name, rule, rate, seed, row.epochs // 3)
                for rate in sorted(rates)
                for seed in SWEEP_SEEDS
                if not rate >= least
            ]
            self.of(row, keys)
            means = scores(row, rule).reindex(sorted(rates))
            means[means.index >= least] = math.nan
            further = None if self.out is None else beyond(means)
            if further is None:
                return means
            rates.add(further)

    def in_full(self, row: Row, rule: str, seeds: list[int]) -> None:
        """Train in full at the best rate, with unsettled samples left out and, if any, kept."""
        while True:
            rate = 0.0 if rule == CONTROL else best_of(self.swept(row, rule))
            runs = [Run(row.name, rule, rate, seed, row.epochs) for seed in seeds]
            for run in runs:
                self.of(row, [run])
                if rate in {*given_up(row, rule)["rate"]}:
                    break
            else:
                break
        for run in runs:  # with none to leave out, both ways are one and the same run
            if self.of(row, [run])["unsettled_samples"].any():
                self.of(row, [replace(run, unsettled="include")])


def known(row: Row, rule: str) -> pd.DataFrame:
    """Return all runs of a network and rule that there are."""
    if not RUNS.exists():
        names = "status", "best_validation_accuracy", "unsettled_share"
        return pd.DataFrame(columns=[*Run.__annotations__, *names])
    return pd.read_csv(RUNS).query("row == @row.name and rule == @rule")


def scores(row: Row, rule: str) -> pd.Series:
    """Return the mean validation accuracy of each rate of the sweep whose runs are all there."""
    rows = known(row, rule).query("epochs == @row.epochs // 3")
    score = rows["best_validation_accuracy"].where(rows["status"] == "done").astype(float)
    by_rate = score.groupby(rows["rate"].astype(float))
    return by_rate.mean().where(by_rate.count() == len(SWEEP_SEEDS))


def given_up(row: Row, rule: str) -> pd.DataFrame:
    """Return the runs in full at rates at which one was stopped or lost too many samples."""
    runs = known(row, rule).query("epochs == @row.epochs and rate > 0")
    is_lost = (runs["unsettled_share"] > 1 / ONE_IN) | (runs["status"] == "stopped")
    return runs[runs["rate"].isin(runs["rate"][is_lost & (runs["unsettled"] == "leave-out")])]


def best_of(means: pd.Series) -> float:
    """Return the rate with the best validation accuracy."""
    if means.isna().all():
        raise SystemExit(f"every rate was stopped or given up: {list(means.index)}")
    return float(means.idxmax())


def beyond(means: pd.Series) -> float | None:
    """Return the next rate to try where the best one is the least or largest that is known."""
    best, steps = best_of(means), (1, 3)
    if means.index[0] < best < means.index[-1]:
        return None
    larger = best == means.index[-1]
    decades = [step * 10.0**power for power in range(-7, 3) for step in steps]
    others = [rate for rate in decades if (rate > 1.01 * best if larger else rate < 0.99 * best)]
    found = min(others) if larger else max(others)
    return float(f"{found:g}") if LEAST <= found <= LARGEST else None


def accuracies(rows: pd.DataFrame, unsettled: str = "leave-out") -> pd.Series:
    """Return the test accuracies by seed."""
    return rows[rows["unsettled"] == unsettled].set_index("seed")["test_accuracy"]
