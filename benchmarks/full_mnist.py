"""What the rules reach on the full MNIST, and what becomes of unsettled samples.

Source: Zhu and Rosenbaum 2024, arXiv 2307.06732. One tanh layer, N = 300, batches of 512, plain
gradient steps, 3 epochs, fixed random read-in and read-out.

    python benchmarks/full_mnist.py --data-root DIR

DIR holds torchvision's MNIST. Runs that are finished are not run again; the table goes to
benchmarks/results/full_mnist.md. Expect a mean test accuracy of 0.865 or more for
linearized-reparameterized at 0.25, and a test accuracy at chance for the frozen control.
"""

import argparse
import json
from datetime import date
from pathlib import Path

import pandas as pd
from slowness import markdown
from tolerated import interval, over_seeds

import ratenet as rn
from ratenet.errors import RatenetError
from ratenet.report.record import processor, versions
from ratenet.training.presentation import MAX_ITERATIONS

# rule, learning rate, presentation, unsettled samples
CELLS = [
    ("linearized-reparameterized", 0.25, "static", "leave-out"),
    ("linearized-reparameterized", 0.25, "slow", "leave-out"),
    ("linearized-reparameterized", 0.1, "static", "leave-out"),
    ("gain-free-reparameterized", 0.1, "static", "leave-out"),
    ("euclidean", 0.01, "static", "leave-out"),
    ("euclidean", 0.025, "static", "leave-out"),
    ("euclidean", 0.025, "static", "include"),
]
DATA = "mnist"
RESULTS = Path(__file__).parent / "results" / "full_mnist.md"
MEANS = {  # of the table: what the summary calls it, and its format
    "abscissa of W": ("weight_abscissa", ".2f"),
    "least eigenvalue of W": ("weight_eigenvalue_min", ".2f"),
    "abscissa of J, 1/s": ("abscissa_1_per_s", ".1f"),
    "control, W frozen": ("control_accuracy", ".3f"),
    "training, s": ("seconds", ".0f"),
}
LARGEST = {
    "most unsettled samples in training": ("unsettled_samples", ".0f"),
    "most unsettled test images": ("test_unsettled", ".0f"),
    "steps": ("steps", ".0f"),
}
NOTES = f"""\
One tanh layer, N = 300, batches of 512, plain gradient steps, 3 epochs, fixed random read-in and
read-out; at most {MAX_ITERATIONS:,} solver iterations a sample. Means over seeds with 95 %
intervals (Student's t), or ranges where there are fewer than three; differences are paired by seed.
Most: over seeds. The abscissa of J was measured at two samples at the end of the last epoch: a
solved fixed point need not be stable for the dynamics."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/full_mnist"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    rows = []
    for cell in CELLS:
        for seed in range(options.seeds):
            rows.append(run_cell(cell, seed, options))
            print(rows[-1], flush=True)
    write_table(pd.DataFrame(rows))


def run_cell(cell: tuple[str, float, str, str], seed: int, options: argparse.Namespace) -> dict:
    """Return the summary of one run; a run that the science stopped has one as well."""
    rule, learning_rate, presentation, unsettled = cell
    out = options.out / f"{rule}-{learning_rate}-{presentation}-{unsettled}-{seed}"
    config = rn.TrainingConfig(
        data=DATA, data_root=options.data_root, rule=rule, learning_rate=learning_rate,
        presentation=presentation, unsettled=unsettled, batch_size=512, units=300,
        epochs=options.epochs, seed=seed, threads=1,
    )  # fmt: skip
    if not _is_finished(out):
        try:
            rn.train(config, out=out, overwrite=True, show_progress=True)
        except RatenetError as error:
            print(error)
    summary = json.loads((out / "summary.json").read_text())
    abscissa = pd.read_csv(out / "metrics.csv")["abscissa"].dropna()
    last = float(abscissa.iloc[-1]) if len(abscissa) else float("nan")
    return {**summary, "unsettled": unsettled, "abscissa_1_per_s": last}


def _is_finished(out: Path) -> bool:
    summary = out / "summary.json"
    return summary.exists() and json.loads(summary.read_text())["status"] != "interrupted"


def write_table(rows: pd.DataFrame) -> None:
    """Write means over seeds as Markdown."""
    found, first = [], None
    for (rule, rate, presentation, unsettled), cell in rows.groupby(
        ["rule", "learning_rate", "presentation", "unsettled"], sort=False
    ):
        accuracy, slow = (
            cell.set_index("seed").get(name, pd.Series(dtype=float))
            for name in ("test_accuracy", "test_accuracy_slow")
        )
        first = accuracy if first is None else first
        less = "-" if accuracy is first else interval(accuracy - first, "{:+.3f}")
        found.append({
            "rule": rule, "rate": rate, "presentation": presentation,
            "unsettled samples": unsettled, "seeds": len(cell),
            "test accuracy": interval(accuracy), "less the first row": less,
            "slow test accuracy": interval(slow), **over_seeds(cell, MEANS, LARGEST),
        })  # fmt: skip
    made = ", ".join(f"{name} {version}" for name, version in versions().items())
    lines = [
        f"Full MNIST, {date.today()}, {processor()}, one thread, {made}. Repeated by "
        "`python benchmarks/full_mnist.py --data-root DIR`.", "", NOTES, "",
        *markdown(pd.DataFrame(found), "{}"),
    ]  # fmt: skip
    RESULTS.write_text("\n".join(lines) + "\n")
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
