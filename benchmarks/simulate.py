"""Speed of simulation, as ratios measured side by side in one run.

    python benchmarks/simulate.py            # needs jax: pip install -e ".[benchmarks]"

1. A batch of 512 stimuli, N = 300, 500 Euler steps, tanh, float32: ratenet, the same loop in JAX
   (jax.lax.scan with jit) and in plain torch.
2. One stimulus, N = 3,000, 500 Euler steps: ratenet and the bare matrix-vector products.
3. N = 200, 2,000 Euler steps in Brian2: ratenet's backend and the same network written by hand.

Each contender runs once to warm up (and compile), then in turn with the others; the fastest of
its rounds counts, since whatever else the machine does only adds time. One thread throughout.
"""

import argparse
import datetime
import os
import sys
from collections.abc import Callable
from pathlib import Path

# Before torch and JAX are imported: one thread each.
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["JAX_PLATFORMS"] = "cpu"
if hasattr(os, "sched_setaffinity"):  # XLA takes every core that it may run on
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import brian2
import jax
import jax.numpy as jnp
import numpy as np
import torch
from jax import lax
from timing import fastest, random_network

import ratenet as rn
from ratenet.connectivity import choose_route
from ratenet.report.record import processor, versions

TAU, DT, STEPS = 0.01, 0.0001, 500


def with_ratenet(W: torch.Tensor, x: torch.Tensor) -> Callable[[], torch.Tensor]:
    network = rn.Network("rate", W, parameters={"tau": TAU})

    def run() -> torch.Tensor:
        return rn.simulate(network, x, STEPS * DT, DT, record_every=STEPS).rates[-1]

    return run


def with_plain_torch(W: torch.Tensor, x: torch.Tensor) -> Callable[[], torch.Tensor]:
    @torch.no_grad()
    def run() -> torch.Tensor:
        r = torch.zeros_like(x)
        for _ in range(STEPS):
            r = r + DT / TAU * (-r + torch.tanh(r @ W.T + x))
        return r

    return run


def with_jax(W: torch.Tensor, x: torch.Tensor) -> Callable[[], np.ndarray]:
    weights, drive = jnp.asarray(W.numpy()), jnp.asarray(x.numpy())

    @jax.jit
    def loop(weights: jax.Array, drive: jax.Array) -> jax.Array:
        def step(r: jax.Array, _: None) -> tuple[jax.Array, None]:
            return r + DT / TAU * (-r + jnp.tanh(r @ weights.T + drive)), None

        return lax.scan(step, jnp.zeros_like(drive), None, length=STEPS)[0]

    return lambda: np.asarray(loop(weights, drive))


def with_products_alone(W: torch.Tensor, x: torch.Tensor) -> Callable[[], torch.Tensor]:
    @torch.no_grad()
    def run() -> torch.Tensor:
        r = x
        for _ in range(STEPS):
            r = r @ W.T
        return r

    return run


def batch(rounds: int) -> list[str]:
    W, x = random_network(300, 512)
    contenders = {
        "JAX": with_jax(W, x),
        "ratenet": with_ratenet(W, x),
        "plain torch": with_plain_torch(W, x),
    }
    exact = with_plain_torch(W.double(), x.double())()
    errors = {
        name: float((torch.tensor(np.asarray(run())).double() - exact).abs().max())
        for name, run in contenders.items()
    }
    times = fastest(contenders, rounds)
    step = 1e6 / (512 * STEPS)
    return [
        "",
        f"B = 512, N = 300, {STEPS} Euler steps, tanh, float32, one thread",
        "",
        "| | microseconds a stimulus and step | ratio to JAX | end state, error against float64 |",
        "| --- | --- | --- | --- |",
        *(
            f"| {name} | {step * t:.2f} | {t / times['JAX']:.2f} | {errors[name]:.0e} |"
            for name, t in times.items()
        ),
        "",
        "Asked for: ratenet at most 1.1 times JAX.",
    ]


def one_stimulus(rounds: int) -> list[str]:
    W, x = random_network(3000, 1)
    times = fastest(
        {"products alone": with_products_alone(W, x), "ratenet": with_ratenet(W, x)}, rounds
    )
    bare = times["products alone"]
    return [
        "",
        f"One stimulus, N = 3,000, {STEPS} Euler steps, tanh, float32, one thread",
        "",
        "| | ms a step | ratio to the products alone |",
        "| --- | --- | --- |",
        *(f"| {name} | {1e3 * t / STEPS:.2f} | {t / bare:.2f} |" for name, t in times.items()),
        "",
        "Asked for: ratenet within 1.3 times of the products.",
    ]


def by_hand(W: np.ndarray, x: np.ndarray, steps: int) -> Callable[[], np.ndarray]:
    """Return the network as a Brian2 user writes it, monitor included."""

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
            group, group, "w : 1 (constant)\nI_rec_post = w * r_pre : 1 (summed)", clock=clock
        )
        post, pre = np.meshgrid(range(len(W)), range(len(W)), indexing="ij")
        synapses.connect(i=pre.ravel(), j=post.ravel())
        synapses.w = W.ravel()
        monitor = brian2.StateMonitor(group, "r", record=True, clock=clock)
        brian2.Network(group, synapses, monitor).run(steps * DT * brian2.second)
        return np.asarray(group.r)

    return run


def in_brian2(rounds: int) -> list[str]:
    units, steps = 200, 2000
    W, x = (value.double() for value in random_network(units, 1))
    network = rn.Network("rate", W, parameters={"tau": TAU})

    def run() -> np.ndarray:
        return rn.simulate(network, x, steps * DT, DT, backend="brian2").rates[-1, 0].numpy()

    hand = by_hand(W.numpy(), x[0].numpy(), steps)
    difference = np.abs(hand() - run()).max()
    times = fastest({"by hand": hand, "ratenet": run}, rounds)
    return [
        "",
        f"Brian2, N = {units}, {steps} Euler steps, all recorded, making the network included",
        "",
        "| | s | ratio to Brian2 by hand |",
        "| --- | --- | --- |",
        *(f"| {name} | {t:.2f} | {t / times['by hand']:.2f} |" for name, t in times.items()),
        "",
        f"End states differ by {difference:.0e}. Asked for: ratenet within 1.2 times.",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, help="also append to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    libraries = {**versions(), "jax": jax.__version__}
    lines = [
        f"Simulation, {datetime.date.today()}, {processor()}, one thread, "
        f"large products by {choose_route()}, "
        + ", ".join(f"{name} {version}" for name, version in libraries.items()),
    ]
    for part in (batch, one_stimulus, in_brian2):
        lines += part(options.rounds)
        print("\n".join(lines) if part is batch else "\n".join(lines[-9:]), flush=True)
    if options.out is not None:
        options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
