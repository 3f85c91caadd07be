"""What a slowly changing digit costs: products with W, errors, and the time of whole runs.

    python benchmarks/slow_products.py

1. Digits fade in over 5 tau and are held for 20, for the demo's network at random weights and after
   training. For each method of integration: products of a batch with W a digit, and the largest
   error of a rate, of all streams and units, at the end of the fade and at the end of the hold,
   against rk4 at tau / 50. The first digit, which fades in from an empty frame, is left out.
2. The learning time of the demo (`ratenet train`) with Euler steps and with the default, in turn,
   each a run of --epochs epochs, and the test accuracy of both.

The table goes to benchmarks/results/slow_products.md. Expect 250 products with Euler's method, and
between 75 and 110 with rkc.
"""

import argparse
import datetime
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import torch

import ratenet as rn
from ratenet.connectivity import Dense
from ratenet.report.record import processor, versions
from ratenet.stimuli import HeldImages, Images
from ratenet.training.classifier import Classifier

TAU, B = 0.01, 256
METHODS = {
    "Euler, tau / 10": {"method": "euler"},
    "`rkc` (default)": {"method": "rkc"},
    "`rkc`, rtol 0.02": {"method": "rkc", "rtol": 0.02},
    "`rkc`, rtol 0.002": {"method": "rkc", "rtol": 0.002},
    "`dopri5`, rtol 0.01": {"method": "dopri5", "rtol": 1e-2, "atol": 1e-2},
}


def digits(classifier: Classifier, number: int) -> Iterator[HeldImages]:
    """Give the drives of one digit after another."""
    pixels, before = rn.stimuli.load_images().train.pixels, None
    for n in range(number):
        drive = classifier.drive(pixels[n * B : (n + 1) * B]).double()
        images = Images(drive, torch.zeros(B, dtype=torch.int64), is_drive=True)
        yield HeldImages(images, B, 20 * TAU, 5 * TAU, shuffle=False, before=before)
        before = drive


def ends(
    network: rn.Network, drives: list[HeldImages], parts: int, **options: object
) -> list[tuple[int, torch.Tensor]]:
    """Return for each digit the products, and the rates (2, B, N) at the ends of fade and hold."""
    found, state, rows = [], None, []
    apply = Dense.apply

    def counting(self: Dense, rates: torch.Tensor) -> torch.Tensor:
        rows.append(len(rates))
        return apply(self, rates)

    with mock.patch.object(Dense, "apply", counting):
        for drive in drives:
            rows.clear()
            run = rn.simulate(
                network,
                drive,
                25 * TAU,
                TAU / parts,
                initial=state,
                record_every=5 * parts,
                **options,
            )
            found.append((sum(rows) / B, run.rates[[1, -1]]))
            state = run.final
    return found


def costs(name: str, classifier: Classifier, number: int) -> list[str]:
    W = classifier.network.connectivity.dense().detach().double()
    network = rn.Network("rate", W, parameters={"tau": TAU})
    drives = list(digits(classifier, number))
    exact = ends(network, drives, 50, method="rk4")[1:]
    lines = [
        "",
        f"{name}: largest singular value of W {float(torch.linalg.matrix_norm(W, 2)):.2f}, least "
        f"real part of an eigenvalue {float(torch.linalg.eigvals(W).real.min()):.2f}",
        "",
        "| method | products with W a digit | error at the end of the fade | of the hold |",
        "| --- | --- | --- | --- |",
    ]
    for method, options in METHODS.items():
        found = ends(network, drives, 10, **options)[1:]
        products = statistics.mean(count for count, _ in found)
        pairs = zip(found, exact, strict=True)
        off = torch.stack([(a - b).abs().amax(dim=(1, 2)) for (_, a), (_, b) in pairs])
        fade, hold = off.amax(dim=0).tolist()
        lines.append(f"| {method} | {products:.0f} | {fade:.1e} | {hold:.1e} |")
    return lines


def trained(seed: int, method: str | None, epochs: int, threads: int) -> rn.training.TrainingResult:
    config = rn.TrainingConfig(seed=seed, method=method, epochs=epochs, threads=threads)
    return rn.train(config, out=tempfile.mkdtemp())


def learning(seeds: int, epochs: int, threads: int) -> tuple[list[str], list]:
    lines = [
        "",
        f"The demo, {epochs} epochs, {threads} thread(s), Euler and default in turn",
        "",
        "| seed | seconds of learning, Euler | `rkc` | ratio | test accuracy, Euler | `rkc` |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    results, ratios = [], []
    for seed in range(seeds):
        old, new = (trained(seed, method, epochs, threads) for method in ("euler", None))
        a, b = old.summary, new.summary
        ratios.append(b["seconds"] / a["seconds"])
        lines.append(
            f"| {seed} | {a['seconds']:.1f} | {b['seconds']:.1f} | {ratios[-1]:.2f} | "
            f"{a['test_accuracy']:.3f} | {b['test_accuracy']:.3f} |"
        )
        results.append(new)
    lines += ["", f"Median ratio: {statistics.median(ratios):.2f}."]
    return lines, results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--digits", type=int, default=4)
    out = Path(__file__).parent / "results" / "slow_products.md"
    parser.add_argument("--out", type=Path, default=out)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    times, results = learning(asked.seeds, asked.epochs, asked.threads)
    at_start = trained(0, None, 1, asked.threads).classifier
    generator = torch.Generator().manual_seed(0)
    W = 0.5 * torch.randn(300, 300, generator=generator) / 300**0.5
    at_start.network.connectivity.W.copy_(W)
    lines = [
        "# What a slowly changing digit costs",
        "",
        f"{datetime.date.today()}, {processor()}, torch {versions()['torch']}. One tanh layer, "
        f"N = 300, B = {B}, float64 for the errors, float32 for the runs. Made by "
        f"`python benchmarks/slow_products.py`.",
        *costs("Random weights", at_start, asked.digits),
        *costs(f"After {asked.epochs} epochs (seed 0)", results[0].classifier, asked.digits),
        *times,
    ]
    asked.out.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
