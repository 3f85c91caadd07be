"""How slow is slow enough for a deep network? Lag and accuracy against tau / T, by depth.

Stacks of 1, 2, 3 and 5 tanh layers are shown one digit after another, each in the time T, while all
layers move at once: `moving`, where each digit fades linearly into the next and the rules act as
soon as it is there; `corrected`, the same with the predicted lag subtracted; and `held`, where the
fade takes a fifth of T. Only the recurrent weights learn, each layer's by its own rule, in steps
of the same length at every depth and speed. Three layers are also connected back, by a share of the
transposed weights that drive the next layer.

    python benchmarks/depth.py [--seeds 5]

Rows are kept in benchmarks/results/depth_lags.csv and depth_accuracies.csv (another folder with
--out), and not computed again. First comes rule 3, seed after seed, then rule 1; after each seed
the tables go to benchmarks/results/depth.md, the figure to docs/images/depth.png.
"""

import argparse
import itertools
import math
import os
import warnings
from collections.abc import Iterator
from datetime import date
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"

import pandas as pd
import torch
from depth_tables import NOTES as TABLE_NOTES, STACK, figure, tables
from kept_rows import computed
from slowness import crossfade, show, state_of, steps_of_training
from tolerated import AT_REST
from torch import Tensor

import ratenet as rn
from ratenet.errors import RatenetError
from ratenet.plasticity import Euclidean, LinearizedReparameterized
from ratenet.report.figures import save
from ratenet.report.record import processor, versions
from ratenet.stimuli import Images, batches_of_epoch

ROOT = Path(__file__).parent.parent
RESULT, IMAGE = ROOT / "benchmarks" / "results" / "depth.md", ROOT / "docs" / "images" / "depth.png"
DEPTHS, UNITS, STREAMS, SEEDS = (1, 2, 3, 5), 60, 128, 5
FEEDBACK = {"-0.25": -0.25, "0": 0.0, "0.25": 0.25}
STACKS = [(depth, STACK) for depth in DEPTHS]
WITH_FEEDBACK = [(3, strength) for strength in FEEDBACK]
TAU = 0.01  # s
FADE = {"moving": 1.0, "corrected": 1.0, "held": 0.2}  # of T
RULES = {"rule 1": Euclidean, "rule 3": LinearizedReparameterized}
LAG_SPEEDS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)  # tau / T
SPEEDS = {
    "moving": (0.01, 0.03, 0.06, 0.1, 0.3, 1.0),
    "corrected": (0.03, 0.1, 0.3),
    "held": (0.06, 0.1, 0.3, 1.0),
}
STEP = 0.1  # of the length of a layer's weights as drawn
NOTES = f"""\
Layers of {UNITS} tanh units, tau = 10 ms, recurrent weights of radius 0.5, fixed random read-ins
and read-out; embedded digits, {STREAMS} streams, one epoch of the 4,000. A step changes the
recurrent weights of each layer by {STEP:g} of their length as drawn, in the direction that its rule
gives, falling linearly to 0; no sample is left out for being unsettled. Tested at solved fixed
points on the 1,000 test digits; a run that stops counts as chance, 0.1. All weights, and the order
of the digits, are the same for all rows of a seed.

Euler steps of tau / 10 for T up to 20 tau (20 steps a digit at least), 200 steps a digit up to
T = 100 tau, tau / 2 beyond, which moves lags by less than 0.5 % of themselves.

With feedback, each layer is also driven by the next one, by that share of the transposed weights
that drive it. All layers are then one network, in which rule 3 hands the error to the last layer
alone; so this is asked of rule 1, which hands it to all of them.

"""


def new_stack(
    depth: int, rule: str, seed: int, dtype: torch.dtype, feedback: str = STACK
) -> rn.Stack:
    """Return layers of random weights with a linear read-out; with feedback between them."""
    generator = torch.Generator().manual_seed(seed)

    def normal(rows: int, columns: int, radius: float = 1.0) -> Tensor:
        return radius / math.sqrt(columns) * torch.randn(rows, columns, generator=generator)

    sizes = list(itertools.pairwise((784, *[UNITS] * depth)))
    weights = [(normal(post, pre), normal(post, post, 0.5)) for pre, post in sizes]
    options = {"rule": RULES[rule](), "bias": False, "on_unsettled": "include", "tol": 1e-3}
    if feedback == STACK:
        layers = [rn.FixedPointLayer(pre, post, **options) for pre, post in sizes]
    else:
        layers = [rn.layers.FeedbackLayers(784, [UNITS] * depth, **options)]
    read_out = torch.nn.Linear(UNITS, 10, bias=False)
    read_out.weight.data = normal(10, UNITS)
    stack = rn.Stack(*layers, read_out).to(dtype).requires_grad_(False)
    for number, (W, (F, drawn)) in enumerate(zip(recurrent(stack), weights, strict=True)):
        W.copy_(drawn)
        W.requires_grad_()
        if feedback == STACK or number == 0:
            layers[number].read_in.weight.copy_(F)
        else:
            blocks, names = layers[0].core.recurrent, (f"layer{number}", f"layer{number + 1}")
            blocks[f"{names[1]}_from_{names[0]}/W"].copy_(F)
            blocks[f"{names[0]}_from_{names[1]}/W"].copy_(FEEDBACK[feedback] * F.T)
    return stack


def recurrent(stack: rn.Stack) -> list[torch.nn.Parameter]:
    """Return each layer's weights onto itself."""
    return [
        weights
        for layer in stack[:-1]
        for name, weights in layer.core.recurrent.items()
        if len(set(name.removesuffix("/W").split("_from_"))) == 1
    ]


@torch.no_grad()
def lag_row(
    depth: int, way: str, speed: float, seed: int, images: Images, feedback: str = STACK
) -> dict[str, float]:
    """Return the last layer's lag, and the whole stack's, at the end of the fourth digit."""
    stack, T = new_stack(depth, "rule 1", seed, torch.float64, feedback), TAU / speed
    network, start = stack.network(), 400 * seed
    digits = stack.drive(images.pixels[start : start + 5 * 64].double()).view(5, 64, -1)
    state = rn.find_fixed_points(network, digits[0], certificate="residual").state
    for before, now in itertools.pairwise(digits):
        drive = crossfade(before, now, FADE[way] * T, T)
        run = show(network, drive, T, state, steps_of_training(T))
        state = state_of(run)
    found = rn.measure_lag(run, drive, records=[-1])
    rates, truth = run.rates[-1], found.fixed_points.rates
    last = slice(-UNITS, None)
    return {
        "lag": median((rates - truth).norm(dim=1) / truth.norm(dim=1)),
        "lag of the last layer": median(
            (rates - truth)[:, last].norm(dim=1) / truth[:, last].norm(dim=1)
        ),
        "predicted": median(found.predicted[0][:, last].norm(dim=1) / truth[:, last].norm(dim=1)),
    }


def median(values: Tensor) -> float:
    return float(values.nanmedian())


def accuracy_row(
    depth: int,
    rule: str,
    way: str,
    speed: float,
    seed: int,
    data: rn.stimuli.ImageSet,
    feedback: str = STACK,
) -> dict[str, object]:
    """Train at one speed (0: at solved fixed points); return the accuracy at fixed points."""
    stack = new_stack(depth, rule, seed, torch.float32, feedback)
    try:
        learn(stack, way, TAU / speed if speed else 0.0, seed, data.train)
    except RatenetError as error:
        return {"accuracy": 0.1, "stopped": str(error).splitlines()[0]}
    with torch.no_grad():
        right = stack(data.test.pixels).argmax(dim=1) == data.test.labels
    return {"accuracy": float(right.double().mean()), "stopped": ""}


def learn(stack: rn.Stack, way: str, T: float, seed: int, images: Images) -> None:
    """Let the rules act once a digit, at its fixed points or at the rates after T."""
    weights = recurrent(stack)
    lengths = [float(W.detach().norm()) for W in weights]
    network, state = stack.network(), None
    before = torch.zeros(STREAMS, network.units)
    batches = list(batches_of_epoch(len(images), STREAMS, seed, 0))
    for number, batch in enumerate(batches):
        drive = stack.drive(images.pixels[batch])
        if T:
            faded = crossfade(before, drive, FADE[way] * T, T)
            state = state_of(show(network, faded, T, state, steps_of_training(T)))
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


def keys_of_lags(seed: int) -> Iterator[dict]:
    """Give what lags are measured of."""
    for depth, feedback in (*STACKS, *WITH_FEEDBACK):
        for way in ("moving", "held") if feedback == STACK else ("moving",):
            for speed in LAG_SPEEDS:
                yield {"depth": depth, "feedback": feedback, "seed": seed, "way": way,
                       "speed": speed}  # fmt: skip


def keys_of_accuracies(rule: str, seed: int) -> Iterator[dict]:
    """Give what is trained by a rule."""
    for depth, feedback in (*(WITH_FEEDBACK if rule == "rule 1" else ()), *STACKS):
        ways = SPEEDS if feedback == STACK else {"moving": SPEEDS["moving"]}
        for way, speeds in {AT_REST: (0.0,), **ways}.items():
            for speed in speeds:
                yield {"depth": depth, "feedback": feedback, "seed": seed, "rule": rule,
                       "way": way, "speed": speed}  # fmt: skip


def report(lags: pd.DataFrame, accuracies: pd.DataFrame) -> None:
    """Write the tables and the figure."""
    made = ", ".join(f"{name} {version}" for name, version in versions().items())
    how = f"{date.today()}, {processor()}, {made}. Repeated by `python benchmarks/depth.py`."
    text = [how, "", NOTES + TABLE_NOTES, "", *tables(lags, accuracies)]
    RESULT.write_text("\n".join(text) + "\n")
    save(figure(lags, accuracies), IMAGE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULT.parent, help="folder of the rows")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--report", action="store_true", help="of the rows that are there only")
    options = parser.parse_args()
    warnings.simplefilter("ignore", rn.errors.RatenetWarning)
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    paths = [options.out / "depth_lags.csv", options.out / "depth_accuracies.csv"]
    data = rn.stimuli.load_images("mnist-5k")
    lag_keys: list[dict] = []
    accuracy_keys: list[dict] = []
    for rule, seed in itertools.product(("rule 3", "rule 1"), range(options.seeds)):
        lag_keys += keys_of_lags(seed) if rule == "rule 3" else ()
        accuracy_keys += keys_of_accuracies(rule, seed)
        if not options.report:
            computed(paths[0], lag_keys, lambda **key: lag_row(**key, images=data.train))
            computed(paths[1], accuracy_keys, lambda **key: accuracy_row(**key, data=data))
            report(there(paths[0], lag_keys), there(paths[1], accuracy_keys))
    report(there(paths[0], lag_keys), there(paths[1], accuracy_keys))


def there(path: Path, keys: list[dict]) -> pd.DataFrame:
    """Return the rows of those keys that have been computed, where all speeds have been."""
    wanted = pd.DataFrame(keys)
    case = [name for name in wanted.columns if name != "speed"]
    found = wanted.merge(pd.read_csv(path, dtype={"feedback": str}))
    sizes, complete = (rows.groupby(case).size() for rows in (found, wanted))
    done = sizes.index[sizes == complete.reindex(sizes.index)]
    return found[pd.MultiIndex.from_frame(found[case]).isin(done)]


if __name__ == "__main__":
    main()
