"""What identify can and cannot say: how often it names a rule, over many simulated experiments.

Rules in truth, and in place of them random changes, effects of single neurons, drifts and rules
that are not among the candidates; and how often intervals hold the true learning rate.

    python benchmarks/calibration.py [--experiments 100]

Tables go to benchmarks/results/calibration.md, the reliability diagram to
docs/images/calibration.png. Expect a rule named in at most the stated share of experiments without
one, but for a rule that resembles a candidate; and confidences that are right at least as often as
they say.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from scipy.stats import binomtest

import ratenet as rn
from ratenet.hypotheses import Identification, identify, observe_rates, observe_weights
from ratenet.report.figures import COLOURS, GREY, new_figure, save
from ratenet.report.record import versions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROOT = Path(__file__).parent.parent
N, B, SIZE, LEVEL = 30, 10, 0.01, 0.05
CANDIDATES = ("euclidean", "linearized-reparameterized", "gain-free-reparameterized",
              "feedback-alignment", "hebb")  # fmt: skip
OUTSIDE = ("oja", "natural-gradient", "bcm")
NOISES = (1.0, 4.0, 10.0)  # over the size of the changes
EDGES = np.linspace(0, 1, 6)  # of the bins of the confidence
NOTES = f"""\
{N} tanh units, W of radius 0.5, {B} stimuli with a mean of 1, so that most rates have one sign;
targets of a random teacher; all synapses, or all rates. Noise is relative to the size of the
changes (root mean squares). Each experiment draws all anew. Brackets: 95 % (Wilson).
Level {LEVEL:g}."""


@dataclass(frozen=True)
class Scene:
    """A network before learning, its stimuli and targets."""

    network: rn.Network
    drive: torch.Tensor
    target: torch.Tensor
    rng: np.random.Generator

    @classmethod
    def drawn(cls, seed: int) -> "Scene":
        """Draw a scene, in which rates have one sign for the most part."""
        rng = np.random.default_rng(seed)
        W, teacher = 0.5 * rng.standard_normal((2, N, N)) / N**0.5
        drive = torch.as_tensor(1 + rng.standard_normal((B, N)))
        target = rn.find_fixed_points(rn.Network("rate", teacher), drive).rates
        return cls(rn.Network("rate", W), drive, target, rng)

    @property
    def W(self) -> np.ndarray:
        """The weights before learning."""
        return self.network.connectivity.dense().numpy()

    def normal(self, *shape: int) -> np.ndarray:
        """Draw normal numbers."""
        return self.rng.standard_normal(shape)

    def by_neuron(self) -> np.ndarray:
        """Draw changes of which half the variance is that of post- and presynaptic neurons."""
        common = self.normal(N, 1) + self.normal(1, N)
        return common / common.std() + self.normal(N, N)

    def change(self, rule: str) -> np.ndarray:
        """Return what a rule changes, of size 1."""
        fp = rn.find_fixed_points(self.network, self.drive)
        delta = rn.plasticity.rule_named(rule).update(fp, fp.rates - self.target, 1e-6).numpy()
        return delta / np.sqrt(np.mean(delta**2))

    def asked(self, change: np.ndarray, noise: float, is_known: bool) -> Identification:
        """Identify the rule of a change of W, in sizes of SIZE, by noisy weights."""
        sd = noise * SIZE
        after = self.W + SIZE * change + sd * self.normal(N, N)
        observed = observe_weights(self.network, after, noise=sd if is_known else None)
        return self.identified(observed)

    def identified(self, observed: rn.hypotheses.Observation) -> Identification:
        """Ask which of the candidates it was."""
        seed = int(self.rng.integers(2**31))
        return identify(
            self.network, self.drive, observed, CANDIDATES, target=self.target, level=LEVEL,
            seed=seed,
        )  # fmt: skip


def louder(scene: Scene) -> Identification:
    """Let all rates grow by 5 %."""
    rates = rn.find_fixed_points(scene.network, scene.drive).rates.numpy()
    after = 1.05 * rates + 0.02 * scene.normal(B, N)
    return scene.identified(observe_rates(scene.network, rates, after))


def regressed(scene: Scene) -> Identification:
    """Measure the same weights twice, with errors of 30 %; the first are taken as the network."""
    error = 0.3 * scene.W.std() * scene.normal(2, N, N)
    seen = Scene(rn.Network("rate", scene.W + error[0]), scene.drive, scene.target, scene.rng)
    return seen.identified(observe_weights(seen.network, scene.W + error[1]))


def without_a_rule() -> dict[str, Callable[[Scene], Identification]]:
    """Return truths in which nothing is learned by a candidate."""
    truths: dict[str, Callable[[Scene], Identification]] = {
        "random changes": lambda scene: scene.asked(scene.normal(N, N), 0.1, False),
        "effects of neurons": lambda scene: scene.asked(scene.by_neuron(), 0.1, False),
        "weights scaled up": lambda scene: scene.asked(scene.W / scene.W.std(), 0.3, False),
        "decay": lambda scene: scene.asked(-scene.W / scene.W.std(), 0.3, False),
        "rates 5 % higher": louder,
        "regression to the mean": regressed,
    }
    for rule in OUTSIDE:
        for is_known in (True, False):
            what = f"{rule}, noise {'known' if is_known else 'not known'}"

            def outside(
                scene: Scene, rule: str = rule, is_known: bool = is_known
            ) -> Identification:
                return scene.asked(scene.change(rule), 0.3, is_known)

            truths[what] = outside
    truths["0.3 hebb beside random changes, noise known"] = lambda scene: scene.asked(
        0.3 * scene.change("hebb") + scene.normal(N, N), 0.1, True
    )
    return truths


def wrong_names(experiments: int) -> pd.DataFrame:
    """Return how often a rule is named without one."""
    rows = []
    for truth, ask in without_a_rule().items():
        found = [ask(Scene.drawn(seed)) for seed in range(experiments)]
        small = sum(bool(each.table["p_value"].min() <= LEVEL) for each in found)
        named = sum(each.rule is not None for each in found)
        rows.append({"truth": truth, "p at most the level": share(small, experiments),
                     "a rule is named": share(named, experiments)})  # fmt: skip
    return pd.DataFrame(rows)


def of_rules(experiments: int) -> pd.DataFrame:
    """Return a row for each experiment with a rule: its noise, confidence, and what was right."""
    rows = []
    for noise in NOISES:
        for seed in range(experiments):
            scene = Scene.drawn(seed)
            truth = CANDIDATES[seed % len(CANDIDATES)]
            found = scene.asked(scene.change(truth), noise, True)
            rows.append({"noise": noise, "confidence": found.confidence,
                         "right": found.best == truth, "named": found.rule == truth,
                         "wrong": found.rule not in (None, truth)})  # fmt: skip
    return pd.DataFrame(rows)


def power_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Return how often the right rule, and a wrong one, is named at each noise."""
    rows = [
        {"noise": noise, "right rule named": share(int(part["named"].sum()), len(part)),
         "wrong rule named": share(int(part["wrong"].sum()), len(part))}
        for noise, part in runs.groupby("noise")
    ]  # fmt: skip
    return pd.DataFrame(rows)


def reliability(runs: pd.DataFrame) -> pd.DataFrame:
    """Return how often the best rule is the right one, by bins of the confidence."""
    bins = np.clip(np.digitize(runs["confidence"], EDGES) - 1, 0, len(EDGES) - 2)
    rows = []
    for _, part in runs.groupby(bins):
        low, high = wilson(int(part["right"].sum()), len(part))
        rows.append({"confidence": part["confidence"].mean(), "right": part["right"].mean(),
                     "low": low, "high": high, "experiments": len(part)})  # fmt: skip
    return pd.DataFrame(rows)


def coverage(experiments: int) -> pd.DataFrame:
    """Return how often the interval of the learning rate holds the truth."""
    kinds = {"independent": lambda scene: scene.normal(N, N), "by neuron": Scene.by_neuron}
    rows = []
    for name, errors in kinds.items():
        hits = 0
        for seed in range(experiments):
            scene = Scene.drawn(seed)
            fp = rn.find_fixed_points(scene.network, scene.drive)
            unit = rn.plasticity.Hebb().update(fp, torch.zeros_like(fp.rates), 1.0).numpy()
            change = scene.change("hebb") + errors(scene)
            row = scene.asked(change, 0.0, False).table.loc["hebb"]
            true = SIZE / np.sqrt(np.mean(unit**2))
            hits += bool(row["learning_rate_low"] <= true <= row["learning_rate_high"])
        rows.append({"errors": name, "the interval (95 %) holds it": share(hits, experiments)})
    return pd.DataFrame(rows)


def wilson(count: int, number: int) -> tuple[float, float]:
    """Return the 95 % interval of a share."""
    found = binomtest(count, number).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def as_table(table: pd.DataFrame) -> str:
    """Write a table in Markdown."""
    rows = [list(table.columns), ["---"] * table.shape[1], *table.astype(str).to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def share(count: int, number: int) -> str:
    """Write a share with its interval, in percent."""
    low, high = wilson(count, number)
    return f"{100 * count / number:.0f} [{100 * low:.0f}, {100 * high:.0f}]"


def figure(bins: pd.DataFrame) -> "Figure":
    """Draw how often the best rule is right against the confidence."""
    drawn, axis = new_figure(figsize=(4.6, 4.2))
    spread = [bins["right"] - bins["low"], bins["high"] - bins["right"]]
    axis.plot([0, 1], [0, 1], ":", color=GREY, label="as often as the confidence says")
    axis.errorbar(bins["confidence"], bins["right"], yerr=np.maximum(spread, 0), fmt="o",
                  color=COLOURS[0], capsize=3, label="simulated experiments, 95 %")  # fmt: skip
    axis.set_xlim(-0.02, 1.02)
    axis.set_ylim(-0.02, 1.02)
    axis.set_xlabel("confidence (given these candidates)")
    axis.set_ylabel("best rule is the right one (share)")
    axis.legend(frameon=False, fontsize="small", loc="lower right")
    return drawn


def main(arguments: list[str] | None = None) -> None:
    """Simulate, write the tables, draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiments", type=int, default=100)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/calibration.md")
    parser.add_argument("--figure", type=Path, default=ROOT / "docs/images/calibration.png")
    options = parser.parse_args(arguments)
    n = options.experiments
    torch.set_num_threads(1)
    runs = of_rules(n)
    tables = {
        f"Without a rule among the candidates: share in percent, of {n} experiments each":
            wrong_names(n),
        f"A rule: share in percent, of {n} experiments at each noise": power_table(runs),
        f"Confidence: best rule is the right one, of {len(runs)} experiments":
            reliability(runs).round(2),
        f"Learning rate of hebb: share in percent, of {n} experiments each": coverage(n),
    }  # fmt: skip
    parts = [f"# What identify can and cannot say\n\n{NOTES}"]
    parts += [f"## {title}\n\n{as_table(table)}" for title, table in tables.items()]
    said = ", ".join(f"{name} {version}" for name, version in versions().items())
    parts.append(
        f"{date.today()}, {said}. Repeated by `python benchmarks/calibration.py --experiments {n}`."
    )
    options.out.write_text("\n\n".join(parts) + "\n")
    save(figure(reliability(runs)), options.figure)
    print("\n\n".join(parts))


if __name__ == "__main__":
    main()
