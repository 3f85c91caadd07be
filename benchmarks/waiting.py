"""Learning before the rates have settled: accuracy against the time that the rule waits.

    python benchmarks/waiting.py

Runs of `rn.train` on the embedded digits. `waiting`: each digit fades in over 5 tau and is held for
20 tau, and the rule acts once, some time after the fade; the answer to a test digit is read at that
same time, or at its fixed point. `continuous`: the rule acts after every time step of the hold, by
itself or on a running average. `moving`: no hold, each digit fades into the next, and the rule acts
when it has just come, on the rates as they are or with the predicted lag subtracted.

Rows are kept in benchmarks/results/waiting.csv (another file with --out), and not computed again;
tables go to benchmarks/results/waiting.md, the figure to docs/images/waiting.png.
"""

import argparse
import math
import tempfile
import warnings
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from kept_rows import computed
from slowness import markdown
from tolerated import AT_REST, interval, limit_table

import ratenet as rn
from ratenet.errors import RatenetError
from ratenet.report.figures import new_figure, save
from ratenet.report.record import processor, versions
from ratenet.report.rule_looks import look_of
from ratenet.training.evaluation import evaluate_classifier
from ratenet.training.presentation import Slow

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "benchmarks" / "results" / "waiting.md"
TAU, HOLD, FADE = 0.01, 0.2, 0.05  # s
RULES = {"rule 1": ("euclidean", 0.025), "rule 3": ("linearized-reparameterized", 0.25)}
WAITS = (0.1, 0.5, 1.0, 2.0, 5.0, 20.0)  # tau
SPEEDS = (0.03, 0.1, 0.3, 1.0)  # tau / T
AVERAGES = (0.0, 0.1)  # s, of continuous learning
VALUES = {"waiting": "waiting time, tau", "moving": "tau / T", "moving, corrected": "tau / T",
          "continuous": "eligibility, s"}  # fmt: skip
COMMON = {"epochs": 5, "threads": 1, "unsettled": "include"}
NOTES = """\
One tanh layer, N = 300, tau = 10 ms, 256 streams, 5 epochs of the 4,000 embedded training digits,
tested on the other 1,000; learning rate 0.025 (rule 1, Euclidean) and 0.25 (rule 3,
LinearizedReparameterized); no sample left out for being unsettled. Test accuracy at solved fixed
points and read at the time at which the rule acts: means over seeds with 95 % intervals (Student's,
cut at 0), or ranges where there are fewer than three. Missing: runs that stopped. Euler steps of
tau / 10 where images never rest and where test images are read, else rkc. Tolerated speeds: those
up to which 95 % of what a seed reaches after 20 tau are kept at fixed points, interpolated in
log(tau / T); geometric mean, or, where the limit of a seed lies beyond the speeds tried (< or >),
the range over seeds."""


def train(rule: str, seed: int, **options: object) -> dict:
    name, rate = RULES[rule]
    config = rn.TrainingConfig(**{**COMMON, **options}, rule=name, learning_rate=rate, seed=seed)
    try:
        result = rn.train(config, out=tempfile.mkdtemp(), overwrite=True)
    except RatenetError as error:
        return {"fixed_points": math.nan, "read": math.nan, "stopped": str(error).splitlines()[0]}
    at = options.get("update_at", (1.0,))
    if at == "continuous":
        at = (1.0,)
    hold, fade = options.get("hold", HOLD), options.get("fade", FADE)
    slow = Slow(hold, fade, at, corrects_lag=bool(options.get("correct_lag")))
    test = rn.stimuli.load_images().test
    read = evaluate_classifier(result.classifier, test, slow, 256, unsettled="include")
    return {
        "fixed_points": result.summary["test_accuracy"],
        "read": read.accuracy,
        "stopped": "",
    }


def row(rule: str, way: str, value: float, seed: int) -> dict:
    if way == "waiting":
        return train(rule, seed, update_at=(value * TAU / HOLD,))
    if way == "continuous":
        return train(rule, seed, update_at="continuous", eligibility=value or None)
    # By Euler steps: a rule at such speeds can drive the weights off, to modes of 10^7/s.
    corrects = way == "moving, corrected"
    return train(rule, seed, hold=0, fade=TAU / value, correct_lag=corrects, method="euler")


def draw(table: pd.DataFrame) -> None:
    """Draw means over the seeds, and each seed as a small point."""
    figure, (waiting, moving) = new_figure(figsize=(10, 4), ncols=2, sharey=True)
    for rule, (name, _) in RULES.items():
        of_rule, colour = table[table["rule"] == rule], look_of(name)["color"]
        rows = of_rule[of_rule["way"] == "waiting"]
        _line(waiting, rows, "fixed_points", "o-", colour, f"{rule}, read at fixed points")
        _line(waiting, rows, "read", "s--", colour, f"{rule}, read when the rule acts")
        for way, style in (("moving", "o-"), ("moving, corrected", "s--")):
            rows = of_rule[of_rule["way"] == way]
            label = f"{rule}, {'lag subtracted' if 'corrected' in way else 'rates as they are'}"
            _line(moving, rows, "fixed_points", style, colour, label)
    waiting.set_xlabel(r"waiting time after the fade (in $\tau$)")
    waiting.set_ylabel("test accuracy")
    moving.set_xlabel(r"speed of the stimulus, $\tau/T$")
    for axis in (waiting, moving):
        axis.set(xscale="log", ylim=(0, 1))
        axis.legend(frameon=False, fontsize="x-small", loc="lower left")
    save(figure, ROOT / "docs" / "images" / "waiting.png")


def _line(axis: Any, rows: pd.DataFrame, value: str, style: str, colour: str, label: str) -> None:
    # A point of which a run was stopped is left out, not drawn as the mean of the others.
    means = rows.groupby("value")[value].agg(lambda values: values.mean(skipna=False))
    axis.plot(means, style, color=colour, ms=5, label=label)
    axis.plot(rows["value"], rows[value], style[0], color=colour, ms=3, alpha=0.5)


def speeds(table: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracies of images that never rest, beside those of the longest wait."""
    rest = table[(table["way"] == "waiting") & (table["value"] == max(WAITS))]
    moving = table[table["way"].str.startswith("moving")]
    found = pd.concat([rest.assign(way=AT_REST, value=0.0), moving])
    return found.rename(columns={"value": "speed", "fixed_points": "accuracy"})


def write(table: pd.DataFrame) -> None:
    """Write a table for each way of learning as Markdown."""
    made = ", ".join(f"{name} {version}" for name, version in versions().items())
    how = f"{date.today()}, {processor()}, {made}. Repeated by `python benchmarks/waiting.py`."
    lines = [how, "", NOTES]
    for way, rows in table.groupby("way", sort=False):
        found = [
            {
                "rule": rule, VALUES[str(way)]: f"{value:g}",
                "at fixed points": interval(group["fixed_points"], within=(0, 1)),
                "read then": interval(group["read"], within=(0, 1)), "seeds": len(group),
            }
            for (rule, value), group in rows.groupby(["rule", "value"])
        ]  # fmt: skip
        lines += ["", f"## {way}", "", *markdown(pd.DataFrame(found), "{}")]
    lines += ["", "## Tolerated tau / T", "", *markdown(limit_table(speeds(table)), "{}")]
    RESULT.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=RESULT.with_suffix(".csv"))
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("once")
    torch.set_num_threads(1)
    keys = [
        {"rule": rule, "way": way, "value": value, "seed": seed}
        for ways in (("waiting", "moving", "moving, corrected"), ("continuous",))  # takes minutes
        for seed in range(options.seeds)
        for way in ways
        for value in {"waiting": WAITS, "continuous": AVERAGES}.get(way, SPEEDS)
        for rule in (("rule 3",) if way == "continuous" else RULES)
    ]
    table = computed(options.out, keys, row)
    write(table)
    draw(table)


if __name__ == "__main__":
    main()
