"""Rules 1 and 3 with steps of a given length on digits, for longer than in metric.py.

    python benchmarks/longer.py

Each run is one `rn.train` on the embedded digits, kept as a row of benchmarks/results/longer.csv
and not made again. The table goes to longer.md beside it; docs/metric.md says what it means.
"""

import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
from fleet_tables import NAMES, by_case, chosen, difference, mean_text, scores
from kept_rows import computed

import ratenet as rn
from ratenet.report.record import processor, versions

RESULT = Path(__file__).parent / "results" / "longer.md"
RULES = "rule 1", "rule 3"
LENGTHS = 0.05, 0.15, 0.45, 1.35
SEEDS = range(5)
COMMON: dict[str, Any] = {
    "data": "mnist-5k", "presentation": "static", "step": "normalized", "epochs": 10,
    "batch_size": 200, "schedule": "cosine", "validation": 500, "threads": 1,
}  # fmt: skip
NOTES = """\
One layer of 300 tanh units, read-in and read-out random and fixed, the 4,000 embedded training
digits without 500 for validation, 10 epochs in batches of 200 (170 steps), normalised steps whose
length falls by a cosine. Test accuracy; means over seeds with 95 % intervals (Student's t);
differences are paired by seed, and a paired bootstrap (BCa) stands beside. Chosen: the length with
the best mean validation accuracy, that of the best epoch. Lost: largest share of a run's samples
that did not settle, and were left out."""


def run(rule: str, length: float, seed: int) -> dict[str, Any]:
    """Return how one run ended."""
    config = rn.TrainingConfig(**COMMON, rule=NAMES[rule], learning_rate=length, seed=seed)
    summary = rn.train(config, out=tempfile.mkdtemp(), overwrite=True).summary
    return {
        "status": summary["status"],
        "validation": summary["best_validation_accuracy"],
        "score": summary["test_accuracy"],
        "lost": summary["unsettled_share"],
        "made": f"{date.today()}",
    }


def main() -> None:
    keys = [
        {"rule": rule, "length": length, "seed": seed}
        for seed in SEEDS
        for length in LENGTHS
        for rule in RULES
    ]
    rows = computed(RESULT.with_suffix(".csv"), keys, run)
    best = chosen(rows, ["rule"])
    first = {"": scores(best[best["rule"] == "rule 1"])}
    for length, part in rows[rows["rule"] == "rule 1"].groupby("length"):
        first[f"{length:g}"] = scores(part)

    def told(part: pd.DataFrame, other: str) -> dict[str, str]:
        return {
            "accuracy": mean_text(part["score"], ".4f"),
            **difference(scores(part), first[other], "rule 1", "+.4f"),
            "lost": f"{part['lost'].max():.5f}",
            "stopped": f"{(part['status'] != 'done').sum()}",
        }

    at_best = by_case(
        best,
        ["rule", "length"],
        lambda part: {"edge": part["edge"].iloc[0] or "-", **told(part, "")},
    )
    at_all = by_case(
        rows.sort_values(["length", "rule"]),
        ["length", "rule"],
        lambda part: told(part, f"{part['length'].iloc[0]:g}"),
    )
    made = ", ".join(f"{name} {version}" for name, version in versions().items())
    lines = [
        "# Normalised steps on digits, for longer", "",
        f"`python benchmarks/longer.py`, {date.today()}, {processor()}, one thread, {made}.", "",
        NOTES, "", "## At the chosen length", "", *at_best, "",
        "## At each length", "", *at_all,
    ]  # fmt: skip
    RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
