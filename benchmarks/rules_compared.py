"""The Euclidean and the linearized rule side by side on four small tasks.

    python benchmarks/rules_compared.py [--processes 2] [--runs runs/rules_compared]

It resumes: finished cells are kept in the folder of the runs. Tables go to
benchmarks/results/rules_compared.md, the figure to docs/images/compare-rates.png; docs/compare.md
tells what they say. Expect an hour of one core.
"""

import argparse
from datetime import date
from pathlib import Path

import pandas as pd

from ratenet.hypotheses import Comparison, Processes, compare
from ratenet.hypotheses.comparison_statistics import best_rates, rule_differences
from ratenet.report.comparison_figures import rate_figure
from ratenet.report.figures import save
from ratenet.report.record import processor, versions

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "benchmarks" / "results" / "rules_compared.md"
FIGURE = ROOT / "docs" / "images" / "compare-rates.png"
RULES = ["euclidean", "linearized-reparameterized"]
TASKS = ["linear", "teacher", "association", "mnist"]
RATES = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0]
LEVEL = 0.95
NOTES = """\
40 units, 400 samples, batches of 50, 60 steps; ten seeds, of which three choose the learning rate
by validation samples and seven are judged by test samples. Score: precision (linear, teacher),
share of cues or digits (association, mnist). Intervals: 95 %, Student's. Failed: judged runs that
ended early. Condition: of I - G W, median over the judged seeds. Angle: degrees between the change
that was made and that of the other rule at the same weights, mean over the measured steps."""


def report(found: Comparison) -> None:
    """Write the tables and draw the figure."""
    low = found.cells[(found.cells["task"] == "linear") & (found.cells["learning_rate"] <= 1)]
    made = ", ".join(f"{name} {version}" for name, version in versions().items())
    lines = [
        "# Two rules side by side", "",
        f"`python benchmarks/rules_compared.py`, {date.today()}, {processor()}, one thread a run, "
        f"{made}.", "",
        *NOTES.splitlines(), "",
        "## Each rule at its learning rate", "", *markdown(at_their_rates(found)), "",
        "## Euclidean less linearized", "", *markdown(differences(found.differences)), "",
        "## The same in linear, of learning rates up to 1", "",
        *markdown(differences(rule_differences(low, best_rates(low, LEVEL), LEVEL))), "",
        "## Digits, seed by seed", "", *markdown(seed_by_seed(found.judged, "mnist")),
    ]  # fmt: skip
    RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    save(rate_figure(found.cells, found.best), FIGURE)


def at_their_rates(found: Comparison) -> pd.DataFrame:
    """Return a row for each task and rule at its chosen learning rate."""
    key = ["task", "rule"]
    steps = found.steps.merge(found.judged[[*key, "learning_rate", "seed"]]).sort_values("step")
    runs = steps.groupby([*key, "seed"])["condition"].agg(["first", "last"])
    condition = runs.groupby(key).median()
    rows = []
    for _, row in found.best.iterrows():
        case = (row["task"], row["rule"])
        (other,) = (rule for rule in RULES if rule != row["rule"])
        angle = steps[(steps[key] == case).all(axis=1)][f"angle_to_{other}"].mean()
        rows.append({
            "task": row["task"], "rule": row["rule"], "learning rate": f"{row['learning_rate']:g}",
            "edge": row["edge"], "test score": f"{row['test_score']:.3f}",
            "before": f"{row['test_score_before']:.3f}",
            "failed": f"{row['failed']} of {row['seeds']}",
            "condition, first step": f"{condition.loc[case, 'first']:.0f}",
            "condition, last step": f"{condition.loc[case, 'last']:.0f}",
            "angle to the other": f"{angle:.0f}",
        })  # fmt: skip
    return pd.DataFrame(rows)


def differences(found: pd.DataFrame) -> pd.DataFrame:
    """Return the differences with their intervals."""
    return pd.DataFrame({
        "task": found["task"],
        "difference": [
            f"{mean:+.2f} ({low:+.2f} to {high:+.2f})"
            for mean, low, high in found[["difference", "low", "high"]].to_numpy()
        ],
        "p": found["p"].map("{:.2g}".format),
        "smallest p possible": found["p_least"].map("{:.2g}".format),
        "seeds": found["seeds"],
    })  # fmt: skip


def seed_by_seed(judged: pd.DataFrame, task: str) -> pd.DataFrame:
    """Return each judged seed's test scores."""
    of_task = judged[judged["task"] == task]
    scores = of_task.pivot(index="seed", columns="rule", values="test_score")
    return scores[RULES].round(3).reset_index()


def markdown(table: pd.DataFrame) -> list[str]:
    """Return a table in Markdown, line by line."""
    rows = [list(table.columns), ["---"] * table.shape[1], *table.astype(str).to_numpy().tolist()]
    return [f"| {' | '.join(row)} |" for row in rows]


def main() -> None:
    """Run what is missing, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--runs", type=Path, default=Path("runs/rules_compared"))
    options = parser.parse_args()
    report(compare(
        RULES, RATES, tasks=TASKS, out=options.runs, seeds=10, steps=60, units=40, samples=400,
        batch_size=50, scheduler=Processes(options.processes) if options.processes > 1 else None,
    ))  # fmt: skip


if __name__ == "__main__":
    main()
