"""The equations of a plasticity rule, synapse by synapse, and how they respond to small changes.

Rows are pairs of a time and a stimulus: R of them, N units. Variables of a unit are (R, N), those
of a synapse (R, N, N). Derivatives are SymPy's, as those of models.
"""

from collections.abc import Collection, Mapping, Sequence

import sympy
import torch
from torch import Tensor

from ratenet.equations.plasticity_parser import OUTPUT, SIDES
from ratenet.equations.symbolic import left_derivative, symbol
from ratenet.equations.torch_expressions import TorchExpressions
from ratenet.errors import UnsupportedError
from ratenet.linear_algebra import solve_units
from ratenet.simulation.plasticity import Plasticity

Values = dict[str, Tensor]
Named = dict[str, float | Tensor]
CYCLES = 2  # units then synapses, twice: in which order they depend on one another does not matter
CHANGE = "_change_"  # of a name; no name in a rule begins with an underscore


class RuleEquations:
    """Right-hand sides of a rule as a function of rates and variables, and their derivatives.

    Parameters
    ----------
    rule : Plasticity
        The rule with the network's parameters.
    slow : sequence of str
        Variables of units that do not rest for each stimulus.
    """

    def __init__(self, rule: Plasticity, slow: Sequence[str]) -> None:
        spec = rule.spec
        self._rule, self.weight, self.slow = rule, spec.weight, tuple(slow)
        fast = [n for n in spec.unit_variables if n not in slow]
        others = [n for n in spec.synapse_variables if n != spec.weight]
        self.fast = [names for names in (fast, others) if names]
        self._constants: Named = {
            name: float(value) if value.ndim == 0 else value
            for name, value in rule.parameters.items()
        }
        signals = tuple(rule.signals)
        of_units = (OUTPUT, *spec.unit_variables, *spec.sums, *signals)
        sided = tuple(name + side for name in of_units for side in SIDES)
        sided += (*signals, *spec.synapse_variables)
        self._of_units = _RightHandSides(list(spec.units.values()), of_units)
        self._of_synapses = _RightHandSides(list(spec.synapses.values()), sided)
        self._sums = {
            name: (2 if side == "_post" else 1, _RightHandSides([summand], sided))
            for name, (side, summand) in spec.sums.items()
        }

    def zeros(self, names: Sequence[str], rates: Tensor) -> Values:
        """Return zeros in the shape of variables, for each row of rates (R, N)."""
        whole = (*rates.shape, rates.shape[1])
        of_units = self._rule.spec.unit_variables
        return {n: rates.new_zeros(rates.shape if n in of_units else whole) for n in names}

    def slopes(self, values: Values, signals: Values) -> Values:
        """Return dv/dt of each variable; `values` has the rates as ``y``, and all variables."""
        units, synapses = self._named(values, signals)
        for name, (axis, summand) in self._sums.items():
            units[name] = self._sum(summand(_sided(units) | synapses)[0], axis, values[OUTPUT])
        found = self._of_units(units), self._of_synapses(_sided(units) | synapses)
        return self._by_name(*found, values[OUTPUT])

    def derivative(self, at: Values, signals: Values, along: Values) -> Values:
        """Return the derivative of the slopes along small changes of anything by name."""
        units, synapses = self._named(at, signals)
        spec, y = self._rule.spec, at[OUTPUT]
        for name in (OUTPUT, *spec.unit_variables, *signals):
            units[CHANGE + name] = along.get(name, 0.0)
        for name in spec.synapse_variables:
            synapses[CHANGE + name] = along.get(name, 0.0)
        for name, (axis, summand) in self._sums.items():
            sided = _sided(units) | synapses
            units[CHANGE + name] = self._sum(summand.change(sided)[0], axis, y)
            units[name] = self._sum(summand(sided)[0], axis, y)
        sided = _sided(units) | synapses
        return self._by_name(self._of_units.change(units), self._of_synapses.change(sided), y)

    def _named(self, values: Values, signals: Values) -> tuple[Named, Named]:
        spec = self._rule.spec
        units: Named = {**self._constants, **signals}
        units |= {name: values[name] for name in (OUTPUT, *spec.unit_variables)}
        return units, {name: values[name] for name in spec.synapse_variables}

    def _sum(self, summands: float | Tensor, axis: int, y: Tensor) -> Tensor:
        each = _full(summands, (*y.shape, y.shape[1]), y)
        return self._rule.constraint.present(each).sum(dim=axis)

    def _by_name(
        self, of_units: list[float | Tensor], of_synapses: list[float | Tensor], y: Tensor
    ) -> Values:
        spec, whole = self._rule.spec, (*y.shape, y.shape[1])
        units = zip(spec.unit_variables, of_units, strict=True)
        synapses = zip(spec.synapse_variables, of_synapses, strict=True)
        found = {name: _full(slope, y.shape, y) for name, slope in units}
        found |= {name: _full(slope, whole, y) for name, slope in synapses}
        return found | {self.weight: self._rule.constraint.present(found[self.weight])}

    def at_rest(self, values: Values, signals: Values) -> Values:
        """Return the values with the fast variables at rest.

        Raises
        ------
        UnsupportedError
            If solving for units and synapses in turn leaves some that still move.
        """
        values = dict(values)
        values |= self.zeros([n for names in self.fast for n in names], values[OUTPUT])
        for _ in range(CYCLES):
            for names in self.fast:
                slopes = self.slopes(values, signals)
                steps = self._solved(values, signals, names, {n: -slopes[n] for n in names})
                values |= {n: values[n] + steps[n] for n in names}
        self._check_rest(values, signals)
        return values

    def response(
        self,
        at: Values,
        signals: Values,
        known: Values,
        sources: Values | None = None,
    ) -> Values:
        """Return `known` and the changes of the fast variables that go with it.

        They are such that the slopes of the fast variables change by `sources`; default 0, so that
        they stay at rest.
        """
        along = dict(known)
        for _ in range(CYCLES if len(self.fast) > 1 else 1):
            for names in self.fast:
                along |= self.zeros(names, at[OUTPUT])
                slopes = self.derivative(at, signals, along)
                wanted = {n: -slopes[n] + (0.0 if sources is None else sources[n]) for n in names}
                along |= self._solved(at, signals, names, wanted)
        return along

    def _solved(self, at: Values, signals: Values, names: Sequence[str], right: Values) -> Values:
        """Solve (d slope_i / d variable_j) step_j = right_i of each unit or synapse."""
        columns = [
            self.derivative(at, signals, {name: torch.ones_like(at[name])}) for name in names
        ]
        matrix = torch.stack([torch.stack([c[n] for c in columns]) for n in names])
        wanted = torch.stack([right[n] for n in names])
        k = len(names)  # solve_units takes (k, k, rows, units)
        steps = solve_units(matrix.flatten(2, -2), wanted.flatten(1, -2))
        return dict(zip(names, steps.view(k, *wanted.shape[1:]), strict=True))

    def _check_rest(self, values: Values, signals: Values) -> None:
        for names in self.fast:
            slopes = self.slopes(values, signals)
            steps = self._solved(values, signals, names, slopes)
            for name in names:
                size = values[name].abs().amax() + values[OUTPUT].abs().amax()
                rounding = torch.finfo(size.dtype).eps ** 0.5
                if not bool(steps[name].abs().amax() <= rounding * size):
                    raise UnsupportedError(
                        f"plasticity: {name!r} of {self._rule.spec.name!r} has no rest that can be "
                        "solved for unit by unit and synapse by synapse; simulate it."
                    )


class _RightHandSides:
    """Expressions, and their derivatives along changes of some of the names in them."""

    def __init__(self, expressions: list[sympy.Expr], moving: Collection[str]) -> None:
        self._values = TorchExpressions(expressions)
        self._changes = TorchExpressions(
            [
                sum(left_derivative(e, n) * symbol(CHANGE + n) for n in moving if e.has(symbol(n)))
                + sympy.S.Zero
                for e in expressions
            ]
        )

    def __call__(self, values: Mapping[str, float | Tensor]) -> list[float | Tensor]:
        """Return the values."""
        return self._values(values)

    def change(self, values: Mapping[str, float | Tensor]) -> list[float | Tensor]:
        """Return the derivatives along the values that have the prefix CHANGE."""
        return self._changes(values)


def _sided(units: Named) -> Named:
    """Return what units have as the equations of a synapse name it."""
    found: Named = {}
    for name, value in units.items():
        is_many = isinstance(value, Tensor) and value.ndim > 0
        post = value[..., :, None] if is_many else value  # type: ignore[index]
        pre = value[..., None, :] if is_many else value  # type: ignore[index]
        found |= {name: post, f"{name}_post": post, f"{name}_pre": pre}
    return found


def _full(value: float | Tensor, shape: Sequence[int], like: Tensor) -> Tensor:
    """Return a slope in its full shape, whatever it depends on."""
    tensor = value if isinstance(value, Tensor) else like.new_full((), value)
    return tensor.expand(*shape)
