"""Tables and figure of benchmarks/metric.py."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import pandas as pd
from fleet import FACTORS, Plan
from fleet_tables import (
    by_case,
    chosen,
    difference,
    line_looks,
    mean_text,
    median_text,
    scores,
    table,
)

from ratenet.report.figures import new_figure, save
from ratenet.report.record import processor, versions

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "benchmarks" / "results" / "metric.md"
FIGURE = ROOT / "docs" / "images" / "metric.png"
CASE = ["task", "step", "rule"]
LONGEST = 100  # path that is drawn
NEAR = 0.9  # share of the best score at which a length still counts as usable
NOTES = """\
Score: share of test images classified correctly (digits); -log10 of the relative squared error, 2
for 1 % (linear, teacher). Means over seeds with 95 % intervals (Student's t); differences are
paired by seed, and a paired bootstrap of them (BCa) stands beside, which is narrow for few seeds.
The length is the one with the best mean score on validation samples, and the score is that of
other samples; for the linear task, where 50 samples do not determine the weights, both are the fit
itself. `edge`: the chosen length is the shortest or longest that was tried, and a better one may
lie beyond. Usable: how many of the lengths have a mean validation score of at least 0.9 of the
best. Path in W: median and range. Stopped: runs at the chosen length that lost the fixed points of
half the batch. In the linear task rule 4 and a = -1 are rule 3. What is not in the tables has not
been run; the command makes it. Runs that were kept can be of another processor. The ways of the
figure are learned once more; where W runs off (paths beyond 10^6) rounding makes them others than
these."""


def report(rows: pd.DataFrame, curves: pd.DataFrame, plans: Mapping[str, Plan]) -> None:
    """Write tables and the figure, as far as the runs have been made."""
    order = {name: number for number, name in enumerate([*plans, *FACTORS])}
    rows = rows.sort_values(["task", "rule"], key=lambda names: names.map(order), kind="stable")
    best = chosen(rows, CASE)
    of_rules = by_case(best, CASE, lambda part: told(part, rows))
    made = ", ".join(f"{name} {version}" for name, version in versions().items())
    lines = [
        "# Metric or step size?", "",
        f"`python benchmarks/metric.py`, {date.today()}, {processor()}, one thread, {made}.", "",
        *NOTES.splitlines(), "",
        *sizes(plans), "",
        "## Each rule at its own best length", "", *of_rules, "",
        "## Metric: rules less rule 1, by the same kind of step", "",
        *differences(best, ["task", "step"], "rule", "rule 1"), "",
        "## Step size: kinds of step less the learning rate, of the same rule", "",
        *differences(best, ["task", "rule"], "step", "rate"), "",
        "## At a common length of step", "", *common_rows(rows),
    ]  # fmt: skip
    RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    draw(best, curves)


def complete(
    rows: pd.DataFrame, plans: Mapping[str, Plan], lengths: Mapping[str, Sequence[float]]
) -> pd.DataFrame:
    """Return the runs to compare, task by task.

    Of each kind of step they are those with these lengths, of rules that were run with all of
    them, rules 1 and 3 among these, and with the seeds that all of these have.
    """
    parts = [rows[:0]]
    for task in plans:
        for step, every in rows[rows["task"] == task].groupby("step", sort=False):
            part = every[every["length"].isin(lengths[step])]
            rules = {rule for rule, own in part.groupby("rule")
                     if {*own["length"]} >= {*lengths[step]}}  # fmt: skip
            if {"rule 1", "rule 3"} <= rules:
                whole = part[part["rule"].isin(rules)]
                each = [{*own["seed"]} for _, own in whole.groupby(["rule", "length"])]
                parts.append(whole[whole["seed"].isin(set.intersection(*each))])
    return pd.concat(parts)


def sizes(plans: Mapping[str, Plan]) -> list[str]:
    """Return what each task consists of."""
    return table([
        {"name": name, "units": str(made.setting.units), "samples": str(made.setting.samples),
         "held out": str(made.setting.held_out), "batch": str(made.batch),
         "steps": str(made.steps)}
        for name, made in plans.items()
    ])  # fmt: skip


def told(part: pd.DataFrame, rows: pd.DataFrame) -> dict[str, str]:
    """Return what one rule came to with one kind of step."""
    first = part.iloc[0]
    same = rows[(rows[CASE] == first[CASE]).all(axis=1)]
    means = same.groupby("length")["validation"].mean()
    return {
        "length": f"{first['length']:g}", "edge": first["edge"] or "-",
        "score": mean_text(part["score"]),
        "usable": str(int((means >= NEAR * means.max()).sum())),
        "path in W": median_text(part["path"], ".3g"),
        "stopped": str(int((part["stopped"] >= 0).sum())),
        "seeds": str(len(part)),
    }  # fmt: skip


def differences(best: pd.DataFrame, same: list[str], other: str, baseline: str) -> list[str]:
    """Return paired differences to a baseline, of rows that are the same in two columns."""
    return table([
        {**dict(zip(same, key, strict=True)), other: name,
         **difference(str(name), scores(part), baseline, scores(group[group[other] == baseline]))}
        for key, group in best.groupby(same, sort=False)
        for name, part in group.groupby(other, sort=False) if name != baseline
    ])  # fmt: skip


def common_rows(rows: pd.DataFrame) -> list[str]:
    """Return rule 3 less rule 1 where both make steps of one length, or have one first trial."""
    found = []
    for (task, step, length), group in rows[rows["step"] != "rate"].groupby(
        ["task", "step", "length"], sort=False
    ):
        third, first = (scores(group[group["rule"] == rule]) for rule in ("rule 3", "rule 1"))
        found.append({
            "task": task, "step": step, "length": f"{length:g}",
            "rule 1": mean_text(first), "rule 3": mean_text(third),
            **difference("rule 3", third, "rule 1", first),
        })  # fmt: skip
    return table(found)


def draw(best: pd.DataFrame, curves: pd.DataFrame) -> None:
    """Draw loss against path length in W, at the chosen lengths: tasks by kinds of step."""
    tasks, steps = list(best["task"].unique()), ["rate", "normalized", "line-search"]
    figure, axes = new_figure(
        nrows=len(tasks), ncols=len(steps), figsize=(9, 2.4 * len(tasks)), squeeze=False
    )
    look = line_looks(list(FACTORS))
    keys = [*CASE, "seed", "length"]
    own = curves.merge(best[keys], on=keys)
    for (task, step, rule), part in own.groupby(CASE, sort=False):
        axis = axes[tasks.index(task), steps.index(step)]
        way = part.dropna(subset="loss").groupby("number")[["path", "loss"]].median()
        axis.plot(way["path"], way["loss"], label=rule, lw=1.2, **look[rule])
    for row, task in zip(axes, tasks, strict=True):
        row[0].set_ylabel(f"{task}: training loss")
        for axis, step in zip(row, steps, strict=True):
            if axis.lines:
                low, high = axis.get_ylim()
                if low <= 0 or high > 10 * low:
                    axis.set_yscale("log")
                axis.set_xlim(0, min(axis.get_xlim()[1], LONGEST))
                axis.set_xlabel(f"path in W, step {step}")
            else:
                axis.remove()
    handles, labels = axes[-1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, ncols=6, loc="outside upper center")
    save(figure, FIGURE)
