"""Connectivity as data: the first weights of a layer, by a kind and its numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field

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
from ratenet.validation import validated

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True)
class _Dense:
    radius: Positive = RADIUS

    def first(self, units: int, seed: int) -> AbstractConnectivity:
        return Dense(random_weights(units, radius=self.radius, seed=seed, exact=False))


@dataclass(frozen=True, kw_only=True)
class _Masked:
    density: Annotated[float, Field(gt=0, le=1)]
    radius: Positive = RADIUS

    def first(self, units: int, seed: int) -> AbstractConnectivity:
        mask = random_mask(units, units, density=self.density, seed=seed)
        normal = random_weights(units, radius=1.0, seed=new_seed(), exact=False)
        return Masked(with_radius(normal * mask, self.radius), mask)


@dataclass(frozen=True)
class _Signed:
    excitatory: Share = 0.8
    radius: Positive = RADIUS

    def first(self, units: int, seed: int) -> AbstractConnectivity:
        excitatory = round(self.excitatory * units)
        if not 0 < excitatory < units:
            raise InputError.at(
                "connectivity, excitatory",
                got=self.excitatory,
                expected="a share that leaves at least one unit of each kind",
                remedy=f"of {units} units it makes {excitatory}",
            )
        weights = balanced_weights(excitatory, units - excitatory, radius=self.radius, seed=seed)
        return Signed(*weights, "projection")


@dataclass(frozen=True, kw_only=True)
class _LowRank:
    rank: Annotated[int, Field(ge=1)]
    radius: Positive = RADIUS

    def first(self, units: int, seed: int) -> AbstractConnectivity:
        if self.rank > units:
            raise InputError.at(
                "connectivity, rank", got=self.rank, expected=f"at most the {units} units"
            )
        generator = torch.Generator().manual_seed(seed)
        m = torch.randn(units, self.rank, generator=generator)
        return LowRank(m, self.radius * m)


KINDS: dict[str, type[_Dense | _Masked | _Signed | _LowRank]] = {
    "dense": _Dense,
    "masked": _Masked,
    "signed": _Signed,
    "low-rank": _LowRank,
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
    Low rank: W = radius m m^T / N with normal m, (N, rank); its nonzero eigenvalues lie near the
    radius.
    """
    kind = table.get("kind", "dense")
    if not isinstance(kind, str) or kind not in KINDS:
        raise InputError.at("connectivity, kind", got=kind, expected=f"one of {', '.join(KINDS)}")
    given = {key: value for key, value in table.items() if key != "kind"}
    first = validated(KINDS[kind], given, where=f"connectivity ({kind})")
    return first.first(units, new_seed())
