"""Test accuracy of trained layers on full MNIST and Fashion-MNIST, rule beside rule.

Each run is one command `ratenet train --config benchmarks/architectures/NAME.toml ...`, whose run
folder stays under --out: a run that is there is not run again, one that was stopped goes on. For
each network and rule the recurrent learning rate is chosen by the validation accuracy of short runs
with seed 0 (the sweep); then three seeds are trained with it, and tested once.

    python benchmarks/layers_accuracy.py --data-root DATA --out RUNS [--only one_layer_300]
    python benchmarks/layers_accuracy.py --out RUNS --report docs/results

The report is table.md, sweep.md and learning_curves.png in the folder that is named.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ratenet.report.figures import COLOURS, new_figure, save

ARCHITECTURES = Path(__file__).parent / "architectures"
RULES = ("euclidean", "linearized-reparameterized", "gain-free-reparameterized")
CONTROL = "frozen"
SEEDS = (0, 1, 2)
LINES = {
    "euclidean": ("rule 1, Euclidean", COLOURS[1], "-"),
    "linearized-reparameterized": ("rule 3, linearized", COLOURS[0], "--"),
    "gain-free-reparameterized": ("rule 4, gain-free", COLOURS[2], "-."),
    CONTROL: ("control, W frozen", COLOURS[5], ":"),
}


@dataclass(frozen=True)
class Row:
    """A network on a data set: what is to be reached, and how its learning rate is chosen."""

    network: str
    data: str
    title: str
    asked: float
    rates: tuple[float, ...]  # of the sweep
    sweep_epochs: int

    @property
    def name(self) -> str:
        """What run folders and --only call it."""
        return f"{self.network}-{self.data}"


ROWS = (
    Row("one_layer_300", "mnist", "one layer, N = 300", 0.975, (3e-5, 1e-4, 3e-4, 1e-3), 2),
    Row("one_layer_1000", "mnist", "one layer, N = 1,000", 0.982, (3e-5, 1e-4, 3e-4), 1),
    Row("feedback", "mnist", "two layers with feedback", 0.982, (3e-5, 1e-4, 3e-4), 1),
    Row("convolutional", "mnist", "convolutional, two layers", 0.990, (3e-5, 1e-4, 3e-4), 1),
    Row("convolutional", "fashion-mnist", "the same", 0.900, (3e-5, 1e-4, 3e-4), 1),
)


def command(row: Row, rule: str, rate: float | None, seed: int, *options: str) -> list[str]:
    """Return the options of `ratenet train` for one run, without folders."""
    rates = [] if rate is None else ["--recurrent-learning-rate", f"{rate:g}"]
    return [
        "--config", f"benchmarks/architectures/{row.network}.toml", "--data", row.data,
        "--rule", rule, *rates, "--seed", str(seed), *options,
    ]  # fmt: skip


def carry_out(options: list[str], folder: Path, data_root: Path) -> dict:
    """Run one command to its end, or go on with it, and return its summary."""
    if not (summary := finished(folder)):
        under_way = (folder / "checkpoint.safetensors").exists()
        given = ["--resume"] if under_way else [*options, "--data-root", str(data_root)]
        if not under_way and folder.exists():
            given.append("--overwrite")
        print("ratenet train", *given, flush=True)
        arguments = [sys.executable, "-m", "ratenet", "train", *given, "--out", str(folder)]
        done = subprocess.run(arguments, stdout=subprocess.DEVNULL, cwd=ARCHITECTURES.parents[1])
        if done.returncode in (130, 143):
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


def chosen_rate(row: Row, rule: str, out: Path, data_root: Path | None) -> float | None:
    """Return the rate of the sweep with the best validation accuracy; run what is missing."""
    found = {}
    for rate in row.rates:
        folder = out / "sweep" / row.name / f"{rule}-{rate:g}"
        options = command(row, rule, rate, 0, "--epochs", str(row.sweep_epochs))
        summary = finished(folder) if data_root is None else carry_out(options, folder, data_root)
        if summary.get("status") == "done":
            found[rate] = summary["best_validation_accuracy"]
    return max(found, key=lambda rate: found[rate]) if found else None


def final_folder(out: Path, row: Row, rule: str, seed: int, unsettled: str) -> Path:
    kept = "" if unsettled == "leave-out" else "-kept"
    return out / "final" / row.name / f"{rule}-{seed}{kept}"


def run_all(rows: list[Row], rules: list[str], seeds: list[int], out: Path, root: Path) -> None:
    """Carry out the sweeps and the final runs."""
    for row in rows:
        for rule in rules:
            if rule != CONTROL:
                chosen_rate(row, rule, out, root)
    for seed in seeds:
        for row in rows:
            for rule in rules:
                rate = None if rule == CONTROL else chosen_rate(row, rule, out, root)
                folder = final_folder(out, row, rule, seed, "leave-out")
                summary = carry_out(command(row, rule, rate, seed), folder, root)
                # Without unsettled samples the two ways of treating them are one and the same run.
                if summary.get("unsettled_samples"):
                    kept = command(row, rule, rate, seed, "--unsettled", "include")
                    carry_out(kept, final_folder(out, row, rule, seed, "include"), root)


def results(out: Path) -> pd.DataFrame:
    """Return one row for each final run."""
    found = []
    for row in ROWS:
        for rule in (*RULES, CONTROL):
            for seed in SEEDS:
                for unsettled in ("leave-out", "include"):
                    summary = finished(final_folder(out, row, rule, seed, unsettled))
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


def report(out: Path, folder: Path) -> None:
    """Write the tables and the figure."""
    folder.mkdir(parents=True, exist_ok=True)
    runs, lines = results(out), []
    lines += [
        "| network, data | rule | rate | unsettled | seeds | test accuracy | asked | "
        "unsettled share | iterations at the end | abscissa of J (1/s) | abscissa of W | norm of W "
        "| minutes |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in ROWS:
        for rule in (*RULES, CONTROL):
            rate = None if rule == CONTROL else chosen_rate(row, rule, out, None)
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
                    f"| {row.title}, {row.data} | {LINES[rule][0]} | "
                    f"{'-' if rate is None else f'{rate:g}'} | "
                    f"{'left out' if unsettled == 'leave-out' else 'kept'} | "
                    f"{len(chosen)}{f', {stopped} stopped' if stopped else ''} | "
                    f"{spread(chosen['test_accuracy'])} | {row.asked:.3f} | "
                    f"{spread(chosen['unsettled_share'], 6)} | {spread(ends['iterations'], 1)} | "
                    f"{spread(ends['abscissa'], 1)} | {spread(chosen['weight_abscissa'], 2)} | "
                    f"{spread(chosen['weight_norm'], 2)} | {spread(chosen['seconds'] / 60, 1)} |"
                )
    (folder / "table.md").write_text("\n".join(lines) + "\n")
    (folder / "sweep.md").write_text(sweep_table(out))
    draw(out, folder / "learning_curves.png")


def last_rows(out: Path, row: Row, rule: str, unsettled: str) -> pd.DataFrame:
    """Return the last row of metrics of each seed; iterations as the mean of the last epoch."""
    ends = []
    for seed in SEEDS:
        file = final_folder(out, row, rule, seed, unsettled) / "metrics.csv"
        if file.exists() and finished(file.parent):
            metrics = pd.read_csv(file)
            last = metrics[metrics["epoch"] == metrics["epoch"].max()]
            ends.append(
                {"iterations": last["iterations"].mean(), "abscissa": last["abscissa"].iloc[-1]}
            )
    return pd.DataFrame(ends)


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
                summary = finished(out / "sweep" / row.name / f"{rule}-{rate:g}")
                if summary:
                    best = summary.get("best_validation_accuracy")
                    said = "stopped" if summary["status"] == "stopped" else f"{best:.4f}"
                    found.append(f"{rate:g}: {said} ({summary['unsettled_samples']} unsettled)")
            if found:
                lines.append(f"| {row.title}, {row.data} | {LINES[rule][0]} | {', '.join(found)} |")
    return "\n".join(lines) + "\n"


def draw(out: Path, file: Path) -> None:
    """Draw validation accuracy, iterations and abscissas along learning, a column a network."""
    shown = [row for row in ROWS if (out / "final" / row.name).exists()]
    figure, axes = new_figure(
        figsize=(3.4 * len(shown), 8), ncols=len(shown), nrows=3, squeeze=False, sharex="col"
    )
    for column, row in enumerate(shown):
        steps = pd.NA
        for rule, (label, colour, style) in LINES.items():
            for seed in SEEDS:
                folder = final_folder(out, row, rule, seed, "leave-out")
                if not finished(folder):
                    continue
                metrics = pd.read_csv(folder / "metrics.csv")
                steps = metrics["step"].max() / metrics["epoch"].max()
                options = {"color": colour, "ls": style, "lw": 1.2}
                shown_label = label if seed == 0 else None
                ends = metrics[metrics["validation_accuracy"].notna()]
                epochs = ends["step"] / steps
                axes[0, column].plot(
                    epochs, 1 - ends["validation_accuracy"], label=shown_label, **options
                )
                mean = metrics.groupby("epoch")["iterations"].mean()
                axes[1, column].plot(mean.index, mean, **options)
                axes[2, column].plot(epochs, ends["weight_abscissa"], **options)
        axes[0, column].set(title=f"{row.title}\n{row.data}", yscale="log")
        axes[0, column].axhline(1 - row.asked, color="black", lw=0.6)
        axes[2, column].axhline(1, color="black", lw=0.6)
        axes[2, column].set_xlabel("epoch")
    axes[0, 0].set_ylabel("validation error (share)")
    axes[1, 0].set_ylabel("iterations, all layers")
    axes[2, 0].set_ylabel("largest real part of\nW's eigenvalues")
    axes[0, 0].legend(frameon=False, fontsize="small")
    save(figure, file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-root", type=Path, help="torchvision's files")
    parser.add_argument("--out", type=Path, required=True, help="where run folders are kept")
    parser.add_argument("--only", nargs="+", default=[row.name for row in ROWS])
    parser.add_argument("--rules", nargs="+", default=[*RULES, CONTROL])
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--report", type=Path, help="write tables and figure there, run nothing")
    given = parser.parse_args()
    if given.report is not None:
        report(given.out, given.report)
        return
    if given.data_root is None:
        raise SystemExit("--data-root is missing: the folder that holds torchvision's MNIST.")
    known = {row.name: row for row in ROWS}
    run_all([known[name] for name in given.only], given.rules, given.seeds, given.out.resolve(),
            given.data_root.resolve())  # fmt: skip


if __name__ == "__main__":
    main()
