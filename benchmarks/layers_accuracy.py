"""Test accuracy of trained layers on full MNIST and Fashion-MNIST, rule beside rule.

Each run is one command `ratenet train --config benchmarks/architectures/NAME.toml ...`, whose run
folder stays under --out: a run that is there is not run again, one that was stopped goes on. For
each network and rule, short runs with seed 0 sweep the recurrent learning rate; with the rate of
the best validation accuracy it is then trained in full, with three seeds.

    python benchmarks/layers_accuracy.py --data-root DATA --out RUNS [--only one_layer_300-mnist]
    python benchmarks/layers_accuracy.py --out RUNS --report
    python benchmarks/layers_accuracy.py --figure

The report goes to benchmarks/results/layers_accuracy.md, its figure to
docs/images/layers_accuracy.png; docs/results.md says what it means.
"""

import argparse
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd
from matplotlib.ticker import NullFormatter, ScalarFormatter

from ratenet.report.figures import GREY, new_figure, save
from ratenet.report.rule_looks import LABELS, look_of

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "layers_accuracy.md"
ARCHITECTURES = ROOT / "benchmarks" / "architectures"
HEAD = """\
# Test accuracy of trained layers

`python benchmarks/layers_accuracy.py`, {date}. Each row is of the runs
`ratenet train --config benchmarks/architectures/NAME.toml --data DATA --epochs EPOCHS --rule RULE
--recurrent-learning-rate RATE --seed SEED` (with `--unsettled include` where it says kept), trained
on the training images without 5,000 for validation, and tested once. Mean over the seeds, and their
range. Unsettled samples kept: only where there were some, else both ways are one and the same run.
Iterations: mean over the last epoch, all layers together; abscissas: largest among the layers, at
the end. Minutes: of one thread, on a machine with other work.
"""
SWEEP = """\
## The sweep

With seed 0, on MNIST, in two epochs (convolutions: one); the rate with the best validation accuracy
was taken.
"""
RULES = ("euclidean", "linearized-reparameterized", "gain-free-reparameterized")
CONTROL = "frozen"
NAMES = {rule: LABELS[rule].replace("$", "") for rule in (*RULES, CONTROL)}  # of the table
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Row:
    """A network on a data set: what is to be reached, and how its learning rate is chosen."""

    network: str
    data: str
    title: str
    asked: float
    epochs: int  # of a run in full
    rates: tuple[float, ...] = ()  # of the sweep; none: the network's first row has it

    @property
    def name(self) -> str:
        """What run folders and --only call it."""
        return f"{self.network}-{self.data}"


ROWS = (
    Row("one_layer_300", "mnist", "one layer, N = 300", 0.975, 6, (3e-5, 1e-4, 3e-4, 1e-3, 3e-3)),
    Row("one_layer_1000", "mnist", "one layer, N = 1,000", 0.982, 6, (1e-4, 3e-4, 1e-3)),
    Row("feedback", "mnist", "two layers with feedback", 0.982, 6, (1e-4, 3e-4, 1e-3)),
    Row("convolutional", "mnist", "convolutional, two layers", 0.990, 4, (1e-4, 3e-4)),
    Row("convolutional", "fashion-mnist", "the same", 0.900, 6),
)


def command(
    row: Row, rule: str, rate: float | None, seed: int, epochs: int, *options: str
) -> list[str]:
    """Return the options of `ratenet train` for one run, without folders."""
    rates = [] if rate is None else ["--recurrent-learning-rate", f"{rate:g}"]
    return [
        "--config", f"benchmarks/architectures/{row.network}.toml", "--data", row.data,
        "--epochs", str(epochs), "--rule", rule, *rates, "--seed", str(seed), *options,
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


def place(out: Path, row: Row, rule: str, rate: float | None, seed: int, unsettled: str) -> Path:
    """Return the folder of a run in full."""
    rated = "" if rate is None else f"-{rate:g}"
    kept = "" if unsettled == "leave-out" else "-kept"
    return out / row.name / f"{rule}{rated}-{seed}{kept}"


def swept(row: Row) -> Row:
    """Return the row whose sweep the rates are taken from: the network's first."""
    return next(other for other in ROWS if other.network == row.network)


def place_of_sweep(out: Path, row: Row, rule: str, rate: float) -> Path:
    """Return the folder of a run of the sweep."""
    return out / row.name / "sweep" / f"{rule}-{rate:g}"


def chosen_rate(row: Row, rule: str, out: Path) -> float | None:
    """Return the rate of the sweep with the best validation accuracy; None without one."""
    found = {}
    for rate in swept(row).rates if rule != CONTROL else ():
        summary = finished(place_of_sweep(out, swept(row), rule, rate))
        if summary.get("status") == "done":
            found[rate] = summary["best_validation_accuracy"]
    return max(found, key=lambda rate: found[rate]) if found else None


def run_all(rows: list[Row], rules: list[str], seeds: list[int], out: Path, root: Path) -> None:
    """Carry out the sweeps, and the runs in full at the chosen rates, seed after seed."""
    for row in dict.fromkeys(swept(row) for row in rows):
        for rule in [rule for rule in rules if rule != CONTROL]:
            for rate in row.rates:
                options = command(row, rule, rate, 0, row.epochs // 3)
                carry_out(options, place_of_sweep(out, row, rule, rate), root)
    for seed in seeds:
        for row in rows:
            for rule in rules:
                rate = chosen_rate(row, rule, out)
                if rate is None and rule != CONTROL:
                    print(f"{row.name}, {rule}: every run of the sweep was stopped")
                    continue
                for unsettled in ("leave-out", "include"):
                    options = command(row, rule, rate, seed, row.epochs, "--unsettled", unsettled)
                    summary = carry_out(options, place(out, row, rule, rate, seed, unsettled), root)
                    # With none to leave out, both ways are one and the same run.
                    if not summary.get("unsettled_samples"):
                        break


def results(out: Path) -> pd.DataFrame:
    """Return one row for each run at a chosen rate."""
    found = []
    for row in ROWS:
        for rule in (*RULES, CONTROL):
            rate = chosen_rate(row, rule, out)
            for seed in SEEDS:
                for unsettled in ("leave-out", "include"):
                    summary = finished(place(out, row, rule, rate, seed, unsettled))
                    if summary:
                        own = {"row": row.name, "rule": rule, "seed": seed, "unsettled": unsettled}
                        found.append({**summary, **own})
    return pd.DataFrame(found)


def spread(values: pd.Series, digits: int = 4) -> str:
    """Return mean and range of some seeds."""
    known = values.dropna()
    if len(known) == 0:
        return "-"
    if len(known) == 1 or known.min() == known.max():
        return f"{known.mean():.{digits}f}"
    return f"{known.mean():.{digits}f} ({known.min():.{digits}f} to {known.max():.{digits}f})"


def report(out: Path) -> None:
    """Write the tables and the figure."""
    runs, lines = results(out), []
    if len(runs) == 0:
        raise SystemExit(f"--out: there is no finished run in {out}.")
    lines += [
        "| network, data | rule | rate | unsettled | seeds | test accuracy | asked | "
        "unsettled share | iterations at the end | abscissa of J (1/s) | abscissa of W | norm of W "
        "| minutes |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in ROWS:
        for rule in (*RULES, CONTROL):
            rate = chosen_rate(row, rule, out)
            for unsettled in ("leave-out", "include"):
                chosen = runs[
                    (runs["row"] == row.name)
                    & (runs["rule"] == rule)
                    & (runs["unsettled"] == unsettled)
                ]
                if len(chosen) == 0:
                    continue
                ends = last_rows(out, row, rule, unsettled)
                stopped = (chosen["status"] == "stopped").sum()
                lines.append(
                    f"| {row.title}, {row.data} | {NAMES[rule]} | "
                    f"{'-' if rate is None else f'{rate:g}'} | "
                    f"{'left out' if unsettled == 'leave-out' else 'kept'} | "
                    f"{len(chosen)}{f', {stopped} stopped' if stopped else ''} | "
                    f"{spread(chosen['test_accuracy'])} | {row.asked:.3f} | "
                    f"{spread(chosen['unsettled_share'], 6)} | {spread(ends['iterations'], 1)} | "
                    f"{spread(ends['abscissa'], 1)} | {spread(chosen['weight_abscissa'], 2)} | "
                    f"{spread(chosen['weight_norm'], 2)} | {spread(chosen['seconds'] / 60, 1)} |"
                )
    parts = [HEAD.format(date=date.today()), "\n".join(lines) + "\n", SWEEP, sweep_table(out)]
    RESULTS.write_text("\n".join(parts))
    draw()


def last_rows(out: Path, row: Row, rule: str, unsettled: str) -> pd.DataFrame:
    """Return the last row of metrics of each seed; iterations as the mean of the last epoch."""
    ends = []
    for seed in SEEDS:
        rate = chosen_rate(row, rule, out)
        file = place(out, row, rule, rate, seed, unsettled) / "metrics.csv"
        metrics = pd.read_csv(file) if finished(file.parent) else pd.DataFrame()
        if len(metrics):
            last = metrics[metrics["epoch"] == metrics["epoch"].max()]
            ends.append(
                {"iterations": last["iterations"].mean(), "abscissa": last["abscissa"].iloc[-1]}
            )
    return pd.DataFrame(ends, columns=["iterations", "abscissa"])


def sweep_table(out: Path) -> str:
    """Return the validation accuracies of the sweeps."""
    lines = [
        "| network, data | rule | recurrent learning rate: validation accuracy |",
        "| --- | --- | --- |",
    ]
    for row in ROWS:
        for rule in RULES:
            found = []
            for rate in row.rates:
                summary = finished(place_of_sweep(out, row, rule, rate))
                if summary:
                    best = summary.get("best_validation_accuracy")
                    said = "stopped" if summary["status"] == "stopped" else f"{best:.4f}"
                    found.append(f"{rate:g}: {said} ({summary['unsettled_samples']} unsettled)")
            if found:
                lines.append(f"| {row.title}, {row.data} | {NAMES[rule]} | {', '.join(found)} |")
    return "\n".join(lines) + "\n"


def draw() -> None:
    """Draw the report's table: mean and range over the seeds, a group of points a network."""
    rows = [line.strip("| ").split(" | ") for line in RESULTS.read_text().splitlines()]
    table = [cells for cells in rows if len(cells) == 13 and cells[3] == "left out"]
    figure, axes = new_figure(figsize=(7.2, 8), nrows=3, sharex=True)
    shown = [
        (axes[0], 5, lambda share: 100 * (1 - share), "test error (%)"),
        (axes[1], 8, float, "iterations per sample"),
        (axes[2], 10, float, r"largest Re $\lambda$ of $W$"),
    ]
    networks = [f"{row.title}, {row.data}" for row in ROWS]
    for axis, column, scaled, label in shown:
        for number, rule in enumerate((*RULES, CONTROL)):
            cells = [row for row in table if row[1] == NAMES[rule]]
            ends = [sorted(map(scaled, numbers(row[column]))) for row in cells]
            middle = [scaled(numbers(row[column])[0]) for row in cells]
            look = look_of(rule)
            axis.errorbar(
                [networks.index(row[0]) + 0.16 * (number - 1.5) for row in cells],
                middle,
                yerr=[[m - e[0] for m, e in zip(middle, ends, strict=True)],
                      [e[-1] - m for m, e in zip(middle, ends, strict=True)]],
                ls="none", marker=look["marker"], color=look["color"], capsize=3, ms=6,
                label=LABELS[rule],
            )  # fmt: skip
        axis.set_ylabel(label)
        for border in range(1, len(ROWS)):
            axis.axvline(border - 0.5, color=GREY, lw=0.5, ls=":")
    for place, row in enumerate(ROWS):
        target = [100 * (1 - row.asked)] * 2
        axes[0].plot([place - 0.4, place + 0.4], target, color="black", lw=0.8,
                     label="_" if place else "target")  # fmt: skip
    for axis in axes[:2]:
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(ScalarFormatter())
        axis.yaxis.set_minor_formatter(NullFormatter())
    axes[0].set_yticks([1, 2, 3, 5, 10])
    axes[1].set_yticks([4, 6, 10, 20, 40, 80])
    axes[2].axhline(1, color="black", lw=0.8)
    titles = ["convolutional\ntwo layers" if row.title == "the same" else row.title for row in ROWS]
    names = [
        f"{title}\n{row.data.title().replace('Mnist', 'MNIST')}".replace(", ", "\n")
        for title, row in zip(titles, ROWS, strict=True)
    ]
    axes[2].set_xticks(range(len(ROWS)), names, fontsize="small")
    axes[2].set_xlim(-0.5, len(ROWS) - 0.5)
    axes[0].legend(frameon=False, fontsize="small", ncols=3, loc="lower center",
                   bbox_to_anchor=(0.5, 1.0))  # fmt: skip
    save(figure, ROOT / "docs" / "images" / "layers_accuracy.png")


def numbers(cell: str) -> list[float]:
    """Return the numbers of a cell: the mean, and the range where there are several seeds."""
    return [float(each) for each in re.findall(r"[-+]?\d[\d.]*(?:e[-+]?\d+)?", cell)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-root", type=Path, help="torchvision's files")
    parser.add_argument("--out", type=Path, help="where run folders are kept")
    parser.add_argument(
        "--only", nargs="+", choices=(names := [row.name for row in ROWS]), default=names
    )
    parser.add_argument("--rules", nargs="+", default=[*RULES, CONTROL])
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--report", action="store_true", help="write the report, run nothing")
    parser.add_argument("--figure", action="store_true", help="draw the report's table alone")
    given = parser.parse_args()
    if given.figure:
        draw()
        return
    if given.out is None:
        raise SystemExit("--out is missing: the folder in which runs are kept.")
    if given.report:
        report(given.out)
        return
    if given.data_root is None:
        raise SystemExit("--data-root is missing: the folder that holds torchvision's MNIST.")
    known = {row.name: row for row in ROWS}
    run_all([known[name] for name in given.only], given.rules, given.seeds, given.out.resolve(),
            given.data_root.resolve())  # fmt: skip


if __name__ == "__main__":
    main()
