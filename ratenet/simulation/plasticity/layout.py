"""Layout of the variables of synapses: matrices (N, N), or the synapses that exist, listed (S,)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ratenet.connectivity import AbstractConnectivity
from ratenet.connectivity.masked import is_listed
from ratenet.errors import InputError


@dataclass(frozen=True, eq=False)
class Matrices:
    """One number for each pair of units, W[post, pre]."""

    units: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a variable of one stream."""
        return (self.units, self.units)

    @property
    def synapses(self) -> int:
        """How many numbers that is."""
        return math.prod(self.shape)

    def of_post(self, values: Tensor) -> Tensor:
        """Return values of units, (N,) or (B, N or 1), as each synapse's postsynaptic one."""
        return values[..., :, None]

    def of_pre(self, values: Tensor) -> Tensor:
        """Return values of units, (N,) or (B, N or 1), as each synapse's presynaptic one."""
        return values[..., None, :]

    def of_both(self, values: Tensor) -> Tensor:
        """Return values that all units share, (B, 1), for each synapse."""
        return values[:, :, None]

    def total(self, values: Tensor, *, is_onto: bool) -> Tensor:
        """Return the sum over the synapses onto, or from, each unit, (B, N)."""
        return values.sum(dim=2 if is_onto else 1)

    def entries(self, values: Tensor, pairs: Tensor) -> Tensor:
        """Return the values of synapses (post, pre), (..., number)."""
        return values[..., *pairs.T]

    def pair(self, index: list[int]) -> tuple[int, int]:
        """Return (post, pre) of an index into a variable."""
        return index[-2], index[-1]


@dataclass(frozen=True, eq=False)
class Listed:
    """One number for each synapse that exists, ordered by post, then pre.

    Parameters
    ----------
    places : Tensor of int, shape (2, S)
    units : int
    """

    places: Tensor
    units: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a variable of one stream."""
        return (self.synapses,)

    @property
    def synapses(self) -> int:
        """S."""
        return int(self.places.shape[1])

    def of_post(self, values: Tensor) -> Tensor:
        """Return values of units, (N,) or (B, N or 1), as each synapse's postsynaptic one."""
        return values if values.shape[-1] == 1 else values[..., self.places[0]]

    def of_pre(self, values: Tensor) -> Tensor:
        """Return values of units, (N,) or (B, N or 1), as each synapse's presynaptic one."""
        return values if values.shape[-1] == 1 else values[..., self.places[1]]

    def of_both(self, values: Tensor) -> Tensor:
        """Return values that all units share, (B, 1), for each synapse."""
        return values

    def total(self, values: Tensor, *, is_onto: bool) -> Tensor:
        """Return the sum over the synapses onto, or from, each unit, (B, N)."""
        found = values.new_zeros(len(values), self.units)
        return found.index_add_(1, self.places[0 if is_onto else 1], values)

    def entries(self, values: Tensor, pairs: Tensor) -> Tensor:
        """Return the values of synapses (post, pre), (..., number)."""
        return values[..., self._indices(pairs)]

    def pair(self, index: list[int]) -> tuple[int, int]:
        """Return (post, pre) of an index into a variable."""
        post, pre = self.places[:, index[-1]].tolist()
        return post, pre

    def absent(self, pairs: Tensor) -> Tensor:
        """Return those of some pairs between which there is no synapse, (number, 2)."""
        found = self.places[:, self._indices(pairs)].T
        return pairs[(found != pairs).any(dim=1)]

    def _indices(self, pairs: Tensor) -> Tensor:
        """Return where pairs are, or the synapse that comes next."""
        keys = self.places[0].long() * self.units + self.places[1]
        wanted = pairs[:, 0] * self.units + pairs[:, 1]
        return torch.searchsorted(keys, wanted).clamp_(max=self.synapses - 1)


Layout = Matrices | Listed


def layout_of(connectivity: AbstractConnectivity) -> Layout:
    """Return how the variables of a connectivity's synapses are kept."""
    if is_listed(connectivity):
        return Listed(connectivity.mask, connectivity.units)
    return Matrices(connectivity.units)


def refuse_listed(connectivity: AbstractConnectivity, what: str) -> None:
    """Refuse weights that are stored synapse by synapse, for what needs them as a matrix.

    Raises
    ------
    InputError
    """
    if isinstance(layout_of(connectivity), Listed):
        raise InputError(
            f"{what}: expected weights as a matrix, got Masked weights stored synapse by synapse; "
            "use network.changed(W=Masked(W.dense(), W.pattern())).",
            argument="plasticity",
        )
