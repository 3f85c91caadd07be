"""Figures of an inferred rule: dw/dt against both rates, coefficients, held-out predictions."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ratenet.report.figures import COLOURS, GREY, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 3000  # of predictions that are drawn


def surface_figure(
    post: np.ndarray,
    pre: np.ndarray,
    slope: np.ndarray,
    spread: np.ndarray,
    pairs: np.ndarray,
    weight: float,
) -> "Figure":
    """Return the estimated dw/dt against both rates, how sure it is, and where the data lie.

    Parameters
    ----------
    post, pre : ndarray, shape (n,)
        Rates along the axes.
    slope, spread : ndarray, shape (n, n)
        dw/dt at [post, pre] in 1/s (SI), and half the width of its interval.
    pairs : ndarray, shape (m, 3)
        y_post, y_pre and w of the data.
    weight : float
        w at which dw/dt is shown.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = new_figure(figsize=(12, 3.9), ncols=3, sharex=True, sharey=True)
    limit = float(np.abs(slope).max()) or 1.0
    extent = (pre[0], pre[-1], post[0], post[-1])
    shown = {"origin": "lower", "extent": extent, "aspect": "auto"}
    image = axes[0].imshow(slope, cmap="RdBu_r", vmin=-limit, vmax=limit, **shown)
    figure.colorbar(image, ax=axes[0], label=rf"$dw/dt$ at $w$ = {weight:.3g} (s$^{{-1}}$)")
    if slope.min() < 0 < slope.max():
        axes[0].contour(pre, post, slope, levels=[0], colors=GREY, linewidths=1)
    image = axes[1].imshow(spread, cmap="Greys", vmin=0, **shown)
    figure.colorbar(image, ax=axes[1], label="half width of the interval (s$^{-1}$)")
    edges = [np.linspace(axis[0], axis[-1], 31) for axis in (post, pre)]
    counts, _, _ = np.histogram2d(pairs[:, 0], pairs[:, 1], bins=edges)
    image = axes[2].imshow(counts / max(1.0, counts.sum()), cmap="Blues", **shown)
    figure.colorbar(image, ax=axes[2], label="share of the data")
    for axis, heading in zip(axes, ("estimate", "interval", "density of the data"), strict=True):
        axis.set_title(heading)
        axis.set_xlabel("presynaptic rate")
    axes[0].set_ylabel("postsynaptic rate")
    return figure


def coefficients_figure(estimates: pd.DataFrame, *, on: Any = None) -> "Figure":
    """Return coefficients with their intervals.

    Parameters
    ----------
    estimates : pandas.DataFrame
        Columns name, value, low, high, identifiable and kept.
    on : Axes, optional
        As for `new_figure`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axis = new_figure(on=on, figsize=(6.4, 1.6 + 0.28 * len(estimates)))
    places = np.arange(len(estimates))
    value = estimates["value"].to_numpy(dtype=float)
    low, high = estimates[["low", "high"]].to_numpy(dtype=float).T
    # Not around `value`, which is that of the chosen terms alone and may lie outside.
    axis.errorbar(
        (low + high) / 2, places, xerr=(high - low) / 2, fmt="none", ecolor=GREY, capsize=3,
        label="interval",
    )  # fmt: skip
    kept = estimates["kept"].to_numpy(dtype=bool)
    kinds = ((kept, COLOURS[0], "o", "kept"), (~kept, GREY, "|", "left out"))
    for chosen, colour, marker, label in kinds:
        if chosen.any():
            axis.plot(value[chosen], places[chosen], marker, color=colour, label=label)
    hidden = ~estimates["identifiable"].to_numpy(dtype=bool)
    if hidden.any():
        axis.plot(value[hidden], places[hidden], "s", mfc="none", color=COLOURS[1], ms=10,
                  label="not seen by itself")  # fmt: skip
    axis.axvline(0, color=GREY, lw=0.8)
    axis.set_yticks(places, [str(name) for name in estimates["name"]])
    axis.set_ylim(len(estimates) - 0.5, -0.5)
    axis.set_xlabel("coefficient (SI units)")
    axis.legend(frameon=False, fontsize="small", ncols=3, loc="lower center",
                bbox_to_anchor=(0.5, 1.0))  # fmt: skip
    return figure


def predicted_figure(predictions: pd.DataFrame, *, r2: float) -> "Figure":
    """Return predicted against observed changes of held-out data.

    Parameters
    ----------
    predictions : pandas.DataFrame
        Columns observed and predicted.
    r2 : float
        Against the best constant rule.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axis = new_figure(figsize=(4.6, 4.4))
    some = predictions.iloc[:: max(1, len(predictions) // POINTS)]
    axis.plot(
        some["observed"], some["predicted"], ".", color=COLOURS[0], ms=3, alpha=0.4,
        label=f"held-out data, $R^2$ = {r2:.3f}",
    )  # fmt: skip
    ends = [float(some.min().min()), float(some.max().max())]
    axis.plot(ends, ends, color=GREY, lw=1, label="equal")
    axis.set_xlabel("observed change")
    axis.set_ylabel("predicted change")
    axis.legend(frameon=False)
    return figure
