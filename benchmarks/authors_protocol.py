"""Why does rule 1 fail in the paper? The authors' protocol, and one factor changed at a time.

Source: Zhu and Rosenbaum 2024, arXiv 2307.06732, and the code of its authors
(github.com/RobertRosenbaum/LearningFixedPointsInRNNs). One tanh layer, N = 300, fixed random
read-in and read-out, batches of 512, plain gradient steps, 351 of them (3 epochs). Their protocol:

    dynamics    5 tau of Euler steps from zero; what is reached is taken for the fixed point, with
                the gains 1 - r^2
    samples     all of them, settled or not
    adjoint     exact, for each sample
    batches     each change is computed from 512 random test images
    test        after 5 tau, with pixels from 0 to 255, where learning has 0 to 1

Their Euler steps are tau / 100 long. Here they are tau / 10, which takes a tenth of the time and
ends as near to the fixed point (0.9^50 = 0.005, 0.99^500 = 0.007); `fine-steps` has theirs. Where
the matrix of a sample's adjoint is singular to working precision, its inverse in their code is
whatever rounding makes of it; here the sample is left out of that change.

    python benchmarks/authors_protocol.py --data-root DIR [--seeds 5] [--only NAME ...]

DIR holds torchvision's MNIST; without it the script says so and ends. Runs are kept in
benchmarks/results/authors_protocol.csv, and one that is there is not made again. The seeds go round
by round, so that a stopped script has compared all protocols on the seeds that it has, but for
`fine-steps`, which takes six times as long and comes last. The table goes to
benchmarks/results/authors_protocol.md after each run.
"""

import argparse
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch
from kept_rows import computed
from torch import Tensor

import ratenet as rn
from ratenet.errors import RatenetError
from ratenet.hypotheses.comparison_statistics import paired_interval
from ratenet.plasticity import Euclidean, LinearizedReparameterized
from ratenet.report.record import processor, versions
from ratenet.stimuli import Images, ImageSet, batches_of_epoch
from ratenet.training.classifier import Classifier, random_classifier

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "benchmarks" / "results" / "authors_protocol.md"
TAU = 0.01  # s
UNITS, BATCH, STEPS, SEEDS = 300, 512, 351, 5
RULES = {"rule 1": Euclidean(), "rule 3": LinearizedReparameterized()}
RATES = {"rule 1": (0.025, 0.01), "rule 3": (0.25, 0.1)}
THEIRS = {("rule 1", 0.01): "0.651, 1.24", ("rule 1", 0.025): "0.218, 2.23",
          ("rule 3", 0.1): "0.849", ("rule 3", 0.25): "0.871"}  # fmt: skip
UNSETTLED = 0.05  # residual above which a state after 5 tau counts as unsettled
LAST = 35  # steps whose batches are averaged: the last tenth


@dataclass(frozen=True)
class Protocol:
    """How a batch becomes a weight change.

    Parameters
    ----------
    dynamics : {"5 tau", "solved"}
        Euler steps from zero for 5 tau, or fixed points that are solved for.
    unsettled : {"kept", "left out"}
        What becomes of samples that did not settle.
    batches : {"test", "training"}
        Whose images the changes are computed from.
    gain : {"rate", "input"}
        1 - r^2, or f'(W r + x); the same at a fixed point.
    steps : int
        Euler steps in a tau.
    """

    dynamics: Literal["5 tau", "solved"] = "5 tau"
    unsettled: Literal["kept", "left out"] = "kept"
    batches: Literal["test", "training"] = "test"
    gain: Literal["rate", "input"] = "rate"
    steps: int = 10

    def show(self, network: rn.Network, drive: Tensor) -> rn.FixedPoints:
        """Return the states that the rule gets, judged by this protocol."""
        if self.dynamics == "solved":
            fp = rn.find_fixed_points(
                network, drive, max_iterations=2000, certificate="residual", on_failure="return"
            )
        else:
            fp = after_five_tau(network, drive, self.steps)
        if self.unsettled == "kept":
            fp = fp.with_tolerance(math.inf)
        return preconditioned(replace(fp, gain=1 - fp.rates**2) if self.gain == "rate" else fp)


AUTHORS = Protocol()
PROTOCOLS = {
    "authors": AUTHORS,
    "ratenet": Protocol("solved", "left out", "training", "input"),
    "solved": replace(AUTHORS, dynamics="solved"),
    "training-batches": replace(AUTHORS, batches="training"),
    "left-out": replace(AUTHORS, unsettled="left out"),
    "solved-left-out": replace(AUTHORS, dynamics="solved", unsettled="left out"),
    "gain-of-input": replace(AUTHORS, gain="input"),
    "fine-steps": replace(AUTHORS, steps=100),
}
CONTROLS = ("authors", "ratenet")  # protocols that rule 3 learns under


@dataclass(frozen=True)
class Cell:
    """One run."""

    seed: int
    protocol: str
    rule: str
    rate: float


def cells(seeds: int, only: list[str]) -> list[Cell]:
    """Return all runs, those of a seed together."""
    return [
        Cell(seed, protocol, rule, rate)
        for late in (False, True)
        for seed in range(seeds)
        for rule, rates in RATES.items()
        for rate in rates
        for protocol in only
        if (rule == "rule 1" or protocol in CONTROLS) and (protocol == "fine-steps") is late
    ]


def after_five_tau(network: rn.Network, drive: Tensor, steps: int = 10) -> rn.FixedPoints:
    """Return the state after 5 tau of Euler steps from zero, settled or not."""
    W, rates = network.connectivity.dense().T.contiguous(), torch.zeros_like(drive)
    for _ in range(5 * steps):  # as rn.simulate, whose checks of each call cost as much again
        z = torch.addmm(drive, rates, W)
        rates = torch.lerp(rates, z.mul_(2).sigmoid_().mul_(2).sub_(1), 1 / steps)  # tanh
    return rn.fixed_points_at(network, drive, rates, tol=UNSETTLED)


def preconditioned(fp: rn.FixedPoints) -> rn.FixedPoints:
    """Return the same with W (I - G W)^-1 of the mean gains: the adjoint takes a sixth as long."""
    W, gain = fp.network.connectivity.dense(), fp.gain.mean(dim=0)
    left = torch.eye(len(W)) - gain[:, None] * W
    return replace(fp, mean_response=torch.linalg.solve(left.T, W.T).T)


def batches(protocol: Protocol, data: ImageSet, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Give pixels and labels of each change: an epoch's, or of test images drawn anew each time."""
    if protocol.batches == "training":
        images, chosen = data.train, training_batches(len(data.train), seed)
    else:
        images, chosen = data.test, test_batches(len(data.test), seed)
    for index in chosen:
        yield images.pixels[index].float(), images.labels[index]


def training_batches(number: int, seed: int) -> Iterator[Tensor]:
    for epoch in range(math.ceil(STEPS / (number // BATCH))):
        yield from batches_of_epoch(number, BATCH, seed, epoch)


def test_batches(number: int, seed: int) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(STEPS):
        yield torch.randperm(number, generator=generator)[:BATCH]


def learn(cell: Cell, data: ImageSet) -> tuple[Classifier, pd.DataFrame, str]:
    """Return the network after learning, a row for each change, and what ended it early."""
    protocol, rule = PROTOCOLS[cell.protocol], RULES[cell.rule]
    reader = random_classifier(
        "rate", units=UNITS, inputs=784, classes=10, tau=TAU, seed=cell.seed,
        device=torch.device("cpu"),
    )  # fmt: skip
    network, rows = reader.network, []
    for pixels, labels in batches(protocol, data, cell.seed):
        fp = protocol.show(network, pixels @ reader.read_in.T)
        logits = reader.logits(fp.rates)
        row = {
            "loss": float(torch.nn.functional.cross_entropy(logits, labels)),
            "accuracy": share_correct(logits, labels),
            "unsettled": int((~fp.converged).sum()),
            "residual": float(fp.residual.nanmedian()),
        }
        try:
            delta = rule.update(fp, reader.error(fp.rates, labels), cell.rate)
        except RatenetError as error:
            return reader, pd.DataFrame([*rows, row]), str(error).splitlines()[0]
        rows.append({**row, "step": float(delta.norm())})
        network.connectivity.add_(delta)
    return reader, pd.DataFrame(rows), ""


def share_correct(logits: Tensor, labels: Tensor) -> float:
    return float((logits.argmax(dim=1) == labels).float().mean())


def tested(reader: Classifier, test: Images) -> dict[str, float]:
    """Return test accuracies: as their curves have it, as their last line has it, and as ours."""
    drive = test.pixels.float() @ reader.read_in.T
    ours = rn.find_fixed_points(
        reader.network, drive, max_iterations=2000, certificate="residual", on_failure="return"
    )
    states = {
        "after_5_tau": after_five_tau(reader.network, drive),
        "pixels_to_255": after_five_tau(reader.network, 255 * drive),
        "solved": ours,
    }
    accuracy = {
        name: share_correct(reader.logits(fp.rates), test.labels) for name, fp in states.items()
    }
    return {**accuracy, "unsettled_tests": int((~ours.converged).sum())}


def carry_out(cell: Cell, data: ImageSet) -> dict[str, object]:
    """Make a run and return its results."""
    started = time.perf_counter()
    reader, rows, stopped = learn(cell, data)
    eigenvalues = torch.linalg.eigvals(reader.network.connectivity.dense().double())
    last = rows.tail(LAST)
    return {
        "made": f"{date.today()}",
        "stopped": stopped,
        "steps": len(rows),
        **tested(reader, data.test),
        "batch_accuracy": last["accuracy"].mean(),
        "batch_accuracy_low": last["accuracy"].min(),
        "best_batch_accuracy": rows["accuracy"].rolling(LAST).mean().max(),
        "unsettled_samples": int(rows["unsettled"].sum()),
        "residual": float(rows["residual"].median()),
        "largest_step": float(rows["step"].max()),
        "median_step": float(rows["step"].median()),
        "rightmost": float(eigenvalues.real.max()),
        "seconds": time.perf_counter() - started,
    }


def table(rows: pd.DataFrame) -> list[str]:
    """Return mean, range and paired differences from the authors' protocol as Markdown."""
    lines = [
        "| rule, rate | protocol | seeds | steps made | accuracy after 5 tau | "
        "minus the authors' protocol | minus fine-steps | at solved fixed points | pixels to 255 | "
        "last tenth of the batches | rightmost eigenvalue of W | unsettled | "
        "largest step over the median |",
        "|" + " --- |" * 13,
    ]
    for (rule, rate, protocol), group in rows.groupby(["rule", "rate", "protocol"], sort=False):
        same = rows[(rows["rule"] == rule) & (rows["rate"] == rate)]
        less = [
            "" if protocol == other else difference(group, same[same["protocol"] == other])
            for other in ("authors", "fine-steps")
        ]
        cells = [
            f"{rule}, {rate:g}", protocol, str(len(group)), spread(group["steps"], ".0f"),
            spread(group["after_5_tau"]),
            *less, spread(group["solved"]), spread(group["pixels_to_255"]),
            spread(group["batch_accuracy"]), spread(group["rightmost"], ".2f"),
            spread(group["unsettled_samples"], ".0f"),
            spread(group["largest_step"] / group["median_step"], ".0f"),
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def spread(values: pd.Series, form: str = ".3f") -> str:
    if len(values) == 1:
        return format(values.iloc[0], form)
    ends = (format(end, form) for end in (values.min(), values.max()))
    return f"{values.mean():{form}} ({' to '.join(ends)})"


def difference(group: pd.DataFrame, other: pd.DataFrame) -> str:
    """Return the mean difference over the seeds that both have, and its 95 % interval."""
    mine, theirs = (rows.set_index("seed")["after_5_tau"] for rows in (group, other))
    both = sorted(set(mine.index) & set(theirs.index))
    if not both:
        return "-"
    a, b = mine[both].to_numpy(), theirs[both].to_numpy()
    low, high = paired_interval(a, b, 0.95)
    return f"{np.mean(a - b):+.3f}" + (f" ({low:+.3f} to {high:+.3f})" if low == low else "")


def report(rows: pd.DataFrame, wanted: int) -> None:
    """Write the table of all runs that are there."""
    made = ", ".join(f"{name} {version}" for name, version in versions().items())
    RESULT.write_text(
        "\n".join([
            "# The authors' protocol, one factor changed at a time", "",
            f"`python benchmarks/authors_protocol.py`, {date.today()}, {processor()}, {made}.", "",
            f"{len(rows)} of {wanted} runs; the same command makes those that are missing. "
            "Mean and range over seeds; differences are paired by seed, with Student's 95 % "
            "intervals. "
            "One seed has neither, and nothing follows from it. Fewer steps than "
            f"{STEPS}: a run stopped because too few samples had settled. Euler steps are tau / 10 "
            "here, theirs tau / 100 (`fine-steps`). Test accuracies are of all 10,000 "
            "images. In the paper's curves (accuracy on a test batch after 5 tau, rightmost "
            "eigenvalue): "
            + "; ".join(f"{rule} at {rate:g}: {said}" for (rule, rate), said in THEIRS.items())
            + ".", "", *table(rows),
        ])
        + "\n"
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("--out", type=Path, default=RESULT.with_suffix(".csv"))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--only", nargs="+", choices=list(PROTOCOLS), default=list(PROTOCOLS))
    parser.add_argument("--rules", nargs="+", choices=list(RULES), default=list(RULES))
    parser.add_argument("--rates", nargs="+", type=float, help="only these")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    try:
        data = rn.stimuli.load_images("mnist", root=given.data_root, download=False)
    except RatenetError as error:
        raise SystemExit(f"The full MNIST is needed: {error}") from None
    every = cells(max(given.seeds, SEEDS), list(PROTOCOLS))
    wanted = [
        cell
        for cell in cells(given.seeds, given.only)
        if cell.rule in given.rules and cell.rate in (given.rates or [cell.rate])
    ]
    for cell in wanted:
        computed(given.out, [asdict(cell)], lambda **key: carry_out(Cell(**key), data))
        report(pd.read_csv(given.out, keep_default_na=False), len(every))


if __name__ == "__main__":
    main()
