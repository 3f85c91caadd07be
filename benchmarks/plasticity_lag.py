"""How slow must plasticity be, and the stimulus? Weights that move in time against fixed points.

Digits fade into one another, each in the time T, while weights that all streams share move by a
rule's equations. The change of the weights is compared with that of the rule at fixed points, at
speeds tau / T of the digits (with weights that hardly move), and at speeds of plasticity (with
digits of tau / T = 0.01).

    python benchmarks/plasticity_lag.py

Finished rows are kept in --out and not computed again; tables go to
benchmarks/results/plasticity_lag.md, the figure to docs/images/plasticity-lag.png. Expect
differences that are proportional to both speeds, within some per cent of what is predicted.
"""

import argparse
import math
import warnings
from datetime import date
from pathlib import Path

import pandas as pd
import torch

import ratenet as rn
from ratenet.report.figures import save
from ratenet.report.plasticity_lag import plasticity_lag_figure
from ratenet.report.record import versions
from ratenet.stimuli import HeldImages, Images

ROOT = Path(__file__).parent.parent
TAU, UNITS, STREAMS, DIGITS = 0.01, 100, 16, 8
T = 1.0  # s, of a digit at speed 1: tau / T = 0.01
ROUND = DIGITS * T
STIMULUS = (0.003, 0.01, 0.03, 0.1, 0.3)  # tau / T
PLASTICITY = (0.001, 0.003, 0.01, 0.03, 0.1)  # change of the weights over their size
HARDLY = 1e-6  # likewise, where only the stimulus' speed matters
RULES = {
    "hebb": ("hebb", {}),
    "oja": ("oja", {}),
    "bcm, slow threshold": ("bcm", {"slow": ["theta"]}),
    "facilitated hebb": ("facilitated_hebb", {}),
}
NOTES = f"""\
One tanh layer, N = {UNITS}, tau = 10 ms, W of radius 0.5, random read-in; {STREAMS} streams of
{DIGITS} of the embedded MNIST digits, which share their weights. Each seed draws weights, read-in
and digits anew. moving: digits fade into one another all the time, along a raised cosine; held: the
fade takes a fifth of T, the hold the rest. tau / T: speed of the digits; moved: change of the
weights over the {DIGITS} digits by the rule at fixed points, over the size of W. The threshold of
bcm moves within a third of the time in which weights would change by their size; facilitation has
a time constant of 100 ms. difference: of the simulated change to that of the rule at fixed points,
over the latter; predicted: the same to first order; remaining: what is left of the difference
without the predicted one; angle: of the two changes, in degrees; rates: root mean square of y - y*
over that of y*. Means over seeds, and smallest to largest in brackets."""


def network_and_drive(seed: int, held: bool) -> tuple[rn.Network, HeldImages]:
    generator = torch.Generator().manual_seed(seed)
    W, read_in = (
        torch.randn(UNITS, columns, generator=generator, dtype=torch.float64) / math.sqrt(columns)
        for columns in (UNITS, 784)
    )
    digits = rn.stimuli.load_images("mnist-5k").train
    chosen = torch.randperm(len(digits), generator=generator)[: (DIGITS + 1) * STREAMS]
    drives = digits.pixels[chosen].double() @ read_in.T
    before, shown = drives[:STREAMS], drives[STREAMS:]
    images = Images(shown, digits.labels[chosen[STREAMS:]], is_drive=True)
    fade = T / 5 if held else T
    stimulus = HeldImages(
        images, STREAMS, T - fade, fade, profile="raised-cosine", shuffle=False, before=before
    )
    return rn.Network("rate", 0.5 * W, {"tau": TAU}), stimulus


def normalised(name: str, slow: tuple, network: rn.Network, drive: HeldImages) -> rn.PlasticitySpec:
    """Return a rule that would change the weights by their size in a round, about."""
    spec = rn.load_plasticity(name)
    if name == "facilitated_hebb":
        spec = spec.with_parameters(tau_f="100*ms", tau_w="1e9*second")
    drives = torch.cat([drive.at(T * (k + 0.5)) for k in range(DIGITS)])
    fp = rn.find_fixed_points(network, drives)
    delta = spec.with_parameters(eta="1*Hz").rule(slow).update(fp, 0 * fp.rates, ROUND)
    eta = float(network.connectivity.dense().norm() / delta.norm())
    spec = spec.with_parameters(eta=f"{eta!r}*Hz")
    return spec.with_parameters(tau_theta=f"{ROUND / 3!r}*second") if name == "bcm" else spec


def rows_of(rule: str, presentation: str, seed: int) -> list[dict]:
    """Return both sweeps of a rule."""
    name, options = RULES[rule]
    network, drive = network_and_drive(seed, presentation == "held")
    spec = normalised(name, options.get("slow", ()), network, drive)
    speeds = [speed * T / TAU for speed in STIMULUS]
    sweeps = ["stimulus"] * len(STIMULUS) + ["plasticity"] * len(PLASTICITY)
    found = rn.measure_plasticity_lag(
        network,
        drive,
        ROUND,
        TAU / 10,
        spec,
        weights="shared",
        speeds=[*speeds, *[1.0] * len(PLASTICITY)],
        plasticity_speeds=[*[HARDLY] * len(STIMULUS), *PLASTICITY],
        records=DIGITS * 40,
        **options,
    )
    moved = found.at_fixed_points.flatten(1).norm(dim=1) / network.connectivity.dense().norm()
    a, b = (m.flatten(1) for m in (found.change, found.at_fixed_points))
    a, b = (m / m.norm(dim=1, keepdim=True) for m in (a, b))
    angles = 2 * torch.rad2deg(torch.asin(((a - b).norm(dim=1) / 2).clamp(max=1)))
    table = found.to_dataframe().drop(columns=["stream", "plasticity_speed"])
    table["speed"] *= TAU / T
    table = table.assign(sweep=sweeps, moved=moved.numpy(), angle=angles.numpy())
    key = {"rule": rule, "presentation": presentation, "seed": seed}
    return [{**key, **row} for row in table.to_dict("records")]


def computed(path: Path, keys: list[tuple[str, str, int]]) -> pd.DataFrame:
    """Return the rows of all keys, from the file where they are there, else computed and added."""
    rows = pd.read_csv(path).to_dict("records") if path.exists() else []
    for key in keys:
        if not any((row["rule"], row["presentation"], row["seed"]) == key for row in rows):
            rows += rows_of(*key)
            print(*key, flush=True)
            pd.DataFrame(rows).to_csv(path, index=False)
    wanted = pd.DataFrame(keys, columns=["rule", "presentation", "seed"])
    return wanted.merge(pd.DataFrame(rows), on=list(wanted.columns))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "plasticity_lag")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("once")
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    cases = [*((rule, "moving") for rule in RULES), ("hebb", "held")]
    keys = [(*case, seed) for seed in range(options.seeds) for case in cases]
    table = computed(options.out / "rows.csv", keys)
    write_tables(table)
    save(plasticity_lag_figure(table), ROOT / "docs" / "images" / "plasticity-lag.png")


def write_tables(table: pd.DataFrame) -> None:
    made = ", ".join(f"{name} {version}" for name, version in versions().items())
    lines = [f"{date.today()}, {made}. Repeated by `benchmarks/plasticity_lag.py`.", "", NOTES]
    for sweep, title, x in (
        ("stimulus", "Speed of the digits, weights that hardly move", "speed"),
        ("plasticity", "Speed of plasticity, digits of tau / T = 0.01", "moved"),
    ):
        part = table[table["sweep"] == sweep].copy()
        part["step"] = part.groupby(["rule", "presentation", "seed"]).cumcount()
        lines += ["", f"## {title}", ""]
        lines += markdown(part, "tau / T" if x == "speed" else "moved", x)
    path = ROOT / "benchmarks" / "results" / "plasticity_lag.md"
    path.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def markdown(part: pd.DataFrame, x_title: str, x: str) -> list[str]:
    shown = ["difference", "predicted", "remaining", "angle", "rates_lag"]
    head = ["rule", "presentation", x_title, *shown[:-1], "rates"]
    rows = [head, ["---"] * len(head)]
    for (rule, presentation, _), group in part.groupby(
        ["rule", "presentation", "step"], sort=False
    ):
        cells = [
            f"{values.mean():.3g} ({values.min():.2g} to {values.max():.2g})"
            for values in (group[name] for name in shown)
        ]
        rows.append([rule, presentation, f"{group[x].mean():.3g}", *cells])
    return ["| " + " | ".join(row) + " |" for row in rows]


if __name__ == "__main__":
    main()
