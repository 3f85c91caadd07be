"""Test accuracy of layers trained on the full MNIST that changes slowly, beside the static one.

The networks of docs/results.md (benchmarks/architectures) are trained as there, but for the
presentation: each digit fades into the next and is held for some time constants, while all layers
move at once, and the rules act on the rates that the network has then.

    python benchmarks/slow_full_mnist.py --data-root DIR [--only one_layer_300] [--rules euclidean]

DIR holds torchvision's MNIST; without it the script says so and ends. Each run is one command
`ratenet train`, kept as a row of benchmarks/results/slow_full_mnist.csv and not made again; one
that was stopped is resumed from its folder under --out. The table goes to slow_full_mnist.md beside
it after each run, and says which runs are still missing.
"""

import argparse
import functools
import resource
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd
from kept_rows import computed, kept
from layers_accuracy import ROOT, carry_out
from slowness import markdown

from ratenet.errors import RatenetError
from ratenet.report.record import processor, versions
from ratenet.report.rule_looks import LABELS
from ratenet.stimuli import load_images

RESULTS = Path(__file__).parent / "results"
RESULT, STATIC = RESULTS / "slow_full_mnist.md", RESULTS / "layers_accuracy_2026-11-22.md"
RUNS = RESULT.with_suffix(".csv")
ALLOWED = 0.005  # below the static accuracy
RULES = ("linearized-reparameterized", "euclidean")
NOTES = f"""\
Each run is `ratenet train --config benchmarks/architectures/NETWORK.toml --presentation slow`, with
`--rule RULE --recurrent-learning-rate RATE --seed 0` and the options of the column "presentation",
on the full MNIST (5,000 training images held out, the 10,000 test images used once), tau = 10 ms.
Epochs, optimizer and learning rates are those of the static runs in
[layers_accuracy_2026-11-22.md](layers_accuracy_2026-11-22.md), whose mean accuracy and range over
seeds stand beside.
Slow accuracy: at the end of slow holds instead of at solved fixed points; an unsettled image counts
as an error. Settled: share of the training samples whose residual was at most 1e-3 in all layers
when the rule acted; the others are left out, and a run in which they are more than half of a batch
stops, as `ratenet train` does. Asked for: at most {ALLOWED:g} below the static
accuracy, in at most two hours. Minutes: of one thread on a machine with other work, and of the
processor alone."""


@dataclass(frozen=True)
class Network:
    """A network of benchmarks/architectures, and how it is shown slowly changing digits."""

    name: str
    title: str  # as in the table of static runs
    rates: dict[str, float]  # of the recurrent weights, by rule: the best of the static sweep
    slow: dict[str, str]  # options of `ratenet train`

    def options(self, rule: str) -> list[str]:
        """Return the options of `ratenet train`, without folders."""
        return [
            "--config", f"benchmarks/architectures/{self.name}.toml", "--presentation", "slow",
            *(word for option in self.slow.items() for word in option),
            "--rule", rule, "--recurrent-learning-rate", f"{self.rates[rule]:g}", "--seed", "0",
        ]  # fmt: skip


def by_rule(third: float, first: float) -> dict[str, float]:
    return dict(zip(RULES, (third, first), strict=True))


NETWORKS = (
    Network(
        "one_layer_300",
        "one layer, N = 300",
        by_rule(1e-4, 1e-3),
        {"--hold": "150*ms", "--fade": "20*ms", "--method": "euler"},
    ),
    Network(
        "feedback",
        "two layers with feedback",
        by_rule(1e-3, 3e-4),
        {"--hold": "150*ms", "--fade": "20*ms"},
    ),
    Network(
        "convolutional",
        "convolutional, two layers",
        by_rule(3e-4, 3e-4),
        {"--hold": "150*ms", "--fade": "20*ms"},
    ),
)


def key_of(network: Network, rule: str) -> dict[str, str]:
    """Return what names a run in the file of runs."""
    return {"network": network.name, "rule": rule, "options": " ".join(network.options(rule))}


def carried_out(network: Network, rule: str, out: Path, data_root: Path) -> dict[str, object]:
    """Carry out one run, or what is left of it, and return its results."""
    folder = out / f"{network.name}-{rule}"
    spent = folder / "processor_seconds.txt"
    before = _children()
    try:
        summary = carry_out(network.options(rule), folder, data_root)
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


def static_accuracy(network: Network, rule: str) -> str:
    """Return mean and range of the static runs, as their table has them."""
    for line in STATIC.read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if cells[1:3] == [f"{network.title}, mnist", LABELS[rule]] and cells[4] == "left out":
            return cells[6]
    raise SystemExit(f"{STATIC} has no static run of {network.title}, {rule}.")


def row(network: Network, rule: str) -> dict[str, object]:
    """Return the results of one run as text; of one that is missing, the static accuracy."""
    static = static_accuracy(network, rule)
    told = {"network": network.title, "rule": LABELS[rule], "static accuracy": static}
    found = kept(RUNS, [key_of(network, rule)])
    if found.empty:
        return {**told, "accuracy": "not finished"}
    run = found.iloc[0]
    minutes = f"{run['seconds'] / 60:.0f}"
    if not pd.isna(run["processor_seconds"]):
        minutes += f" ({run['processor_seconds'] / 60:.0f} of processor time)"
    return {
        **told,
        "accuracy": f"{run['accuracy']:.4f}",
        "difference": f"{run['accuracy'] - float(static.split()[0]):+.4f}",
        "slow accuracy": f"{run['slow_accuracy']:.4f}",
        "settled": f"{1 - run['unsettled_share']:.4%}",
        "presentation": " ".join(word for option in network.slow.items() for word in option),
        "minutes": minutes,
        "made": run["made"],
        "ended": run["ended"],
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
        if kept(RUNS, [key_of(network, rule)]).empty
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
    given = parser.parse_args()
    try:
        load_images("mnist", root=given.data_root, download=False)
    except RatenetError as error:
        raise SystemExit(f"The full MNIST is needed: {error}") from None
    folders = given.out.resolve(), given.data_root.resolve()
    for network in (network for network in NETWORKS if network.name in given.only):
        for rule in given.rules:
            make = functools.partial(carried_out, network, rule, *folders)
            computed(RUNS, [key_of(network, rule)], lambda make=make, **_: make())
            report()


if __name__ == "__main__":
    main()
