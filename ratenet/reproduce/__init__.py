"""Figures of Zhu and Rosenbaum (2023), repeated: numbers first, a picture of them second."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pandas as pd

from ratenet.errors import UnknownNameError
from ratenet.reproduce.angles import angles as angles
from ratenet.reproduce.linear import linear as linear
from ratenet.reproduce.singularities import singularities as singularities

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Progress = Callable[[int, int], object]  # of steps done, and of all
Found = tuple[pd.DataFrame, "Figure"]

FIGURES: dict[str, Callable[[int, Progress], Found]] = {
    "linear": linear,
    "angles": angles,
    "singularities": singularities,
}


def figure_named(name: str) -> Callable[[int, Progress], Found]:
    """Return what makes the table and the picture of a figure, from a seed.

    Raises
    ------
    UnknownNameError
        If there is none.
    """
    if name not in FIGURES:
        raise UnknownNameError(f"There is no figure {name!r}; there are {', '.join(FIGURES)}.")
    return FIGURES[name]
