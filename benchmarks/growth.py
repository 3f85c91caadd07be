"""How time and memory grow with the number of units and of stimuli, with dense and sparse weights.

    python benchmarks/growth.py [--out DIR]

For each size: a step of simulation, fixed points with their full certificate (the default call)
and a change by rule 3, as a user calls them, on one thread. Each size is a process of its own,
because memory is the peak beyond the network: W, and what is computed from it once, are in it
beforehand. Finished sizes stay under --out and are not measured again. Needs Linux, which tells a
process its peak.

Results go to benchmarks/results/growth.md, the figure to docs/images/growth.png. Exponents are
log(ratio of values) over log(ratio of sizes) of the two largest sizes: below, what does not depend
on them counts as well.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from slowness import markdown

import ratenet as rn
from ratenet.connectivity import random_weights, sparse_weights
from ratenet.report.figures import save
from ratenet.report.record import processor, versions

HERE = Path(__file__).parent
RESULTS, FIGURE = HERE / "results" / "growth.md", HERE.parent / "docs" / "images" / "growth.png"
SYNAPSES = 100  # of a unit, of sparse weights
STEPS = 20
WORK = {
    "step_s": "a step of simulation",
    "fixed_points_s": "fixed points, full certificate",
    "rule_3_s": "a change by rule 3",
}
COLORS = {"step_s": "#0072B2", "fixed_points_s": "#D55E00", "rule_3_s": "#009E73"}
UNITS = {
    "dense": (300, 1000, 3000, 10_000),
    "sparse": (300, 1000, 3000, 10_000, 30_000, 100_000),
}
STIMULI = (1, 4, 16, 64, 256, 1024, 4096)
FEW, MANY = 16, 1000  # stimuli where units grow, units where stimuli grow

NOTES = f"""\
tanh, spectral radius 0.5, float32, one thread. Sparse: {SYNAPSES} synapses a unit. Time: processor
time, the least of three (of one where it takes more than 20 s); of a step: mean of {STEPS}. Memory:
the peak of the process above what it held with the network, during all three. With sparse weights
of more than 10,000 units no matrix is made; below, `Masked` keeps W as a matrix."""


def sizes() -> Iterator[dict[str, Any]]:
    """Give what is measured: units grow, then stimuli."""
    for weights, all_units in UNITS.items():
        for units in all_units:
            yield {"weights": weights, "units": units, "stimuli": FEW}
    for weights in UNITS:
        for stimuli in STIMULI:
            if stimuli != FEW:
                yield {"weights": weights, "units": MANY, "stimuli": stimuli}


def held(name: str) -> float:
    """Return a line of this process's status in GB: VmRSS, what it holds, or VmHWM, the peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024 / 1e9


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the least processor time in seconds, and what the work gives."""
    times: list[float] = []
    while len(times) < 3 and sum(times) < 20:
        start = time.thread_time()
        found = work()
        times.append(time.thread_time() - start)
    return min(times), found


def measure(weights: str, units: int, stimuli: int) -> dict[str, float]:
    """Return the times in seconds and the memory in GB of one size."""
    if weights == "dense":
        W = random_weights(units, radius=0.5, seed=0, exact=False)
    else:
        W = sparse_weights(units, density=min(1.0, SYNAPSES / units), radius=0.5, seed=0)
    network, rule = (
        rn.Network("rate", W, dtype=torch.float32),
        rn.plasticity.LinearizedReparameterized(),
    )
    drive = torch.randn(stimuli, units, generator=torch.Generator().manual_seed(0))
    small = rn.Network("rate", np.zeros((2, 2)))  # imports, and what is made once
    rule.update(rn.find_fixed_points(small, torch.ones(1, 2)), torch.ones(1, 2), 0.1)
    network.connectivity.apply(drive[:1])
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = held("VmRSS")
    step, _ = timed(lambda: rn.simulate(network, drive, STEPS * 1e-3, 1e-3, record_every=STEPS))
    solving, found = timed(lambda: rn.find_fixed_points(network, drive))
    assert found.converged.all()
    learning, _ = timed(lambda: rule.update(found, torch.ones_like(drive), 0.1))
    return {
        "step_s": step / STEPS,
        "fixed_points_s": solving,
        "rule_3_s": learning,
        "memory_gb": held("VmHWM") - before,
    }


def rows(folder: Path) -> pd.DataFrame:
    """Measure what is missing, each size in a process of its own, and return all rows."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for size in sizes():
        path = folder / f"{size['weights']}-{size['units']}-{size['stimuli']}.json"
        if not path.exists():
            command = [sys.executable, __file__, "--one", json.dumps(size)]
            answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            path.write_text(answer.splitlines()[-1] + "\n")
        found.append({**size, **json.loads(path.read_text())})
        print(found[-1], flush=True)
    return pd.DataFrame(found)


def growth(table: pd.DataFrame, along: str) -> pd.DataFrame:
    """Return the exponents of times and memory between the two largest sizes along one of them."""
    found = []
    for weights, part in table.groupby("weights"):
        small, large = part.nlargest(2, along).sort_values(along).to_dict("records")
        exponents = {
            name: math.log(large[name] / small[name]) / math.log(large[along] / small[along])
            for name in (*WORK, "memory_gb")
        }
        between = f"{small[along]:,} to {large[along]:,}"
        found.append({"weights": weights, "along": along, "between": between, **exponents})
    return pd.DataFrame(found)


def draw(axes: Axes, part: pd.DataFrame, along: str) -> None:
    """Draw times (left, lines) of both kinds of weights along units or stimuli."""
    for weights, own in part.groupby("weights"):
        style = "-" if weights == "dense" else "--"
        for name, label in WORK.items():
            axes.loglog(own[along], own[name], style, marker="o", ms=3.5, color=COLORS[name],
                        label=f"{label}, {weights}")  # fmt: skip
    axes.set_ylabel("processor time (s)")


def figure(by_units: pd.DataFrame, by_stimuli: pd.DataFrame) -> None:
    """Draw time and memory along units and along stimuli."""
    made, axes = plt.subplots(2, 2, figsize=(9, 6.5), layout="constrained", sharex="col")
    for column, (part, along) in enumerate(((by_units, "units"), (by_stimuli, "stimuli"))):
        draw(axes[0, column], part, along)
        for weights, own in part.groupby("weights"):
            style = "-" if weights == "dense" else "--"
            axes[1, column].loglog(own[along], own["memory_gb"], style, marker="o", ms=3.5,
                                   color="#333333", label=str(weights))  # fmt: skip
        axes[1, column].set_ylabel("memory beyond the network (GB)")
    axes[1, 0].set_xlabel(f"units N ({FEW} stimuli)")
    axes[1, 1].set_xlabel(f"stimuli B ({MANY:,} units)")
    for letter, each in zip("ABCD", axes.flat, strict=True):
        each.text(-0.14, 1.02, letter, transform=each.transAxes, weight="bold", size=12)
        each.spines[["top", "right"]].set_visible(False)
        each.grid(alpha=0.25)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    made.legend(handles, labels, fontsize=8, frameon=False, ncols=2, loc="outside upper center")
    axes[1, 0].legend(fontsize=8, frameon=False, handlelength=3)
    save(made, FIGURE)


def report(table: pd.DataFrame) -> None:
    """Write the tables and the figure."""
    by_units = table[table["stimuli"] == FEW].sort_values("units")
    by_stimuli = table[table["units"] == MANY].sort_values("stimuli")
    slopes = pd.concat([growth(by_units, "units"), growth(by_stimuli, "stimuli")])
    made = ", ".join(f"{name} {version}" for name, version in versions().items())
    lines = [
        "# Growth with units and stimuli", "",
        f"`python benchmarks/growth.py`, {date.today()}, {processor()}, {made}.", "", NOTES, "",
        "![Time and memory along units and stimuli](../../docs/images/growth.png)", "",
        "## Exponents", "", "Between the two largest sizes.", "",
        *markdown(slopes, "{:.2f}"), "",
        "## Time and memory", "", *markdown(table, "{:.3g}"),
    ]  # fmt: skip
    RESULTS.write_text("\n".join(lines) + "\n")
    figure(by_units, by_stimuli)


def main() -> None:
    """Measure one size, or all that is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/growth"))
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        torch.set_num_threads(1)
        print(json.dumps(measure(**options.one)))
    else:
        report(rows(options.out))


if __name__ == "__main__":
    main()
