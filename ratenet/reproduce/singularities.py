"""The loss over random lines and planes through W space, and over A = (I - W)^{-1}.

Where det(I - W) = 0 there is no fixed point, and the loss has a pole. On a line W + s D these are
the real eigenvalues s of (I - W, D). Over A the loss is a parabola.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.linalg

from ratenet.hypotheses.tasks.linear import linear_task
from ratenet.report.figures import COLOURS, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LINES, POINTS, GRID = 4, 801, 81
SPAN = 1.0  # of s, in units of the norm that W has


def singularities(
    seed: int, progress: Callable[[int, int], object], points: int = POINTS, grid: int = GRID
) -> tuple[pd.DataFrame, "Figure"]:
    """Return the loss on lines and on a plane, and their picture.

    Rows have `space` ("W line", "A line", "W plane" or "pole"), the line's number, coordinates s
    and t, loss and the sign of det(I - W).
    """
    task, generator = linear_task(seed), np.random.default_rng(seed)
    W, x, target = (value.numpy() for value in (task.W, task.drive, task.target))
    directions = [_direction(W, generator) for _ in range(LINES)]
    s, rows = np.linspace(-SPAN, SPAN, points), []
    A, identity = np.linalg.inv(np.eye(len(W)) - W), np.eye(len(W))
    for line, D in enumerate(directions):
        progress(line, LINES + grid)
        in_A = D * np.linalg.norm(A) / np.linalg.norm(W)
        for value in s:
            rows.append({"space": "W line", "line": line, "s": value, "t": 0.0,
                         **_loss(W + value * D, x, target)})  # fmt: skip
            loss = np.square(x @ (A + value * in_A).T - target).sum(axis=1).mean()
            rows.append({"space": "A line", "line": line, "s": value, "t": 0.0, "loss": loss})
        poles = scipy.linalg.eigvals(identity - W, D)
        for pole in poles[np.abs(poles.imag) < 1e-9 * np.abs(poles)].real:
            if abs(pole) <= SPAN:
                rows.append({"space": "pole", "line": line, "s": pole, "t": 0.0})
    for index, t in enumerate(np.linspace(-SPAN, SPAN, grid)):
        progress(LINES + index, LINES + grid)
        for value in np.linspace(-SPAN, SPAN, grid):
            here = W + value * directions[0] + t * directions[1]
            rows.append({"space": "W plane", "s": value, "t": t, **_loss(here, x, target)})
    table = pd.DataFrame(rows)
    return table, _draw(table)


def _direction(W: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return a random direction as long as W."""
    D = generator.standard_normal(W.shape)
    return np.asarray(D * np.linalg.norm(W) / np.linalg.norm(D))


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
        colour, style = COLOURS[line], ("-", "--", "-.", ":")[line]
        of_line = table[table["line"] == line]
        for axis, space in ((lines, "W line"), (smooth, "A line")):
            rows = of_line[of_line["space"] == space]
            axis.semilogy(
                rows["s"], rows["loss"], linestyle=style, color=colour, label=f"line {line + 1}"
            )
        poles = of_line.loc[of_line["space"] == "pole", "s"]
        lines.plot(poles, np.full(len(poles), 1.3), "|", color=colour, ms=9, mew=1.5)
    lines.plot([], [], "|", color="k", ms=9, label="det(I - W) = 0")
    lines.set_ylim(1, 1e7)
    _draw_plane(figure, plane, table[table["space"] == "W plane"])
    for axis, title in ((lines, "Loss on lines through W space"),
                        (smooth, "Loss on lines through A space")):  # fmt: skip
        axis.set_xlabel("distance s along the line (norms of W, of A)")
        axis.set_ylabel("loss, mean |y - target|^2")
        axis.set_title(title, fontsize="medium")
        axis.legend(frameon=False, fontsize="small")
    figure.suptitle("Singularities of the loss over W, and none over A, the inverse of I - W")
    return figure


def _draw_plane(figure: "Figure", axis: Any, rows: pd.DataFrame) -> None:
    loss, sign = (rows.pivot_table(index="t", columns="s", values=n) for n in ("loss", "sign"))
    s, t = loss.columns.to_numpy(), loss.index.to_numpy()
    image = axis.pcolormesh(
        s, t, np.log10(loss.to_numpy()), cmap="cividis", vmin=0, vmax=4, shading="nearest"
    )
    axis.contour(s, t, sign.to_numpy(), levels=[0.0], colors="w", linewidths=1)
    axis.set_xlabel("s, along line 1")
    axis.set_ylabel("t, along line 2")
    axis.set_title("On a plane; white: det(I - W) = 0", fontsize="medium")
    figure.colorbar(image, ax=axis, label="log10 loss")
