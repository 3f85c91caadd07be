"""Connectivity as data: the first weights of a layer, by a kind and its numbers."""

import math
from collections.abc import Mapping
from typing import Any

import torch

from ratenet.connectivity import (
    AbstractConnectivity,
    Dense,
    LowRank,
    Masked,
    Signed,
    balanced_weights,
    random_mask,
    random_weights,
    with_radius,
)
from ratenet.errors import InputError
from ratenet.layers.base import RADIUS, new_seed

# The keys of each kind with their defaults; None: it must be given.
KINDS: dict[str, dict[str, Any]] = {
    "dense": {"radius": RADIUS},
    "masked": {"radius": RADIUS, "density": None},
    "signed": {"radius": RADIUS, "excitatory": 0.8},
    "low-rank": {"radius": RADIUS, "rank": None},
}


def connectivity_of(table: Mapping[str, Any], units: int) -> AbstractConnectivity:
    """Return a connectivity with random first weights, from torch's global generator.

    Parameters
    ----------
    table : mapping
        "kind": "dense" (the default), "masked" with a "density", "signed" with a share of units
        that is "excitatory" (0.8), or "low-rank" with a "rank"; and the spectral "radius" (0.5).
    units : int
        N.

    Raises
    ------
    InputError
        If a key is unknown or missing, or its value is out of range.

    Notes
    -----
    Of a low rank, W = radius m m^T / N with normal m, whose eigenvalues lie near the radius.
    """
    kind = table.get("kind", "dense")
    if not isinstance(kind, str) or kind not in KINDS:
        raise InputError(f"connectivity, kind: {kind!r} is not one of {', '.join(KINDS)}.")
    numbers = _numbers(table, kind)
    radius, seed = numbers["radius"], new_seed()
    if kind == "masked":
        mask = random_mask(units, units, density=numbers["density"], seed=seed)
        normal = random_weights(units, radius=1.0, seed=new_seed(), exact=False)
        return Masked(with_radius(normal * mask, radius), mask)
    if kind == "signed":
        if not numbers["excitatory"] < 1:
            raise InputError(
                f"connectivity, excitatory: {numbers['excitatory']} is no share of the units, "
                "above 0 and below 1."
            )
        excitatory = round(numbers["excitatory"] * units)
        if not 0 < excitatory < units:
            raise InputError(
                f"connectivity, excitatory: {numbers['excitatory']} of {units} units is "
                f"{excitatory}; there must be at least one unit of each kind."
            )
        return Signed(
            *balanced_weights(excitatory, units - excitatory, radius=radius, seed=seed),
            "projection",
        )
    if kind == "low-rank":
        rank = numbers["rank"]
        if rank != int(rank) or not 1 <= rank <= units:
            raise InputError(f"connectivity, rank: {rank} is no whole number from 1 to {units}.")
        generator = torch.Generator().manual_seed(seed)
        m = torch.randn(units, int(rank), generator=generator)
        return LowRank(m, radius * m)
    return Dense(random_weights(units, radius=radius, seed=seed, exact=False))


def _numbers(table: Mapping[str, Any], kind: str) -> dict[str, float]:
    """Return the numbers of a kind, defaults filled in."""
    numbers = dict(KINDS[kind])
    for key, value in table.items():
        if key == "kind":
            continue
        if key not in numbers:
            raise InputError(
                f"connectivity ({kind}): the key {key!r} is unknown; allowed are "
                f"{', '.join(numbers)}."
            )
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not 0 < value < math.inf
        ):
            raise InputError(f"connectivity ({kind}), {key}: {value!r} is no number above 0.")
        numbers[key] = value
    for key, value in numbers.items():
        if value is None:
            raise InputError(f"connectivity ({kind}): the key {key!r} is missing; add it.")
    return numbers
