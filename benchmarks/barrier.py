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
import platform
from datetime import date
from pathlib import Path

import pandas as pd
from safetensors.torch import load_file

import ratenet as rn
from ratenet.errors import RatenetError
from ratenet.report.figures import COLOURS, new_figure, save
from ratenet.report.record import versions
from ratenet.report.rule_looks import look_of

RULES = {"euclidean": "rule 1, Euclidean", "linearized-reparameterized": "rule 3, linearized"}
BARRIERS = {None: "none", 0.2: "0.2"}
HERE = Path(__file__).parent
RESULTS, FIGURE = HERE / "results" / "barrier.md", HERE.parent / "docs" / "images" / "barrier.png"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/barrier"))
    parser.add_argument("--seeds", type=int, default=3)
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
        data="mnist", data_root=options.data_root, presentation="static", rule=rule,
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
        "mean_gain": tail["abscissa_mean_gain"].mean(),
        "samples": metrics["abscissa"].dropna().iloc[-1],
        "corrected": summary.get("corrected_steps", 0),
        "refused": summary.get("refused_steps", 0),
        "steps": summary["steps"],
    }, metrics


def other_solvers(out: Path, options: argparse.Namespace) -> dict[str, str]:
    """Return mean (largest) products that simpler solvers take on 512 test images at the end."""
    tensors = load_file(out / "checkpoint.safetensors")
    images = rn.stimuli.load_images("mnist", root=options.data_root)
    network = rn.Network("rate", tensors["weights_0"])
    drive = images.test.pixels[:512] @ tensors["read_in"].T
    found = {}
    for name, solver in (("dynamics", rn.Relaxation()), ("damped", rn.DampedIteration())):
        fp = rn.find_fixed_points(
            network, drive, solver=solver, certificate="residual", on_failure="return",
            max_iterations=2000,
        )  # fmt: skip
        products = fp.iterations.double()
        found[name] = f"{float(products.mean()):.0f} ({float(products.max()):.0f})"
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
        axes[0, column].set_title(title, fontsize="medium")
        axes[0, column].legend(frameon=False)
        axes[1, column].set_xlabel("training step")
        axes[1, column].set_ylim(bottom=0)
    axes[0, 0].set_ylabel(r"largest Re $\lambda$ of $W$")
    axes[1, 0].set_ylabel("iterations to a fixed point\n(mean of the batch)")
    save(figure, FIGURE)


def write_table(rows: pd.DataFrame, options: argparse.Namespace) -> None:
    """Write each seed's figures as Markdown."""
    lines = [
        f"`python benchmarks/barrier.py --data-root DIR --seeds {options.seeds} --epochs "
        f"{options.epochs}`, {date.today()}, {platform.machine()}, "
        + ", ".join(f"{name} {version}" for name, version in versions().items()),
        "",
        "| rule | barrier | test accuracy: mean (each seed) | iterations, first 5 steps | "
        "last 50 steps | largest | dynamics to rest at the end, products: mean (largest) | "
        "damped iteration likewise | unsettled share | largest real part of W's eigenvalues | "
        "abscissa at mean gains, last 50 steps, 1/s | of two samples at the end, 1/s | "
        "steps corrected | steps refused | steps |",
        "|" + " --- |" * 15,
    ]
    for (rule, barrier), cell in rows.groupby(["rule", "barrier"], sort=False):
        accuracy = ", ".join(f"{value:.4f}" for value in cell["accuracy"])
        cells = [
            rule,
            barrier,
            f"{cell['accuracy'].mean():.4f} ({accuracy})",
            *(each(cell[name], ".1f") for name in ("first", "last", "most")),
            *(", ".join(cell[name]) for name in ("dynamics", "damped")),
            each(cell["unsettled"], ".4f"),
            each(cell["weights"], ".2f"),
            *(each(cell[name], ".1f") for name in ("mean_gain", "samples")),
            *(each(cell[name], "d") for name in ("corrected", "refused", "steps")),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    RESULTS.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def each(values: pd.Series, form: str) -> str:
    return ", ".join(format(value, form) for value in values)


if __name__ == "__main__":
    main()
