"""Populations: names and sizes of groups of units that follow one another in W's rows.

A model gives sizes (integers) or fractions of the units (they sum to 1); a network may say its own.
"""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from ratenet.equations.quantities import with_units
from ratenet.equations.units import Dimension, Quantity, get_dimensions, show_unit
from ratenet.errors import InputError, ModelError, UnknownNameError, escape, show_any

Sizes = tuple[tuple[str, int | float], ...]


def check_populations(populations: Sizes) -> None:
    """Refuse sizes that are neither all whole numbers nor fractions that sum to 1."""
    sizes = [size for _, size in populations]
    if all(isinstance(size, int) for size in sizes):
        return
    if any(isinstance(size, int) for size in sizes):
        raise ModelError("populations: expected sizes or fractions for all, got some of each.")
    if abs(sum(sizes) - 1) > 1e-9:
        raise ModelError(f"populations: expected fractions that sum to 1, got {sum(sizes):g}.")


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
                "give Network(populations={...}) the sizes of this network."
            )
        return _slices({name: int(size) for name, size in populations})
    counts = _largest_remainders([float(size) for size in sizes], units)
    if 0 in counts:
        raise InputError(
            f"populations: the fractions {shown} of {units} units leave one population empty; use "
            "more units, or give Network(populations={...}) sizes."
        )
    return _slices(dict(zip((name for name, _ in populations), counts, strict=True)))


def _largest_remainders(fractions: list[float], units: int) -> list[int]:
    """Round fractions of N so that they sum to N: the largest remainders are rounded up."""
    exact = np.array(fractions) * units
    counts = np.floor(exact + 1e-9).astype(int)
    last = np.argsort(counts - exact, kind="stable")[: units - int(counts.sum())]
    counts[last] += 1
    return [int(count) for count in counts]


def _slices(sizes: dict[str, int]) -> dict[str, slice]:
    ends = list(itertools.accumulate(sizes.values()))
    return {
        name: slice(end - size, end) for (name, size), end in zip(sizes.items(), ends, strict=True)
    }


def given_sizes(given: Mapping[str, Any], populations: Sizes) -> Sizes:
    """Return the sizes that a network is given, checked against the model's populations."""
    names = [name for name, _ in populations]
    if set(given) != set(names):
        raise InputError(
            f"populations: expected {', '.join(names) or 'none (the model has none)'}, got "
            f"{', '.join(map(show_any, given)) or 'none'}."
        )
    for name, size in given.items():
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
            where = f"populations, {name}"
            raise InputError.at(where, got=size, expected="a whole number of at least 1")
    return tuple((name, int(given[name])) for name in names)


def blocks_to_matrix(blocks: Mapping[str, Any], populations: Sizes, dimensions: Dimension) -> Any:
    """Return W (N, N) from blocks by population, post -> pre -> number or (N_post, N_pre).

    Parameters
    ----------
    blocks : mapping
        Blocks that are not named are zero; entries are SI values or quantities.
    populations : tuple of (name, size)
        Sizes, not fractions.
    dimensions : Dimension
        Physical dimensions of W, which blocks that are quantities must have.

    Raises
    ------
    InputError
        If a population is unknown, sizes are not known, or a block's shape or unit does not fit.
    """
    if not populations or any(isinstance(size, float) for _, size in populations):
        raise InputError(
            "W: blocks by population need the sizes of the populations; give "
            "Network(populations={name: size, ...})."
        )
    places = _slices({name: int(size) for name, size in populations})
    units = sum(int(size) for _, size in populations)
    W = np.zeros((units, units))
    for post, row in blocks.items():
        if not isinstance(row, Mapping):
            expected = "a mapping from presynaptic populations to weights"
            raise InputError.at(f"W, {escape(str(post))}", got=row, expected=expected)
        for pre, block in row.items():
            _check_known(post, pre, places)
            target = W[places[post], places[pre]]
            block = with_units(block)
            if isinstance(block, Quantity) and get_dimensions(block) != dimensions:
                raise InputError(
                    f"W, {post} from {pre}: expected weights in {show_unit(dimensions)} (recurrent "
                    f"input over output), got {show_unit(get_dimensions(block))}."
                )
            values = np.asarray(block, dtype=np.float64)
            if values.shape not in ((), target.shape):
                raise InputError(
                    f"W, {post} from {pre}: expected one number or the shape {target.shape}, got "
                    f"the shape {values.shape}."
                )
            target[...] = values
    return W


def _check_known(post: str, pre: str, places: Mapping[str, slice]) -> None:
    for name in (post, pre):
        if name not in places:
            raise InputError(f"W: {UnknownNameError.among('population', name, places)}")


def check_complete(values: Mapping[str, Any], populations: Mapping[str, slice], where: str) -> None:
    """Refuse values by population whose names are not those of the network."""
    if set(values) != set(populations):
        raise InputError(
            f"{where}: expected a value for each population "
            f"({', '.join(populations) or 'the network has none'}), got values for "
            f"{', '.join(map(show_any, values)) or 'none'}."
        )
