"""What a connectivity asks of weights that move: where synapses are, their signs, or all at once.

    Dense, Masked, Signed, Block of the first two     w + dt dw/dt for each synapse
    Signed with exponentiated updates                 w exp(sign dt dw/dt)
    every other                                       p + dt J^T dW/dt, J = dW/dp

Where there is no synapse, or where a sign would be wrong, w becomes 0. The parameters p of the last
row move as a rule's change of them does.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ratenet.connectivity import AbstractConnectivity, Block, Dense, LowRank, Masked, Signed
from ratenet.connectivity.masked import is_listed
from ratenet.connectivity.streams import Streams, SynapseStreams

_INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}  # by the bytes of a number


@dataclass(frozen=True, eq=False)
class Constraint:
    """How weights of a connectivity may move.

    Attributes
    ----------
    given : AbstractConnectivity
    mask : Tensor of bool, shape (N, N), or None
        Where there are synapses.
    signs : Tensor, shape (N,), or None
        Signs of the presynaptic units.
    is_multiplicative : bool
        Whether a change is that of a weight's logarithm.
    whole : AbstractConnectivity or None
        A copy whose parameters move, where synapses cannot move one by one.
    """

    given: AbstractConnectivity
    mask: Tensor | None = None
    signs: Tensor | None = None
    is_multiplicative: bool = False
    whole: AbstractConnectivity | None = None

    @property
    def is_direct(self) -> bool:
        """Whether a change is just added, and then constrained."""
        return self.whole is None and not self.is_multiplicative

    def moving(self, weights: Tensor) -> AbstractConnectivity:
        """Return the connectivity of a run, which multiplies with these very weights."""
        if self.whole is not None:
            return self.whole
        given = self.given
        if is_listed(given):
            is_shared = weights.ndim == 1
            return (
                Masked(weights, given.mask, given.size)
                if is_shared
                else SynapseStreams(weights, given.mask, given.units)
            )
        return Dense(weights) if weights.ndim == 2 else Streams(weights)

    def like_given(self, weights: Tensor) -> AbstractConnectivity:
        """Return a connectivity like the one given, of separate synapses, with weights (N, N)."""
        if len(self.given.parameters) == 1:
            (name,) = self.given.parameters
            return self.given.with_parameters({name: weights})
        identity = torch.eye(len(weights), dtype=weights.dtype, device=weights.device)
        blocks = self.given.accumulate(weights.T, identity)
        return self.given.with_parameters(self.given.named(blocks))

    def present(self, values: Tensor) -> Tensor:
        """Return values of synapses with 0 where there is none."""
        bits = self._bits
        return values if bits is None else (values.view(bits.dtype) & bits).view(values.dtype)

    def constrain_(self, values: Tensor, *, are_weights: bool) -> None:
        """Set values in place to 0 where there is no synapse, and weights of the wrong sign."""
        if self._bits is not None:
            values.view(self._bits.dtype).bitwise_and_(self._bits)
        if are_weights and self._bounds is not None:
            values.clamp_(*self._bounds)

    @cached_property
    def _bits(self) -> Tensor | None:
        """All bits of a number where there is a synapse, none of them elsewhere.

        They make 0 of anything, NaN too, in a fortieth of the time of masked_fill on a CPU.
        """
        if self.mask is None:
            return None
        return -self.mask.to(_INTEGERS[self.given.dtype.itemsize])

    @cached_property
    def _bounds(self) -> tuple[Tensor, Tensor] | None:
        """Bounds of the weights from each unit."""
        if self.signs is None:
            return None
        none = torch.full_like(self.signs, math.inf)
        return torch.where(self.signs > 0, 0.0, -none), torch.where(self.signs < 0, 0.0, none)


def constraint_of(connectivity: AbstractConnectivity) -> Constraint:
    """Return how weights of a connectivity may move."""
    if isinstance(connectivity, Dense) or is_listed(connectivity):
        return Constraint(connectivity)
    if _is_matrix(connectivity) or _is_of_synapses(connectivity):
        return Constraint(connectivity, mask=pattern_of(connectivity))
    if isinstance(connectivity, Signed):
        is_multiplicative = connectivity.update == "exponentiated"
        signs = connectivity.signs.to(connectivity.W)
        return Constraint(connectivity, signs=signs, is_multiplicative=is_multiplicative)
    return Constraint(connectivity, mask=pattern_of(connectivity), whole=_copy(connectivity))


def _is_of_synapses(connectivity: AbstractConnectivity) -> bool:
    """Return whether every block is a matrix whose entries move one by one."""
    if not isinstance(connectivity, Block):
        return False
    blocks = [block for row in connectivity.blocks.values() for block in row.values()]
    return all(map(_is_matrix, blocks))


def _is_matrix(connectivity: AbstractConnectivity) -> bool:
    """Return whether the parameter is W as a matrix, any entry of which may move or none."""
    return isinstance(connectivity, Dense | Masked) and not is_listed(connectivity)


def pattern_of(connectivity: AbstractConnectivity) -> Tensor | None:
    """Return where there are synapses, (N, N); None: everywhere."""
    if isinstance(connectivity, Masked):
        return connectivity.pattern()
    if isinstance(connectivity, Dense | Signed | LowRank):
        return None
    probe = _copy(connectivity)
    for parameter in probe.parameters.values():
        parameter.fill_(1.0)
    ones = torch.ones(probe.units, probe.units, dtype=probe.dtype, device=probe.device)
    identity = torch.eye(probe.units, dtype=probe.dtype, device=probe.device)
    # A parameter counts if some entry of W depends on it, an entry if it depends on some parameter.
    for name, slope in probe.named(probe.accumulate(ones, identity)).items():
        probe.parameters[name].copy_(slope != 0)
    probe.touch_()
    pattern = probe.dense() != 0
    return None if pattern.all() else pattern


def _copy(connectivity: AbstractConnectivity) -> AbstractConnectivity:
    copies = {n: p.detach().clone() for n, p in connectivity.parameters.items()}
    return connectivity.with_parameters(copies)
