"""What a simulation with plasticity records: weights at some steps, all variables at the end."""

from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from ratenet.connectivity import AbstractConnectivity
from ratenet.equations import PlasticitySpec
from ratenet.errors import DivergenceError, InputError
from ratenet.linear_algebra import is_finite
from ratenet.simulation.plasticity.bound import Plasticity
from ratenet.simulation.plasticity.layout import Listed
from ratenet.simulation.plasticity.state import PlasticState
from ratenet.simulation.time_grid import TimeGrid


@dataclass(frozen=True, eq=False)
class PlasticityRecord:
    """Weights and other variables of a plasticity rule, as a simulation left and recorded them.

    Attributes
    ----------
    spec : PlasticitySpec
        The rule.
    final : dict of str to Tensor
        All variables at the end: fit as `initial_plasticity` of the next simulation. A unit's have
        the shape (B, N), a synapse's (B, N, N); the weight that all streams share (N, N). Where the
        parameters of the connectivity move, these in place of the weight, as ``w.kernel``.
    weight : str
        Name of the weight.
    final_weights : Tensor, shape (B, N, N) or (N, N)
        Where weights are stored synapse by synapse (B, S) or (S,), in their order; so are all
        variables of synapses.
    connectivity : AbstractConnectivity or None
        The weights at the end as a connectivity like the network's; None where each stimulus has
        its own.
    t : Tensor, shape (R,)
        Times of the recorded weights in seconds; empty unless `record_weights` was given.
    weights : Tensor, shape (R, B, N, N), or (R, N, N) where streams share them
        With `record_synapses` the S chosen ones, (R, B, S) or (R, S).
    units : dict of str to Tensor, each (R, B, N)
        Variables of units at these times.
    synapses : Tensor of int, shape (S, 2), or None
        The chosen synapses, (post, pre).
    """

    spec: PlasticitySpec
    final: dict[str, Tensor]
    weight: str
    final_weights: Tensor
    connectivity: AbstractConnectivity | None
    t: Tensor
    weights: Tensor
    units: dict[str, Tensor]
    synapses: Tensor | None


@dataclass(eq=False)
class PlasticityRecorder:
    """Asked at each record of the states, and in between; keeps weights at the intervals."""

    rule: Plasticity
    grid: TimeGrid
    every: int | None  # steps; a multiple of record_every
    synapses: Tensor | None  # (S, 2)
    state: PlasticState = field(init=False)
    last: dict[str, Tensor] = field(init=False)  # all variables at the last record
    _weights_before: Tensor = field(init=False)  # at the last check
    _times: list[float] = field(init=False, default_factory=list)
    _weights: list[Tensor] = field(init=False, default_factory=list)
    _units: list[dict[str, Tensor]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.state = PlasticState(self.rule)
        self.last = {name: value.clone() for name, value in self.state.values.items()}
        self._weights_before = self.last[self.rule.weight]

    def bytes(self) -> int:
        """Return the memory that the records of weights need."""
        first = self.rule.initial[self.rule.weight]
        if self.every is None:
            return 0
        size = first.numel()
        if self.synapses is not None:
            size = size // self.rule.layout.synapses * len(self.synapses)
        return (self.grid.steps // self.every + 1) * size * first.element_size()

    def check(self, n: int) -> None:
        """Refuse variables after n steps that are not finite.

        Raises
        ------
        DivergenceError
        """
        self.state.refresh_weights()
        for name, value in self.state.values.items():
            if not is_finite(value):
                self._refuse(name, value, n)
        self._weights_before = self.state.weights.clone()

    def keep(self, n: int) -> None:
        """Take in the variables after n steps, just checked."""
        self.last = {name: value.clone() for name, value in self._others()}
        self.last[self.rule.weight] = self._weights_before
        if self.every is None or n % self.every:
            return
        W = self.last[self.rule.weight]
        self._times.append(self.grid.time(n))
        chosen = self.synapses
        self._weights.append(W if chosen is None else self.rule.layout.entries(W, chosen))
        self._units.append({name: self.last[name] for name in self.rule.spec.unit_variables})

    def _others(self) -> list[tuple[str, Tensor]]:
        """Return all variables but the weight."""
        return [(n, value) for n, value in self.state.values.items() if n != self.rule.weight]

    def record(self) -> PlasticityRecord:
        """Return what was recorded."""
        rule, last = self.rule, self.last
        names, W = rule.spec.unit_variables, last[rule.weight]
        shape = W.shape
        return PlasticityRecord(
            spec=rule.spec,
            final={n: v for n, v in last.items() if n != rule.weight or not rule.parts},
            weight=rule.weight,
            final_weights=W,
            connectivity=rule.connectivity_of(last),
            t=torch.tensor(self._times, dtype=torch.float64),
            weights=torch.stack(self._weights) if self._weights else torch.empty(0, *shape),
            units={n: torch.stack([row[n] for row in self._units]) for n in names if self._units},
            synapses=self.synapses,
        )

    def _refuse(self, name: str, value: Tensor, n: int) -> None:
        """Say which entry is not finite: of all that are not, the largest before."""
        before = self._weights_before if name == self.rule.weight else self.last[name]
        sizes = torch.where(torch.isfinite(value), -1.0, before.abs())
        place = self.place(name, sizes)
        remedy = "Lower dt or the rate of learning, or bound the weights in the equations."
        raise DivergenceError(
            f"Plasticity diverged: {place} is NaN or infinite by t = {self.grid.time(n):g} s. "
            f"{remedy}"
        )

    def place(self, name: str, sizes: Tensor) -> str:
        """Name the largest entry of sizes, which has the shape of a variable."""
        index = [int(i) for i in torch.unravel_index(sizes.argmax(), sizes.shape)]
        if name in self.rule.spec.unit_variables:
            return f"{name} of unit {index[1]} of stimulus {index[0]}"
        layout = self.rule.layout
        of = f" of stimulus {index[0]}" if len(index) > len(layout.shape) else ""
        post, pre = layout.pair(index)
        return f"synapse {name}[{post}, {pre}] (post, pre){of}"

    def largest_weight(self) -> str:
        """Name the largest weight of the last check."""
        sizes = self._weights_before.abs()
        return f"{self.place(self.rule.weight, sizes)} at {float(sizes.max()):.3g}"


def checked_interval(every: Any, synapses: Any, grid: TimeGrid) -> int | None:
    """Return the interval of recorded weights in steps, or None."""
    if every is None:
        return None if synapses is None else grid.record_every
    is_whole = isinstance(every, Integral) and not isinstance(every, bool)
    if not is_whole or every < 1 or grid.steps % every or every % grid.record_every:
        raise InputError.at(
            "record_weights",
            got=every,
            expected=f"a whole number of steps that divides the {grid.steps} steps and is a "
            f"multiple of record_every = {grid.record_every}",
        )
    return int(every)


def checked_synapses(synapses: Any, rule: Plasticity) -> Tensor | None:
    """Return the recorded synapses (S, 2), or None for all."""
    if synapses is None:
        return None
    units, device, mask = rule.network.units, rule.network.device, rule.constraint.mask
    expected = f"pairs (post, pre) of units from 0 to {units - 1}"
    try:
        pairs = torch.as_tensor(synapses, device=device)
    except (TypeError, ValueError, RuntimeError):
        raise InputError.at("record_synapses", got=synapses, expected=expected) from None
    is_whole = not (pairs.is_floating_point() or pairs.is_complex() or pairs.dtype == torch.bool)
    if not (is_whole and pairs.ndim == 2 and pairs.shape[1] == 2 and len(pairs)):
        raise InputError.at("record_synapses", got=synapses, expected=expected)
    if int(pairs.min()) < 0 or int(pairs.max()) >= units:
        raise InputError.at("record_synapses", got=synapses, expected=expected)
    pairs = pairs.long()
    layout = rule.layout
    missing = pairs[:0] if mask is None else pairs[~mask[*pairs.T]]
    missing = layout.absent(pairs) if isinstance(layout, Listed) else missing
    if len(missing):
        absent = missing[0].tolist()
        raise InputError(
            f"record_synapses: there is no synapse from unit {absent[1]} to unit {absent[0]}; "
            "choose pairs (post, pre) where the mask of the connectivity is True.",
            argument="record_synapses",
            got=absent,
        )
    return pairs
