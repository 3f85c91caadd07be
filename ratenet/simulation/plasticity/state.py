"""The variables of a plasticity rule over time: one Euler step after another, in torch.

All variables advance together from the old values. Right-hand sides that part into factors of the
two units are matrix products over the batch; others are computed synapse by synapse, which takes
B N^2 numbers.
"""

from typing import Any

import torch
from torch import Tensor

from ratenet.equations.plasticity_parser import OUTPUT
from ratenet.equations.torch_expressions import TorchExpressions
from ratenet.simulation.plasticity.bound import Plasticity
from ratenet.simulation.plasticity.synapses import Sum, slope_of


class PlasticState:
    """The variables of a plasticity rule, which change in place.

    Attributes
    ----------
    rule : Plasticity
    values : dict of str to Tensor
        Values of a unit's variables (B, N), of a synapse's (B, N, N), of the shared weight (N, N),
        which is the very tensor that the network multiplies with.
    """

    def __init__(self, rule: Plasticity) -> None:
        self.rule = rule
        self.values = dict(rule.initial)
        spec = rule.spec
        self._units = TorchExpressions(list(spec.units.values())) if spec.units else None
        self._equations = {
            name: slope_of(rule, name, expression) for name, expression in spec.synapses.items()
        }
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
        rule = self.rule
        of_units = self._of_units(rates, t)
        slopes = {
            name: equation(of_units, self.values) for name, equation in self._equations.items()
        }
        if self._units is not None:
            found = self._units(of_units)
            for name, slope in zip(rule.spec.unit_variables, found, strict=True):
                self.values[name] = self.values[name] + dt * slope
        for name, slope in slopes.items():
            if name != rule.weight:
                self.values[name] = rule.present(self.values[name] + dt * slope)
        moved = torch.add(self.weights, slopes[rule.weight], alpha=dt)
        self.weights.copy_(rule.constrained(moved))

    def _of_units(self, rates: Tensor, t: float) -> dict[str, Any]:
        """Return the values of all names of a unit, shape (B, N), (B, 1), (N,) or a number."""
        rule = self.rule
        values: dict[str, Any] = {OUTPUT: rates, **self._constants, "t": t}
        values |= {name: signal.at(t, rates) for name, signal in rule.signals.items()}
        values |= {name: self.values[name] for name in rule.spec.unit_variables}
        for name, total in self._sums.items():
            values[name] = total(values, self.values)
        return values
