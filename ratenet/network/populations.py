"""Where a network's populations are among its units, and values that are given by population."""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ratenet.equations.populations import Sizes
from ratenet.errors import InputError, UnknownNameError
from ratenet.network.coerce import expand_to


def place_populations(populations: Sizes, units: int) -> dict[str, slice]:
    """Return where each population's units are among all N of them.

    Parameters
    ----------
    populations : tuple of (name, size or fraction)
    units : int
        N, the number of rows of W.

    Raises
    ------
    InputError
        If the sizes do not sum to N, or a fraction of N leaves a population empty.
    """
    sizes = [size for _, size in populations]
    shown = ", ".join(f"{name} {size}" for name, size in populations)
    if all(isinstance(size, int) for size in sizes):
        if populations and sum(sizes) != units:
            raise InputError(
                f"populations: expected sizes that sum to the {units} units of W, got {shown}; "
                "give Network(populations={...}) the sizes of this network.",
                argument="populations",
            )
        return slices({name: int(size) for name, size in populations})
    counts = _largest_remainders([float(size) for size in sizes], units)
    if 0 in counts:
        raise InputError(
            f"populations: the fractions {shown} of {units} units leave one population empty; use "
            "more units, or give Network(populations={...}) sizes.",
            argument="populations",
        )
    return slices(dict(zip((name for name, _ in populations), counts, strict=True)))


def _largest_remainders(fractions: list[float], units: int) -> list[int]:
    """Round fractions of N so that they sum to N: the largest remainders are rounded up."""
    exact = np.array(fractions) * units
    counts = np.floor(exact + 1e-9).astype(int)
    last = np.argsort(counts - exact, kind="stable")[: units - int(counts.sum())]
    counts[last] += 1
    return [int(count) for count in counts]


def slices(sizes: dict[str, int]) -> dict[str, slice]:
    """Return where units of these numbers are that follow one another."""
    ends = list(itertools.accumulate(sizes.values()))
    return {
        name: slice(end - size, end) for (name, size), end in zip(sizes.items(), ends, strict=True)
    }


def given_sizes(given: Mapping[str, Any], populations: Sizes) -> Sizes:
    """Return the sizes that a network is given, checked against the model's populations."""
    names = [name for name, _ in populations]
    if set(given) != set(names):
        raise InputError.at(
            "populations",
            got=list(given),
            expected=", ".join(names) or "none (the model has none)",
        )
    for name, size in given.items():
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
            where = f"populations, {name}"
            raise InputError.at(where, got=size, expected="a whole number of at least 1")
    return tuple((name, int(given[name])) for name in names)


def check_complete(values: Mapping[str, Any], populations: Mapping[str, slice], where: str) -> None:
    """Refuse values by population whose names are not those of the network."""
    unknown = [name for name in values if name not in populations]
    if unknown:
        check_known(unknown[0], populations, where)
    missing = [name for name in populations if name not in values]
    if missing:
        raise InputError(
            f"{where}: values are missing for {', '.join(missing)}; give one for each population, "
            "0 where there is none.",
            argument=where,
            got=list(values),
            expected=", ".join(populations),
        )


def check_known(name: Any, populations: Mapping[str, Any], where: str) -> None:
    """Refuse a name that is not one of the populations."""
    if name not in populations:
        error = UnknownNameError.among("population", name, populations)
        raise InputError(f"{where}: {error}", argument=where, got=name, expected=error.expected)


def join_populations(
    parts: Mapping[str, Tensor], populations: Mapping[str, slice], where: str
) -> Tensor:
    """Return (B, N) from each population's part: a number, (N_p,) or (B, N_p)."""
    stimuli = max(len(part) if part.ndim == 2 else 1 for part in parts.values())
    return torch.cat(
        [
            expand_to(
                parts[population],
                torch.Size((stimuli, place.stop - place.start)),
                f"{where}, {population}",
            )
            for population, place in populations.items()
        ],
        dim=1,
    )
