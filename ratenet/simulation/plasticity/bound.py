"""A plasticity rule bound to a network: parameters as numbers, signals, constraints, first values.

Weights are kept (B, N, N), one matrix for each stream, or (N, N), one that all streams share.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import sympy
import torch
from torch import Tensor

from ratenet.connectivity import AbstractConnectivity, Dense, Masked, Signed
from ratenet.connectivity.streams import Streams
from ratenet.equations import PlasticitySpec, load_plasticity
from ratenet.equations.synapse_terms import Term, parted
from ratenet.equations.units import show_unit
from ratenet.errors import InputError, ModelError, UnknownNameError, UnsupportedError
from ratenet.linear_algebra import require_memory
from ratenet.network import Network
from ratenet.network.coerce import as_tensor
from ratenet.simulation.plasticity.signals import Signal, signal_for

MODES = ("own", "shared")


@dataclass(frozen=True, eq=False)
class Plasticity:
    """A plasticity rule, ready to run.

    Attributes
    ----------
    spec : PlasticitySpec
    network : Network
        Has the very weights that move, one object for the whole run.
    is_shared : bool
        Whether all streams share their weights.
    streams : int
        B.
    parameters : dict of str to Tensor, shape () or (N,)
    signals : dict of str to Signal
    mask : Tensor of bool, shape (N, N), or None
        Where there are synapses.
    signs : Tensor, shape (N,), or None
        Signs of the presynaptic units.
    initial : dict of str to Tensor
        Values at the start: (B, N) of a unit's variables; (B, N, N) of a synapse's, or (N, N) of
        the shared weight.
    """

    spec: PlasticitySpec
    network: Network
    is_shared: bool
    streams: int
    parameters: dict[str, Tensor]
    signals: dict[str, Signal]
    mask: Tensor | None
    signs: Tensor | None
    initial: dict[str, Tensor] = field(repr=False)

    @property
    def weight(self) -> str:
        """Name of the weight."""
        return self.spec.weight

    @cached_property
    def terms(self) -> dict[str, list[Term] | None]:
        """The terms of each synapse variable's equation; None: synapse by synapse."""
        return {name: self.parted(e) for name, e in self.spec.synapses.items()}

    def parted(self, expression: sympy.Expr) -> list[Term] | None:
        """Return the terms of a synapse's expression."""
        return parted(expression, self.spec.synapse_variables, self.spec.global_signals)

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Return the shape of a variable's values."""
        N = self.network.units
        if name in self.spec.unit_variables:
            return (self.streams, N)
        is_one = self.is_shared and name == self.weight
        return (N, N) if is_one else (self.streams, N, N)

    def present(self, values: Tensor) -> Tensor:
        """Return values of synapses with 0 where there is none."""
        return values if self._absent is None else values.masked_fill(self._absent, 0.0)

    def constrain_(self, name: str, values: Tensor) -> None:
        """Set values in place to 0 where there is no synapse, or a weight of the wrong sign."""
        if self._absent is not None:
            values.masked_fill_(self._absent, 0.0)
        if self._bounds is not None and name == self.weight:
            values.clamp_(*self._bounds)

    @cached_property
    def _absent(self) -> Tensor | None:
        return None if self.mask is None else ~self.mask

    @cached_property
    def _bounds(self) -> tuple[Tensor, Tensor] | None:
        """Bounds of the weights from each unit."""
        if self.signs is None:
            return None
        none = torch.full_like(self.signs, math.inf)
        return torch.where(self.signs > 0, 0.0, -none), torch.where(self.signs < 0, 0.0, none)


def bind(
    spec: Any,
    network: Network,
    streams: int,
    weights: str,
    signals: Mapping[str, Any] | None,
    initial: Mapping[str, Any] | None,
) -> Plasticity:
    """Return a rule ready to run on a copy of a network; refuse what does not fit.

    Raises
    ------
    UnknownNameError, ModelError
        If there is no such rule, or its file cannot be used.
    InputError
        If the units of the rule and of the model differ, or a signal or a first value does not fit.
    UnsupportedError
        If the connectivity does not let each synapse change by itself.
    """
    spec = load_plasticity(spec)
    if weights not in MODES:
        raise InputError.at("weights", got=weights, expected="'own' or 'shared'")
    if not streams:
        raise InputError.at("drive", got=(0, network.units), expected="at least one stimulus")
    _check_units(spec, network)
    mask, signs = _constraints(network.connectivity)
    N, like = network.units, network.connectivity.dense().detach()
    parameters = {name: _numbers(spec, name, N, like) for name in spec.defaults}
    bound = {
        name: signal_for(
            name,
            value,
            (streams, 1 if name in spec.global_signals else N),
            spec.dimensions(name),
            like,
        )
        for name, value in spec.given_signals(signals).items()
    }
    found = Plasticity(
        spec, network, weights == "shared", streams, parameters, bound, mask, signs, {}
    )
    require_memory(
        bytes_of(found),
        f"plasticity: {len(spec.synapse_variables)} variables of {N * N:,} synapses, weights="
        f"{weights!r}, {streams:,} stimuli",
        "use fewer stimuli, or weights='shared' with a right-hand side that parts into factors of "
        "the two units",
        device=network.device,
    )
    first = _first_values(found, initial, like)
    W = first[spec.weight].clone()
    moving = Dense(W) if W.ndim == 2 else Streams(W)
    return Plasticity(
        spec,
        network.changed(W=moving),
        weights == "shared",
        streams,
        parameters,
        bound,
        mask,
        signs,
        {**first, spec.weight: W},
    )


def _check_units(spec: PlasticitySpec, network: Network) -> None:
    model = network.model
    for what, own, theirs in (
        ("y", spec.output_dimensions, model.output_dimensions),
        (spec.weight, spec.weight_dimensions, model.weight_dimensions),
    ):
        if own != theirs:
            raise InputError(
                f"plasticity: in the rule {spec.name!r} {what} is in {show_unit(own)}, in the "
                f"model {model.name!r} in {show_unit(theirs)}; write the rule in the model's units "
                f"({what} : unit in its equations).",
                argument="plasticity",
                got=spec.name,
                expected=show_unit(theirs),
            )


def _constraints(connectivity: AbstractConnectivity) -> tuple[Tensor | None, Tensor | None]:
    """Return mask and signs of a connectivity whose synapses may change one by one."""
    if isinstance(connectivity, Dense):
        return None, None
    if isinstance(connectivity, Masked):
        return connectivity.mask, None
    if isinstance(connectivity, Signed) and connectivity.update == "projection":
        return None, connectivity.signs.to(connectivity.W)
    kind = type(connectivity).__name__
    if isinstance(connectivity, Signed):
        kind = "Signed(update='exponentiated')"
    raise UnsupportedError(
        f"plasticity: equations change every synapse by itself, which {kind} weights do not allow; "
        "use Dense, Masked or Signed (projection) weights, such as "
        "network.changed(W=network.connectivity.dense()).",
        argument="plasticity",
        got=kind,
    )


def _numbers(spec: PlasticitySpec, name: str, units: int, like: Tensor) -> Tensor:
    try:
        values = spec.defaults[name].values({}, units, seed=0)
    except ModelError as error:
        raise InputError(str(error)).within(f"plasticity {spec.name!r}") from None
    return as_tensor(values, spec.dimensions(name), name, like.dtype, like.device)


def _first_values(
    rule: Plasticity, given: Mapping[str, Any] | None, like: Tensor
) -> dict[str, Tensor]:
    """Return the values of all variables at the start; zero, and the network's own weights."""
    spec, where = rule.spec, "initial_plasticity"
    names = (*spec.unit_variables, *spec.synapse_variables)
    if given is not None and not isinstance(given, Mapping):
        raise InputError.at(where, got=given, expected="a mapping from variables to values")
    for name in given or {}:
        if name not in names:
            raise UnknownNameError.among(f"variable in {where}", name, names)
    values = {}
    for name in names:
        value = (given or {}).get(name, like if name == spec.weight else 0.0)
        there = f"{where}, {name}"
        tensor = as_tensor(value, spec.dimensions(name), there, like.dtype, like.device)
        values[name] = _expanded(tensor.detach(), rule.shape_of(name), there)
        if name in spec.synapse_variables and name != spec.weight:
            values[name] = rule.present(values[name])
    W = values[spec.weight]
    allowed = W.clone()
    rule.constrain_(spec.weight, allowed)
    if not torch.equal(allowed, W):
        raise InputError(
            f"{where}, {spec.weight}: entries where the network's connectivity has no synapse, or "
            "of the wrong sign; set them to 0.",
            argument=where,
        )
    return values


def _expanded(tensor: Tensor, shape: tuple[int, ...], where: str) -> Tensor:
    own = ((), shape[-2:], shape) if len(shape) == 3 else ((), shape[-1:], shape)
    if tuple(tensor.shape) not in own:
        allowed = " or ".join(str(each) for each in dict.fromkeys(own[1:]))
        raise InputError.at(
            where, got=tuple(tensor.shape), expected=f"a number, or shape {allowed}"
        )
    return tensor.expand(shape).clone()


def bytes_of(rule: Plasticity) -> float:
    """Return the memory in bytes that the variables, and a step's own tensors, need, about."""
    size = rule.network.connectivity.dtype.itemsize
    matrices = 0
    for name in rule.spec.synapse_variables:
        by_synapse = rule.terms[name] is None
        whole = math.prod(rule.shape_of(name))
        step = rule.streams * rule.network.units**2 if by_synapse else whole
        matrices += whole + 3 * step
    return matrices * float(size)
