"""The loss over lines and a plane through W space about a minimiser, and over A = (I - W)^{-1}.

As in the paper: the directions have entries of 2.5 N(0, 1)/sqrt(N). Where det(I - W) = 0 there is
no fixed point, and the loss has a pole; on a line W + s D these are the real eigenvalues s of
(I - W, D). Over A the loss is a parabola.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.linalg

from ratenet.hypotheses.tasks.linear import linear_task
from ratenet.report.figures import COLOURS, new_figure
from ratenet.report.rule_looks import STYLES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LINES, POINTS, GRID = 5, 201, 101
RADIUS, SPAN = 2.5, 1.0  # of a direction; of the distances s and t along it
BORDER, BISECTIONS = 36, 7  # directions in which the border of the stable region is searched
HIGHEST = 1_000.0  # loss that is shown, as in the paper


def singularities(
    seed: int, progress: Callable[[int, int], object], points: int = POINTS, grid: int = GRID
) -> tuple[pd.DataFrame, "Figure"]:
    """Return the loss on lines and on a plane, and their picture.

    Rows have `space` ("W line", "A line", "W plane", "pole", "stable line" or "stable plane"), the
    line's number, coordinates s and t, loss and the sign of det(I - W).
    """
    task, generator = linear_task(seed), np.random.default_rng(seed)
    x, target = (value.numpy() for value in (task.drive, task.target))
    size, identity = x.shape[1], np.eye(x.shape[1])
    W = (target - x).T @ np.linalg.pinv(target.T)  # (I - W) target = x: the loss is 0
    A = target.T @ np.linalg.pinv(x.T)
    D = RADIUS * generator.standard_normal((LINES, size, size)) / np.sqrt(size)
    s, rows = np.linspace(-SPAN, SPAN, points), []
    for line in range(LINES):
        progress(line, LINES + grid)
        in_A = np.linalg.inv(identity - D[line])
        for value in s:
            at = {"line": line, "s": value, "t": 0.0}
            rows.append({"space": "W line", **at, **_loss(W + value * D[line], x, target)})
            loss = np.square(x @ (A + value * in_A).T - target).sum(axis=1).mean()
            rows.append({"space": "A line", **at, "loss": loss})
        poles = scipy.linalg.eigvals(identity - W, D[line])
        real = poles[np.abs(poles.imag) < 1e-9 * np.abs(poles)].real
        border = [_border(W, sign * D[line]) * sign for sign in (-1, 1)]
        rows += [{"space": "pole", "line": line, "s": at} for at in real if abs(at) <= SPAN]
        rows += [{"space": "stable line", "line": line, "s": at} for at in border]
    for index, t in enumerate(np.linspace(-SPAN, SPAN, grid)):
        progress(LINES + index, LINES + grid)
        for value in np.linspace(-SPAN, SPAN, grid):
            here = W + value * D[0] + t * D[1]
            rows.append({"space": "W plane", "s": value, "t": t, **_loss(here, x, target)})
    for angle in np.linspace(0, 2 * np.pi, BORDER + 1):
        to = np.cos(angle), np.sin(angle)
        reach = _border(W, to[0] * D[0] + to[1] * D[1])
        rows.append({"space": "stable plane", "s": reach * to[0], "t": reach * to[1]})
    table = pd.DataFrame(rows)
    return table, _draw(table)


def _border(W: np.ndarray, D: np.ndarray) -> float:
    """Return how far W + s D is stable: no eigenvalue has a real part of 1."""
    low, high = 0.0, SPAN
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        is_stable = np.linalg.eigvals(W + middle * D).real.max() < 1
        low, high = (middle, high) if is_stable else (low, middle)
    return (low + high) / 2


def _loss(W: np.ndarray, x: np.ndarray, target: np.ndarray) -> dict[str, float]:
    """Return the loss at the fixed points, and the sign of det(I - W), by one factorization."""
    factors = scipy.linalg.lu_factor(np.eye(len(W)) - W)
    rates = scipy.linalg.lu_solve(factors, x.T).T
    flips = np.count_nonzero(factors[1] != np.arange(len(W)))
    sign = np.prod(np.sign(np.diag(factors[0]))) * (-1) ** flips
    return {"loss": float(np.square(rates - target).sum(axis=1).mean()), "sign": float(sign)}


def _draw(table: pd.DataFrame) -> "Figure":
    figure, (lines, plane, smooth) = new_figure(figsize=(13, 4.2), ncols=3)
    for line in range(LINES):
        look = {"color": COLOURS[line], "ls": (*STYLES, (0, (5, 1, 1, 1, 1, 1)))[line]}
        of_line = table[table["line"] == line]
        for axis, space in ((lines, "W line"), (smooth, "A line")):
            rows = of_line[of_line["space"] == space]
            axis.plot(rows["s"], rows["loss"], label=f"line {line + 1}", **look)
        poles = of_line.loc[of_line["space"] == "pole", "s"]
        lines.plot(poles, np.full(len(poles), HIGHEST), "v", color=COLOURS[line], clip_on=False)
    lines.plot([], [], "v", color="black", label=r"$\det(I - W) = 0$")
    borders = table.loc[table["space"] == "stable line", "s"]
    inside = borders[borders < 0].max(), borders[borders > 0].min()
    lines.axvspan(*inside, color=COLOURS[5], alpha=0.3, lw=0, label="stable on all lines")
    _draw_plane(figure, plane, table)
    for axis, space in ((lines, "W"), (smooth, "A")):
        axis.set(xlabel=f"distance $s$ from the minimiser in ${space}$", xlim=(-SPAN, SPAN))
        axis.set(ylabel=r"loss, mean $|y - \hat{y}|^2$", ylim=(0, HIGHEST))
    lines.legend(
        frameon=False, fontsize="small", ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.04)
    )
    return figure


def _draw_plane(figure: "Figure", axis: Any, table: pd.DataFrame) -> None:
    from matplotlib.colors import LogNorm

    rows = table[table["space"] == "W plane"]
    loss, sign = (rows.pivot_table(index="t", columns="s", values=n) for n in ("loss", "sign"))
    s, t = loss.columns.to_numpy(), loss.index.to_numpy()
    image = axis.pcolormesh(
        s, t, loss.to_numpy(), cmap="cividis", norm=LogNorm(1e-2, HIGHEST), shading="nearest",
        rasterized=True,
    )  # fmt: skip
    axis.contour(s, t, sign.to_numpy(), levels=[0.0], colors="black", linewidths=0.6)
    border = table[table["space"] == "stable plane"]
    axis.plot(border["s"], border["t"], "--", color="white", lw=1.8, label="border of stability")
    axis.plot([], [], color="black", lw=0.6, label=r"$\det(I - W) = 0$")
    axis.set(xlabel="$s$, along line 1", ylabel="$t$, along line 2", aspect="equal")
    legend = axis.legend(
        fontsize="small", ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0),
        facecolor="#777777", labelcolor="white",
    )  # fmt: skip
    legend.get_frame().set_linewidth(0)
    figure.colorbar(image, ax=axis, label="loss", shrink=0.85)
