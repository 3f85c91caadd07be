"""How slow is slow enough? Lag, direction of learning and accuracy against tau / T.

Two ways to show one digit after another, each in the time T: `moving`, where each digit fades
linearly into the next and the rule acts as soon as it is there, while the rates still trail; and
`held`, where the fade takes a fifth of T and the digit is held for the rest.

    python benchmarks/slowness.py --data-root DIR

DIR holds torchvision's MNIST. Rows are kept in benchmarks/results/slowness_lags.csv and
slowness_accuracies.csv (another folder with --out), and not computed again; tables go to
benchmarks/results/slowness.md, the figure to docs/images/slowness.png. Expect a lag that is
proportional to tau / T while digits move, and exponentially small at the end of a hold.
"""

import argparse
import itertools
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from kept_rows import computed
from tolerated import AT_REST, interval, limit_table
from torch import Tensor

import ratenet as rn
from ratenet.errors import RatenetError
from ratenet.plasticity import Euclidean, LinearizedReparameterized
from ratenet.quasi_static import correct_lag, measure_lag
from ratenet.report.figures import save
from ratenet.report.lag import slowness_figure
from ratenet.report.record import processor, versions
from ratenet.stimuli import HeldImages, Images, batches_of_epoch

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
TAU = 0.01  # s
UNITS = 300
FADE = {"moving": 1.0, "held": 0.2}  # of T
RULES = {"rule 1": (Euclidean(), 0.025), "rule 3": (LinearizedReparameterized(), 0.25)}
LAG_SPEEDS = np.logspace(-3, 0, 13)  # tau / T
LAG = ["radius", "presentation", "speed"]
TRAINING_SPEEDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
STREAMS, DIGITS, EPOCHS = 100, 10_000, 2  # of training
NOTES = """\
One tanh layer, N = 300, tau = 10 ms, random read-in and read-out. Speed is tau / T, with T the time
of a digit. Lags: medians over 64 streams at the end of the fourth digit, before learning; means
over networks with W of that radius, with 95 % intervals (Student's, cut at 0); lag, predicted, and
corrected (what is left with the predicted lag subtracted, by the Jacobian at the rates themselves)
over |y*|; size_error and vector_error: of the predicted lag, over the measured one, in length and
as a vector; missing: fixed points that were not found; angles to the update at y*, in degrees. 0:
below the 1e-9 to which fixed points are solved. Training: 10,000 digits, 200 updates of 100
streams, no sample left out for being unsettled, learning rate 0.025 (rule 1, Euclidean) and 0.25
(rule 3, LinearizedReparameterized), W of radius 0.5 at first; tested on the 10,000 test digits at
solved fixed points: means over seeds with intervals as above; what is not solved in 2,000
iterations counts as an error. Speed 0 is learning at solved fixed points. Missing: runs that
stopped, which count as 0 among the tolerated speeds: those up to which 95 % of the seed's accuracy
at fixed points are kept, interpolated in log(tau / T); geometric mean, or, where the limit of a
seed lies beyond the speeds tried (< or >), the range over seeds. Euler steps of tau / 10 for T up
to 20 tau (20 a digit at least); in training 200 of them up to T = 100 tau."""


@dataclass(frozen=True)
class Reader:
    """A network between a fixed read-in and a fixed read-out."""

    network: rn.Network
    read_in: Tensor  # (N, M)
    read_out: Tensor  # (K, N)

    def error(self, rates: Tensor, labels: Tensor) -> Tensor:
        """Return dL/dy of the cross-entropy, (B, N)."""
        surprise = torch.softmax(rates @ self.read_out.T, dim=1)
        surprise -= torch.nn.functional.one_hot(labels, len(self.read_out))
        return surprise @ self.read_out


def random_reader(radius: float, seed: int, dtype: torch.dtype) -> Reader:
    generator = torch.Generator().manual_seed(seed)

    def normal(rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, generator=generator).to(dtype) / math.sqrt(columns)

    W = radius * normal(UNITS, UNITS)
    network = rn.Network("rate", W, parameters={"tau": TAU})
    return Reader(network, normal(UNITS, 784), normal(10, UNITS))


def crossfade(before: Tensor, now: Tensor, fade: float, T: float) -> HeldImages:
    """Return drives (B, N) that give way to others, which are held until T."""
    drives = Images(now, torch.zeros(len(now), dtype=torch.int64), is_drive=True)
    return HeldImages(drives, len(now), T - fade, fade, shuffle=False, before=before)


def show(
    network: rn.Network, drive: HeldImages, T: float, state: Tensor | None, steps: int
) -> rn.Trajectory:
    """Show one presentation, in Euler steps."""
    return rn.simulate(network, drive, T, T / steps, initial=state, record_every=steps)


def steps_of_training(T: float) -> int:
    """Return how many Euler steps a presentation takes while a network learns.

    Of tau / 10 up to T = 20 tau (20 at least), 200 of them up to 100 tau, of tau / 2 beyond.
    """
    taus = T / TAU
    return max(20, math.ceil(min(10 * taus, max(200.0, 2 * taus))))


def state_of(run: rn.Trajectory) -> Tensor:
    return torch.stack(list(run.final.values()))


def lag_row(radius: float, presentation: str, speed: float, seed: int, images: Images) -> dict:
    """Return medians over 64 streams at the end of their fourth digit."""
    reader, T = random_reader(radius, seed, torch.float64), TAU / speed
    digits = (images.pixels[: 5 * 64].double() @ reader.read_in.T).view(5, 64, UNITS)
    state = rn.find_fixed_points(reader.network, digits[0]).state
    for before, now in itertools.pairwise(digits):
        drive = crossfade(before, now, FADE[presentation] * T, T)
        run = show(reader.network, drive, T, state, max(20, math.ceil(10 * T / TAU)))
        state = state_of(run)
    found = measure_lag(run, drive, records=[-1])
    raw = rn.fixed_points_at(reader.network, now, state, tol=math.inf)
    velocity = (now - before) / T if presentation == "moving" else torch.zeros_like(now)
    corrected = correct_lag(raw, velocity, tol=math.inf)
    truth = found.fixed_points
    row = {
        "lag": median(found.relative_lag),
        "predicted": median(found.relative_predicted),
        "size_error": median((found.relative_predicted / found.relative_lag - 1).abs()),
        "vector_error": median(found.error),
        "corrected": median((corrected.rates - truth.rates).norm(dim=1) / truth.rates.norm(dim=1)),
        "missing": truth.unsettled,
    }
    labels = images.labels[4 * 64 : 5 * 64]
    for name, (rule, _) in RULES.items():
        right, *others = (
            rule.update(fp, reader.error(fp.rates, labels), 1.0) for fp in (truth, raw, corrected)
        )
        row[f"angle, {name}"], row[f"angle, {name}, corrected"] = (
            degrees(right, other) for other in others
        )
    return row


def median(values: Tensor) -> float:
    return float(values.nanmedian())


def degrees(a: Tensor, b: Tensor) -> float:
    # By the difference of unit vectors: an arc cosine would round small angles away.
    return math.degrees(2 * math.asin(min(1.0, float((a / a.norm() - b / b.norm()).norm()) / 2)))


def accuracy_row(rule: str, way: str, speed: float, seed: int, data: rn.stimuli.ImageSet) -> dict:
    """Train at one speed; return the test accuracy at solved fixed points."""
    reader = random_reader(0.5, seed, torch.float32)
    try:
        learn(reader, RULES[rule], way, TAU / speed if speed else 0.0, seed, data.train)
    except RatenetError as error:
        return {"test_accuracy": math.nan, "stopped": str(error).splitlines()[0]}
    fp = at_rest(reader.network, data.test.pixels @ reader.read_in.T)
    answers = (fp.rates @ reader.read_out.T).argmax(dim=1)
    right = (answers == data.test.labels) & fp.converged
    return {"test_accuracy": float(right.double().mean()), "stopped": ""}


def at_rest(network: rn.Network, drive: Tensor) -> rn.FixedPoints:
    # A network that has lost its fixed points would take the solver's 10,000 iterations: minutes.
    return rn.find_fixed_points(
        network, drive, certificate="residual", on_failure="return", max_iterations=2000
    )


def learn(reader: Reader, rule: tuple, way: str, T: float, seed: int, images: Images) -> None:
    """Apply the rule once a digit: at its fixed point, or at the rates that it has after T."""
    (plasticity, rate), network = rule, reader.network
    state, before = None, torch.zeros(STREAMS, UNITS)
    for batch in order(len(images), seed):
        drive = images.pixels[batch] @ reader.read_in.T
        if way == AT_REST:
            fp = at_rest(network, drive)
        else:
            fade = FADE[way.split(",")[0]] * T
            faded = crossfade(before, drive, fade, T)
            state = state_of(show(network, faded, T, state, steps_of_training(T)))
            fp = rn.fixed_points_at(network, drive, state, tol=math.inf)
            if way == "moving, corrected":
                fp = correct_lag(fp, (drive - before) / T, tol=math.inf)
        error = reader.error(fp.rates, images.labels[batch])
        network.connectivity.add_(plasticity.update(fp, error, rate))
        before = drive


def order(number: int, seed: int) -> Iterator[Tensor]:
    for epoch in range(EPOCHS):
        yield from batches_of_epoch(number, STREAMS, seed, epoch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", required=True)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the rows")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("once")
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    data = rn.stimuli.load_images("mnist", root=options.data_root, download=False)
    few = data.train[:DIGITS]
    data = rn.stimuli.ImageSet("mnist", few, data.test, data.shape, data.classes)
    lag_keys = [
        {
            "radius": radius, "presentation": presentation, "speed": round(float(speed), 6),
            "seed": seed,
        }
        for seed in range(options.seeds)
        for radius, presentation in ((0.5, "moving"), (0.95, "moving"), (0.5, "held"))
        for speed in LAG_SPEEDS
    ]  # fmt: skip
    paths = [options.out / f"slowness_{name}.csv" for name in ("lags", "accuracies")]
    lags = computed(paths[0], lag_keys, lambda **key: lag_row(**key, images=few))
    keys = [
        {"rule": rule, "way": way, "speed": speed, "seed": seed}
        for seed in range(options.seeds)
        for rule in RULES
        for way, speeds in (
            (AT_REST, (0.0,)),
            *((way, TRAINING_SPEEDS[::-1]) for way in ("moving", "moving, corrected", "held")),
        )
        for speed in speeds
    ]
    accuracies = computed(paths[1], keys, lambda **key: accuracy_row(**key, data=data))
    write_tables(lags, accuracies)
    means = lags.groupby(LAG, as_index=False, sort=False).mean()
    save(slowness_figure(means, accuracies), ROOT / "docs" / "images" / "slowness.png")


def write_tables(lags: pd.DataFrame, accuracies: pd.DataFrame) -> None:
    """Write both tables as Markdown."""
    made = ", ".join(f"{name} {version}" for name, version in versions().items())
    how = f"MNIST, {date.today()}, {processor()}, {made}. Repeated by `benchmarks/slowness.py`."
    lines = [how, "", NOTES, ""]
    lines += ["## Lag and direction of learning", ""]
    of_networks = lags.drop(columns=["seed", "missing"]).groupby(LAG, sort=False)
    told = of_networks.agg(lambda values: interval(values, "{:.3g}", within=(0, np.inf)))
    told["missing"] = lags.groupby(LAG, sort=False)["missing"].sum()
    lines += markdown(told.reset_index(), "{:.3g}")
    table = accuracies.pivot_table(
        index=["rule", "speed"],
        columns="way",
        values="test_accuracy",
        sort=False,
        aggfunc=lambda values: interval(values, within=(0, 1)),
    )
    lines += ["", "## Test accuracy after training", ""]
    lines += markdown(table.sort_index().reset_index().fillna("-"), "{:.3g}")
    lines += ["", "## Tolerated tau / T", ""]
    lines += markdown(limit_table(accuracies.rename(columns={"test_accuracy": "accuracy"})), "{}")
    path = RESULTS / "slowness.md"
    path.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def markdown(table: pd.DataFrame, form: str) -> list[str]:
    rows = [
        ["-" if cell != cell else form.format(cell) if isinstance(cell, float) else str(cell)
         for cell in row]
        for row in table.itertuples(index=False)
    ]  # fmt: skip
    head = [str(name) for name in table.columns]
    return ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]


if __name__ == "__main__":
    main()
