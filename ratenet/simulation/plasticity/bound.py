"""A plasticity rule bound to a network: parameters as numbers, signals, constraints, first values.

Weights are kept (B, N, N), one matrix for each stream, or (N, N), one that all streams share; those
that are stored synapse by synapse (B, S) or (S,).
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import sympy
import torch
from torch import Tensor

from ratenet.connectivity import AbstractConnectivity
from ratenet.equations import PlasticitySpec, load_plasticity
from ratenet.equations.plasticity_parser import OUTPUT
from ratenet.equations.synapse_terms import Term, parted
from ratenet.equations.units import show_unit
from ratenet.errors import InputError, ModelError, UnknownNameError, UnsupportedError
from ratenet.linear_algebra import require_memory
from ratenet.network import Network
from ratenet.network.coerce import as_tensor
from ratenet.simulation.plasticity.constraint import Constraint, constraint_of
from ratenet.simulation.plasticity.layout import Layout, Listed, layout_of
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
    constraint : Constraint
        What the connectivity asks of weights that move.
    initial : dict of str to Tensor
        Values at the start: (B, N) of a unit's variables; (B, N, N) of a synapse's, or (N, N) of
        the shared weight; (B, S) or (S,) where the layout lists the synapses.
    """

    spec: PlasticitySpec
    network: Network
    is_shared: bool
    streams: int
    parameters: dict[str, Tensor]
    signals: dict[str, Signal]
    constraint: Constraint
    initial: dict[str, Tensor] = field(repr=False)

    @property
    def weight(self) -> str:
        """Name of the weight."""
        return self.spec.weight

    @cached_property
    def layout(self) -> Layout:
        """How the variables of synapses are kept."""
        return layout_of(self.constraint.given)

    @cached_property
    def terms(self) -> dict[str, list[Term] | None]:
        """The terms of each synapse variable's equation; None: synapse by synapse."""
        return {name: self.parted(e) for name, e in self.spec.synapses.items()}

    def parted(self, expression: sympy.Expr) -> list[Term] | None:
        """Return the terms of a synapse's expression; None also where synapses are listed."""
        if isinstance(self.layout, Listed):
            return None
        return parted(expression, self.spec.synapse_variables, self.spec.global_signals)

    @property
    def names_of_units(self) -> tuple[str, ...]:
        """What a unit has: its rate, variables, sums over synapses, signals and parameters."""
        spec = self.spec
        return (OUTPUT, *spec.unit_variables, *spec.sums, *self.signals, *self.parameters)

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Return the shape of a variable's values."""
        if name in self.spec.unit_variables:
            return (self.streams, self.network.units)
        is_one = self.is_shared and name == self.weight
        return self.layout.shape if is_one else (self.streams, *self.layout.shape)

    @property
    def parts(self) -> dict[str, Tensor]:
        """The parameters that move in place of single synapses, as ``w.kernel``."""
        whole = self.constraint.whole
        found = {} if whole is None else whole.parameters
        return {f"{self.weight}.{name}": tensor for name, tensor in found.items()}

    def connectivity_of(self, values: Mapping[str, Tensor]) -> AbstractConnectivity | None:
        """Return a connectivity like the one given with these weights; None for weights="own"."""
        if not self.is_shared:
            return None
        if not self.parts:
            return self.constraint.like_given(values[self.weight])
        given = self.constraint.given
        tensors = (values[name] for name in self.parts)
        return given.with_parameters(dict(zip(given.parameters, tensors, strict=True)))


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
        If each stimulus is to have its own weights, and synapses cannot change one by one.
    """
    spec = load_plasticity(spec)
    if weights not in MODES:
        raise InputError.at("weights", got=weights, expected="'own' or 'shared'")
    if not streams:
        raise InputError.at("drive", got=(0, network.units), expected="at least one stimulus")
    check_units(spec, network)
    N, like = network.units, _weights_of(network)
    constraint = constraint_of(network.connectivity)
    if constraint.whole is not None and weights == "own":
        kind = type(network.connectivity).__name__
        raise UnsupportedError(
            f"weights: 'own' moves each synapse by itself, which {kind} weights do not allow; use "
            "weights='shared', or network.changed(W=network.connectivity.dense()).",
            argument="weights",
            got=weights,
        )
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
        spec, network, weights == "shared", streams, parameters, bound, constraint, {}
    )
    require_memory(
        bytes_of(found),
        f"plasticity: {', '.join(spec.synapse_variables)} of {found.layout.synapses:,} synapses, "
        "weights="
        f"{weights!r}, {streams:,} stimuli",
        "use fewer stimuli, or weights='shared' with a right-hand side that parts into factors of "
        "the two units",
        device=network.device,
    )
    first = _first_values(found, initial, like)
    network = network.changed(W=constraint.moving(first[spec.weight]))
    return dataclasses.replace(found, network=network, initial=first)


def check_units(spec: PlasticitySpec, network: Network) -> None:
    """Refuse a rule whose rates or weights are in other units than the network's."""
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


def _weights_of(network: Network) -> Tensor:
    if isinstance(layout_of(network.connectivity), Listed):
        return network.connectivity.parameters["W"].detach()
    try:
        return network.connectivity.dense().detach()
    except UnsupportedError:
        kind = type(network.connectivity).__name__
        raise UnsupportedError(
            f"plasticity: equations of synapses take all {network.units:,} x {network.units:,} "
            f"weights as one matrix, which is not built of {kind} ones; use fewer units, or the "
            "rule at fixed points, spec.rule().",
            argument="plasticity",
            got=network.units,
        ) from None


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
    spec, where, constraint = rule.spec, "initial_plasticity", rule.constraint
    if given is not None and not isinstance(given, Mapping):
        raise InputError.at(where, got=given, expected="a mapping from variables to values")
    given = given or {}
    names = [*spec.unit_variables, *spec.synapse_variables]
    known = [*(n for n in names if n != spec.weight or not rule.parts), *rule.parts]
    for name in given:
        if name not in known:
            raise UnknownNameError.among(f"variable in {where}", name, known)
    values = {}
    for name in names:
        value = given.get(name, like if name == spec.weight else 0.0)
        there = f"{where}, {name}"
        tensor = as_tensor(value, spec.dimensions(name), there, like.dtype, like.device)
        whole = rule.shape_of(name)
        shapes = {whole} if name == spec.weight and rule.is_shared else {whole[1:], whole}
        values[name] = _expanded(tensor.detach(), whole, shapes, there)
        if name in spec.synapse_variables and name != spec.weight:
            values[name] = constraint.present(values[name])
    W = values[spec.weight]
    for name, part in rule.parts.items():
        there = f"{where}, {name}"
        value = as_tensor(
            given.get(name, part), spec.weight_dimensions, there, like.dtype, like.device
        )
        whole = tuple(part.shape)
        part.copy_(_expanded(value.detach(), whole, {whole}, there))
    if constraint.whole is not None:
        W.copy_(constraint.whole.dense())
    allowed = W.clone()
    constraint.constrain_(allowed, are_weights=True)
    if not torch.equal(allowed, W):
        raise InputError(
            f"{where}, {spec.weight}: entries where the network's connectivity has no synapse, or "
            "of the wrong sign; set them to 0.",
            argument=where,
        )
    return values


def _expanded(
    tensor: Tensor, shape: tuple[int, ...], shapes: set[tuple[int, ...]], where: str
) -> Tensor:
    """Return a number, or a tensor of one of some shapes, in the whole shape."""
    if tensor.ndim and tuple(tensor.shape) not in shapes:
        allowed = " or ".join(map(str, sorted(shapes, key=len)))
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
        step = rule.streams * rule.layout.synapses if by_synapse else whole
        matrices += whole + 3 * step
    return matrices * float(size)
