"""How slow is slow enough for a deep network? Lag and accuracy against tau / T, by depth.

Stacks of 1, 2, 3 and 5 tanh layers are shown one digit after another, each in the time T, while all
layers move at once: `moving`, where each digit fades linearly into the next and the rules act as
soon as it is there; `corrected`, the same with the predicted lag subtracted; and `held`, where the
fade takes a fifth of T. Only the recurrent weights learn, each layer's by its own rule, in steps
of the same length at every depth and speed.

    python benchmarks/depth.py

Finished rows are kept in --out and not computed again; tables go to benchmarks/results/depth.md.
Several processes may share the work: give each --only with some depths, and then run it once more.
"""

import argparse
import itertools
import math
import os
import warnings
from datetime import date
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"

import pandas as pd
import torch
from scipy import stats
from slowness import computed, crossfade, markdown, show, state_of
from torch import Tensor

import ratenet as rn
from ratenet.errors import RatenetError
from ratenet.plasticity import Euclidean, LinearizedReparameterized
from ratenet.report.record import versions
from ratenet.stimuli import Images, batches_of_epoch

RESULT = Path(__file__).parent / "results" / "depth.md"
DEPTHS, UNITS, STREAMS, SEEDS = (1, 2, 3, 5), 60, 64, 5
TAU = 0.01  # s
FADE = {"moving": 1.0, "corrected": 1.0, "held": 0.2}  # of T
RULES = {"rule 1": Euclidean, "rule 3": LinearizedReparameterized}
LAG_SPEEDS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)  # tau / T
SPEEDS = (1.0, 0.3, 0.1, 0.05, 0.02)  # of training
STEP = 0.05  # of the length of a layer's weights as drawn
TOLERATED = 0.95  # of the accuracy at fixed points
NOTES = f"""\
Layers of {UNITS} tanh units, tau = 10 ms, recurrent weights of radius 0.5, fixed random read-ins
and read-out; embedded digits, {STREAMS} streams, one epoch of the 4,000. A step changes the
recurrent weights of each layer by {STEP:g} of their length as drawn, in the direction that its rule
gives, falling linearly to 0; no sample is left out for being unsettled. Tested at solved fixed
points on the 1,000 test digits; a run that stops counts as chance, 0.1. Mean and, from two seeds
on, 95 % interval (Student's t). Tolerated: the speed up to which the mean accuracy is at least
{TOLERATED:g} of that at fixed points, interpolated in log(tau / T); < and >: beyond the speeds
tried."""


def new_stack(depth: int, rule: str, seed: int, dtype: torch.dtype) -> rn.Stack:
    """Return layers of random weights, with a linear read-out."""
    torch.manual_seed(seed)
    sizes = itertools.pairwise((784, *[UNITS] * depth))
    layers = [
        rn.FixedPointLayer(
            inputs, units, rule=RULES[rule](), dtype=dtype, bias=False, on_unsettled="include"
        )
        for inputs, units in sizes
    ]
    with torch.no_grad():
        for layer in layers:
            W = layer.core.recurrent["W"]
            W.normal_(std=0.5 / math.sqrt(UNITS))
            layer.read_in.weight.normal_(std=1 / math.sqrt(layer.read_in.in_features))
    read_out = torch.nn.Linear(UNITS, 10, bias=False, dtype=dtype)
    torch.nn.init.normal_(read_out.weight, std=1 / math.sqrt(UNITS))
    return rn.Stack(*layers, read_out)


@torch.no_grad()
def lag_row(depth: int, way: str, speed: float, images: Images) -> dict[str, float]:
    """Return the last layer's lag, and the whole stack's, at the end of the fourth digit."""
    stack, T = new_stack(depth, "rule 1", 0, torch.float64), TAU / speed
    network = stack.network()
    digits = stack.drive(images.pixels[: 5 * STREAMS].double()).view(5, STREAMS, -1)
    state = rn.find_fixed_points(network, digits[0], certificate="residual").state
    for before, now in itertools.pairwise(digits):
        drive = crossfade(before, now, FADE[way] * T, T)
        run = show(network, drive, T, state)
        state = state_of(run)
    found = rn.measure_lag(run, drive, records=[-1])
    last = found.within(list(network.populations)[-1]) if depth > 1 else found
    return {
        "lag": median(found.relative_lag),
        "lag of the last layer": median(last.relative_lag),
        "predicted": median(last.relative_predicted),
    }


def median(values: Tensor) -> float:
    return float(values.nanmedian())


def accuracy_row(
    depth: int, rule: str, way: str, speed: float, seed: int, data: rn.stimuli.ImageSet
) -> dict[str, object]:
    """Train at one speed (0: at solved fixed points); return the accuracy at fixed points."""
    stack = new_stack(depth, rule, seed, torch.float32)
    try:
        learn(stack, way, TAU / speed if speed else 0.0, seed, data.train)
    except RatenetError as error:
        return {"accuracy": 0.1, "stopped": str(error).splitlines()[0]}
    with torch.no_grad():
        right = stack(data.test.pixels).argmax(dim=1) == data.test.labels
    return {"accuracy": float(right.double().mean()), "stopped": ""}


def learn(stack: rn.Stack, way: str, T: float, seed: int, images: Images) -> None:
    """Let the rules act once a digit, at its fixed points or at the rates after T."""
    weights = [layer.core.recurrent["W"] for layer in stack[:-1]]
    lengths = [float(W.detach().norm()) for W in weights]
    network, state = stack.network(), None
    before = torch.zeros(STREAMS, network.units)
    batches = list(batches_of_epoch(len(images), STREAMS, seed, 0))
    for number, batch in enumerate(batches):
        drive = stack.drive(images.pixels[batch])
        if T:
            state = state_of(show(network, crossfade(before, drive, FADE[way] * T, T), T, state))
            fp = rn.fixed_points_at(network, drive, state, tol=math.inf)
            if way == "corrected":
                fp = rn.quasi_static.correct_lag(fp, (drive - before) / T, tol=math.inf)
        else:
            fp = rn.find_fixed_points(network, drive, certificate="residual", on_failure="return")
        with stack.given(fp):
            outputs = stack(images.pixels[batch])
        torch.nn.functional.cross_entropy(outputs, images.labels[batch]).backward()
        with torch.no_grad():
            for W, length in zip(weights, lengths, strict=True):
                W.sub_(STEP * length * (1 - number / len(batches)) * W.grad / W.grad.norm())
        stack.zero_grad()
        before = drive


def interval(values: pd.Series) -> str:
    if len(values) < 2:
        return f"{values.mean():.3f}"
    half = stats.t.ppf(0.975, len(values) - 1) * values.sem()
    return f"{values.mean():.3f} ± {half:.3f}"


def tolerated(accuracies: pd.DataFrame, static: float) -> str:
    """Return the speed at which the mean falls below TOLERATED of the static accuracy."""
    mean = accuracies.groupby("speed")["accuracy"].mean().sort_index()
    limit, speeds, values = TOLERATED * static, mean.index.to_numpy(), mean.to_numpy()
    if values[0] < limit:
        return f"< {speeds[0]:g}"
    for n in range(1, len(values)):
        if values[n] < limit:
            share = (values[n - 1] - limit) / (values[n - 1] - values[n])
            return f"{speeds[n - 1] * (speeds[n] / speeds[n - 1]) ** share:.2g}"
    return f"> {speeds[-1]:g}"


def tables(lags: pd.DataFrame, accuracies: pd.DataFrame) -> list[str]:
    """Return lags, accuracies and tolerated speeds as Markdown."""
    by_speed = accuracies.pivot_table(
        index=["rule", "way", "depth"], columns="speed", values="accuracy", aggfunc=interval
    )
    rows = []
    for (rule, way, depth), part in accuracies[accuracies["speed"] > 0].groupby(
        ["rule", "way", "depth"]
    ):
        at_rest = accuracies.query("rule == @rule and depth == @depth and speed == 0")["accuracy"]
        found = tolerated(part, at_rest.mean())
        rows.append({"rule": rule, "way": way, "depth": depth, "tau / T": found})
    limits = pd.DataFrame(rows).pivot(index=["rule", "way"], columns="depth", values="tau / T")
    lags = lags.pivot_table(index=["way", "depth"], columns="speed", values="lag of the last layer")
    return [
        "## Lag of the last layer, of its rates (by tau / T)", "",
        *markdown(lags.map("{:.2%}".format).reset_index(), "{}"),
        "", "## Tolerated tau / T, by depth", "", *markdown(limits.reset_index(), "{}"),
        "", "## Test accuracy, by tau / T (0: at solved fixed points)", "",
        *markdown(by_speed.reset_index().fillna("-"), "{:.3g}"),
    ]  # fmt: skip


def compute(depth: int, seed: int, out: Path, data: rn.stimuli.ImageSet) -> None:
    """Compute the rows of one depth and seed that are not there yet."""
    if seed == 0:
        keys = [
            {"depth": depth, "way": way, "speed": speed}
            for way, speed in itertools.product(("moving", "held"), LAG_SPEEDS)
        ]
        computed(out / f"lags-{depth}.csv", keys, lambda **key: lag_row(**key, images=data.train))
    at_rest = [("held", 0.0)]
    keys = [
        {"depth": depth, "rule": rule, "way": way, "speed": speed, "seed": seed}
        for rule in RULES
        for way, speed in (*at_rest, *itertools.product(FADE, SPEEDS))
    ]
    path = out / f"accuracies-{depth}.csv"
    computed(path, keys, lambda **key: accuracy_row(**key, data=data))


def collected(out: Path, kind: str) -> pd.DataFrame:
    return pd.concat([pd.read_csv(path) for path in sorted(out.glob(f"{kind}-*.csv"))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/depth"))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--only", type=int, nargs="*", default=DEPTHS, help="depths to compute")
    options = parser.parse_args()
    warnings.simplefilter("ignore", rn.errors.RatenetWarning)
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    data = rn.stimuli.load_images("mnist-5k")
    for seed, depth in itertools.product(range(options.seeds), options.only):
        compute(depth, seed, options.out, data)
    made = ", ".join(f"{name} {version}" for name, version in versions().items())
    found = tables(collected(options.out, "lags"), collected(options.out, "accuracies"))
    seeds = collected(options.out, "accuracies")["seed"].nunique()
    how = f"{date.today()}, {made}. Seeds: {seeds}. Repeated by `python benchmarks/depth.py`."
    head = [how, "", NOTES, ""]
    RESULT.write_text("\n".join([*head, *found]) + "\n")
    print(RESULT.read_text())


if __name__ == "__main__":
    main()
