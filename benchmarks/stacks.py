"""Speed and lag of stacks as one network, as ratios measured side by side in one run.

    python benchmarks/stacks.py

1. An Euler step of a stack, over the products that its blocks need, and over the steps of its
   layers as networks of their own together with the products of the blocks between them; tanh,
   five layers. Times are processor time of one thread, the fastest of many rounds. By count:
   multiplications, with one for each unit and operation of an Euler step beside the products.
2. The lag of five layers of 60 units behind a stimulus that turns by 0.03 rad a time constant:
   against the joint fixed point, against the layer's own at its present input, and as predicted.
"""

import math
import os
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"

import torch
from torch import Tensor

import ratenet as rn
from ratenet.connectivity.computation import computation
from ratenet.report.record import processor, versions
from ratenet.simulation.backends.torch_steps import euler
from ratenet.simulation.drives import ConstantDrive

RESULT = Path(__file__).parent / "results" / "stacks.md"
DEPTH, TAU, DT = 5, 0.01, 1e-3
SIZES = ((60, 64), (300, 100), (300, 512), (1000, 100))  # units of a layer, stimuli
OPERATIONS = 5  # of a unit in an Euler step: two sums, tanh, the division and the step

NOTE = """\
Asked for: a step within 1.3 times of its products, which large layers reach. The equations of a
layer take the same time beside its products where it is a network of its own."""


def stack_of(units: int, dtype: torch.dtype, scale: float = 1.0) -> rn.Stack:
    torch.manual_seed(0)
    layers = [rn.FixedPointLayer(units, units, dtype=dtype, bias=False) for _ in range(DEPTH)]
    for layer in layers:
        torch.nn.init.normal_(layer.read_in.weight, std=scale / math.sqrt(units))
    return rn.Stack(*layers)


def fastest(contenders: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return each one's least processor time in seconds, measured in turn."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            start = time.thread_time()
            run()
            times[name].append(time.thread_time() - start)
    return {name: min(found) for name, found in times.items()}


@torch.no_grad()
def speed(units: int, stimuli: int, dtype: torch.dtype) -> str:
    stack = stack_of(units, dtype)
    network, W = stack.network(), stack.network().connectivity
    drive = stack.drive(torch.randn(stimuli, units, dtype=dtype))
    state = torch.randn(1, stimuli, network.units, dtype=dtype)
    rates = torch.tanh(state[0, :, :units]).contiguous()
    between = [F for post, row in W.blocks.items() for pre, F in row.items() if pre != post]
    alone = [layer.core.network for layer in stack]
    own_drive, own_state = ConstantDrive(drive[:, :units]), state[..., :units].contiguous()

    def products() -> None:
        for row in W.blocks.values():
            for part in row.values():
                part.apply(rates)

    def layers() -> None:
        for layer in alone:
            euler(layer, own_drive, own_state, 0.0, DT)
        for F in between:
            F.apply(rates)

    with computation():
        found = fastest(
            {
                "products": products,
                "layers": layers,
                "step": lambda: euler(network, ConstantDrive(drive), state, 0.0, DT),
            },
            rounds=100,
        )
    step = found["step"]
    count = (W.cost + OPERATIONS * network.units) / W.cost
    kind = str(dtype).removeprefix("torch.")
    return (
        f"| {units} | {stimuli} | {kind} | {1e3 * step:.2f} | {step / found['products']:.2f} | "
        f"{step / found['layers']:.2f} | {count:.3f} |"
    )


@torch.no_grad()
def lags(scale: float) -> list[str]:
    units = 60
    stack = stack_of(units, torch.float64, scale)
    plane = torch.randn(2, 16, units, generator=torch.Generator().manual_seed(1)).double()

    def drive(t: float) -> Tensor:
        angle = 0.03 * t / TAU
        return stack.drive(math.cos(angle) * plane[0] + math.sin(angle) * plane[1])

    network = stack.network()
    start = rn.find_fixed_points(network, drive(0.0), certificate="residual")
    run = rn.simulate(network, drive, 0.2, 2e-4, initial=start.state, record_every=500)
    end, found = drive(float(run.t[-1])), rn.measure_lag(run, drive, records=[-1])
    parts = stack.split(rn.fixed_points_at(network, end, run.final))
    rows = []
    for name, part in parts.items():
        own = rn.certify_state(part.network, part.drive, part.state).whole.lag
        joint = found.within(name)
        values = (joint.relative_lag, own, joint.relative_predicted)
        rows.append(
            f"| {name} | " + " | ".join(f"{100 * float(v.median()):.1f} %" for v in values) + " |"
        )
    return rows


def main() -> None:
    made = ", ".join(f"{name} {version}" for name, version in versions().items())
    lines = [
        f"{date.today()}, {processor()}, {made}. Repeated by `python benchmarks/stacks.py`.", "",
        f"An Euler step of {DEPTH} layers as one network, tanh, one thread", "",
        "| units a layer | stimuli | dtype | ms a step | over its products | over its layers' "
        "steps | by count |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    lines += [speed(*size, dtype) for size in SIZES for dtype in (torch.float32, torch.float64)]
    lines += ["", NOTE]
    for scale in (1.0, 2.5):
        lines += [
            "", f"Lag of {DEPTH} layers of 60 units, recurrent radius 0.5, read-ins of radius "
            f"{scale:g}, at 0.03 rad a time constant, median of 16 stimuli", "",
            "| | behind the joint fixed point | behind its own at its present input | predicted |",
            "| --- | --- | --- | --- |", *lags(scale),
        ]  # fmt: skip
    RESULT.write_text("\n".join(lines) + "\n")
    print(RESULT.read_text())


if __name__ == "__main__":
    main()
