"""Loss against iteration for three rules and five learning rates, as in the paper.

Over several draws of networks and stimuli.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd
import torch
from torch import Tensor

from ratenet.hypotheses.tasks.linear import linear_task
from ratenet.plasticity import (
    AbstractRule,
    Euclidean,
    LinearizedReparameterized,
    Reparameterized,
)
from ratenet.report.figures import GREY, new_figure
from ratenet.report.rule_looks import LABELS, STYLES, look_of, shades
from ratenet.reproduce.draws import DRAWS, draw_range

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RATES = (0.03, 0.1, 0.3, 1.0, 3.0)
STEPS = 3_500
RULES: dict[str, AbstractRule] = {
    "rule 1": Euclidean(),
    "rule 2": Reparameterized(),
    "rule 3": LinearizedReparameterized(),
}
NAMES = {  # as the command line knows them
    "rule 1": "euclidean",
    "rule 2": "reparameterized",
    "rule 3": "linearized-reparameterized",
}
SHOWN = (1e-9, 10.0)  # of the loss, as in the paper: below, it is rounding that is seen


class Reached(NamedTuple):
    """Where a linear network is, solved directly; samples are columns.

    Attributes
    ----------
    M : Tensor, shape (N, N)
        I - W.
    factors, pivots : Tensor
        Its LU decomposition.
    drive, rates, error : Tensor, shape (N, B)
        x, y = M^-1 x, and 2 (y - target).
    """

    M: Tensor
    factors: Tensor
    pivots: Tensor
    drive: Tensor
    rates: Tensor
    error: Tensor


def euclidean(at: Reached, rate: float) -> Tensor:
    """Return -eta mean(lambda y^T), lambda = M^-T e."""
    adjoint = torch.linalg.lu_solve(at.factors, at.pivots, at.error, adjoint=True)
    return -rate / at.rates.shape[1] * (adjoint @ at.rates.T)


def reparameterized(at: Reached, rate: float) -> Tensor:
    """Return -(I - P)^-1 P M, P = eta M mean(e x^T); NaN where I - P is singular.

    P = U x^T has the rank of the stimuli: (I - U x^T)^-1 U = U (I - x^T U)^-1 is a small solve.
    """
    U, V = _factors(at, rate)
    identity = torch.eye(U.shape[1], dtype=U.dtype)
    solution, info = torch.linalg.solve_ex(identity - at.drive.T @ U, V)
    return -U @ (solution if int(info) == 0 else torch.full_like(V, math.nan))


def linearized(at: Reached, rate: float) -> Tensor:
    """Return -eta mean(M e (M^T M y)^T), M y = x."""
    U, V = _factors(at, rate)
    return -U @ V


def _factors(at: Reached, rate: float) -> tuple[Tensor, Tensor]:
    """Return eta M e / B, shape (N, B), and x^T M, shape (B, N)."""
    return rate / at.drive.shape[1] * (at.M @ at.error), at.drive.T @ at.M


# What the rules of those names come to where all gains are 1 and fixed points are solved directly.
CHANGES: dict[str, Callable[[Reached, float], Tensor]] = {
    "rule 1": euclidean,
    "rule 2": reparameterized,
    "rule 3": linearized,
}


@torch.no_grad()
def course(
    rule: str, rate: float, W: Tensor, drive: Tensor, target: Tensor, steps: int
) -> Iterator[Reached]:
    """Give where the network is before each step, and after the last one.

    Ends early where a step cannot be taken.

    Parameters
    ----------
    rule : str
        A key of `CHANGES`.
    rate : float
    W : Tensor, shape (N, N)
    drive, target : Tensor, shape (N, B)
    steps : int
    """
    identity = torch.eye(len(W), dtype=W.dtype)
    for step in range(steps + 1):
        M = identity - W
        factors, pivots, _ = torch.linalg.lu_factor_ex(M)
        y = torch.linalg.lu_solve(factors, pivots, drive)
        here = Reached(M, factors, pivots, drive, y, 2 * (y - target))
        yield here
        change = CHANGES[rule](here, rate) if step < steps else torch.zeros_like(W)
        if not math.isfinite(float(change.sum())):
            return
        W = W + change


def losses(rule: str, rate: float, seed: int, steps: int) -> list[float]:
    """Return the loss before each step, and after the last one.

    Where a step cannot be taken, the rest is NaN.
    """
    task = linear_task(seed)
    along = course(rule, rate, task.W, task.drive.T, task.target.T, steps)
    found = [float((here.error / 2).square().sum(dim=0).mean()) for here in along]
    return found + [math.nan] * (steps + 1 - len(found))


def linear(
    seed: int, progress: Callable[[int, int], object], steps: int = STEPS, draws: int = DRAWS
) -> tuple[pd.DataFrame, "Figure"]:
    """Return a row for each draw, rule, learning rate and step, and their picture.

    Draws of networks and stimuli have the seeds from `seed` on.
    """
    threads, rows = torch.get_num_threads(), []
    runs = list(itertools.product(range(seed, seed + draws), RULES, RATES))
    torch.set_num_threads(1)  # matrices of 200 x 200 gain nothing by more
    try:
        for index, (own, name, rate) in enumerate(runs):
            progress(index, len(runs))
            said = {"seed": own, "rule": name, "rate": rate, "step": range(steps + 1)}
            rows.append(pd.DataFrame({**said, "loss": losses(name, rate, own, steps)}))
    finally:
        torch.set_num_threads(threads)
    progress(len(runs), len(runs))
    table = pd.concat(rows, ignore_index=True)
    return table, _draw(table)


def _draw(table: pd.DataFrame) -> "Figure":
    """Draw medians over the draws, and their range."""
    figure, axes = new_figure(figsize=(11, 3.8), ncols=3, sharey=True)
    styles = (*STYLES, (0, (5, 1, 1, 1, 1, 1)))
    for axis, (rule, name) in zip(axes, NAMES.items(), strict=True):
        colours = shades(look_of(name)["color"], len(RATES))
        for rate, colour, style in zip(RATES, colours, styles, strict=True):
            rows = table[(table["rule"] == rule) & (table["rate"] == rate)]
            each = rows.fillna({"loss": math.inf}).groupby("step")["loss"]  # NaN is the worst
            draw_range(axis, each, "median", color=colour, ls=style, label=f"{name}, {rate:g}")
        axis.set(xlabel="iteration", yscale="log", ylim=SHOWN)
        axis.set_title(LABELS[name], fontsize="medium")
    axes[0].set_ylabel(r"loss, mean $|y - \hat{y}|^2$")
    rates = [axes[0].plot([], [], color=GREY, ls=style)[0] for style in styles]
    names = [rf"$\eta$ = {rate:g}" for rate in RATES]
    figure.legend(rates, names, loc="outside lower center", ncols=len(RATES), frameon=False)
    return figure
