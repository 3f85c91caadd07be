"""Do the intervals of infer and of gain_power hold what they say? Simulated experiments.

Without plasticity every coefficient is 0; Oja's rule has two that are not; a reparameterized rule
has a known power of the gain. The interval of each is that of the fit with all terms.

    python benchmarks/infer_calibration.py [--experiments 100] [--out DIR] [--only CASE ...]

Each experiment is kept under --out as soon as it is finished, and not run again; the tables go to
benchmarks/results/infer_calibration.md. Expect shares near the stated level.
"""

import argparse
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import binomtest

import ratenet as rn
from ratenet.hypotheses import Recording, gain_power, infer, observe_rates, observe_weights
from ratenet.plasticity import rule_named
from ratenet.report.record import versions

RESULT = Path(__file__).parent / "results" / "infer_calibration.md"
UNITS, DT, LEVEL = 8, 0.02, 0.95
TRUTH = {"y_post*y_pre": 1.0, "y_post**2*w": -1.0}  # Oja's rule
POWERS = {
    "first-order-reparameterized": -1,
    "gain-free-reparameterized": 0,
    "linearized-reparameterized": 1,
}
NOTES = f"""\
Share of experiments in which the {100 * LEVEL:.0f} % interval holds the truth, in percent, with its
95 % interval (Wilson). Weights: {UNITS} units, random rates of sd 1, 30 % of the weights observed
with an error of 1 % of their spread; intervals and means are of the fit with all terms. Powers of
the gain: 30 units, 8 stimuli, targets of a random teacher, changes of 1 % of the weights; noise
relative to the size of the changes."""


def session(rng: np.random.Generator, rows: int, is_learning: bool, **named: str) -> Recording:
    """Draw rates, and weights that stay as they are or change by Oja's rule."""
    rates, weights = rng.normal(size=(rows, UNITS)), np.empty((rows, UNITS, UNITS))
    weights[0] = rng.normal(size=(UNITS, UNITS)) / UNITS**0.5
    for t, y in enumerate(rates[:-1]):
        slope = np.outer(y, y) - y[:, None] ** 2 * weights[t]
        weights[t + 1] = weights[t] + DT * is_learning * slope
    seen = weights + 0.01 * weights.std() * rng.normal(size=weights.shape)
    seen[rng.random(seen.shape) > 0.3] = np.nan
    return Recording(time=DT * np.arange(rows), rates=rates, weights=seen, **named)


def without_plasticity(seed: int, animals: int, sessions: int) -> pd.DataFrame:
    """Ask for the coefficients where nothing is learned."""
    rng = np.random.default_rng(seed)
    recordings = [
        session(rng, 25, is_learning=False, animal=f"{animal}", session=f"{number}")
        for animal in range(animals)
        for number in range(sessions)
    ]
    return asked(recordings, "taylor(1, 1, 1)", {}, seed)


def learning(seed: int, noise: float) -> pd.DataFrame:
    """Ask for the coefficients of Oja's rule, with noise of the rates that infer is told."""
    rng = np.random.default_rng(seed)
    clean = session(rng, 120, is_learning=True)
    noisy = clean.rates + noise * rng.normal(size=clean.rates.shape)
    told = {"rates": noise} if noise else {}
    recording = Recording(time=clean.time, rates=noisy, weights=clean.weights, noise=told)
    return asked([recording], "taylor(1, 2, 1)", TRUTH, seed)


def asked(recordings: list[Recording], family: str, truth: dict, seed: int) -> pd.DataFrame:
    """Return whether the interval of each coefficient holds the truth, and which are kept."""
    table = infer(recordings, family, against=(), level=LEVEL, seed=seed).estimates
    true = table["name"].map(truth).fillna(0.0)
    holds = (table["low"] <= true) & (true <= table["high"])
    return pd.DataFrame(
        {"coefficient": table["name"], "estimate": table["full"], "holds": holds,
         "width": table["high"] - table["low"], "kept": table["kept"]}
    )  # fmt: skip


def power_of_gain(seed: int, rule: str, kind: str, noise: float) -> pd.DataFrame:
    """Ask for the power of the gain in a reparameterized rule, after a small step of it."""
    rng = np.random.default_rng(seed)
    W, teacher = 0.5 * rng.standard_normal((2, 30, 30)) / 30**0.5
    drive = torch.as_tensor(rng.standard_normal((8, 30)))
    network = rn.Network("rate", W)
    target = rn.find_fixed_points(rn.Network("rate", teacher), drive).rates
    fp = rn.find_fixed_points(network, drive)
    delta = rule_named(rule).update(fp, fp.rates - target, 1.0).numpy()
    after = W + 0.01 * np.linalg.norm(W) / np.linalg.norm(delta) * delta
    if kind == "weights":
        error = noise * np.sqrt(np.mean((after - W) ** 2))
        observed = observe_weights(network, after + error * rng.standard_normal(W.shape))
    else:
        later = rn.find_fixed_points(network.changed(W=after), drive).rates.numpy()
        error = noise * np.sqrt(np.mean((later - fp.rates.numpy()) ** 2))
        seen = later + error * rng.standard_normal(later.shape)
        observed = observe_rates(network, fp.rates, seen)
    found = gain_power(network, drive, observed, target=target, level=LEVEL)
    holds = found.low <= POWERS[rule] <= found.high
    row = {"coefficient": f"a = {POWERS[rule]}", "estimate": found.value, "holds": holds,
           "width": found.high - found.low, "kept": found.rule == rule}  # fmt: skip
    return pd.DataFrame([row])


CASES: dict[str, Callable[[int], pd.DataFrame]] = {
    "nothing learned, one session": partial(without_plasticity, animals=1, sessions=1),
    "nothing learned, 4 animals of 2 sessions": partial(without_plasticity, animals=4, sessions=2),
    "Oja's rule": partial(learning, noise=0.0),
    "Oja's rule, noise of the rates 0.2": partial(learning, noise=0.2),
    "Oja's rule, noise of the rates 0.4": partial(learning, noise=0.4),
}
GAINS = {
    f"{kind}, noise {noise:g}": {rule: partial(power_of_gain, rule=rule, kind=kind, noise=noise)
                                 for rule in POWERS}
    for kind, noise in (("weights", 0.2), ("weights", 1.0), ("rates", 0.05), ("rates", 0.2))
}  # fmt: skip


def experiment(case: str, seed: int) -> pd.DataFrame:
    """Return what one experiment of a case found."""
    each = GAINS[case].values() if case in GAINS else [CASES[case]]
    found = pd.concat([ask(seed) for ask in each], ignore_index=True)
    return found.assign(case=case, seed=seed)


def summary(runs: pd.DataFrame, case: str) -> pd.DataFrame:
    """Return for each coefficient of a case how often its interval holds the truth."""
    rows = []
    for name, part in runs[runs["case"] == case].groupby("coefficient", sort=False):
        rows.append({
            "experiments": case, "coefficient": f"`{name}`",
            "interval holds it": share(int(part["holds"].sum()), len(part)),
            "mean estimate": f"{part['estimate'].mean():.3f}",
            "sd": f"{part['estimate'].std():.3f}",
            "median width": f"{part['width'].median():.3g}",
            **({"rule named": f"{100 * part['kept'].mean():.0f}"} if case in GAINS else {}),
        })  # fmt: skip
    return pd.DataFrame(rows)


def share(count: int, number: int) -> str:
    """Write a share with its interval, in percent."""
    ends = binomtest(count, number).proportion_ci(method="wilson")
    return f"{100 * count / number:.0f} ({100 * ends.low:.0f} to {100 * ends.high:.0f})"


def as_table(table: pd.DataFrame) -> str:
    """Write a table in Markdown."""
    rows = [list(table.columns), ["---"] * table.shape[1], *table.astype(str).to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def write(runs: pd.DataFrame) -> None:
    """Write the tables of all cases that were run."""
    known = ", ".join(f"{name} {version}" for name, version in versions().items())
    parts = ["# Intervals of infer and of gain_power", NOTES]
    for heading, cases in (("Coefficients", CASES), ("Powers of the gain", GAINS)):
        tables = [summary(runs, case) for case in cases if case in set(runs["case"])]
        if tables:
            parts += [f"## {heading}", as_table(pd.concat(tables, ignore_index=True))]
    number = runs.groupby("case")["seed"].nunique()
    parts.append(
        f"{number.min()} to {number.max()} experiments of each case. {date.today()}, {known}. "
        "Repeated by `python benchmarks/infer_calibration.py`."
    )
    RESULT.write_text("\n\n".join(parts) + "\n")


def main(arguments: list[str] | None = None) -> None:
    """Run what is missing, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiments", type=int, default=100)
    parser.add_argument("--out", type=Path, default=Path("runs/infer_calibration"))
    parser.add_argument("--only", nargs="+", choices=[*CASES, *GAINS], default=[*CASES, *GAINS])
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    for seed in range(options.experiments):
        for number, case in enumerate([*CASES, *GAINS]):
            kept = options.out / f"{number}-{seed}.csv"
            if case in options.only and not kept.exists():
                part = kept.with_suffix(".part")
                experiment(case, seed).to_csv(part, index=False)
                part.replace(kept)
    found = [pd.read_csv(each, dtype={"coefficient": str}) for each in options.out.glob("*.csv")]
    runs = pd.concat(found, ignore_index=True).sort_values(["case", "seed"], kind="stable")
    write(runs[runs["seed"] < options.experiments])


if __name__ == "__main__":
    main()
