"""What the rules reach on the full MNIST, and what becomes of unsettled samples.

Source: Zhu and Rosenbaum 2024, arXiv 2307.06732. One tanh layer, N = 300, batches of 512, plain
gradient steps, 3 epochs, fixed random read-in and read-out.

    python benchmarks/full_mnist.py --data-root DIR

DIR holds torchvision's MNIST. Runs are kept as rows of benchmarks/results/full_mnist.csv (another
file with --out), and not made again; the table goes to full_mnist.md beside it. Expect a mean test
accuracy of 0.865 or more for linearized-reparameterized at 0.25, and one at chance for the frozen
control.
"""

import argparse
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
from kept_rows import computed
from slowness import markdown
from tolerated import interval, over_seeds

import ratenet as rn
from ratenet.report.record import processor, versions
from ratenet.training.presentation import MAX_ITERATIONS

CASE = ("rule", "learning_rate", "presentation", "unsettled")
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
    "abscissa of J, 1/s": ("abscissa", ".1f"),
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
    parser.add_argument("--out", type=Path, default=RESULTS.with_suffix(".csv"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    keys = [
        {**dict(zip(CASE, cell, strict=True)), "epochs": options.epochs, "seed": seed}
        for cell in CELLS
        for seed in range(options.seeds)
    ]
    write_table(computed(options.out, keys, lambda **key: run(**key, root=options.data_root)))


def run(root: str, **key: Any) -> dict:
    """Train, and return what the table has; of a run that the science stopped as well."""
    config = rn.TrainingConfig(
        data=DATA, data_root=root, batch_size=512, units=300, threads=1, **key
    )
    with tempfile.TemporaryDirectory() as out:
        try:
            rn.train(config, out=out, overwrite=True, show_progress=True)
        except rn.errors.RatenetError as error:
            print(error)
        trained = rn.load_run(out)
    measured = [column for column, _ in (*MEANS.values(), *LARGEST.values())]
    found = {**trained.summary, "abscissa": trained.metrics["abscissa"].ffill().iloc[-1]}
    wanted = ("test_accuracy", "test_accuracy_slow", *measured)
    return {"made": f"{date.today()}", **{name: found.get(name) for name in wanted}}


def write_table(rows: pd.DataFrame) -> None:
    """Write means over seeds as Markdown."""
    found, first = [], None
    for (rule, rate, presentation, unsettled), cell in rows.groupby([*CASE], sort=False):
        accuracy, slow = (
            cell.set_index("seed")[name] for name in ("test_accuracy", "test_accuracy_slow")
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
