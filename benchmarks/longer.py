"""Rules 1 and 3 with steps of a given length on digits, for longer than in metric.py.

    python benchmarks/longer.py

Each run is one `rn.train` on the embedded digits, kept as a row of benchmarks/results/longer.csv
and not made again. The table goes to longer.md beside it; docs/metric.md says what it means.
"""

import json
import tempfile
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
from fleet_tables import NAMES, chosen, difference, scores, table
from kept_rows import computed
from tolerated import interval

import ratenet as rn
from ratenet.errors import STOPPED_BY_SCIENCE
from ratenet.report.record import processor, versions

RESULT = Path(__file__).parent / "results" / "longer.md"
RULES = "rule 1", "rule 3"
LENGTHS = {2: (0.15, 0.45, 1.35, 4.0), 10: (0.05, 0.15, 0.45, 1.35)}  # of a step, by epochs
SEEDS = range(5)
CASE = ["epochs", "rule"]
COMMON: dict[str, Any] = {
    "data": "mnist-5k", "presentation": "static", "step": "normalized", "batch_size": 200,
    "schedule": "cosine", "validation": 500, "threads": 1,
}  # fmt: skip
NOTES = """\
One layer of 300 tanh units, read-in and read-out random and fixed, the 4,000 embedded training
digits without 500 for validation, batches of 200 (17 an epoch), normalised steps whose length
falls by a cosine. Test accuracy; means over seeds with 95 % intervals (Student's, cut at 1);
differences are paired by seed, and a paired bootstrap (BCa) stands beside. Chosen: the length with
the best mean validation accuracy, that of the best epoch. Lost: largest share of a run's samples
that did not settle, and were left out. A run that stopped, since more than half of a batch had not
settled, has the accuracy of where it did."""


def run(epochs: int, rule: str, length: float, seed: int) -> dict[str, Any]:
    """Return how one run ended; one that was stopped has the accuracy of where it stopped."""
    config = rn.TrainingConfig(
        **COMMON, epochs=epochs, rule=NAMES[rule], learning_rate=length, seed=seed
    )
    with tempfile.TemporaryDirectory() as folder:
        with suppress(*STOPPED_BY_SCIENCE):
            rn.train(config, out=folder, overwrite=True)
        summary = json.loads((Path(folder) / "summary.json").read_text())
    return {
        "status": summary["status"],
        "validation": summary.get("best_validation_accuracy", 0.0),  # none: not one epoch
        "score": summary["test_accuracy"],
        "lost": summary["unsettled_share"],
        "made": f"{date.today()}",
    }


def compared(rows: pd.DataFrame, case: list[str]) -> list[str]:
    """Return a table of rules that are compared where the other columns are the same."""
    same = [name for name in case if name != "rule"]
    parts = []
    for key, group in rows.groupby(same):
        first = scores(group[group["rule"] == RULES[0]])
        for rule, part in group.groupby("rule"):
            parts.append({
                **dict(zip(same, map(str, key), strict=True)), "rule": str(rule),
                "length": f"{part['length'].iloc[0]:g}",
                **({"edge": part["edge"].iloc[0] or "-"} if "edge" in part else {}),
                "accuracy": interval(part["score"], "{:.4f}", (0, 1)),
                **difference(str(rule), scores(part), RULES[0], first, "+.4f"),
                "lost": f"{part['lost'].max():.5f}",
                "stopped": f"{(part['status'] != 'done').sum()}",
            })  # fmt: skip
    return table(parts)


def main() -> None:
    keys = [
        {"epochs": epochs, "rule": rule, "length": length, "seed": seed}
        for epochs, lengths in LENGTHS.items()
        for seed in SEEDS
        for length in lengths
        for rule in RULES
    ]
    rows = computed(RESULT.with_suffix(".csv"), keys, run)
    made = ", ".join(f"{name} {version}" for name, version in versions().items())
    lines = [
        "# Normalised steps on digits, for longer", "",
        f"`python benchmarks/longer.py`, {date.today()}, {processor()}, one thread, {made}.", "",
        NOTES, "",
        "## At the chosen length", "", *compared(chosen(rows, CASE), CASE), "",
        "## At each length", "", *compared(rows, [*CASE, "length"]),
    ]  # fmt: skip
    RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
