"""One unit: the loss over its weight w and over a = F(w) = 1/(1 - w), and the path of each rule.

Over w the loss has a pole at w = 1 and is flat far below it; over a it is a parabola. Rule 1 leaps
from beside the pole to where it is flat; rules 2 and 3 take the steps of descent in a. Over several
draws of stimuli and noise, the first of which is drawn.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ratenet.report.figures import GREY, new_figure
from ratenet.report.rule_looks import LABELS, look_of
from ratenet.reproduce.draws import DRAWS
from ratenet.reproduce.linear import NAMES, course

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEACHER, STARTS, RATE, STEPS = 0.5, {"left": -2.0, "right": 0.9}, 0.5, 1_000
SAMPLES, POINTS = 100, 401
SPAN_W, SPAN_A = (-11.0, 3.0), (-1.0, 11.0)


def one_unit(
    seed: int, progress: Callable[[int, int], object], steps: int = STEPS, draws: int = DRAWS
) -> tuple[pd.DataFrame, "Figure"]:
    """Return the loss over w and a, and the path of each rule from two starts; and their picture.

    Draws of stimuli and noise have the seeds from `seed` on. Rows have the seed, `part` ("over w",
    "over a" or "path"), w, a and loss; paths also rule, start and step.
    """
    tables: list[pd.DataFrame] = []
    for index, own in enumerate(range(seed, seed + draws)):
        progress(index, draws)
        tables += _of_draw(own, steps)
    progress(draws, draws)
    table = pd.concat(tables, ignore_index=True)
    return table, _draw(table[table["seed"] == seed])


def _of_draw(seed: int, steps: int) -> Iterator[pd.DataFrame]:
    """Give the loss over w and over a, and the path of each rule from each start."""
    generator = torch.Generator().manual_seed(seed)
    x = 0.1 * torch.randn(1, SAMPLES, generator=generator, dtype=torch.float64)
    noise = 0.01 * torch.randn(1, SAMPLES, generator=generator, dtype=torch.float64)
    target = x / (1 - TEACHER) + noise
    w, a = np.linspace(*SPAN_W, POINTS), np.linspace(*SPAN_A, POINTS)
    w = w[np.abs(1 - w) > 1e-3]
    yield pd.DataFrame(
        {"seed": seed, "part": "over w", "w": w, "loss": _loss(1 / (1 - w), x, target)}
    )
    yield pd.DataFrame({"seed": seed, "part": "over a", "a": a, "loss": _loss(a, x, target)})
    for rule, (start, first) in itertools.product(NAMES, STARTS.items()):
        along = course(rule, RATE, torch.full((1, 1), first).double(), x, target, steps)
        reached = np.array([1 - float(here.M) for here in along])
        at = 1 / (1 - reached)
        path = {"w": reached, "a": at, "step": range(len(reached)), "loss": _loss(at, x, target)}
        yield pd.DataFrame({"seed": seed, "part": "path", "rule": rule, "start": start, **path})


def _loss(a: np.ndarray, x: Tensor, target: Tensor) -> np.ndarray:
    """Return the mean of (a x - target)^2 at each a."""
    return np.square(a[:, None] * x.numpy() - target.numpy()).mean(axis=1)


def _draw(table: pd.DataFrame) -> "Figure":
    figure, axes = new_figure(
        figsize=(9, 6.4), nrows=2, ncols=2, sharex="col", sharey="row", height_ratios=(3, 2)
    )
    for column, (name, span) in enumerate({"w": SPAN_W, "a": SPAN_A}.items()):
        loss, path = axes[:, column]
        rows = table[table["part"] == f"over {name}"]
        for part in (rows[rows["w"] < 1], rows[rows["w"] > 1]) if name == "w" else (rows,):
            loss.plot(part[name], part["loss"], color="black", lw=1.4)
        _draw_paths(loss, path, table[table["part"] == "path"], name)
        loss.set(xlim=span, ylim=(-0.03, 1.0))
    for axis in axes[:, 0]:
        axis.axvline(1, color=GREY, ls="--", lw=1)
    axes[0, 0].annotate(
        "pole at $w = 1$", (1, 0.9), xytext=(-6, 0), textcoords="offset points", ha="right"
    )
    axes[0, 0].set_ylabel(r"loss, mean $(y - \hat{y})^2$")
    axes[1, 0].set(xlabel="weight $w$", ylabel="iteration", yscale="log")
    axes[1, 0].invert_yaxis()
    axes[1, 1].set_xlabel("$a = F(w) = 1/(1 - w)$")
    axes[0, 1].legend(frameon=False, fontsize="small", loc="upper center")
    return figure


def _draw_paths(loss: Any, path: Any, rows: pd.DataFrame, name: str) -> None:
    """Draw where each rule is on the loss, and at which iteration."""
    for (rule, start), of_rule in rows.groupby(["rule", "start"], sort=False):
        name_of_rule = NAMES[str(rule)]
        look = look_of(name_of_rule)
        label = LABELS[name_of_rule] if start == "left" else None
        on_top = {"lw": 2.4, "zorder": 3} if rule == "rule 2" else {"lw": 1.6}  # as rule 3 goes
        line = {"color": look["color"], "ls": look["ls"], **on_top}
        path.plot(of_rule[name], of_rule["step"] + 1, **line)
        some = of_rule[of_rule["step"].isin([0, 1, 3, 10, 30, 100, 300, 1_000])]
        loss.plot(
            some[name], some["loss"], look["marker"], color=look["color"], mfc="none", ms=6,
            label=label,
        )  # fmt: skip
