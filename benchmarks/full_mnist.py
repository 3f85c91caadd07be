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
import torch

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
RESULTS = Path(__file__).parent / "results" / "full_mnist.md"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/full_mnist"))
    parser.add_argument("--seeds", type=int, default=3)
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
        data="mnist", data_root=options.data_root, rule=rule, learning_rate=learning_rate,
        presentation=presentation, unsettled=unsettled, batch_size=512, units=300,
        epochs=options.epochs, seed=seed, threads=2,
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
    """Write mean and range over seeds as Markdown."""
    keys = ["rule", "learning_rate", "presentation", "unsettled"]
    lines = [
        f"Full MNIST, {date.today()}, {processor()}, "
        f"{torch.get_num_threads()} threads, at most {MAX_ITERATIONS} solver iterations, "
        + ", ".join(f"{name} {version}" for name, version in versions().items()),
        "",
        "| rule | rate | presentation | unsettled samples | test accuracy: mean (each seed) | "
        "slow test accuracy | unsettled share in training | unsettled test images | "
        "abscissa of W | least eigenvalue of W | abscissa of J, 1/s | steps done | "
        "control, W frozen | training, s |",
        "|" + " --- |" * 14,
    ]
    for key, cell in rows.groupby(keys, sort=False):
        slow = cell.get("test_accuracy_slow")
        cells = [
            *map(str, key),
            f"{cell.test_accuracy.mean():.3f} ({_each(cell.test_accuracy, '.3f')})",
            "-" if slow is None or slow.isna().all() else _each(slow, ".3f"),
            _each(cell.unsettled_share, ".3f"),
            _each(cell.test_unsettled, "d"),
            _each(cell.weight_abscissa, ".2f"),
            _each(cell.weight_eigenvalue_min, ".2f"),
            _each(cell.abscissa_1_per_s, ".1f"),
            _each(cell.steps, "d"),
            _each(cell.control_accuracy, ".3f"),
            _each(cell.seconds, ".0f"),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def _each(values: pd.Series, form: str) -> str:
    return ", ".join(format(int(v) if form == "d" else v, form) for v in values)


if __name__ == "__main__":
    main()
