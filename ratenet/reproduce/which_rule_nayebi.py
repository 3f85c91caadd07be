"""Which of four rules taught a network? From statistics of weights or activity along learning.

Nayebi, Srivastava, Ganguli & Yamins 2020, Identifying learning rules from neural network
observables, NeurIPS. Many networks learn, each by one rule; a random forest sees statistics of what
an experimenter could observe of each, at several times, and names the rule of networks that it was
not trained on.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import binomtest, kurtosis, skew

from ratenet.plasticity import AbstractRule, Euclidean, FeedbackAlignment, NodePerturbation, Oja
from ratenet.report.figures import COLOURS, GREY, new_figure
from ratenet.reproduce.learners import drawn

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NETWORKS = 24  # of each rule
UNITS, STIMULI = 100, 20
STEPS, EVERY = 20, 4
RECORDED = (10, 30, 100)
OBSERVABLES = ("weights", "activity", "changes of activity")
SPEEDS = (0.01, 0.05)  # log-uniform; |dW| / |W| in a step
RADII = (0.4, 0.9)
NOISE = 0.05  # of a measured rate or weight, in standard deviations
TREES, FOLDS = 100, 4
LEVEL = 0.95
# Rules by name, and the kind that each is of.
KINDS = {
    "gradient": "supervised",
    "feedback alignment": "supervised",
    "node perturbation": "reinforcement",
    "oja": "unsupervised",
}
STATISTICS: dict[str, Callable[[np.ndarray], float]] = {
    "mean": lambda x: float(np.mean(x)),
    "sd": lambda x: float(np.std(x)),
    "mean of absolute": lambda x: float(np.mean(np.abs(x))),
    "median": lambda x: float(np.median(x)),
    "largest": lambda x: float(np.max(np.abs(x))),
    "skewness": lambda x: float(skew(x)),
    "kurtosis": lambda x: float(kurtosis(x)),
}


def which_rule_nayebi(
    seed: int, progress: Callable[[int, int], object], networks: int = NETWORKS
) -> tuple[pd.DataFrame, "Figure"]:
    """Return a row for each observable and number of recorded units; and their picture.

    Columns: observable; recorded; accuracy, the share of held-out networks whose rule of four was
    named, with low and high (95 %, Wilson); kinds, the share whose kind of three (supervised,
    reinforcement, unsupervised) was; and ``RULE as RULE``, the share of the first's networks that
    were named as the second's.
    """
    rules = {
        "gradient": Euclidean(),
        "feedback alignment": FeedbackAlignment(seed=seed),
        "node perturbation": NodePerturbation(trials=2, seed=seed),
        "oja": Oja(),
    }
    features: dict[tuple[str, int], list[np.ndarray]] = {}
    labels: list[str] = []
    total = networks * len(rules)
    for index, (name, rule) in enumerate(rules.items()):
        for network in range(networks):
            progress(len(labels), total)
            rng = np.random.default_rng((seed, index, network))
            for key, found in _observed(rule, rng).items():
                features.setdefault(key, []).append(found)
            labels.append(name)
    rows = [{"observable": observable, "recorded": n, **_classified(np.stack(found), labels, seed)}
            for (observable, n), found in features.items()]  # fmt: skip
    progress(total, total)
    table = pd.DataFrame(rows).sort_values(["observable", "recorded"], ignore_index=True)
    return table, _draw(table)


def _observed(rule: AbstractRule, rng: np.random.Generator) -> dict[tuple[str, int], np.ndarray]:
    """Let a network learn; return the statistics by observable and number of recorded units."""
    radius, speed = rng.uniform(*RADII), float(np.exp(rng.uniform(*np.log(SPEEDS))))
    learner = drawn(rng, units=UNITS, stimuli=STIMULI, radius=radius)
    W, y = [], []
    for fp in learner.course(rule, speed, STEPS, EVERY):
        W.append(learner.network.connectivity.dense().numpy().copy())
        y.append(fp.rates.numpy())
    weights, rates = _measured(np.stack(W), rng), _measured(np.stack(y), rng)
    order = rng.permutation(UNITS)
    found: dict[tuple[str, int], np.ndarray] = {}
    for n in RECORDED:
        own = order[:n]
        seen = {
            "weights": weights[:, own][:, :, own],
            "activity": rates[:, :, own],
            "changes of activity": np.diff(rates[:, :, own], axis=0),
        }
        found |= {(name, n): trajectories(each) for name, each in seen.items()}
    return found


def _measured(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return values + NOISE * values[0].std() * rng.normal(size=values.shape)


def trajectories(values: np.ndarray) -> np.ndarray:
    """Return each statistic of values (T, ...) at the start, and how it changes until each time."""
    flat = values.reshape(len(values), -1)
    found = np.array([[f(row) for row in flat] for f in STATISTICS.values()])
    found[:, 1:] -= found[:, :1]
    return found.ravel()


def _classified(features: np.ndarray, labels: Sequence[str], seed: int) -> Mapping[str, float]:
    """Return how often a random forest names the rule of held-out networks, in balanced folds."""
    from sklearn.ensemble import RandomForestClassifier  # here: it takes seconds to import
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    forest = RandomForestClassifier(TREES, random_state=seed)
    truth = np.asarray(labels)
    named = cross_val_predict(forest, features, truth, cv=folds)
    right = int(np.sum(named == truth))
    interval = binomtest(right, len(truth)).proportion_ci(LEVEL, method="wilson")
    kinds = [KINDS[a] == KINDS[b] for a, b in zip(truth, named, strict=True)]
    shares = {f"{a} as {b}": float(np.mean(named[truth == a] == b)) for a in KINDS for b in KINDS}
    return {"accuracy": right / len(truth), "low": interval.low, "high": interval.high,
            "kinds": float(np.mean(kinds)), **shares}  # fmt: skip


def _draw(table: pd.DataFrame) -> "Figure":
    figure, (curves, matrix) = new_figure(figsize=(10, 3.9), ncols=2)
    curves.axhline(1 / len(KINDS), color=GREY, linewidth=0.8, linestyle=":")
    for index, name in enumerate(OBSERVABLES):
        rows = table[table["observable"] == name]
        color = COLOURS[index]
        curves.fill_between(rows["recorded"], rows["low"], rows["high"], color=color, alpha=0.2)
        curves.plot(rows["recorded"], rows["accuracy"], "o-", color=color, label=name)
    curves.set_xscale("log")
    curves.set_xticks(RECORDED, [str(n) for n in RECORDED])
    curves.set_xlabel(f"recorded units (of {UNITS})")
    curves.set_ylabel("rule named correctly (share)")
    curves.set_ylim(0.15, 1.02)
    curves.legend(frameon=False, fontsize="small", loc="lower right")
    row = table[(table["observable"] == "activity") & (table["recorded"] == max(RECORDED))].iloc[0]
    shares = np.array([[row[f"{a} as {b}"] for b in KINDS] for a in KINDS])
    matrix.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (i, j), share in np.ndenumerate(shares):
        matrix.text(j, i, f"{share:.2f}", ha="center", va="center",
                    color="white" if share > 0.5 else "black")  # fmt: skip
    matrix.set_xticks(range(len(KINDS)), list(KINDS), rotation=25, ha="right")
    matrix.set_yticks(range(len(KINDS)), [f"{name}\n({kind})" for name, kind in KINDS.items()])
    matrix.set_xlabel(f"named, from activity of {max(RECORDED)} units")
    matrix.set_ylabel("truth")
    return figure
