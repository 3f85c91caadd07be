"""Sparse weights: time and memory to make a network and use it, beside SciPy's product by hand.

    python benchmarks/sparse_networks.py 20000 200   # units, synapses a unit; prints one row

Memory is the peak of the process above what it held with W made, so each size needs a process of
its own. Torch and SciPy's product use one thread.
"""

import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse
import torch

import ratenet as rn

REPEATS = 7
STEPS = 20


def weights(units: int, synapses: int) -> scipy.sparse.csr_array:
    """Draw W with one synapse from each of `synapses` equal groups, so that none is repeated."""
    draws, group = np.random.default_rng(0), units // synapses
    pre = draws.integers(0, group, (units, synapses), dtype=np.int32)
    pre += np.arange(synapses, dtype=np.int32) * group
    values = draws.standard_normal(units * synapses)
    values *= 0.5 / synapses**0.5
    starts = np.arange(0, units * synapses + 1, synapses, dtype=np.int32)
    return scipy.sparse.csr_array((values, pre.ravel(), starts), shape=(units, units))


def peak() -> float:
    """Return the peak memory of this process so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that something takes, and what it gives."""
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


def main() -> None:
    """Print the row."""
    torch.set_num_threads(1)
    units, synapses = map(int, sys.argv[1:])
    small = rn.Network("rate", np.zeros((2, 2)))
    rn.find_fixed_points(small, torch.ones(1, 2))  # what is imported and made once
    W = weights(units, synapses)
    own = (W.data.nbytes + W.indices.nbytes + W.indptr.nbytes) / 1e9
    before = peak()
    making, network = timed(lambda: rn.Network("rate", W))
    made = peak() - before
    drive = torch.randn(1, units, dtype=torch.float64)
    simulation, _ = timed(lambda: rn.simulate(network, drive, STEPS * 1e-3, 1e-3))
    solving, found = timed(lambda: rn.find_fixed_points(network, drive))
    rule = rn.plasticity.LinearizedReparameterized()
    learning, _ = timed(lambda: rule.update(found, torch.ones_like(drive), 0.1))
    y, apply = drive[0].numpy(), network.connectivity.apply
    pairs = [(timed(lambda: W @ y)[0], timed(lambda: apply(drive))[0]) for _ in range(REPEATS)]
    by_hand, ours = map(statistics.median, zip(*pairs, strict=True))
    cells = (f"{units:,} x {synapses:,}", f"{own:.2f} GB", f"{making:.1f} s", f"{made:.2f} GB",
             f"{peak() - before:.2f} GB", f"{simulation / STEPS * 1e3:.0f} ms", f"{solving:.1f} s",
             f"{learning:.1f} s", f"{ours * 1e3:.1f} ms", f"{ours / by_hand:.2f}")  # fmt: skip
    print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
