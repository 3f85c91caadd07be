"""Test accuracy of layers trained on the full MNIST that changes slowly, beside the static one.

The networks of docs/results.md (benchmarks/architectures) are trained as there, but for the
presentation: each digit fades into the next and is held for some time constants, while all layers
move at once, and the rules act on the rates that the network has then.

    python benchmarks/slow_full_mnist.py --data-root DIR [--only one_layer_300] [--rules euclidean]

DIR holds torchvision's MNIST; without it the script says so and ends. Each run is one command
`ratenet train`, kept as a row of benchmarks/results/slow_full_mnist.csv, its static counterpart of
layers_accuracy.csv beside it, and not made again; one that was stopped is resumed from its folder
under --out. The table goes to slow_full_mnist.md after each run, and says which are missing.
"""

import argparse
import functools
import itertools
import resource
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd
from kept_rows import computed, kept
from layers_runs import ROOT, ROWS, Row, Run, Runs, accuracies, carry_out
from slowness import markdown
from tolerated import interval

from ratenet.errors import RatenetError
from ratenet.report.record import processor, versions
from ratenet.report.rule_looks import LABELS
from ratenet.stimuli import load_images

RESULT = Path(__file__).parent / "results" / "slow_full_mnist.md"
RUNS = RESULT.with_suffix(".csv")
ALLOWED = 0.005  # below the static accuracy
RULES = ("linearized-reparameterized", "euclidean")
NOTES = f"""\
Each run is `ratenet train --config benchmarks/architectures/NETWORK.toml --presentation slow`, with
`--rule RULE --recurrent-learning-rate RATE --seed SEED` and the options of the column
"presentation", on the full MNIST (5,000 training images held out, the 10,000 test images used
once), tau = 10 ms. The static run beside it is the same command without --presentation and what
belongs to it. Means over seeds with 95 % intervals (Student's t; of two seeds their range), of one
seed its value; differences are paired by seed.
Slow accuracy: at the end of slow holds instead of at solved fixed points; an unsettled image counts
as an error. Settled: share of the training samples whose residual was at most 1e-3 in all layers
when the rule acted; the others are left out, and a run in which they are more than half of a batch
stops, as `ratenet train` does. Asked for: at most {ALLOWED:g} below the static
accuracy, in at most two hours. Minutes: of one thread on a machine with other work, and of the
processor alone; rows can be of another machine than that of the first line."""


@dataclass(frozen=True)
class Network:
    """A network of benchmarks/architectures, and how it is shown slowly changing digits."""

    name: str
    rates: dict[str, float]  # of the recurrent weights, by rule
    slow: dict[str, str]  # options of `ratenet train`

    @property
    def static(self) -> Row:
        """The network in the benchmark of static runs."""
        return next(row for row in ROWS if row.name == f"{self.name}-mnist")

    def static_run(self, rule: str, seed: int) -> Run:
        """Return the same run at solved fixed points."""
        return Run(self.static.name, rule, self.rates[rule], seed, self.static.epochs)

    def options(self, rule: str) -> list[str]:
        """Return the options of `ratenet train`, without folders."""
        return [
            "--config", f"benchmarks/architectures/{self.name}.toml", "--presentation", "slow",
            *(word for option in self.slow.items() for word in option),
            "--rule", rule, "--recurrent-learning-rate", f"{self.rates[rule]:g}",
        ]  # fmt: skip


def by_rule(third: float, first: float) -> dict[str, float]:
    return dict(zip(RULES, (third, first), strict=True))


NETWORKS = (
    Network(
        "one_layer_300",
        by_rule(3e-3, 3e-3),
        {"--hold": "150*ms", "--fade": "20*ms", "--method": "euler"},
    ),
    Network(
        "feedback",
        by_rule(1e-3, 3e-4),
        {"--hold": "150*ms", "--fade": "20*ms"},
    ),
    Network(
        "convolutional",
        by_rule(3e-4, 3e-4),
        {"--hold": "150*ms", "--fade": "20*ms"},
    ),
)


def key_of(network: Network, rule: str, seed: int) -> dict[str, object]:
    """Return what names a run in the file of runs."""
    options = " ".join(network.options(rule))
    return {"network": network.name, "rule": rule, "options": options, "seed": seed}


def carried_out(
    network: Network, rule: str, seed: int, out: Path, data_root: Path
) -> dict[str, object]:
    """Carry out one run, or what is left of it, and return its results."""
    folder = out / f"{network.name}-{rule}-{seed}"
    spent = folder / "processor_seconds.txt"
    before = _children()
    try:
        summary = carry_out([*network.options(rule), "--seed", f"{seed}"], folder, data_root)
    finally:
        if (used := _children() - before) > 1:
            earlier = float(spent.read_text()) if spent.exists() else 0.0
            spent.write_text(f"{earlier + used:.0f}\n")
    return {
        "accuracy": summary["test_accuracy"],
        "slow_accuracy": summary["test_accuracy_slow"],
        "unsettled_share": summary["unsettled_share"],
        "seconds": summary["seconds"],
        "processor_seconds": float(spent.read_text()),
        "ended": summary["reason"] or f"after {summary['steps']} steps, as planned",
        "made": f"{date.today()}",
    }


def _children() -> float:
    """Return the processor's seconds that finished subprocesses took."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def row(network: Network, rule: str) -> dict[str, object]:
    """Return the results with one rule as text."""
    rate = f"{network.rates[rule]:g}"
    told = {"network": network.static.title, "rule": LABELS[rule], "rate": rate, "seeds": "0"}
    seeds = range(100)  # more than there are
    slow = kept(RUNS, [key_of(network, rule, seed) for seed in seeds]).set_index("seed")
    if slow.empty:
        return {**told, "accuracy": "not finished"}
    static = Runs().of(network.static, [network.static_run(rule, seed) for seed in slow.index])
    accuracy = accuracies(static).reindex(slow.index)
    minutes = f"{slow['seconds'].mean() / 60:.0f}"
    if slow["processor_seconds"].notna().all():
        minutes += f" ({slow['processor_seconds'].mean() / 60:.0f} of processor time)"
    return {
        **told,
        "seeds": f"{len(slow)}",
        "static accuracy": interval(accuracy, "{:.4f}"),
        "accuracy": interval(slow["accuracy"], "{:.4f}"),
        "difference": interval(slow["accuracy"] - accuracy, "{:+.4f}"),
        "slow accuracy": interval(slow["slow_accuracy"], "{:.4f}"),
        "settled (%)": interval(100 * (1 - slow["unsettled_share"]), "{:.2f}", (0, 100)),
        "presentation": " ".join(word for option in network.slow.items() for word in option),
        "minutes": minutes,
        "made": ", ".join(sorted({*slow["made"]})),
        "ended": "; ".join(sorted({*slow["ended"]})),
    }


def report() -> None:
    """Write the table, with the commands of what is missing."""
    rows = [row(network, rule) for network in NETWORKS for rule in RULES]
    made = ", ".join(f"{name} {version}" for name, version in versions().items())
    lines = [
        "# Full MNIST, slowly changing", "",
        f"`python benchmarks/slow_full_mnist.py`, {date.today()}, {processor()}, {made}.", "",
        NOTES, "", *markdown(pd.DataFrame(rows).fillna("-"), "{}"),
    ]  # fmt: skip
    missing = [
        f"    python benchmarks/slow_full_mnist.py --data-root DIR --only {network.name} "
        f"--rules {rule}"
        for network in NETWORKS
        for rule in RULES
        if kept(RUNS, [key_of(network, rule, 0)]).empty
    ]
    if missing:
        lines += ["", "Runs that are not finished yet, each made or completed by", "", *missing]
    RESULT.write_text("\n".join(lines) + "\n")


def main() -> None:
    names = [network.name for network in NETWORKS]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--data-root", type=Path, default="data", help="folder that holds torchvision's MNIST"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "slow_full_mnist")
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--rules", nargs="+", choices=RULES, default=RULES)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    given = parser.parse_args()
    try:
        load_images("mnist", root=given.data_root, download=False)
    except RatenetError as error:
        raise SystemExit(f"The full MNIST is needed: {error}") from None
    folders = given.out.resolve(), given.data_root.resolve()
    static = Runs(folders[0] / "static", folders[1])
    asked = itertools.product(NETWORKS, given.rules, given.seeds)
    for network, rule, seed in (run for run in asked if run[0].name in given.only):
        make = functools.partial(carried_out, network, rule, seed, *folders)
        computed(RUNS, [key_of(network, rule, seed)], lambda make=make, **_: make())
        static.of(network.static, [network.static_run(rule, seed)])
        report()


if __name__ == "__main__":
    main()
