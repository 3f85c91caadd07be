"""Speed and memory of plasticity as equations, as ratios measured side by side in one run.

    python benchmarks/plasticity.py

1. Shared weights, 256 stimuli, N = 300, float32: a step with each shipped rule beside one without
   plasticity, and what the rule's own matrix products take alone.
2. Own weights, 32 streams, N = 200, float32: ratenet beside the same equations in bare torch.
3. Peak memory with shared weights, 512 stimuli, N = 3,000, and without plasticity (Linux).
4. N = 100 in Brian2, one stimulus: ratenet's backend beside the same rule written by hand.

Times are the processor's (other programs on the machine then count little). That of a step is the
difference of a long and a short run, so that reading the rule and making the network do not count;
in part 4 they do, and compiling does not (a run before the first fills Brian2's cache). Contenders
take turns; medians over the rounds. One thread throughout.
"""

import argparse
import datetime
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"  # before torch is imported

import brian2
import numpy as np
import torch
from timing import random_network

import ratenet as rn
from ratenet.equations.synapse_terms import parted
from ratenet.report.record import processor, versions

TAU, DT = 0.01, 1e-4
SHORT, LONG = 50, 250
SIGNALS = {"btsp": {"plateau": 1.0}, "contrastive_hebbian": {"phase": 1.0}}
Run = Callable[[int], object]


def steps_of(contenders: dict[str, Run], rounds: int) -> dict[str, float]:
    """Return the median time of a step of each one, in seconds."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for run in contenders.values():
        run(SHORT)
    for _ in range(rounds):
        for name, run in contenders.items():
            taken = []
            for steps in (SHORT, LONG):
                start = time.process_time()
                run(steps)
                taken.append(time.process_time() - start)
            times[name].append((taken[1] - taken[0]) / (LONG - SHORT))
    return {name: statistics.median(found) for name, found in times.items()}


def simulated(
    W: torch.Tensor, x: torch.Tensor, rule: str | None = None, weights: str = "shared"
) -> Run:
    network = rn.Network("rate", W, parameters={"tau": TAU})
    more = {} if rule is None else {"weights": weights, "signals": SIGNALS.get(rule)}

    def run(steps: int) -> torch.Tensor:
        run = rn.simulate(
            network, x, steps * DT, DT, record_every=steps, plasticity=rule, **more
        )  # fmt: skip
        return run.final_weights

    return run


def products(W: torch.Tensor, x: torch.Tensor) -> Run:
    total = W.clone()

    @torch.no_grad()
    def run(steps: int) -> torch.Tensor:
        for _ in range(steps):
            total.addmm_(x.T, x, alpha=1e-12)
        return total

    return run


def products_of(spec: rn.PlasticitySpec) -> int:
    """Return how many products of the size of W y a step of a rule takes."""

    def varies(factor: object) -> bool:
        names = {str(name).rpartition("_")[0] for name in factor.free_symbols}
        return bool(names - set(spec.defaults))

    terms = parted(spec.synapses[spec.weight], spec.synapse_variables, spec.global_signals)
    sums = [parted(e, spec.synapse_variables) for _, e in spec.sums.values()]
    outer = sum(varies(term.post) and varies(term.pre) for term in terms or [])
    return outer + sum(term.synapse != 1 for found in sums for term in found or [])


def shared(rounds: int) -> list[str]:
    W, x = random_network(300, 256)
    specs = {name: rn.load_plasticity(name) for name in rn.plasticity_names()}
    names = [name for name, spec in specs.items() if len(spec.synapse_variables) == 1]
    contenders = {"without": simulated(W, x), "product": products(W, x)}
    times = steps_of(contenders | {name: simulated(W, x, name) for name in names}, rounds)
    base = times["without"]
    rows = []
    for name in sorted(names, key=lambda name: times[name]):
        number = products_of(specs[name])
        limit = 1 + number * times["product"] / base
        rows.append(
            f"| {name} | {1e6 * times[name]:.0f} | {times[name] / base:.2f} | {number} | "
            f"{limit:.2f} |"
        )
    return [
        "## Shared weights: 256 stimuli, N = 300, float32",
        "",
        f"A step without plasticity takes {1e6 * base:.0f} microseconds, a product with W alone "
        f"{1e6 * times['product']:.0f}.",
        "",
        "| rule | microseconds a step | ratio | products of its own | ratio of these alone |",
        "| --- | --- | --- | --- | --- |",
        *rows,
        "",
        "Asked for: at most 2.5. three_factor has an eligibility for each synapse and stimulus, so "
        "that it moves B N^2 numbers, and is not in the table.",
        "",
    ]


BARE: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "hebb": lambda w, y: 0.1 * y[:, :, None] * y[:, None],
    "oja": lambda w, y: 0.1 * y[:, :, None] * (y[:, None] - y[:, :, None] * w),
    "hebb_decay": lambda w, y: 0.1 * y[:, :, None] * y[:, None] - w / 10,
}


def bare(W: torch.Tensor, x: torch.Tensor, rule: str) -> Run:
    @torch.no_grad()
    def run(steps: int) -> torch.Tensor:
        w, y = W.expand(len(x), *W.shape).clone(), torch.zeros_like(x)
        for _ in range(steps):
            rates = torch.bmm(w, y[:, :, None])[:, :, 0]
            change = BARE[rule](w, y)
            y = y + DT / TAU * (-y + torch.tanh(rates + x))
            w = w + DT * change
        return w

    return run


def own(rounds: int) -> list[str]:
    W, x = random_network(200, 32)
    rows = []
    for rule in BARE:
        ours, theirs = simulated(W, x, rule, "own"), bare(W, x, rule)
        exact = simulated(W.double(), x.double(), rule, "own"), bare(W.double(), x.double(), rule)
        difference = float((exact[0](LONG) - exact[1](LONG)).abs().max())
        times = steps_of({"ratenet": ours, "bare torch": theirs}, rounds)
        ratio = times["ratenet"] / times["bare torch"]
        rows.append(
            f"| {rule} | {1e3 * times['ratenet']:.2f} | {1e3 * times['bare torch']:.2f} | "
            f"{ratio:.2f} | {difference:.0e} |"
        )
    return [
        "## Own weights: 32 streams, N = 200, float32",
        "",
        "| rule | ratenet, ms a step | bare torch, ms a step | ratio | difference in float64 |",
        "| --- | --- | --- | --- | --- |",
        *rows,
        "",
        "Asked for: at most 1.5.",
        "",
    ]


PEAK = """
import sys, torch, ratenet as rn

def of_process(name):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1000  # MB

torch.set_num_threads(1)
network = rn.Network("rate", 0.01 * torch.randn(3000, 3000))
x = torch.randn(512, 3000)
more = {"plasticity": sys.argv[1], "weights": "shared"} if sys.argv[1] else {}
rn.simulate(network, x[:1], 0.001, 1e-4, record_every=10, **more)
before = of_process("VmRSS")
open("/proc/self/clear_refs", "w").write("5")  # the peak begins anew
rn.simulate(network, x, 0.001, 1e-4, record_every=10, **more)
print(of_process("VmHWM") - before)
"""


def memory(_: int) -> list[str]:
    rows = []
    for rule in ("", "hebb", "oja", "bcm", "subspace"):
        done = subprocess.run(
            [sys.executable, "-c", PEAK, rule], capture_output=True, text=True, check=True
        )
        rows.append(f"| {rule or 'none'} | {float(done.stdout):.1f} |")
    return [
        "## Memory: shared weights, 512 stimuli, N = 3,000, float32",
        "",
        "Peak of resident memory during a run above what the process held before it. W takes "
        "36 MB, the rates 6 MB; B N^2 numbers would take 18 GB.",
        "",
        "| rule | MB |",
        "| --- | --- |",
        *rows,
        "",
    ]


def by_hand(W: np.ndarray, x: np.ndarray, steps: int) -> Callable[[], np.ndarray]:
    """Return a network with Oja's rule as a Brian2 user writes it."""

    def run() -> np.ndarray:
        clock = brian2.Clock(dt=DT * brian2.second)
        group = brian2.NeuronGroup(
            len(W),
            """dr/dt = (-r + tanh(I_rec + I_ext)) / tau : 1
            I_rec : 1
            I_ext : 1 (constant)""",
            method="euler",
            clock=clock,
            namespace={"tau": TAU * brian2.second},
        )
        group.I_ext = x
        synapses = brian2.Synapses(
            group,
            group,
            """dw/dt = eta * r_post * (r_pre - r_post*w) : 1 (clock-driven)
            I_rec_post = w * r_pre : 1 (summed)""",
            method="euler",
            clock=clock,
            namespace={"eta": 0.1 * brian2.Hz},
        )
        post, pre = np.meshgrid(range(len(W)), range(len(W)), indexing="ij")
        synapses.connect(i=pre.ravel(), j=post.ravel())
        synapses.w = W.ravel()
        brian2.Network(group, synapses).run(steps * DT * brian2.second)
        return np.asarray(synapses.w).reshape(W.shape)

    return run


def in_brian2(rounds: int) -> list[str]:
    steps = 5000
    W, x = (value.double() for value in random_network(100, 1))
    network = rn.Network("rate", W, parameters={"tau": TAU})

    def ours() -> np.ndarray:
        run = rn.simulate(
            network, x, steps * DT, DT, backend="brian2", record_every=steps, plasticity="oja"
        )
        return run.final_weights[0].numpy()

    hand = by_hand(W.numpy(), x[0].numpy(), steps)
    difference = np.abs(hand() - ours()).max()
    times: dict[str, list[float]] = {"by hand": [], "ratenet": []}
    for _ in range(rounds):
        for name, run in (("by hand", hand), ("ratenet", ours)):
            start = time.process_time()
            run()
            times[name].append(time.process_time() - start)
    medians = {name: statistics.median(found) for name, found in times.items()}
    return [
        f"## Brian2: N = 100, Oja's rule, {steps:,} steps, float64",
        "",
        f"Code is generated for {brian2.prefs.codegen.target!r}; making the network is included, "
        "compiling is not.",
        "",
        "| | s | ratio to Brian2 by hand |",
        "| --- | --- | --- |",
        *(f"| {name} | {t:.2f} | {t / medians['by hand']:.2f} |" for name, t in medians.items()),
        "",
        f"Weights at the end differ by {difference:.0e}: by hand, synapses see rates that moved in "
        "the same step. Asked for: ratenet within 1.2 times.",
        "",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, help="also write to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    lines = [
        "# Plasticity as equations",
        "",
        f"`python benchmarks/plasticity.py --rounds {options.rounds}`, {datetime.date.today()}, "
        f"{processor()}, one thread, "
        + ", ".join(f"{name} {version}" for name, version in versions().items())
        + f"; load average before the run: {load}. Processor times, medians over the rounds.",
        "",
    ]
    for part in (shared, own, memory, in_brian2):
        found = part(options.rounds)
        print("\n".join(found), flush=True)
        lines += found
    if options.out is not None:
        options.out.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
