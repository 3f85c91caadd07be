"""Training on images that never rest: accuracy against the speed of two stimuli.

    python benchmarks/moving.py

Runs of `rn.train` on the embedded digits. `shear`: each digit slants to and fro while it is shown,
streams at phases that are spread over the swing, so that all slants are there at every speed.
`contrast`: its contrast follows an Ornstein-Uhlenbeck process. At the end of each presentation the
rule acts on the rates as they are, or with the predicted lag subtracted; the answer to a test digit
is read in the same way.

Rows are kept in benchmarks/results/moving.csv (another file with --out), and not computed again;
the table goes to benchmarks/results/moving.md, the figure to docs/images/moving.png.
"""

import argparse
import math
import tempfile
import warnings
from datetime import date
from pathlib import Path

import pandas as pd
import torch
from kept_rows import computed
from slowness import markdown
from tolerated import interval

import ratenet as rn
from ratenet.errors import RatenetError
from ratenet.report.figures import COLOURS, new_figure, save
from ratenet.report.record import processor, versions

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "benchmarks" / "results" / "moving.md"
TAU = 0.01  # s
SPEEDS = {"shear": (0.01, 0.1, 0.3, 1.0), "contrast": (0.01, 0.1, 0.3, 1.0)}
LEARNING = {
    "rule": "linearized-reparameterized", "learning_rate": 0.25, "units": 150, "batch_size": 250,
    "epochs": 4, "hold": 4 * TAU, "fade": TAU, "threads": 1, "unsettled": "include",
}  # fmt: skip
NOTES = """\
One tanh layer, N = 150, tau = 10 ms, 250 streams, 4 epochs of the 4,000 embedded training digits,
each faded in within tau and shown for another 4 tau; rule 3 (LinearizedReparameterized), learning
rate 0.25; no sample left out for being unsettled. Accuracy on the 1,000 test digits, read from
moving rates at the end of the presentation; T is the time of one radian of the swing, or the time
constant of the contrast (mean 0.8, sd 0.3). Means over seeds with 95 % intervals (Student's); the
difference is paired by seed. Missing: runs that stopped."""


def stimulus(kind: str, speed: float) -> str:
    T = TAU / speed
    if kind == "shear":
        return f"shear(period={2 * math.pi * T!r}, spread=true)"
    return f"contrast(time_constant={T!r}, mean=0.8, sd=0.3)"


def row(kind: str, speed: float, correct_lag: bool, seed: int) -> dict:
    config = rn.TrainingConfig(
        **LEARNING, stimulus=stimulus(kind, speed), correct_lag=correct_lag, seed=seed
    )
    try:
        summary = rn.train(config, out=tempfile.mkdtemp(), overwrite=True).summary
    except RatenetError as error:
        return {"accuracy": math.nan, "stopped": str(error).splitlines()[0]}
    assert math.isclose(summary["speed"], speed, rel_tol=1e-6)
    return {"accuracy": summary["test_accuracy_slow"], "stopped": ""}


def draw(table: pd.DataFrame) -> None:
    """Draw means over the seeds, and the range."""
    figure, axis = new_figure(figsize=(6, 4))
    names = {"shear": "digits that slant to and fro", "contrast": "contrast that wanders"}
    for kind, colour in (("shear", COLOURS[3]), ("contrast", COLOURS[4])):
        for correct_lag, style in ((False, "o-"), (True, "s--")):
            rows = table[(table["kind"] == kind) & (table["correct_lag"] == correct_lag)]
            label = names[kind] + (", lag subtracted" if correct_lag else "")
            each = rows.groupby("speed")["accuracy"]
            axis.plot(each.mean(), style, color=colour, ms=5, label=label)
            ends = each.min(), each.max()
            axis.fill_between(ends[0].index, *ends, color=colour, alpha=0.2, lw=0)
    axis.set(xscale="log", ylim=(0, 1))
    axis.set_xlabel(r"speed of the stimulus, $\tau/T$")
    axis.set_ylabel("test accuracy under the stimulus")
    axis.legend(frameon=False, fontsize="small", loc="lower left")
    save(figure, ROOT / "docs" / "images" / "moving.png")


def write(table: pd.DataFrame) -> None:
    made = ", ".join(f"{name} {version}" for name, version in versions().items())
    rows = []
    for (kind, speed), group in table.groupby(["kind", "speed"], sort=False):
        seeds = group.pivot(index="seed", columns="correct_lag", values="accuracy")
        rows.append({
            "stimulus": kind, "tau / T": f"{speed:g}", "rates as they are": interval(seeds[False]),
            "lag subtracted": interval(seeds[True]),
            "difference": interval(seeds[True] - seeds[False], "{:+.3f}"), "seeds": len(seeds),
        })  # fmt: skip
    how = f"{date.today()}, {processor()}, {made}. Repeated by `python benchmarks/moving.py`."
    RESULT.write_text("\n".join([how, "", NOTES, "", *markdown(pd.DataFrame(rows), "{}")]) + "\n")
    print(RESULT.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=RESULT.with_suffix(".csv"))
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("once")
    torch.set_num_threads(1)
    keys = [
        {"kind": kind, "speed": speed, "correct_lag": correct_lag, "seed": seed}
        for seed in range(options.seeds)
        for kind, speeds in SPEEDS.items()
        for speed in speeds
        for correct_lag in (False, True)
    ]
    table = computed(options.out, keys, row)
    write(table)
    draw(table)


if __name__ == "__main__":
    main()
