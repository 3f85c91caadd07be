"""Test accuracy of trained layers on full MNIST and Fashion-MNIST, rule beside rule.

Each run is one command `ratenet train --config benchmarks/architectures/NAME.toml ...`. For each
network and rule, short runs with two seeds sweep the recurrent learning rate, on the network's own
data, until the best one on the held-out images lies inside what was tried; with it the network is
then trained in full, seed after seed. A rate at which a run in full loses its fixed points is given
up, with all larger ones, for the best of those below.

    python benchmarks/layers_accuracy.py --data-root DATA [--only one_layer_300-mnist]
    python benchmarks/layers_accuracy.py --report

A run is kept as a row of benchmarks/results/layers_accuracy.csv and not made again; one that was
stopped goes on from its folder under --out. The report goes to layers_accuracy.md beside it, its
figure to docs/images/layers_accuracy.png; docs/results.md says what it means.
"""

import argparse
import json
import math
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pandas as pd
from kept_rows import computed, kept
from matplotlib.ticker import NullFormatter, ScalarFormatter
from slowness import markdown
from tolerated import interval, spread

from ratenet.report.figures import GREY, new_figure, save
from ratenet.report.record import processor, versions
from ratenet.report.rule_looks import LABELS, look_of

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "layers_accuracy.md"
RUNS = RESULTS.with_suffix(".csv")
ONE_IN = 10_000  # samples lost, beyond which a rate is given up
HEAD = """\
# Test accuracy of trained layers

`python benchmarks/layers_accuracy.py`, {how}. Each row is of the runs
`ratenet train --config benchmarks/architectures/NAME.toml --data DATA --epochs EPOCHS --rule RULE
--recurrent-learning-rate RATE --seed SEED` (with `--unsettled include` where it says kept, and for
SGD with {sgd}), trained on the training images without 5,000 for
validation, and tested once. Means over seeds with 95 % intervals (Student's t; of two seeds their
range); differences are paired by seed, those of kept samples too from runs that leave them
out. Unsettled samples kept: only where there were some, else both ways are one and the same run. A
run that was stopped has the test accuracy of where it stopped, and no abscissa if it did before the
first. Iterations: mean over the last epoch, all layers together; abscissas: largest among the
layers, at the end. Minutes: of one thread, on a machine with other work. Days and seeds of all runs
are in layers_accuracy.csv.
"""
SWEEP = f"""\
## The sweep

With seeds 0 and 1, a third of the epochs; means of the best validation accuracy of an epoch. The
best rate was taken. Edge: it is the least or the largest of those tried. Given up: at this rate or
a lower one a run in full lost more than one sample in {ONE_IN:,}.
"""
GIVEN_UP = f"""\
## Rates that were given up

Runs in full at rates that the sweep preferred, which lost more than one sample in {ONE_IN:,}.
"""
RULES = ("euclidean", "linearized-reparameterized", "gain-free-reparameterized")
CONTROL = "frozen"
NAMES = {rule: LABELS[rule].replace("$", "") for rule in (*RULES, CONTROL)}  # of the table
SEEDS, SWEEP_SEEDS = (0, 1, 2), (0, 1)
LEAST, LARGEST = 1e-6, 10.0  # recurrent learning rates
WAYS = {"leave-out": "left out", "include": "kept"}
FROM_0 = (0.0, math.inf)  # where these values lie
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
    Row("convolutional", "fashion-mnist", "the same", 0.900, 6, (1e-4, 3e-4, 1e-3)),
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
        epochs, rates = row.epochs // 3, {*row.rates}
        rates |= {*known(row, rule).query("epochs == @epochs")["rate"]}
        while True:
            keys = [
                Run(row.name, rule, rate, seed, epochs)
                for rate in sorted(rates)
                for seed in SWEEP_SEEDS
            ]
            rows = self.of(row, keys)
            score = rows["best_validation_accuracy"].where(rows["status"] == "done")
            means = score.groupby(rows["rate"]).agg(lambda part: part.mean(skipna=False))
            means[means.index >= given_up(row, rule)["rate"].min()] = math.nan
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
        return pd.DataFrame(columns=[*Run.__annotations__, "status", "unsettled_share"])
    return pd.read_csv(RUNS).query("row == @row.name and rule == @rule")


def given_up(row: Row, rule: str) -> pd.DataFrame:
    """Return the runs in full that lost too many samples; the control has no other rate."""
    return known(row, rule).query(
        "epochs == @row.epochs and unsettled == 'leave-out' and rate > 0 "
        "and (unsettled_share > 1 / @ONE_IN or status == 'stopped')"
    )


def best_of(means: pd.Series) -> float:
    """Return the rate with the best validation accuracy."""
    if means.isna().all():
        raise SystemExit(f"every run of the sweep was stopped: rates {list(means.index)}")
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


def shown() -> list[tuple[Row, dict[str, tuple[float, pd.DataFrame]]]]:
    """Return the networks whose runs are all there, with rate and runs in full of each rule."""
    found, runs = [], Runs()
    for row in ROWS:
        own = {}
        for rule in (*RULES, CONTROL):
            means = runs.swept(row, rule) if rule != CONTROL else pd.Series(dtype=float)
            if rule != CONTROL and means.isna().all():
                break
            rate = best_of(means) if rule != CONTROL else 0.0
            keys = [
                Run(row.name, rule, rate, seed, row.epochs, way)
                for seed in range(100)
                for way in WAYS
            ]
            rows = runs.of(row, keys)
            if not {*SEEDS} <= {*accuracies(rows).index}:
                break
            own[rule] = (rate, rows)
        else:
            found.append((row, own))
    return found


def table() -> pd.DataFrame:
    """Return a row of text for each network, rule and way with unsettled samples."""
    found = []
    for row, own in shown():
        for rule, (rate, rows) in own.items():
            for way, said in WAYS.items():
                chosen = rows[rows["unsettled"] == way]
                if chosen.empty:
                    continue
                less = {
                    f"less {NAMES[other]}": interval(
                        (accuracies(rows, way) - accuracies(own[other][1])).dropna(), "{:+.4f}"
                    )
                    if other in own and other != rule
                    else "-"
                    for other in (RULES[0], CONTROL)
                }
                stopped = int((chosen["status"] == "stopped").sum())
                found.append({
                    "network, data": f"{row.title}, {row.data}", "rule": NAMES[rule],
                    "rate": f"{rate:g}" if rate else "-", "unsettled": said,
                    "seeds": f"{len(chosen)}" + (f", {stopped} stopped" if stopped else ""),
                    "test accuracy": interval(chosen["test_accuracy"], "{:.4f}"), **less,
                    "asked": f"{row.asked:.3f}",
                    "unsettled share": interval(chosen["unsettled_share"], "{:.6f}", FROM_0),
                    "iterations at the end": interval(chosen["iterations"], "{:.1f}", FROM_0),
                    "abscissa of J (1/s)": interval(chosen["abscissa"], "{:.1f}"),
                    "abscissa of W": interval(chosen["weight_abscissa"], "{:.2f}"),
                    "norm of W": interval(chosen["weight_norm"], "{:.2f}", FROM_0),
                    "minutes": interval(chosen["seconds"] / 60, "{:.1f}", FROM_0),
                })  # fmt: skip
    return pd.DataFrame(found)


def sweeps() -> pd.DataFrame:
    """Return the validation accuracies of the sweeps, a row of text each."""
    found, runs = [], Runs()
    for row, _ in shown():
        for rule in RULES:
            means = runs.swept(row, rule)
            least = given_up(row, rule)["rate"].min()
            tried = [
                f"{rate:g}: "
                + ("given up" if rate >= least else "stopped" if value != value else f"{value:.4f}")
                for rate, value in means.items()
            ]
            best = best_of(means)
            inside = means.index[0] < best < means.index[-1]
            found.append({
                "network, data": f"{row.title}, {row.data}", "rule": NAMES[rule],
                "taken": f"{best:g}", "edge": "-" if inside else "edge",
                "recurrent learning rate: validation accuracy": ", ".join(tried),
            })  # fmt: skip
    return pd.DataFrame(found)


def lost() -> pd.DataFrame:
    """Return the runs in full whose rates were given up, as text."""
    found = [
        given_up(row, rule).assign(network=f"{row.title}, {row.data}", name=NAMES[rule])
        for row, _ in shown()
        for rule in RULES
    ]
    runs = pd.concat(found)
    return pd.DataFrame({
        "network, data": runs["network"], "rule": runs["name"],
        "rate": runs["rate"].map("{:g}".format), "seed": runs["seed"],
        "unsettled share": runs["unsettled_share"].map("{:.6f}".format),
        "test accuracy": runs["test_accuracy"].map("{:.4f}".format),
        "abscissa of W": runs["weight_abscissa"].map("{:.2f}".format),
    })  # fmt: skip


def report() -> None:
    """Write the tables of all networks whose runs are there, and the figure."""
    if not (names := {row.name for row, _ in shown()}):
        print("no table yet: of each network some runs are missing", flush=True)
        return
    made = ", ".join(f"{name} {version}" for name, version in versions().items())
    head = HEAD.format(how=f"{date.today()}, {processor()}, {made}", sgd=f"`{' '.join(SGD)}`")
    missing = "; ".join(f"{row.title}, {row.data}" for row in ROWS if row.name not in names)
    note = [f"Not shown, since runs are missing: {missing}.", ""] if missing else []
    parts = [head, *note, *markdown(table(), "{}"), "", SWEEP, *markdown(sweeps(), "{}")]
    if not (runs := lost()).empty:
        parts += ["", GIVEN_UP, *markdown(runs, "{}")]
    RESULTS.write_text("\n".join(parts) + "\n")
    draw()


def draw() -> None:
    """Draw mean and interval over the seeds, a group of points a network."""
    figure, axes = new_figure(figsize=(7.2, 8), nrows=3, sharex=True)
    panels = (
        (lambda rows: 100 * (1 - rows["test_accuracy"]), "test error (%)"),
        (lambda rows: rows["iterations"], "iterations per sample"),
        (lambda rows: rows["weight_abscissa"], r"largest Re $\lambda$ of $W$"),
    )
    ticks = {}
    for place, (row, own) in enumerate(shown()):
        ticks[place] = f"{row.title}\n{row.data}".replace(", ", "\n").replace("mnist", "MNIST")
        for number, rule in enumerate((*RULES, CONTROL)):
            look, at = look_of(rule), place + 0.16 * (number - 1.5)
            _, rows = own[rule]
            rows = rows[rows["unsettled"] == "leave-out"]
            for axis, (values, label) in zip(axes, panels, strict=True):
                mean, low, high = spread(values(rows))
                axis.errorbar(
                    at, mean, yerr=[[mean - low], [high - mean]], ls="none", capsize=3, ms=6,
                    marker=look["marker"], color=look["color"],
                    label=LABELS[rule],
                )  # fmt: skip
                axis.set_ylabel(label)
        target = [100 * (1 - row.asked)] * 2
        axes[0].plot([place - 0.4, place + 0.4], target, color="black", lw=0.8,
                     label="target")  # fmt: skip
    for axis in axes:
        for border in range(1, len(ticks)):
            axis.axvline(border - 0.5, color=GREY, lw=0.5, ls=":")
    for axis in axes[:2]:
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(ScalarFormatter())
        axis.yaxis.set_minor_formatter(NullFormatter())
    axes[0].set_yticks([1, 2, 3, 5, 10])
    axes[1].set_yticks([4, 6, 10, 20, 40, 80])
    axes[2].axhline(1, color="black", lw=0.8)
    axes[2].set_xticks(list(ticks), list(ticks.values()), fontsize="small")
    axes[2].set_xlim(-0.5, len(ticks) - 0.5)
    handles, labels = axes[0].get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))  # each network has them
    axes[0].legend(once.values(), once, frameon=False, fontsize="small", ncols=3,
                   loc="lower center", bbox_to_anchor=(0.5, 1.0))  # fmt: skip
    save(figure, ROOT / "docs" / "images" / "layers_accuracy.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-root", type=Path, help="torchvision's files")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "layers_accuracy")
    parser.add_argument(
        "--only", nargs="+", choices=(names := [row.name for row in ROWS]), default=names
    )
    parser.add_argument("--rules", nargs="+", default=[*RULES, CONTROL])
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--report", action="store_true", help="of the runs that are there only")
    given = parser.parse_args()
    if given.report:
        report()
        return
    if given.data_root is None:
        raise SystemExit("--data-root is missing: the folder that holds torchvision's MNIST.")
    runs = Runs(given.out.resolve(), given.data_root.resolve())
    for row in (row for row in ROWS if row.name in given.only):
        for rule in given.rules:
            runs.in_full(row, rule, given.seeds)
            report()


if __name__ == "__main__":
    main()
