"""The loss over lines and a plane through W space about a minimiser, and over A = (I - W)^{-1}.

As in the paper: the directions have entries of 2.5 N(0, 1)/sqrt(N). Where det(I - W) = 0 there is
no fixed point, and the loss has a pole; on a line W + s D these are the real eigenvalues s of
(I - W, D). Over A the loss is a parabola. Over several draws of networks, stimuli and directions.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.linalg

from ratenet.hypotheses.tasks.linear import linear_task
from ratenet.report.figures import COLOURS, GREY, new_figure
from ratenet.report.rule_looks import STYLES
from ratenet.reproduce.draws import DRAWS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LINES, POINTS, GRID = 5, 201, 101
RADIUS, SPAN = 2.5, 1.0  # of a direction; of the distances s and t along it
BORDER, BISECTIONS = 36, 7  # directions in which the border of the stable region is searched
HIGHEST = 1_000.0  # loss that is shown, as in the paper

Row = dict[str, Any]


def singularities(
    seed: int,
    progress: Callable[[int, int], object],
    points: int = POINTS,
    grid: int = GRID,
    draws: int = DRAWS,
) -> tuple[pd.DataFrame, "Figure"]:
    """Return the loss on lines and on a plane for each draw, and their picture.

    Draws of networks, stimuli and directions have the seeds from `seed` on. Rows have the seed,
    `space` ("W line", "A line", "W plane", "pole", "stable line" or "stable plane"), the line's
    number, coordinates s and t, loss and the sign of det(I - W).
    """
    rows: list[Row] = []
    done, total = 0, draws * (LINES + grid + 1)
    for own in range(seed, seed + draws):
        for part in _parts(own, points, grid):
            progress(done := done + 1, total)
            rows += [{"seed": own, **row} for row in part]
    table = pd.DataFrame(rows)
    return table, _draw(table)


def _parts(seed: int, points: int, grid: int) -> Iterator[list[Row]]:
    """Give the rows of one draw: of each line, of each row of the plane, and of its border."""
    task, generator = linear_task(seed), np.random.default_rng(seed)
    x, target = (value.numpy() for value in (task.drive, task.target))
    size = x.shape[1]
    W = (target - x).T @ np.linalg.pinv(target.T)  # (I - W) target = x: the loss is 0
    A = target.T @ np.linalg.pinv(x.T)
    D = RADIUS * generator.standard_normal((LINES, size, size)) / np.sqrt(size)
    s, along = np.linspace(-SPAN, SPAN, points), np.linspace(-SPAN, SPAN, grid)
    for line in range(LINES):
        rows: list[Row] = []
        in_A = np.linalg.inv(np.eye(size) - D[line])
        for value in s:
            at = {"line": line, "s": value, "t": 0.0}
            rows.append({"space": "W line", **at, **_loss(W + value * D[line], x, target)})
            loss = np.square(x @ (A + value * in_A).T - target).sum(axis=1).mean()
            rows.append({"space": "A line", **at, "loss": loss})
        border = [_border(W, sign * D[line]) * sign for sign in (-1, 1)]
        rows += [{"space": "pole", "line": line, "s": at} for at in _poles(W, D[line])]
        rows += [{"space": "stable line", "line": line, "s": at} for at in border]
        yield rows
    for t in along:
        rows = []
        for value in along:
            here = W + value * D[0] + t * D[1]
            rows.append({"space": "W plane", "s": value, "t": t, **_loss(here, x, target)})
        yield rows
    rows = []
    for angle in np.linspace(0, 2 * np.pi, BORDER + 1):
        to = np.cos(angle), np.sin(angle)
        reach = _border(W, to[0] * D[0] + to[1] * D[1])
        rows.append({"space": "stable plane", "s": reach * to[0], "t": reach * to[1]})
    yield rows


def _poles(W: np.ndarray, D: np.ndarray) -> np.ndarray:
    """Return the distances s within `SPAN` at which det(I - W - s D) = 0."""
    found = scipy.linalg.eigvals(np.eye(len(W)) - W, D)
    real = found[np.abs(found.imag) < 1e-9 * np.abs(found)].real
    return real[np.abs(real) <= SPAN]


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
    """Draw the first draw's loss over W, and all draws' parabolas, poles and borders."""
    figure, ((lines, plane), (smooth, poles)) = new_figure(figsize=(11, 8.6), nrows=2, ncols=2)
    is_first = table["seed"] == table["seed"].min()
    _draw_lines(lines, table[is_first])
    _draw_plane(figure, plane, table[is_first])
    _draw_parabolas(smooth, table[table["space"] == "A line"])
    _draw_poles(poles, table)
    for axis, space in ((lines, "W"), (smooth, "A"), (poles, "W")):
        axis.set(xlabel=f"distance $s$ from the minimiser in ${space}$", xlim=(-SPAN, SPAN))
    for axis in (lines, smooth):
        axis.set(ylabel=r"loss, mean $|y - \hat{y}|^2$", ylim=(0, HIGHEST))
    for axis in (lines, smooth, poles):
        axis.legend(
            frameon=False, fontsize="small", ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0)
        )
    return figure


def _look_of(line: int) -> dict[str, Any]:
    return {"color": COLOURS[line], "ls": (*STYLES, (0, (5, 1, 1, 1, 1, 1)))[line]}


def _draw_lines(axis: Any, table: pd.DataFrame) -> None:
    """Draw the loss on the lines through W, where it has poles, and where they are stable."""
    for line in range(LINES):
        of_line = table[table["line"] == line]
        rows = of_line[of_line["space"] == "W line"]
        axis.plot(rows["s"], rows["loss"], label=f"line {line + 1}", **_look_of(line))
        poles = of_line.loc[of_line["space"] == "pole", "s"]
        axis.plot(poles, np.full(len(poles), HIGHEST), "v", color=COLOURS[line], clip_on=False)
    axis.plot([], [], "v", color="black", label=r"$\det(I - W) = 0$")
    borders = table.loc[table["space"] == "stable line", "s"]
    inside = borders[borders < 0].max(), borders[borders > 0].min()
    axis.axvspan(*inside, color=COLOURS[5], alpha=0.3, lw=0, label="stable on all lines")


def _draw_parabolas(axis: Any, table: pd.DataFrame) -> None:
    """Draw the loss on the lines through A; thin lines are those of further draws."""
    for draw, seed in enumerate(table["seed"].unique()):
        for line in range(LINES):
            rows = table[(table["seed"] == seed) & (table["line"] == line)]
            look = _look_of(line) if draw == 0 else {"color": GREY, "lw": 0.7}
            label = f"line {line + 1}" if draw == 0 else "further draws"
            is_named = draw == 0 or (draw, line) == (1, 0)
            axis.plot(rows["s"], rows["loss"], label=label if is_named else None, **look)


def _draw_poles(axis: Any, table: pd.DataFrame) -> None:
    """Draw where each line of each draw is stable, and where it has poles."""
    seeds = table["seed"].unique()
    heights = table["seed"].map({seed: n * (LINES + 1) for n, seed in enumerate(seeds)})
    table = table.assign(height=heights + table["line"])
    borders = table[table["space"] == "stable line"].groupby("height")["s"]
    ends = np.stack([-borders.min(), borders.max()])
    axis.errorbar(
        np.zeros(ends.shape[1]), borders.min().index, xerr=ends, fmt="none", color=COLOURS[5],
        elinewidth=5, label="stable",
    )  # fmt: skip
    poles = table[table["space"] == "pole"]
    axis.plot(poles["s"], poles["height"], "|", color="black", label=r"$\det(I - W) = 0$")
    middles = np.arange(len(seeds)) * (LINES + 1) + (LINES - 1) / 2
    axis.set_yticks(middles, [f"seed {seed}" for seed in seeds])
    axis.tick_params(axis="y", length=0)
    axis.set(ylabel="five lines of each draw")
    axis.invert_yaxis()


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
