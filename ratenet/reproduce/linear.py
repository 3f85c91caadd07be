"""Loss against iteration for three rules and five learning rates (figure 1 of the paper)."""

import math
from collections.abc import Callable
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
from ratenet.report.figures import COLOURS, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RATES = (0.03, 0.1, 0.3, 1.0, 3.0)
STEPS = 3_500
RULES: dict[str, AbstractRule] = {
    "rule 1": Euclidean(),
    "rule 2": Reparameterized(),
    "rule 3": LinearizedReparameterized(),
}
NAMES = {"rule 1": "Euclidean", "rule 2": "reparameterized", "rule 3": "linearized"}


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
def losses(rule: str, rate: float, seed: int, steps: int) -> list[float]:
    """Return the loss before each step, and after the last one.

    Where a step cannot be taken, the rest is NaN.
    """
    task, found = linear_task(seed), list[float]()
    drive, target, W = task.drive.T, task.target.T, task.W
    identity = torch.eye(len(W), dtype=W.dtype)
    for step in range(steps + 1):
        M = identity - W
        factors, pivots, _ = torch.linalg.lu_factor_ex(M)
        y = torch.linalg.lu_solve(factors, pivots, drive)
        found.append(float((y - target).square().sum(dim=0).mean()))
        if step < steps:
            change = CHANGES[rule](Reached(M, factors, pivots, drive, y, 2 * (y - target)), rate)
            if not math.isfinite(float(change.sum())):
                return found + [math.nan] * (steps - step)
            W = W + change
    return found


def linear(
    seed: int, progress: Callable[[int, int], object], steps: int = STEPS
) -> tuple[pd.DataFrame, "Figure"]:
    """Return a row for each rule, learning rate and step, and their picture."""
    threads, rows = torch.get_num_threads(), []
    torch.set_num_threads(1)  # matrices of 200 x 200 gain nothing by more
    try:
        for index, (name, rate) in enumerate((n, r) for n in RULES for r in RATES):
            progress(index, len(RULES) * len(RATES))
            values = losses(name, rate, seed, steps)
            rows.append(
                pd.DataFrame({"rule": name, "rate": rate, "step": range(steps + 1), "loss": values})
            )
    finally:
        torch.set_num_threads(threads)
    table = pd.concat(rows, ignore_index=True)
    return table, _draw(table)


def _draw(table: pd.DataFrame) -> "Figure":
    figure, axes = new_figure(figsize=(11, 3.8), ncols=3, sharey=True)
    for axis, name in zip(axes, RULES, strict=True):
        for index, rate in enumerate(RATES):
            rows = table[(table["rule"] == name) & (table["rate"] == rate)]
            style = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))[index]
            axis.semilogy(
                rows["step"], rows["loss"], linestyle=style, color=COLOURS[index], label=f"{rate:g}"
            )
        axis.set_xlabel("iteration")
        axis.set_title(f"{name}, {NAMES[name]}", fontsize="medium")
    axes[0].set_ylabel("loss, mean |y - target|^2")
    axes[0].legend(frameon=False, title="learning rate", fontsize="small")
    figure.suptitle("A linear network learns the responses of another one")
    return figure
