"""The variables of a plasticity rule over time: one Euler step after another, in torch.

All variables advance together from the old values. Right-hand sides that part into factors of the
two units are matrix products over the batch; others are computed synapse by synapse, which takes
B N^2 numbers.
"""

from typing import Any

import torch
from torch import Tensor

from ratenet.equations import PlasticitySpec
from ratenet.equations.plasticity_parser import OUTPUT
from ratenet.equations.symbolic import symbol
from ratenet.equations.torch_expressions import TorchExpressions
from ratenet.simulation.plasticity.bound import Plasticity
from ratenet.simulation.plasticity.synapses import Sum, slope_of

_DT = symbol("dt")  # a name that no rule can have


class PlasticState:
    """The variables of a plasticity rule; those of synapses change in place.

    Attributes
    ----------
    rule : Plasticity
    values : dict of str to Tensor
        Values of a unit's variables (B, N), of a synapse's (B, N, N), of the shared weight (N, N),
        which is the very tensor that the network multiplies with; where weights do not move one by
        one, the parameters of the connectivity as well, which do.
    """

    def __init__(self, rule: Plasticity) -> None:
        self.rule = rule
        self.values = {**rule.initial, **rule.parts}
        spec = rule.spec
        steps = [symbol(name) + _DT * slope for name, slope in spec.units.items()]
        self._units = TorchExpressions(steps) if steps else None
        self._slopes = {
            name: slope_of(rule, name, expression) for name, expression in spec.synapses.items()
        }
        self._order = _in_order(spec)
        right_sides = [*spec.synapses.values(), *(summand for _, summand in spec.sums.values())]
        self._reads_weights = any(symbol(spec.weight) in e.free_symbols for e in right_sides)
        self._sums = {
            name: Sum(rule, side, expression) for name, (side, expression) in spec.sums.items()
        }
        self._constants = {
            name: float(value) if value.ndim == 0 else value
            for name, value in rule.parameters.items()
        }

    @property
    def weights(self) -> Tensor:
        """The weights, shape (B, N, N) or (N, N)."""
        return self.values[self.rule.weight]

    def advance(self, rates: Tensor, t: float, dt: float) -> None:
        """Take a step of dt at time t with the rates (B, N) at its beginning."""
        rule, values = self.rule, self.values
        of_units = self._of_units(rates, t)
        old = dict(values)
        for name, is_read_later in self._order:
            if is_read_later:
                old[name] = values[name].clone()
            self._move_(name, of_units, old, dt)
        if self._units is not None:
            moved = self._units(of_units | {"dt": dt})
            values |= zip(rule.spec.unit_variables, moved, strict=True)

    def _move_(self, name: str, units: dict[str, Any], old: dict[str, Tensor], dt: float) -> None:
        """Let a variable of synapses take a step in place."""
        slope, value, constraint = self._slopes[name], self.values[name], self.rule.constraint
        is_weight = name == self.rule.weight
        if is_weight and constraint.whole is not None:
            left, right = slope.rows(value, units, old)
            constraint.whole.add_(constraint.whole.accumulate(dt * left, right))
            if self._reads_weights:
                self.refresh_weights()
        elif is_weight and not constraint.is_direct:
            assert constraint.signs is not None
            change = torch.zeros_like(value)
            slope.add_to_(change, units, old, dt)
            value.mul_(torch.exp(constraint.signs * change))
        else:
            slope.add_to_(value, units, old, dt)
            constraint.constrain_(value, are_weights=is_weight)

    def refresh_weights(self) -> None:
        """Make the weights those of a connectivity whose parameters moved."""
        whole = self.rule.constraint.whole
        if whole is not None:
            self.weights.copy_(whole.dense())

    def _of_units(self, rates: Tensor, t: float) -> dict[str, Any]:
        """Return the values of all names of a unit, shape (B, N), (B, 1), (N,) or a number."""
        rule = self.rule
        values: dict[str, Any] = {OUTPUT: rates, **self._constants, "t": t}
        values |= {name: signal.at(t, rates) for name, signal in rule.signals.items()}
        values |= {name: self.values[name] for name in rule.spec.unit_variables}
        for name, total in self._sums.items():
            values[name] = total(values, self.values)
        return values


def _in_order(spec: PlasticitySpec) -> list[tuple[str, bool]]:
    """Return the variables of a synapse, each after those that read it, as far as possible.

    One that changes in place while others still read it comes with True: they take a copy.
    """
    readers = {
        name: {n for n, e in spec.synapses.items() if n != name and symbol(name) in e.free_symbols}
        for name in spec.synapses
    }
    order: list[tuple[str, bool]] = []
    rest = set(readers)
    while rest:
        name = min(rest, key=lambda n: (len(readers[n] & rest), n))
        order.append((name, bool(readers[name] & rest)))
        rest.remove(name)
    return order
