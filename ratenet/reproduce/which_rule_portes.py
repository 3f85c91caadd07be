"""Supervised or by reinforcement? From the drift of activity after a decoder was exchanged.

Portes, Schmid & Murray 2022, Distinguishing learning rules with brain machine interfaces, NeurIPS.
A decoder D between network and cursor is known to the experimenter. A supervised rule needs a model
M of it to assign credit, and that is imperfect: activity drifts along -M^T (D y - aim).
Reinforcement needs none and follows the gradient, on average: along -D^T (D y - aim). The
experimenter, who knows D and M, compares the drift of the recorded units with both.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from torch import Tensor

from ratenet.plasticity import AbstractRule, Euclidean, NodePerturbation
from ratenet.report.figures import COLOURS, GREY, new_figure
from ratenet.reproduce.learners import Learner, drawn

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNITS, TARGETS, STEPS = 100, 8, 12
RECORDED = (2, 5, 10, 20, 50, 100)
OVERLAPS = (0.25, 0.75, 0.95)  # cosine between the rows of D and M
ANIMALS = 30  # of each rule and overlap
SPEED, TRIALS = 0.02, 4
NOISE = 0.2  # of a measured rate, in standard deviations of the rates
LEVEL = 0.95


def which_rule_portes(
    seed: int, progress: Callable[[int, int], object], animals: int = ANIMALS
) -> tuple[pd.DataFrame, "Figure"]:
    """Return a row for each overlap and number of recorded units; and their picture.

    Columns: overlap; recorded; accuracy, the share of animals whose rule was named correctly, with
    low and high (95 %, Wilson); supervised and reinforcement, the mean statistic of each: the
    correlation of the drift with what reinforcement predicts, less that with what a supervised rule
    does.
    """
    kinds: dict[str, AbstractRule] = {
        "supervised": Euclidean(),
        "reinforcement": NodePerturbation(trials=TRIALS),
    }
    rows, done = [], 0
    for overlap in OVERLAPS:
        for animal in range(animals):
            for kind, rule in kinds.items():
                rng = np.random.default_rng((seed, animal, int(100 * overlap)))
                progress(done, len(OVERLAPS) * animals * len(kinds))
                done += 1
                found = _statistics(rule, overlap, rng)
                rows += [{"overlap": overlap, "kind": kind, "recorded": n, "statistic": value}
                         for n, value in found.items()]  # fmt: skip
    progress(done, done)
    table = _accuracies(pd.DataFrame(rows))
    return table, _draw(table)


def _statistics(rule: AbstractRule, overlap: float, rng: np.random.Generator) -> dict[int, float]:
    """Let one animal learn; return the statistic for each number of recorded units."""
    learner = drawn(rng, units=UNITS, stimuli=TARGETS, overlap=overlap)
    states = list(learner.course(rule, SPEED, STEPS, every=STEPS // 2))
    y = [state.rates.numpy() for state in states]
    size = NOISE * float(y[0].std())
    y = [each + size * rng.normal(size=each.shape) for each in y]
    order = rng.permutation(UNITS)
    return {n: statistic(learner, states[0].rates, y[-1] - y[0], order[:n]) for n in RECORDED}


def statistic(learner: Learner, rates: Tensor, drift: np.ndarray, units: np.ndarray) -> float:
    """Return by how much more a drift goes along the gradient than along the believed one.

    Parameters
    ----------
    learner : Learner
    rates : Tensor, shape (B, N)
        Before; what the cursor shows is known without noise.
    drift : ndarray, shape (B, N)
    units : ndarray of int
        Those that were recorded.
    """
    miss = learner.miss(rates).numpy()
    along = [-(miss @ weights.numpy())[:, units] for weights in (learner.readout, learner.believed)]
    seen = drift[:, units].ravel()
    reinforcement, supervised = (np.corrcoef(each.ravel(), seen)[0, 1] for each in along)
    return float(reinforcement - supervised)


def _accuracies(table: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (overlap, recorded), part in table.groupby(["overlap", "recorded"]):
        right = (part["statistic"] > 0) == (part["kind"] == "reinforcement")
        interval = binomtest(int(right.sum()), len(part)).proportion_ci(LEVEL, method="wilson")
        means = part.groupby("kind")["statistic"].mean()
        rows.append({"overlap": overlap, "recorded": recorded, "accuracy": float(right.mean()),
                     "low": interval.low, "high": interval.high, **means})  # fmt: skip
    return pd.DataFrame(rows)


def _draw(table: pd.DataFrame) -> "Figure":
    figure, axis = new_figure(figsize=(5.5, 3.6))
    axis.axhline(0.5, color=GREY, linewidth=0.8, linestyle=":")
    for index, (overlap, rows) in enumerate(table.groupby("overlap")):
        color = COLOURS[index]
        axis.fill_between(rows["recorded"], rows["low"], rows["high"], color=color, alpha=0.2)
        axis.plot(rows["recorded"], rows["accuracy"], "o-", color=color,
                  label=f"cosine of $D$ and $M$ {overlap:g}")  # fmt: skip
    axis.set_xscale("log")
    axis.set_xticks(RECORDED, [str(n) for n in RECORDED])
    axis.set_ylim(0.4, 1.02)
    axis.set_xlabel("recorded units (of 100)")
    axis.set_ylabel("rule named correctly (share)")
    axis.legend(frameon=False, fontsize="small", loc="lower right")
    return figure
