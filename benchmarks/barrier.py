"""Adam on rules 1 and 3 with trained read-in and read-out: what a stability barrier changes.

Full MNIST, one tanh layer, N = 300, batches of 512, static presentation, learning rate 0.001; the
rules of Zhu and Rosenbaum 2024, arXiv 2307.06732.

    python benchmarks/barrier.py --data-root DIR

DIR holds torchvision's MNIST. Runs that are finished are not run again. The table goes to
benchmarks/results/barrier.md, the figure to docs/images/barrier.png. Expect, without a barrier,
the largest real part of W's eigenvalues above 1 within two epochs while the iterations to a fixed
point grow; with it, both bounded, and a test accuracy that differs by less than 0.01.
"""

import argparse
import json
from datetime import date
from pathlib import Path

import pandas as pd
from slowness import markdown
from tolerated import interval, over_seeds

import ratenet as rn
from ratenet.errors import RatenetError
from ratenet.report.figures import COLOURS, new_figure, save
from ratenet.report.record import processor, versions
from ratenet.report.rule_looks import look_of

RULES = {"euclidean": "rule 1, Euclidean", "linearized-reparameterized": "rule 3, linearized"}
BARRIERS = {None: "none", 0.2: "0.2"}
DATA = "mnist"
HERE = Path(__file__).parent
RESULTS, FIGURE = HERE / "results" / "barrier.md", HERE.parent / "docs" / "images" / "barrier.png"


MOST_PRODUCTS = 2000
MEANS = {  # of the table: what a run came to, and its format
    "iterations, first 5 steps": ("first", ".1f"),
    "last 50 steps": ("last", ".1f"),
    "dynamics to rest, products": ("dynamics mean", ".0f"),
    "damped iteration, products": ("damped mean", ".0f"),
    "largest Re of W's eigenvalues": ("weights", ".2f"),
    "steps until it passes 1": ("passes", ".0f"),
    "abscissa at mean gains, 1/s": ("mean_gain", ".1f"),
    "of two samples, 1/s": ("samples", ".1f"),
}
LARGEST = {
    "most iterations": ("most", ".0f"),
    "most products of the dynamics": ("dynamics most", ".0f"),
    "most products of damped iteration": ("damped most", ".0f"),
    "largest unsettled share": ("unsettled", ".4f"),
    "most steps corrected": ("corrected", ".0f"),
    "most steps refused": ("refused", ".0f"),
    "steps": ("steps", ".0f"),
}
NOTES = f"""\
Means over seeds with 95 % intervals (Student's t), or ranges where there are fewer than three;
accuracy less that without a barrier: paired by seed. Largest, most: over seeds. Iterations to a
fixed point: means of a batch. At the end, 512 test images are brought to rest by simpler solvers,
in at most {MOST_PRODUCTS:,} products. The abscissa (largest real part of the Jacobian's
eigenvalues) is that at mean gains in the last 50 steps, and of two samples at the end. The largest
real part of W's is over all steps."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/barrier"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=2)
    options = parser.parse_args()
    runs = [
        run(rule, barrier, seed, options)
        for seed in range(options.seeds)
        for rule in RULES
        for barrier in BARRIERS
    ]
    draw(runs)
    write_table(pd.DataFrame([row for row, _ in runs]), options)


def run(
    rule: str, barrier: float | None, seed: int, options: argparse.Namespace
) -> tuple[dict, pd.DataFrame]:
    """Return what a run came to, and its metrics; one that the science stopped has both too."""
    out = options.out / f"{rule}-{barrier}-{seed}"
    config = rn.TrainingConfig(
        data=DATA, data_root=options.data_root, presentation="static", rule=rule,
        optimizer="adam", learning_rate=0.001, learn=("read-in", "read-out"), barrier=barrier,
        units=300, batch_size=512, epochs=options.epochs, evaluate_every=1, seed=seed, threads=1,
    )  # fmt: skip
    if not (out / "summary.json").exists():
        try:
            rn.train(config, out=out, overwrite=True)
        except RatenetError as error:
            print(error)
    summary = json.loads((out / "summary.json").read_text())
    metrics = pd.read_csv(out / "metrics.csv")
    tail, others = metrics.tail(50), other_solvers(out, options)
    print(rule, barrier, seed, summary["test_accuracy"], flush=True)
    return {
        "rule": rule,
        "barrier": BARRIERS[barrier],
        "seed": seed,
        "accuracy": summary["test_accuracy"],
        "first": metrics["iterations"].head(5).mean(),
        "last": tail["iterations"].mean(),
        "most": metrics["iterations"].max(),
        **others,
        "unsettled": summary["unsettled_share"],
        "weights": metrics["weight_abscissa"].max(),
        "passes": metrics[metrics["weight_abscissa"] > 1]["step"].min(),
        "mean_gain": tail["abscissa_mean_gain"].mean(),
        "samples": metrics["abscissa"].dropna().iloc[-1],
        "corrected": summary.get("corrected_steps", 0),
        "refused": summary.get("refused_steps", 0),
        "steps": summary["steps"],
    }, metrics


def other_solvers(out: Path, options: argparse.Namespace) -> dict[str, float]:
    """Return mean and largest products that simpler solvers take on 512 test images at the end."""
    learned = rn.load_run(out)
    images = rn.stimuli.load_images(DATA, root=options.data_root)
    drive = images.test.pixels[:512].to(learned.read_in) @ learned.read_in.T
    found = {}
    for name, solver in (("dynamics", rn.Relaxation()), ("damped", rn.DampedIteration())):
        fp = rn.find_fixed_points(
            learned.network, drive, solver=solver, certificate="residual", on_failure="return",
            max_iterations=MOST_PRODUCTS,
        )  # fmt: skip
        products = fp.iterations.double()
        found[f"{name} mean"], found[f"{name} most"] = float(products.mean()), float(products.max())
    return found


def draw(runs: list[tuple[dict, pd.DataFrame]]) -> None:
    """Draw iterations and W's abscissa against steps, one line a run."""
    figure, axes = new_figure(figsize=(9, 6), nrows=2, ncols=2, sharex=True, sharey="row")
    for row, metrics in runs:
        column, held = list(RULES).index(row["rule"]), row["barrier"] != "none"
        colour = look_of(row["rule"])["color"]
        style = {"color": colour, "ls": "-" if held else "--", "lw": 1}
        name = f"barrier {row['barrier']}" if held else "no barrier"
        label = name if row["seed"] == 0 else None
        axes[0, column].plot(metrics["step"], metrics["weight_abscissa"], label=label, **style)
        axes[1, column].plot(metrics["step"], metrics["iterations"], label=label, **style)
    for column, title in enumerate(RULES.values()):
        axes[0, column].axhline(1, color=COLOURS[6], lw=0.8)
        axes[0, column].legend(frameon=False, title=title)
        axes[1, column].set_xlabel("training step")
        axes[1, column].set_ylim(bottom=0)
    axes[0, 0].set_ylabel(r"largest Re $\lambda$ of $W$")
    axes[1, 0].set_ylabel("iterations to a fixed point\n(mean of the batch)")
    save(figure, FIGURE)


def write_table(rows: pd.DataFrame, options: argparse.Namespace) -> None:
    """Write means over seeds as Markdown."""
    found = []
    for rule, own in rows.groupby("rule", sort=False):
        without = own[own["barrier"] == BARRIERS[None]].set_index("seed")["accuracy"]
        for barrier, cell in own.groupby("barrier", sort=False):
            gain = cell.set_index("seed")["accuracy"] - without
            found.append({
                "rule": rule, "barrier": barrier, "seeds": len(cell),
                "accuracy": interval(cell["accuracy"], "{:.4f}"),
                "less no barrier": interval(gain, "{:+.4f}") if barrier != BARRIERS[None] else "-",
                **over_seeds(cell, MEANS, LARGEST),
            })  # fmt: skip
    made = ", ".join(f"{name} {version}" for name, version in versions().items())
    how = (
        f"`python benchmarks/barrier.py --data-root DIR --seeds {options.seeds} --epochs "
        f"{options.epochs}`, {date.today()}, {processor()}, one thread, {made}."
    )
    lines = [how, "", NOTES, "", *markdown(pd.DataFrame(found), "{}")]
    RESULTS.write_text("\n".join(lines) + "\n")
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
