"""Test accuracy of trained layers on full MNIST and Fashion-MNIST, rule beside rule.

Each run is one command `ratenet train --config benchmarks/architectures/NAME.toml ...`. For each
network and rule, short runs with two seeds sweep the recurrent learning rate, on the network's own
data, until the best one on the held-out images lies inside what was tried; with it the network is
then trained in full, seed after seed. A rate at which a run in full loses its fixed points is given
up, with all larger ones, for the best of those below.

    python benchmarks/layers_accuracy.py --data-root DATA [--only one_layer_300-mnist]
    python benchmarks/layers_accuracy.py --report

A run is kept as a row of benchmarks/results/layers_accuracy.csv and not made again; one that was
stopped goes on from its folder under --out. The report goes to layers_accuracy.md beside it, its
figure to docs/images/layers_accuracy.png; docs/results.md says what it means.
"""

import argparse
import math
from datetime import date
from pathlib import Path

import pandas as pd
from layers_runs import (
    CONTROL,
    ONE_IN,
    ROOT,
    ROWS,
    RULES,
    RUNS,
    SGD,
    Row,
    Run,
    Runs,
    accuracies,
    best_of,
    given_up,
    known,
    scores,
)
from matplotlib.ticker import NullFormatter, ScalarFormatter
from slowness import markdown
from tolerated import interval, spread

from ratenet.report.figures import GREY, new_figure, save
from ratenet.report.record import processor, versions
from ratenet.report.rule_looks import LABELS, look_of

RESULTS = RUNS.with_suffix(".md")
HEAD = """\
# Test accuracy of trained layers

`python benchmarks/layers_accuracy.py`, {how}. Each row is of the runs
`ratenet train --config benchmarks/architectures/NAME.toml --data DATA --epochs EPOCHS --rule RULE
--recurrent-learning-rate RATE --seed SEED` (with `--unsettled include` where it says kept, and for
SGD with {sgd}), trained on the training images without 5,000 for
validation, and tested once. Means over seeds with 95 % intervals (Student's t; of two seeds their
range); differences are paired by seed, those of kept samples too from runs that leave them
out. Unsettled samples kept: of runs that had some; where there were none, both ways
are one and the same run. A run that was stopped has the test accuracy of where it stopped, and no
abscissa if it did before the first. Iterations: mean over the last epoch, all layers together;
abscissas: largest among the layers, at the end, that of J at the fixed points of a few settled
samples. Minutes: of one thread, on a machine with other work. Days and seeds of all runs are in
layers_accuracy.csv.
"""
SWEEP = f"""\
## The sweep

With seeds 0 and 1, a third of the epochs; means of the best validation accuracy of an epoch. The
best rate was taken. Edge: it is the least or the largest of those tried; stability: at the next one
runs were stopped, or it was given up. Given up: at this rate or a lower one a run in full was
stopped or lost more than one sample in {ONE_IN:,}.
"""
GIVEN_UP = f"""\
## Rates that were given up

Runs in full at rates that the sweep preferred, up to the first that was stopped or lost more than
one sample in {ONE_IN:,}. The limit was set on 30 November 2026, when those of SGD were there
already and test accuracies known; it looks at training samples only.
"""
OTHERS = """\
## Other rates in full

Runs in full at rates that were neither chosen nor given up, where there are as many seeds; less
those of each rule at its chosen rate, paired by seed.
"""
NAMES = {rule: LABELS[rule].replace("$", "") for rule in (*RULES, CONTROL)}  # of the table
SEEDS = (0, 1, 2)
WAYS = {"leave-out": "left out", "include": "kept"}
FROM_0 = (0.0, math.inf)  # where these values lie


def shown() -> list[tuple[Row, dict[str, tuple[float, pd.DataFrame]]]]:
    """Return the networks whose runs are all there, with rate and runs in full of each rule."""
    found, runs = [], Runs()
    for row in ROWS:
        own = {}
        for rule in (*RULES, CONTROL):
            means = runs.swept(row, rule) if rule != CONTROL else pd.Series(dtype=float)
            if rule != CONTROL and means.isna().all():
                break
            rate = best_of(means) if rule != CONTROL else 0.0
            keys = [
                Run(row.name, rule, rate, seed, row.epochs, way)
                for seed in range(100)
                for way in WAYS
            ]
            rows = runs.of(row, keys)
            if not {*SEEDS} <= {*accuracies(rows).index}:
                break
            own[rule] = (rate, rows)
        else:
            found.append((row, own))
    return found


def table() -> pd.DataFrame:
    """Return a row of text for each network, rule and way with unsettled samples."""
    found = []
    for row, own in shown():
        for rule, (rate, rows) in own.items():
            for way, said in WAYS.items():
                chosen = rows[rows["unsettled"] == way]
                if chosen.empty:
                    continue
                less = {
                    f"less {NAMES[other]}": interval(
                        (accuracies(rows, way) - accuracies(own[other][1])).dropna(), "{:+.4f}"
                    )
                    if other in own and other != rule
                    else "-"
                    for other in (RULES[0], CONTROL)
                }
                stopped = int((chosen["status"] == "stopped").sum())
                found.append({
                    "network, data": f"{row.title}, {row.data}", "rule": NAMES[rule],
                    "rate": f"{rate:g}" if rate else "-", "unsettled": said,
                    "seeds": f"{len(chosen)}" + (f", {stopped} stopped" if stopped else ""),
                    "test accuracy": interval(chosen["test_accuracy"], "{:.4f}"), **less,
                    "asked": f"{row.asked:.3f}",
                    "unsettled share": interval(chosen["unsettled_share"], "{:.6f}", FROM_0),
                    "iterations at the end": interval(chosen["iterations"], "{:.1f}", FROM_0),
                    "abscissa of J (1/s)": interval(chosen["abscissa"], "{:.1f}"),
                    "abscissa of W": interval(chosen["weight_abscissa"], "{:.2f}"),
                    "norm of W": interval(chosen["weight_norm"], "{:.2f}", FROM_0),
                    "minutes": interval(chosen["seconds"] / 60, "{:.1f}", FROM_0),
                })  # fmt: skip
    return pd.DataFrame(found)


def sweeps() -> pd.DataFrame:
    """Return the validation accuracies of the sweeps, a row of text each."""
    found, runs = [], Runs()
    for row, _ in shown():
        for rule in RULES:
            means = runs.swept(row, rule)
            least = given_up(row, rule)["rate"].min()
            scored = scores(row, rule).reindex(means.index)
            tried = [
                f"{rate:g}: "
                + ("stopped" if value != value else f"{value:.4f}")
                + (" (given up)" if rate >= least else "")
                for rate, value in scored.items()
            ]
            best = best_of(means)
            above = means[means.index > best]
            edge = "edge" if above.empty or best == means.index[0] else "-"
            if not above.empty and math.isnan(above.iloc[0]):
                edge = "stability"
            found.append({
                "network, data": f"{row.title}, {row.data}", "rule": NAMES[rule],
                "taken": f"{best:g}", "edge": edge,
                "recurrent learning rate: validation accuracy": ", ".join(tried),
            })  # fmt: skip
    return pd.DataFrame(found)


def lost() -> pd.DataFrame:
    """Return the runs in full at rates that were given up, as text."""
    found = [
        given_up(row, rule).assign(network=f"{row.title}, {row.data}", name=NAMES[rule])
        for row, _ in shown()
        for rule in RULES
    ]
    runs = pd.concat(found).sort_values(["network", "name", "rate", "seed", "unsettled"])
    return pd.DataFrame({
        "network, data": runs["network"], "rule": runs["name"],
        "rate": runs["rate"].map("{:g}".format), "seed": runs["seed"],
        "unsettled samples": runs["unsettled"].map(WAYS),
        "unsettled share": runs["unsettled_share"].map("{:.6f}".format),
        "test accuracy": runs["test_accuracy"].map("{:.4f}".format),
        "abscissa of W": runs["weight_abscissa"].map("{:.2f}".format),
    })  # fmt: skip


def others() -> pd.DataFrame:
    """Return the accuracies of runs in full at rates that were not chosen, as text."""
    found = []
    for row, own in shown():
        for rule in RULES:
            runs = known(row, rule).query("epochs == @row.epochs and unsettled == 'leave-out'")
            for rate, rows in runs.groupby("rate"):
                if rate in {own[rule][0], *given_up(row, rule)["rate"]} or len(rows) < len(SEEDS):
                    continue
                found.append({
                    "network, data": f"{row.title}, {row.data}", "rule": NAMES[rule],
                    "rate": f"{rate:g}", "seeds": len(rows),
                    "test accuracy": interval(rows["test_accuracy"], "{:.4f}"),
                    **{
                        f"less {NAMES[other]}": interval(
                            (accuracies(rows) - accuracies(chosen)).dropna(), "{:+.4f}"
                        )
                        for other, (_, chosen) in own.items()
                    },
                })  # fmt: skip
    return pd.DataFrame(found)


def report() -> None:
    """Write the tables of all networks whose runs are there, and the figure."""
    if not (names := {row.name for row, _ in shown()}):
        print("no table yet: of each network some runs are missing", flush=True)
        return
    made = ", ".join(f"{name} {version}" for name, version in versions().items())
    head = HEAD.format(how=f"{date.today()}, {processor()}, {made}", sgd=f"`{' '.join(SGD)}`")
    missing = "; ".join(f"{row.title}, {row.data}" for row in ROWS if row.name not in names)
    note = [f"Not shown, since runs are missing: {missing}.", ""] if missing else []
    parts = [head, *note, *markdown(table(), "{}"), "", SWEEP, *markdown(sweeps(), "{}")]
    if not (runs := lost()).empty:
        parts += ["", GIVEN_UP, *markdown(runs, "{}")]
    if not (runs := others()).empty:
        parts += ["", OTHERS, *markdown(runs, "{}")]
    RESULTS.write_text("\n".join(parts) + "\n")
    draw()


def draw() -> None:
    """Draw mean and interval over the seeds, a group of points a network."""
    figure, axes = new_figure(figsize=(7.2, 8), nrows=3, sharex=True)
    panels = (
        (lambda rows: 100 * (1 - rows["test_accuracy"]), "test error (%)"),
        (lambda rows: rows["iterations"], "iterations per sample"),
        (lambda rows: rows["weight_abscissa"], r"largest Re $\lambda$ of $W$"),
    )
    ticks = {}
    for place, (row, own) in enumerate(shown()):
        data = row.data.replace("fashion", "Fashion").replace("mnist", "MNIST")
        ticks[place] = f"{row.title}, {data}".replace(" with", ", with").replace(", ", "\n")
        for number, rule in enumerate((*RULES, CONTROL)):
            look, at = look_of(rule), place + 0.16 * (number - 1.5)
            _, rows = own[rule]
            rows = rows[rows["unsettled"] == "leave-out"]
            for axis, (values, label) in zip(axes, panels, strict=True):
                mean, low, high = spread(values(rows))
                axis.errorbar(
                    at, mean, yerr=[[mean - low], [high - mean]], ls="none", capsize=3, ms=6,
                    marker=look["marker"], color=look["color"],
                    label=LABELS[rule],
                )  # fmt: skip
                axis.set_ylabel(label)
        target = [100 * (1 - row.asked)] * 2
        axes[0].plot([place - 0.4, place + 0.4], target, color="black", lw=0.8,
                     label="target")  # fmt: skip
    for axis in axes:
        for border in range(1, len(ticks)):
            axis.axvline(border - 0.5, color=GREY, lw=0.5, ls=":")
    for axis in axes[:2]:
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(ScalarFormatter())
        axis.yaxis.set_minor_formatter(NullFormatter())
    axes[0].set_yticks([0.7, 1, 2, 3, 5, 10])
    axes[1].set_yticks([4, 6, 10, 20, 40])
    axes[2].axhline(1, color="black", lw=0.8)
    axes[2].set_xticks(list(ticks), list(ticks.values()), fontsize="small")
    axes[2].set_xlim(-0.5, len(ticks) - 0.5)
    handles, labels = axes[0].get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))  # each network has them
    axes[0].legend(once.values(), once, frameon=False, fontsize="small", ncols=3,
                   loc="lower center", bbox_to_anchor=(0.5, 1.0))  # fmt: skip
    save(figure, ROOT / "docs" / "images" / "layers_accuracy.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-root", type=Path, help="torchvision's files")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "layers_accuracy")
    parser.add_argument(
        "--only", nargs="+", choices=(names := [row.name for row in ROWS]), default=names
    )
    parser.add_argument("--rules", nargs="+", default=[*RULES, CONTROL])
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--report", action="store_true", help="of the runs that are there only")
    given = parser.parse_args()
    if given.report:
        report()
        return
    if given.data_root is None:
        raise SystemExit("--data-root is missing: the folder that holds torchvision's MNIST.")
    runs = Runs(given.out.resolve(), given.data_root.resolve())
    for row in (row for row in ROWS if row.name in given.only):
        for rule in given.rules:
            runs.in_full(row, rule, given.seeds)
            report()


if __name__ == "__main__":
    main()
