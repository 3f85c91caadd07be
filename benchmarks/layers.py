"""A training step of the fixed-point layer beside torchdeq's (PyPI), on the same network.

One tanh layer y = tanh(W y + R x + b) between a read-in of 784 pixels and a read-out to 10 classes,
256 real digits, float32, one thread; W random with spectral radius 0.5, and W after training.
A step is forward, backward and one of SGD. Fixed points: residual at most 1e-5, which torchdeq
measures as |f(y) - y| / |y| of a sample; its backward pass (implicit function theorem)
stops at 1e-5 of the adjoint in the same way, ratenet's at 1e-5 of the right-hand side.

torchdeq has several of its solvers in turn, forward and back; the one that counts is the fastest
whose gradients are right. Steps of all are timed in turn, in CPU time of the one thread, and of
each its fastest round counts. First, gradients of both are compared.
Memory is the most that tensors take up in the first 12 steps of a new model, beyond its weights and
the data: gradients count, and what a solver keeps from one step to the next.

    python benchmarks/layers.py [--quick]

Results go to benchmarks/results/layers.md. Asked for: 3 times torchdeq's speed or more with the
Euclidean rule, memory at most equal, rule 3 faster than rule 1.
"""

import argparse
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from fixed_points import markdown, peak_numbers
from torch import Tensor
from torchdeq import get_deq

import ratenet as rn
from ratenet.connectivity import random_weights
from ratenet.report.record import processor, versions

RESULTS = Path(__file__).parent / "results" / "layers.md"
B, TOL, RADIUS, SIZES = 256, 1e-5, 0.5, (300, 1_000)
STEPS = 11  # of a round: the preconditioner is made anew once in 11 changes of the weights
RULES = {
    "rule 1": rn.plasticity.Euclidean(),
    "rule 3": rn.plasticity.LinearizedReparameterized(),
}
# Forward solver and its options, backward solver. Options of Anderson acceleration that reach the
# tolerance in fewer steps than torchdeq's own (lam 1e-4) are its best case.
SOLVERS = {
    "iteration": ("fixed_point_iter", {}, "fixed_point_iter"),
    "Anderson": ("anderson", {"m": 6, "lam": 1e-8}, "fixed_point_iter"),
    "Anderson, Anderson back": ("anderson", {"m": 6, "lam": 1e-8}, "anderson"),
    "Broyden, Broyden back": ("broyden", {}, "broyden"),
}
MAX_STEPS = 100  # of torchdeq's solvers
RIGHT = 1e-3  # relative error of a gradient up to which it counts as right
SLOW = 3.0  # times the fastest of all: such a solver is timed once, and its memory not measured


class DeepEquilibrium(torch.nn.Module):
    """The same layer by torchdeq."""

    def __init__(self, W: Tensor, solvers: str, *, hook: bool) -> None:
        super().__init__()
        forward, self.options, backward = SOLVERS[solvers]
        self.W = torch.nn.Parameter(W.clone())
        self.deq = get_deq(
            f_solver=forward, b_solver=backward, f_max_iter=MAX_STEPS, b_max_iter=MAX_STEPS,
            f_tol=TOL, b_tol=TOL, f_stop_mode="rel", b_stop_mode="rel", ift=not hook, hook_ift=hook,
        )  # fmt: skip

    def forward(self, drive: Tensor) -> Tensor:
        """Return the rates at rest."""
        W = self.W
        found, _ = self.deq(
            lambda y: torch.tanh(y @ W.T + drive),
            torch.zeros_like(drive),
            solver_kwargs=dict(self.options),
        )
        return found[-1]


@dataclass
class Model:
    """Read-in, layer, read-out, and one step of training them."""

    read_in: torch.nn.Linear
    layer: torch.nn.Module
    read_out: torch.nn.Linear
    pixels: Tensor
    labels: Tensor
    trains_read_in: bool

    def __post_init__(self) -> None:
        self.read_in.requires_grad_(self.trains_read_in)
        parts = (self.read_in, self.layer, self.read_out)
        own = [p for part in parts for p in part.parameters() if p.requires_grad]
        # So small a rate leaves the network where it is while it is timed.
        self.optimizer = torch.optim.SGD(own, lr=1e-6)

    def backward(self) -> None:
        """Compute all gradients."""
        self.optimizer.zero_grad()
        scores = self.read_out(self.layer(self.read_in(self.pixels)))
        torch.nn.functional.cross_entropy(scores, self.labels).backward()

    def step(self) -> None:
        """Make one step of training."""
        self.backward()
        self.optimizer.step()

    def gradient(self) -> dict[str, Tensor]:
        """Return those of W and, where it is trained, of the read-in."""
        self.backward()
        (W,) = self.layer.parameters()
        found = {"W": W.grad.clone()}
        return found | ({"R": self.read_in.weight.grad.clone()} if self.trains_read_in else {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke test: N = 300, two rounds")
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    rounds, sizes = (2, SIZES[:1]) if options.quick else (options.rounds, SIZES)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    # A process for each size: what the profiler of memory has taken is not given back before.
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as processes:
        found = processes.map(rows_of, sizes, [rounds] * len(sizes))
        rows = [row for each in found for row in each]
    said = ", ".join(f"{name} {version}" for name, version in versions().items())
    text = (
        f"# Fixed-point layers\n\n`python benchmarks/layers.py --rounds {rounds}`, {date.today()}, "
        f"{processor()}, {os.cpu_count()} CPUs, 1 thread, {said}, torchdeq "
        f"{version_of('torchdeq')}; load average before the run: {load}.\n\n"
        f"{markdown(pd.DataFrame(rows))}\n\n{LEGEND}"
    )
    print(text)
    if not options.quick:
        RESULTS.write_text(text)


LEGEND = """\
W: spectral radius 0.5, or trained from there for 4 epochs of 4,000 digits by Adam (rate 0.001).
read_in: trained as well, or frozen. *_ms: CPU time of a step, in the fastest round of 11 steps.
faster: torchdeq's time over ratenet's with the Euclidean rule. rule_3: time of rule 1 over that of
rule 3. solver: torchdeq's fastest one that is right; right: how many are, of 5. difference: of
torchdeq's gradients from ratenet's (Euclidean rule), relative, the largest of W's and the
read-in's; checked: ratenet's from a solution in float64. *_MB: most memory of tensors at a time
in a model's first 12 steps; lean_MB: torchdeq's with its leanest solver that is right and takes at
most three times the fastest one's time.
"""


def version_of(package: str) -> str:
    from importlib.metadata import version

    return version(package)


def rows_of(units: int, rounds: int) -> list[dict[str, Any]]:
    """Return a row for each W and each way of treating the read-in."""
    torch.set_num_threads(1)
    data = rn.stimuli.load_images("mnist-5k").train
    first = random_weights(units, radius=RADIUS, seed=0)
    weights = {"random": (first, new_ends(units))}
    weights["trained"] = trained(first, RULES["rule 1"], data)
    pixels, labels = data.pixels[:B].float(), data.labels[:B]
    rows = []
    for name, (W, ends) in weights.items():
        for trains_read_in in (False, True):
            print(f"N = {units}, W {name}, read-in trained: {trains_read_in} ...", flush=True)

            def model(
                layer: torch.nn.Module, ends: Any = ends, trains: bool = trains_read_in
            ) -> Model:
                return Model(ends[0], layer, ends[1], pixels, labels, trains)

            row = {"N": units, "W": name, "read_in": "trained" if trains_read_in else "frozen"}
            rows.append(row | compare(model, W, rounds))
            print(markdown(pd.DataFrame(rows[-1:])), flush=True)
    return rows


def new_ends(units: int) -> tuple[torch.nn.Linear, torch.nn.Linear]:
    torch.manual_seed(0)
    return torch.nn.Linear(784, units), torch.nn.Linear(units, 10)


def trained(W: Tensor, rule: rn.plasticity.AbstractRule, data: Any) -> Any:
    """Return W, read-in and read-out after training all three."""
    read_in, read_out = new_ends(len(W))
    core = rn.FixedPointCore(rn.Network("rate", W.clone()), rule)
    model = torch.nn.Sequential(read_in, core, read_out)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(4):
        for batch in torch.randperm(len(data.labels), generator=generator).split(B):
            optimizer.zero_grad()
            scores = model(data.pixels[batch].float())
            torch.nn.functional.cross_entropy(scores, data.labels[batch]).backward()
            optimizer.step()
    return core.recurrent["W"].detach().clone(), (read_in, read_out)


def compare(model: Callable[[torch.nn.Module], Model], W: Tensor, rounds: int) -> dict[str, Any]:
    """Compare gradients, then time and memory, side by side."""
    layers: dict[str, Callable[[], torch.nn.Module]]
    layers = {name: partial(layer_of, W, rule) for name, rule in RULES.items()}
    own = {name: model(new()) for name, new in layers.items()}
    exact = exact_gradient(own["rule 1"], W)
    found = own["rule 1"].gradient()
    others, differences = {}, {}
    for solvers in SOLVERS:
        for hook in (False, True) if solvers == "iteration" else (False,):
            new = partial(DeepEquilibrium, W, solvers, hook=hook)
            other = model(new())
            gradient = other.gradient()
            if largest_difference(gradient, exact) <= RIGHT:
                name = solvers + (", hook" if hook else "")
                others[name], differences[name] = other, largest_difference(gradient, found)
                layers[name] = new
    times = times_of({**own, **others}, rounds)
    fastest = min(others, key=lambda name: times[name])
    quick = [name for name in others if times[name] <= SLOW * times[fastest]]
    memory = {name: memory_of(lambda new=layers[name]: model(new())) for name in (*RULES, *quick)}
    lean = min(quick, key=lambda name: memory[name])
    return {
        "rule_1_ms": times["rule 1"], "rule_3_ms": times["rule 3"],
        "torchdeq_ms": times[fastest], "solver": fastest,
        "faster": times[fastest] / times["rule 1"], "rule_3": times["rule 1"] / times["rule 3"],
        "checked": largest_difference(found, exact), "difference": differences[fastest],
        "rule_1_MB": memory["rule 1"], "rule_3_MB": memory["rule 3"],
        "torchdeq_MB": memory[fastest], "lean_MB": memory[lean], "right": len(others),
    }  # fmt: skip


def layer_of(W: Tensor, rule: rn.plasticity.AbstractRule) -> rn.FixedPointCore:
    return rn.FixedPointCore(rn.Network("rate", W.clone()), rule, tol=TOL)


def exact_gradient(model: Model, W: Tensor) -> dict[str, Tensor]:
    """Return the gradients in float64, at fixed points and adjoints solved to 1e-12."""
    network = rn.Network("rate", W.double())
    drive = model.read_in(model.pixels).detach().double()
    y = rn.find_fixed_points(network, drive, tol=1e-12, certificate="residual").rates
    read_out = model.read_out.weight.detach().double(), model.read_out.bias.detach().double()
    rates = y.clone().requires_grad_()
    scores = torch.nn.functional.linear(rates, *read_out)
    torch.nn.functional.cross_entropy(scores, model.labels).backward()
    fp = rn.fixed_points_at(network, drive, y)
    adjoint = rn.solve_adjoint(fp, rates.grad, tol=1e-12).values
    gradient = {"W": adjoint.T @ y}
    return gradient | ({"R": adjoint.T @ model.pixels.double()} if model.trains_read_in else {})


def largest_difference(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Return the largest relative difference of two gradients, in the Frobenius norm."""
    return max(
        float((one[name].double() - other[name].double()).norm() / other[name].double().norm())
        for name in other
    )


def times_of(models: dict[str, Model], rounds: int) -> dict[str, float]:
    """Return the milliseconds of a step of each, all timed in turn; the slow ones less often."""
    times: dict[str, list[float]] = {name: [] for name in models}
    for number in range(rounds + 1):
        best = min((min(each, default=0.0) for each in times.values()), default=0.0)
        for name, model in models.items():
            if number > 1 and min(times[name]) > SLOW * best:
                continue
            began = time.process_time()
            for _ in range(STEPS):
                model.step()
            times[name].append(1e3 * (time.process_time() - began) / STEPS)
    return {name: min(each[1:]) for name, each in times.items()}


def memory_of(make: Callable[[], Model]) -> float:
    """Return the megabytes of a new model's first steps, from one making of Q to the next."""
    for parameter in (*(model := make()).read_in.parameters(), *model.read_out.parameters()):
        parameter.grad = None  # other models share them
    weights = sum(parameter.numel() for parameter in model.layer.parameters())

    def steps() -> None:
        new = make()
        for _ in range(STEPS + 1):
            new.step()
        new.optimizer.zero_grad()

    return 4e-6 * (peak_numbers(steps) - weights)


if __name__ == "__main__":
    main()
