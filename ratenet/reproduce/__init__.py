"""Published figures, repeated: numbers first, a picture of them second."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ratenet.errors import InputError, UnknownNameError
from ratenet.reproduce.angles import angles as angles
from ratenet.reproduce.conv import conv as conv
from ratenet.reproduce.linear import linear as linear
from ratenet.reproduce.mnist import mnist as mnist
from ratenet.reproduce.one_unit import one_unit as one_unit
from ratenet.reproduce.singularities import singularities as singularities
from ratenet.reproduce.slow import slow as slow
from ratenet.reproduce.which_rule_lim import which_rule_lim as which_rule_lim
from ratenet.reproduce.which_rule_nayebi import which_rule_nayebi as which_rule_nayebi
from ratenet.reproduce.which_rule_portes import which_rule_portes as which_rule_portes
from ratenet.stimuli.data_sets import EMBEDDED, check_root

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Progress = Callable[[int, int], object]  # of steps done, and of all
Found = tuple[pd.DataFrame, "Figure"]

FIGURES: dict[str, Callable[[int, Progress], Found]] = {
    "one-unit": one_unit,
    "linear": linear,
    "angles": angles,
    "singularities": singularities,
    "which-rule-nayebi": which_rule_nayebi,
    "which-rule-portes": which_rule_portes,
    "which-rule-lim": which_rule_lim,
}


# Of images: what makes the figure, and the images that it is of.
TRAINED: dict[str, tuple[Callable[[int, Progress, Path, dict[str, str]], Found], str]] = {
    "mnist": (mnist, "mnist"),
    "slow": (slow, EMBEDDED),
    "conv": (conv, EMBEDDED),
}


def figure_named(
    name: str, folder: Path, data: str | None = None, data_root: str | None = None
) -> Callable[[int, Progress], Found]:
    """Return what makes the table and the picture of a figure, from a seed.

    Parameters
    ----------
    name : str
        A key of `FIGURES` or of `TRAINED`.
    folder : Path
        Where figures that need training runs keep them, in runs/.
    data, data_root : str, optional
        As of `TrainingConfig`, for these; default the figure's own images.

    Raises
    ------
    UnknownNameError
        If there is no such figure.
    InputError
        If images are given for a figure that needs none, or a folder for images that need none.
    """
    if name in TRAINED:
        make, own = TRAINED[name]
        images = {"data": data or own, "data_root": data_root or "data"}
        if data_root is not None:
            check_root(images["data"])
        return lambda seed, progress: make(seed, progress, folder / "runs", images)
    if name not in FIGURES:
        raise UnknownNameError.among("figure", name, (*FIGURES, *TRAINED))
    if data is not None or data_root is not None:
        raise InputError(
            f"data: the figure {name!r} needs no images; leave it out.", argument="data"
        )
    return FIGURES[name]
