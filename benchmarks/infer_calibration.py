"""Do the intervals of infer hold what they say? Experiments without plasticity, in which all is 0.

Weights stay as they are and are measured with noise; `infer` is asked for taylor(1, 1, 1). An
interval with a level of 90 % should hold 0 in 90 % of the experiments.

    python benchmarks/infer_calibration.py [--experiments 100] [--out DIR]

Each experiment is kept under --out as soon as it is finished, and not run again. The table goes to
benchmarks/results/infer_calibration.md. Expect shares near the level, and rather above it: the
widest of several bootstraps counts.
"""

import argparse
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import binomtest

from ratenet.hypotheses import Recording, infer
from ratenet.report.record import versions

RESULT = Path(__file__).parent / "results" / "infer_calibration.md"
UNITS, ROWS, DT, LEVEL, FAMILY = 8, 25, 0.02, 0.9, "taylor(1, 1, 1)"
CASES = {"one session": (1, 1), "4 animals, 2 sessions each": (4, 2)}  # animals, sessions of each
NOTES = f"""\
{UNITS} units, {ROWS} rows of random rates, 30 % of the weights observed, noise of 1 % of their
spread; nothing is learned. Share of experiments in which the {100 * LEVEL:.0f} % interval of a
coefficient holds 0, in percent; brackets: 95 % (Wilson)."""


def recordings(animals: int, sessions: int, seed: int) -> list[Recording]:
    """Draw sessions of animals whose weights do not change."""
    rng = np.random.default_rng(seed)
    found = []
    for animal in range(animals):
        for session in range(sessions):
            weights = np.broadcast_to(rng.normal(size=(UNITS, UNITS)), (ROWS, UNITS, UNITS))
            seen = weights + 0.01 * rng.normal(size=weights.shape)
            seen[rng.random(seen.shape) > 0.3] = np.nan
            found.append(
                Recording(
                    time=DT * np.arange(ROWS), rates=rng.normal(size=(ROWS, UNITS)), weights=seen,
                    animal=f"animal {animal}", session=f"session {session}",
                )
            )  # fmt: skip
    return found


def experiment(case: str, seed: int) -> pd.DataFrame:
    """Return whether the interval of each coefficient holds 0, and whether its term is kept."""
    found = infer(recordings(*CASES[case], seed), FAMILY, against=(), level=LEVEL, seed=seed)
    table = found.estimates
    holds = (table["low"] <= 0) & (table["high"] >= 0)
    facts = {"case": case, "seed": seed, "coefficient": table["name"]}
    return pd.DataFrame({**facts, "holds": holds, "kept": table["kept"]})


def summary(runs: pd.DataFrame) -> pd.DataFrame:
    """Return shares for each coefficient and case, and those of wrongly kept terms."""
    rows = []
    for name, part in runs.groupby("coefficient", sort=False):
        row = {"coefficient": f"`{name}`"}
        for case, here in part.groupby("case", sort=False):
            row[case] = share(int(here["holds"].sum()), len(here))
            row[f"{case}: term kept"] = f"{100 * here['kept'].mean():.0f}"
        rows.append(row)
    return pd.DataFrame(rows)


def share(count: int, number: int) -> str:
    """Write a share with its interval, in percent."""
    ends = binomtest(count, number).proportion_ci(method="wilson")
    return f"{100 * count / number:.0f} [{100 * ends.low:.0f}, {100 * ends.high:.0f}]"


def as_table(table: pd.DataFrame) -> str:
    """Write a table in Markdown."""
    rows = [list(table.columns), ["---"] * table.shape[1], *table.astype(str).to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main(arguments: list[str] | None = None) -> None:
    """Run what is missing, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiments", type=int, default=100)
    parser.add_argument("--out", type=Path, default=Path("runs/infer_calibration"))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    kept = options.out / "infer_calibration.csv"
    runs = pd.read_csv(kept, dtype={"coefficient": str}) if kept.exists() else pd.DataFrame()
    done = set() if runs.empty else set(zip(runs["case"], runs["seed"], strict=True))
    for seed in range(options.experiments):
        for case in CASES:
            if (case, seed) not in done:
                runs = pd.concat([runs, experiment(case, seed)], ignore_index=True)
                runs.to_csv(kept, index=False)
    runs = runs[runs["seed"] < options.experiments]
    command = f"python benchmarks/infer_calibration.py --experiments {options.experiments}"
    known = ", ".join(f"{name} {version}" for name, version in versions().items())
    parts = ["# Intervals of infer without plasticity", NOTES, as_table(summary(runs)),
             f"{date.today()}, {known}. Repeated by `{command}`."]  # fmt: skip
    RESULT.write_text("\n\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
