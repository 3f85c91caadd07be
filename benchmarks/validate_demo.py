"""The demo's learning rate, chosen on a validation split of its training digits.

    python benchmarks/validate_demo.py

Trains on 3,200 of the 4,000 training digits of mnist-5k and validates on the other 800; the 1,000
test digits are not looked at. 30 epochs, batches of 256, slow presentation, three seeds. The table
goes to benchmarks/results/validate_demo.md.
"""

import argparse
import json
from datetime import date
from pathlib import Path

import pandas as pd

import ratenet as rn
from ratenet.stimuli import DATA_SETS, ImageSet, load_images

RATES = (0.05, 0.1, 0.25, 0.5)
RESULTS = Path(__file__).parent / "results" / "validate_demo.md"


def validation_split() -> ImageSet:
    """Return the training digits only, split into a part to train on and one to validate on."""
    whole = load_images("mnist-5k")
    train, validation = whole.train.split(per_class=80, seed=1)
    return ImageSet("mnist-5k-validation", train, validation, whole.shape, whole.classes)


def finished_summary(out: Path) -> dict | None:
    """Return the summary of a run that is done, so that it is not run again."""
    file = out / "summary.json"
    summary = json.loads(file.read_text()) if file.exists() else {"status": "absent"}
    return summary if summary["status"] == "done" else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/validate_demo"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=30)
    options = parser.parse_args()
    DATA_SETS["mnist-5k-validation"] = validation_split
    rows = []
    for rate in RATES:
        for seed in range(options.seeds):
            config = rn.TrainingConfig(
                data="mnist-5k-validation", learning_rate=rate, seed=seed, epochs=options.epochs
            )
            out = options.out / f"{rate}-{seed}"
            summary = finished_summary(out)
            if summary is None:
                summary = rn.train(config, out=out, overwrite=True, show_progress=True).summary
            rows.append({"rate": rate, "accuracy": summary["test_accuracy"],
                         "unsettled": summary["unsettled_share"]})  # fmt: skip
    lines = [
        f"Validation accuracy on 800 of the 4,000 training digits of mnist-5k, {date.today()}: "
        f"linearized-reparameterized, slow, batches of 256, {options.epochs} epochs.",
        "",
        "| learning rate | validation accuracy: mean (each seed) | unsettled share |",
        "| --- | --- | --- |",
    ]
    for rate, cell in pd.DataFrame(rows).groupby("rate"):
        each = ", ".join(f"{accuracy:.3f}" for accuracy in cell.accuracy)
        lines.append(
            f"| {rate} | {cell.accuracy.mean():.3f} ({each}) | {cell.unsettled.max():.4f} |"
        )
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
