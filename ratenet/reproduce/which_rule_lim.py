"""The dependence of a rule on the postsynaptic rate, from rates before and after familiarisation.

Lim, McKee, Woloszyn, Amit, Freedman, Sheinberg & Brunel 2015, Nat. Neurosci. 18:1804. With

    dW_ij = eta / N sum over stimuli of f(y_i) (y_j - mean of y_j over other stimuli)

the input of unit i at a stimulus that was learned changes by an amount proportional to f(y_i). Only
distributions are compared: rates at stimuli that are novel, and at others that are familiar. The
quantiles of novel rates, matched to those of a normal distribution, give the transfer function;
its inverse takes both distributions to inputs; their difference at equal quantiles is f, up to a
factor.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy.stats import norm

from ratenet.fixed_points import find_fixed_points
from ratenet.network import Network
from ratenet.report.figures import COLOURS, GREY, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNITS, FAMILIAR, NOVEL = 1000, 40, 200  # few are learned, so that they do not mix
RADIUS, SIZE = 0.3, 0.4  # of W; of the change of input, in standard deviations of the input
BIAS = 1.0  # mean drive, in its standard deviations: few rates are 0
SEEN = 0.9  # share of units that are not silent at a quantile
RESAMPLES = 400
LEVEL = 0.95

# f of a rate in standard deviations from the mean of the novel rates, and where it changes sign.
Dependence = Callable[[np.ndarray], np.ndarray]
RULES: dict[str, tuple[Dependence, float]] = {
    "threshold at 0.5": (lambda z: (z + 1.5) * (z - 0.5), 0.5),
    "threshold at 1": (lambda z: (z + 1.5) * (z - 1.0), 1.0),
    "linear": (lambda z: z, 0.0),
    "no learning": (np.zeros_like, np.nan),
}


class _Rates(NamedTuple):
    """Rates of each unit at each stimulus, (S, N)."""

    novel: np.ndarray
    familiar: np.ndarray


def which_rule_lim(
    seed: int, progress: Callable[[int, int], object], units: int = UNITS
) -> tuple[pd.DataFrame, "Figure"]:
    """Return a row for each rule and quantile; and their picture.

    Columns: rule; rate, in standard deviations from the mean of the unit's novel rates; change,
    the inferred change of input, with low and high (95 %, bootstrap over units); truth, the f of
    the rule scaled to it by least squares; correlation of the two; threshold, where the inferred
    one changes sign, with threshold_low and threshold_high; true_threshold.
    """
    parts = []
    for index, (name, (f, threshold)) in enumerate(RULES.items()):
        progress(index, len(RULES))
        rng = np.random.default_rng((seed, index))
        parts.append(_inferred(_familiarised(f, units, rng), f, rng).assign(
            rule=name, true_threshold=threshold))  # fmt: skip
    progress(len(RULES), len(RULES))
    table = pd.concat(parts, ignore_index=True)
    return table, _draw(table)


def _familiarised(f: Dependence, units: int, rng: np.random.Generator) -> _Rates:
    """Let a threshold-linear network learn some stimuli, and show it these and others."""
    W = RADIUS * rng.normal(size=(units, units)) / np.sqrt(units)
    drives = [rng.normal(size=(n, units)) + BIAS for n in (FAMILIAR, NOVEL)]
    network = Network("threshold_linear", W)
    before, other = (_rates(network, drive) for drive in drives)
    usual = other.mean(axis=0)
    z, pre = (before - usual) / other.std(axis=0), before - usual
    change = f(z).T @ pre
    caused = before @ change.T  # change of the input of each unit at each stimulus, to first order
    size = float(np.sqrt(np.mean(np.square(caused))))
    if size > 0:
        change *= SIZE / size
    learned = Network("threshold_linear", W + change)
    familiar, novel = (_rates(learned, drive) for drive in drives)
    return _Rates(novel, familiar)


def _rates(network: Network, drive: np.ndarray) -> np.ndarray:
    found = find_fixed_points(network, torch.from_numpy(drive), certificate="residual")
    return found.rates.numpy()


def dependence(novel: np.ndarray, familiar: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rates and changes of input of each unit at the quantiles, (S', N) each.

    Parameters
    ----------
    novel, familiar : ndarray, shapes (S, N) and (S', N)
        Rates at different stimuli; only the distribution of each unit counts.

    Returns
    -------
    rates : ndarray
        In standard deviations from the mean of the unit's novel rates.
    changes : ndarray
        In standard deviations of its input; NaN where the transfer function is flat, so that a
        rate does not tell the input.
    """
    mean, spread = novel.mean(axis=0), novel.std(axis=0)
    shares, after = _shares(len(familiar)), np.sort(familiar, axis=0)
    at = norm.ppf(_shares(len(novel)))  # inputs of novel stimuli, in order
    inputs = [
        _input_of(y, own, at) for y, own in zip(after.T, np.sort(novel, axis=0).T, strict=True)
    ]
    changes = np.transpose(inputs) - norm.ppf(shares)[:, None]
    before = np.quantile(novel, shares, axis=0)
    return (before - mean) / spread, changes


def _shares(n: int) -> np.ndarray:
    """Return of which shares of a normal distribution n values are the quantiles (Blom 1958)."""
    return (np.arange(n) + 0.625) / (n + 0.25)


def _input_of(rates: np.ndarray, known: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Return the inputs of some rates, by the transfer function of the novel ones, in order.

    Above the highest novel rate it goes on as it rises over the upper fifth; silence has no input.
    """
    upper = len(known) - len(known) // 5
    if known[upper] == known[0]:
        return np.full_like(rates, np.nan)
    slope, start = np.polyfit(known[upper:], inputs[upper:], 1)
    found = np.where(rates > known[-1], start + slope * rates, np.interp(rates, known, inputs))
    found[(rates <= known[0]) & (known[1] == known[0])] = np.nan
    return found


def _inferred(rates: _Rates, f: Dependence, rng: np.random.Generator) -> pd.DataFrame:
    z, changes = dependence(rates.novel, rates.familiar)
    seen = np.mean(~np.isnan(changes), axis=1) > SEEN
    z, changes = z[seen], changes[seen]
    units = z.shape[1]
    drawn = rng.integers(units, size=(RESAMPLES, units))
    at, mean = z.mean(axis=1), np.nanmean(changes, axis=1)
    resampled = np.stack([np.nanmean(changes[:, each], axis=1) for each in drawn])
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    truth = f(at)
    scale = float(truth @ mean / (truth @ truth)) if np.any(truth) else 0.0
    ends = [_crossing(at, each) for each in resampled]
    first, last = np.nanquantile(ends, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return pd.DataFrame(
        {
            "rate": at, "change": mean, "low": low, "high": high, "truth": scale * truth,
            "correlation": float(np.corrcoef(truth, mean)[0, 1]) if np.any(truth) else np.nan,
            "threshold": _crossing(at, mean), "threshold_low": first, "threshold_high": last,
        }
    )  # fmt: skip


def _crossing(at: np.ndarray, change: np.ndarray) -> float:
    """Return the highest rate at which a change turns from depression to potentiation."""
    up = np.nonzero((change[:-1] <= 0) & (change[1:] > 0))[0]
    if not len(up):
        return float("nan")
    k = int(up[-1])
    share = -change[k] / (change[k + 1] - change[k])
    return float(at[k] + share * (at[k + 1] - at[k]))


def _draw(table: pd.DataFrame) -> "Figure":
    figure, axes = new_figure(figsize=(11, 3.4), ncols=len(RULES), sharey=True)
    for axis, (name, rows) in zip(axes, table.groupby("rule", sort=False), strict=True):
        axis.axhline(0, color=GREY, linewidth=0.8)
        axis.fill_between(rows["rate"], rows["low"], rows["high"], color=COLOURS[0], alpha=0.3)
        axis.plot(rows["rate"], rows["change"], color=COLOURS[0], label="inferred, 95 %")
        if rows["truth"].any():
            axis.plot(rows["rate"], rows["truth"], "--", color="black", label="truth, scaled")
        axis.set_title(str(name), fontsize="medium")
        axis.set_xlabel("postsynaptic rate\n(s.d. from mean)")
    axes[0].set_ylabel("change of input (s.d.)")
    axes[0].legend(frameon=False, fontsize="small")
    return figure
