"""Speed of training, as ratios measured side by side in one run.

    python benchmarks/train.py

1. A step of slow training (one presentation: fade, hold, rule, tracking, optimizer) beside the
   Euler steps that it takes and beside the bare matrix products of these.
2. What of a step goes into data, logging, and copies for a rollback and checkpoints.
3. A static step beside the solve of its fixed points.
4. Peak memory of runs of different length.
5. What runs of several updates a hold, continuous learning and lag correction cost.

Each contender runs once to warm up, then in turn with the others; the fastest of its rounds counts,
since whatever else the machine does only adds time.
"""

import argparse
import datetime
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import torch
from timing import fastest

import ratenet as rn
from ratenet.connectivity import Dense, choose_route
from ratenet.report.record import processor, versions
from ratenet.stimuli import HeldImages
from ratenet.training import step as step_module
from ratenet.training.metrics import MetricsLog
from ratenet.training.network_run import NetworkRun, new_network_run
from ratenet.training.presentation import Slow
from ratenet.training.run_folder import RunFolder
from ratenet.training.workers import ALONE

ASKED = 1.3


def new(threads: int, **options: object) -> NetworkRun:
    config = rn.TrainingConfig(threads=threads, **options)
    run = new_network_run(config, config.model, RunFolder(Path(tempfile.mkdtemp())), ALONE)
    for _ in range(3):
        advance(run)
    return run


def advance(run: NetworkRun) -> dict:
    row = step_module.take_step(run)
    run.progress.step += 1
    return row


def count_products(function: Callable[[], object]) -> int:
    """Return how many products with W, for a whole batch, a function takes."""
    counts = []

    def spying(name: str) -> Callable:
        original = getattr(Dense, name)

        def spy(self: Dense, rows: torch.Tensor) -> torch.Tensor:
            counts.append(len(rows))
            return original(self, rows)

        return spy

    with ExitStack() as stack:
        for name in ("apply", "apply_transpose"):
            stack.enter_context(mock.patch.object(Dense, name, spying(name)))
        function()
    return round(sum(counts) / max(counts))


def slow(threads: int, units: int, rounds: int) -> list[str]:
    run = new(threads, units=units, method="euler")
    network, slow_steps = run.classifier.network, Slow(run.config.hold, run.config.fade)
    steps, dt = slow_steps.steps(network), slow_steps.time_step(network)
    batch = run.images.train[: run.config.batch_size]
    drive = run.classifier.drive(batch.pixels)
    read = batch.read_in(run.classifier.read_in)
    fading = HeldImages(read, len(batch), run.config.hold, run.config.fade, shuffle=False)

    @torch.no_grad()
    def products() -> None:
        rates = torch.rand_like(drive)
        for _ in range(steps):
            network.connectivity.apply(rates)

    contenders = {
        "products of the Euler steps alone": products,
        "Euler steps": lambda: rn.simulate(network, fading, steps * dt, dt, record_every=steps),
        "training step": lambda: advance(run),
    }
    counted = {name: count_products(contender) for name, contender in contenders.items()}
    times = fastest(contenders, rounds)
    bare, euler = times["products of the Euler steps alone"], times["Euler steps"]
    return [
        "",
        f"Slow presentation, B = {run.config.batch_size}, N = {run.config.units}, {steps} Euler "
        f"steps, float32, {threads} thread(s)",
        "",
        "| | products of a batch with W | ms | ratio to the Euler steps | ratio to the products |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {name} | {counted[name]} | {1e3 * t:.1f} | {t / euler:.2f} | {t / bare:.2f} |"
            for name, t in times.items()
        ),
        "",
        f"Asked for: at most {ASKED} times the products; counted "
        f"{counted['training step'] / steps:.2f}.",
    ]


def shares(threads: int, steps: int) -> list[str]:
    """Time the parts of real steps."""
    spent: dict[str, float] = {}

    def timing(name: str, original: Callable) -> Callable:
        def timed(*arguments: object, **options: object) -> object:
            start = time.perf_counter()
            try:
                return original(*arguments, **options)
            finally:
                spent[name] = spent.get(name, 0.0) + time.perf_counter() - start

        return timed

    parts = {
        "data": (NetworkRun, "shown"),
        "metrics.csv and TensorBoard": (MetricsLog, "__call__"),
        "copies for a rollback and checkpoints": (NetworkRun, "state_dict"),
        "rule": (NetworkRun, "learn"),
        "optimizer": (step_module, "_change_weights"),
        "tracked modes": (step_module, "_track"),
    }
    with ExitStack() as stack:
        for name, (owner, attribute) in parts.items():
            timed = timing(name, getattr(owner, attribute))
            stack.enter_context(mock.patch.object(owner, attribute, timed))
        folder = tempfile.mkdtemp()
        config = rn.TrainingConfig(threads=threads, epochs=max(1, steps // 15))
        began = time.perf_counter()
        result = rn.train(config, out=folder)
        whole = time.perf_counter() - began
    training = result.summary["seconds"]
    return [
        "",
        f"Parts of {result.summary['steps']} slow steps of the demo, {threads} thread(s): "
        f"{training:.1f} s of steps, {whole:.1f} s with loading, tests and figures",
        "",
        "| part | share of the steps |",
        "| --- | --- |",
        *(f"| {name} | {100 * t / training:.2f} % |" for name, t in spent.items()),
        "",
        "Asked for: data and logging under 5 %.",
    ]


def static(threads: int, rounds: int) -> list[str]:
    run = new(threads, presentation="static", batch_size=512)
    network, pixels = run.classifier.network, run.images.train.pixels[:512]

    def solve() -> None:
        rn.find_fixed_points(
            network, run.classifier.drive(pixels), certificate="residual", on_failure="return"
        )

    times = fastest({"fixed points": solve, "training step": lambda: advance(run)}, rounds)
    return [
        "",
        f"Static presentation, B = 512, N = 300, rule 3, {threads} thread(s)",
        "",
        "| | ms | ratio to the solve |",
        "| --- | --- | --- |",
        *(
            f"| {name} | {1e3 * t:.1f} | {t / times['fixed points']:.2f} |"
            for name, t in times.items()
        ),
    ]


MEMORY = """
import resource, sys, tempfile, ratenet as rn
config = rn.TrainingConfig(units=100, batch_size=200, hold=0.02, fade=0.01, threads=1,
                           unsettled="include", epochs=int(sys.argv[1]))
rn.train(config, out=tempfile.mkdtemp())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def memory() -> list[str]:
    rows = []
    for epochs in (1, 10, 100):
        command = [sys.executable, "-c", MEMORY, str(epochs)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rows.append(f"| {20 * epochs} | {float(done.stdout.split()[-1]):.0f} |")
    return [
        "",
        "Peak memory of whole runs, each a process of its own (B = 200, N = 100)",
        "",
        "| presentations | MiB |",
        "| --- | --- |",
        *rows,
    ]


def ways(threads: int, rounds: int) -> list[str]:
    options = {
        "once, at the end of the hold": {},
        "4 times a hold": {"update_at": (0.25, 0.5, 0.75, 1.0)},
        "continuously (200 times)": {"update_at": "continuous"},
        "images that never rest, fade 250 ms": {"hold": 0, "fade": 0.25},
        "the same, predicted lag subtracted": {"hold": 0, "fade": 0.25, "correct_lag": True},
    }
    runs = {n: new(threads, **o, unsettled="include") for n, o in options.items()}
    times = fastest({n: lambda run=run: advance(run) for n, run in runs.items()}, rounds)
    once = next(iter(times.values()))
    return [
        "",
        f"When the rule acts, B = 256, N = 300, 250 Euler steps, {threads} thread(s)",
        "",
        "| the rule acts | ms a presentation | ratio |",
        "| --- | --- | --- |",
        *(f"| {name} | {1e3 * t:.1f} | {t / once:.2f} |" for name, t in times.items()),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "train.md")
    arguments = parser.parse_args()
    known = versions()
    lines = [
        "# Speed of training",
        "",
        f"{datetime.date.today()}, {processor()}, torch "
        f"{known['torch']}, product by {choose_route()}. Made by `python benchmarks/train.py`.",
    ]
    for threads in (1, 2):
        torch.set_num_threads(threads)
        lines += slow(threads, 300, arguments.rounds)
    lines += slow(2, 1000, max(2, arguments.rounds // 2))
    lines += shares(2, 150)
    lines += static(2, arguments.rounds)
    lines += ways(2, max(2, arguments.rounds // 5))
    lines += memory()
    arguments.out.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
