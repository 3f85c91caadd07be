"""How long fixed points take, beside the authors' algorithm and beside the matrix product.

One tanh layer, N = 300, batches of 512 real MNIST images, float32, residual at most 1e-5. Ours is
the default call, stability included, and the rule. The authors take 500 Euler steps of dt/tau =
0.01, then form each sample's matrices: three products for rule 3, one inverse for rule 1 (Zhu and
Rosenbaum 2024). Everything is timed in turn in one run, and the median counts.

    python benchmarks/fixed_points.py --data-root DIR [--quick]

DIR holds torchvision's MNIST; without it the first two tables are skipped. Targets: 60 times the
authors' speed at the start for rules 3 and 1, 30 and 25 times after 3 epochs at learning rate 0.25,
30 times for the 3 epochs as a whole; the full certificate within 1.15 times the time of the
residual alone at the start, 1.4 times after training; time growing as N^2, extra memory of at most
16 B N + 6 N^2 numbers. Results go to benchmarks/results/fixed_points.md, the figure to
docs/images/fixed_points.png.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

import ratenet as rn
from ratenet.report.figures import COLOURS, new_figure, save
from ratenet.report.record import processor
from ratenet.training.classifier import Classifier, random_classifier

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "fixed_points.md"
FIGURE = HERE.parent / "docs" / "images" / "fixed_points.png"
B, N, EPOCHS, RATE = 512, 300, 3, 0.25
GROWTH = (300, 1_000, 3_000, 10_000)
GROWTH_B = 256
TARGETS = {
    ("start", 3): {"faster_target": 60, "share_target": 1.15},
    ("start", 1): {"faster_target": 60, "share_target": 1.15},
    ("trained", 3): {"faster_target": 30, "share_target": 1.4},
    ("trained", 1): {"faster_target": 25, "share_target": 1.4},
}
RULE_1, RULE_3 = rn.plasticity.Euclidean(), rn.plasticity.LinearizedReparameterized()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", help="without it, only the growth with N is measured")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="a smoke test: 1 epoch, N <= 1,000")
    parser.add_argument("--growth-of", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.growth_of:
        print(json.dumps(growth_of(options.growth_of)))
        return
    parts = [f"# Fixed points\n\n{where()}\n"]
    if options.data_root:
        for device in devices():
            parts.append(tables(options, device))
    else:
        parts.append("Tables with MNIST: skipped, since no --data-root was given.\n")
    if not torch.cuda.is_available():
        parts.append("CUDA: not run, since there is no device.\n")
    parts.append(growth_table(options))
    text = "\n".join(parts)
    print(text)
    if not options.quick:
        RESULTS.write_text(text)


def devices() -> list[torch.device]:
    return [torch.device("cpu"), *([torch.device("cuda")] if torch.cuda.is_available() else [])]


def where() -> str:
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{date.today()}, {processor()}, {os.cpu_count()} CPUs, "
        f"{torch.get_num_threads()} threads, torch {torch.__version__}; load average before the "
        f"run: {load}."
    )


# The authors' algorithm


def authors_fixed_points(W: Tensor, drive: Tensor) -> Tensor:
    """500 Euler steps of tau dr/dt = -r + tanh(W r + x), dt/tau = 0.01."""
    r = torch.zeros_like(drive)
    for _ in range(500):
        r = r + 0.01 * (-r + torch.tanh(r @ W.T + drive))
    return r


def authors_change(W: Tensor, r: Tensor, error: Tensor, rule: int) -> Tensor:
    """Sample by sample, with matrices: rule 3 has three products, rule 1 an inverse."""
    identity, total = torch.eye(len(W), dtype=W.dtype, device=W.device), torch.zeros_like(W)
    for y, e in zip(r, error, strict=True):
        g = 1 - y**2
        if rule == 3:
            M, K = identity - W * g, identity - g[:, None] * W
            total += M @ torch.outer(g * e, y) @ K.T @ K
        else:
            total += torch.outer(g * (torch.linalg.inv(identity - W.T * g) @ e), y)
    return -RATE * total / len(r)


def authors(W: Tensor, drive: Tensor, error: Tensor, rule: int) -> Tensor:
    return authors_change(W, authors_fixed_points(W, drive), error, rule)


# Ours


def ours(network: rn.Network, drive: Tensor, error: Tensor, rule: int) -> Tensor:
    return (RULE_3 if rule == 3 else RULE_1).update(
        rn.find_fixed_points(network, drive), error, RATE
    )


def medians(
    functions: Mapping[str, Callable[[], Any]], device: torch.device, repeats: int
) -> dict[str, float]:
    """Return the median seconds of several functions that take turns, after one call of each."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats + 1):
        for name, function in functions.items():
            began = time.perf_counter()
            function()
            if device.type == "cuda":
                torch.cuda.synchronize()
            times[name].append(time.perf_counter() - began)
    return {name: statistics.median(each[1:]) for name, each in times.items()}


def tables(options: argparse.Namespace, device: torch.device) -> str:
    """Return the comparison with the authors' algorithm, and that with the matrix product."""
    images = rn.stimuli.load_images("mnist", root=options.data_root, download=False)
    pixels, labels = images.train.pixels[:B].to(device), images.train.labels[:B].to(device)
    epochs = 1 if options.quick else EPOCHS
    start = random_classifier(
        "rate", units=N, inputs=784, classes=10, tau=None, seed=0, device=device
    )
    trained, seconds = train(options, epochs, device)
    repeats = 3 if options.quick else 30
    rows, theirs = [], {}
    for state, classifier in (("start", start), ("trained", trained)):
        for rule in (3, 1):
            row = compare(classifier, pixels, labels, rule, device, repeats)
            theirs[state, rule] = row["authors_ms"] / 1e3
            rows.append({"weights": state, "rule": rule, **row, **TARGETS[state, rule]})
    batches = epochs * (len(images.train) // B)
    tested = math.ceil(len(images.test) / B)
    whole = batches * (theirs["start", 3] + theirs["trained", 3]) / 2
    drive, W = start.drive(pixels), start.network.connectivity.dense()
    test = medians({"test": lambda: authors_fixed_points(W, drive)}, device, 3)
    whole += tested * test["test"]
    training = pd.DataFrame([{
        "epochs": epochs, "authors_s": whole, "ours_s": seconds, "faster": whole / seconds,
        "target": 30,
    }])  # fmt: skip
    return (
        f"## {device.type}: B = {B}, N = {N}\n\n{spectrum(trained, pixels)}\n\n"
        f"{markdown(pd.DataFrame(rows))}\n\nauthors, ours: fixed points and the change of W; ours "
        "is the default call, stability included. residual, full: fixed points by "
        '`certificate="residual"` and by the default; full_share: their ratio. mm: one torch.mm '
        "(512 x 300)(300 x 300). Medians of calls that take turns.\n\n"
        "The whole of training, evaluation included (`rn.train`; the authors' time is "
        "that of their batches at the start and at the end, averaged, times their number):\n\n"
        f"{markdown(training)}\n"
    )


def compare(
    classifier: Classifier, pixels: Tensor, labels: Tensor, rule: int, device: torch.device,
    repeats: int,
) -> dict[str, Any]:  # fmt: skip
    network, drive = classifier.network, classifier.drive(pixels)
    W = network.connectivity.dense()
    fp = rn.find_fixed_points(network, drive)
    error = classifier.error(fp.rates, labels)
    theirs = medians({"authors": lambda: authors(W, drive, error, rule)}, device, 3)["authors"]
    each = medians(
        {
            "ours": lambda: ours(network, drive, error, rule),
            "residual": lambda: rn.find_fixed_points(network, drive, certificate="residual"),
            "full": lambda: rn.find_fixed_points(network, drive),
            "mm": lambda: torch.mm(drive, W.T),
        },
        device, repeats,
    )  # fmt: skip
    change = ours(network, drive, error, rule)
    difference = authors(W, drive, error, rule) - change
    row = {
        "authors_ms": 1e3 * theirs, **{f"{name}_ms": 1e3 * took for name, took in each.items()},
        "faster": theirs / each["ours"], "full_share": each["full"] / each["residual"],
        "ours_mm": each["ours"] / each["mm"], "iterations": int(fp.iterations.max()),
        "residual": float(fp.residual.max()),
        "difference": float(difference.norm() / change.norm()),
    }  # fmt: skip
    if device.type == "cuda":  # two products an iteration, and five in rule 3
        products = float(2 * fp.iterations.double().mean()) + 5
        row["share_of_mm_rate"] = products * each["mm"] / each["ours"]
    return row


def train(
    options: argparse.Namespace, epochs: int, device: torch.device
) -> tuple[Classifier, float]:
    """Train by rule 3 as `ratenet train` does; return the network and the seconds it took."""
    config = rn.TrainingConfig(
        data="mnist", data_root=options.data_root, rule="linearized-reparameterized",
        learning_rate=RATE, presentation="static", batch_size=B, units=N, epochs=epochs, seed=0,
        threads=options.threads, device=device.type,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        result = rn.train(config, out=folder, overwrite=True)
        seconds = time.perf_counter() - began
    return result.classifier, seconds


def spectrum(classifier: Classifier, pixels: Tensor) -> str:
    fp = rn.find_fixed_points(classifier.network, classifier.drive(pixels[:8]))
    W = classifier.network.connectivity.dense().double()
    values = torch.linalg.eigvals((fp.gain.double()[:, :, None] * W).cpu()).real
    return (
        f"After training the eigenvalues of G W have real parts from {float(values.min()):.2f} to "
        f"{float(values.max()):.2f} (8 samples)."
    )


# Growth with N


def growth_table(options: argparse.Namespace) -> str:
    """Measure each N in a process of its own; return a table, and draw it."""
    sizes = [n for n in GROWTH if n <= 1_000] if options.quick else GROWTH
    command = [sys.executable, __file__, "--threads", str(options.threads), "--growth-of"]
    rows = []
    for size in sizes:
        said = subprocess.run([*command, str(size)], capture_output=True, text=True, check=True)
        rows.append(json.loads(said.stdout.splitlines()[-1]))
    table = pd.DataFrame(rows)
    if not options.quick:
        save(growth_figure(table), FIGURE)
    return (
        f"## Growth with N (B = {GROWTH_B}, float32, random weights, fixed points and rule 3)\n\n"
        f"{markdown(table)}\n\nextra: the peak of the tensors that are held at a time beyond "
        "weights and drive; limit: 16 B N + 6 N^2 numbers.\n\n"
        "![Time and memory along units](../../docs/images/fixed_points.png)\n"
    )


def growth_of(size: int) -> dict[str, Any]:
    """Return time and extra memory at one N."""
    generator = torch.Generator().manual_seed(0)
    W = torch.randn(size, size, generator=generator) * (0.5 / math.sqrt(size))
    drive = 0.35 * torch.randn(GROWTH_B, size, generator=generator)
    error = torch.randn(GROWTH_B, size, generator=generator) / size
    network, device = rn.Network("rate", W), torch.device("cpu")
    repeats = max(2, min(20, 3_000 // size * 4))
    took = medians(
        {
            "mm": lambda: torch.mm(drive, W.T),
            "ours": lambda: ours(network, drive, error, 3),
        },
        device, repeats,
    )  # fmt: skip
    product, seconds = took["mm"], took["ours"]
    fp = rn.find_fixed_points(network, drive, certificate="residual")
    extra = peak_numbers(lambda: ours(rn.Network("rate", W), drive, error, 3))
    limit = 16 * GROWTH_B * size + 6 * size**2
    return {
        "N": size, "seconds": seconds, "mm_s": product, "ours_mm": seconds / product,
        "iterations": int(fp.iterations.max()), "residual": float(fp.residual.max()),
        "extra_MB": 4e-6 * extra, "limit_MB": 4e-6 * limit, "within": extra <= limit,
    }  # fmt: skip


def peak_numbers(function: Callable[[], Any]) -> float:
    """Return the most float32 numbers that a function's tensors hold at a time."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        function()
    events = profiler.profiler.kineto_results.events()
    memory = sorted(
        (event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]"
    )
    held = peak = 0
    for _, change in memory:
        held += change
        peak = max(peak, held)
    return peak / 4


def growth_figure(table: pd.DataFrame) -> Any:
    """Return time and extra memory against N, both axes logarithmic."""
    figure, (left, right) = new_figure(figsize=(9, 3.8), ncols=2)
    left.loglog(table["N"], table["seconds"], "o-", color=COLOURS[0], label="fixed points, rule 3")
    products = table["mm_s"]
    left.loglog(
        table["N"],
        products,
        "s--",
        color=COLOURS[1],
        label=r"one product $(B \times N)(N \times N)$",
    )
    slope = table["seconds"].iloc[-1] * (table["N"] / table["N"].iloc[-1]) ** 2
    left.loglog(table["N"], slope, ":", color=COLOURS[6], label=r"$N^2$")
    left.set_ylabel("time (s)")
    right.loglog(table["N"], table["extra_MB"], "o-", color=COLOURS[0], label="extra memory")
    right.loglog(table["N"], table["limit_MB"], "s--", color=COLOURS[1], label=r"$16\,BN + 6\,N^2$")
    dense = 4e-6 * GROWTH_B * table["N"] ** 2
    right.loglog(table["N"], dense, ":", color=COLOURS[6], label="a matrix for each sample")
    right.set_ylabel("extra memory (MB)")
    for axis in (left, right):
        axis.set_xlabel("N, units")
        axis.legend(frameon=False)
    return figure


def markdown(table: pd.DataFrame) -> str:
    """Return a table as Markdown, without a further package."""
    lines = ["| " + " | ".join(table.columns) + " |", "|" + " --- |" * len(table.columns)]
    for row in table.itertuples(index=False):
        cells = [
            "" if value is None or value != value
            else f"{value:.3g}" if isinstance(value, float) else str(value)
            for value in row
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
