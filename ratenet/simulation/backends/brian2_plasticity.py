"""A plasticity rule as Brian2 code: its variables beside those of the network.

Brian2 updates one object after another, and all variables are to advance from the old state. At the
start of a step, before rates move, come signals, then sums over synapses, the recurrent input among
them, then synapses, then variables of units: nothing is read after it has moved.
"""

import itertools
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ratenet.equations.plasticity_parser import OUTPUT, SIDES
from ratenet.equations.units import unit_text
from ratenet.simulation.backends.brian2_code import numbers, renamed
from ratenet.simulation.plasticity import PlasticState
from ratenet.simulation.plasticity.signals import Signal
from ratenet.simulation.time_grid import TimeGrid

_NEXT = "ratenet_next_"
_SIGN = "ratenet_sign"
_NO_RATES = torch.empty(0)  # of a signal that does not follow from them


def own_name(name: str) -> str:
    """Return what a name of the rule is called in Brian2."""
    return f"plastic_{name}_value"  # Brian2 keeps names that end in _pre or _post


class Brian2Plasticity:
    """What a rule adds to the group of units and to the synapses of a network.

    Parameters
    ----------
    state : PlasticState
        Takes in Brian2's values when it is asked to.
    grid : TimeGrid
    output, weight, time : str
        Names of y, of the weight and of the time in Brian2.
    """

    def __init__(
        self, state: PlasticState, grid: TimeGrid, *, output: str, weight: str, time: str
    ) -> None:
        self._state, self.rule, self._grid = state, state.rule, grid
        self._time = time
        spec = self.rule.spec
        of_units = {
            *spec.unit_variables, *spec.sums, *self.rule.parameters, *self.rule.signals
        }  # fmt: skip
        self._unit_names = {OUTPUT: output, **{name: own_name(name) for name in of_units}}
        # A name without a side is one that both units have alike.
        self._synapse_names = {n: f"{own}_post" for n, own in self._unit_names.items()}
        for side in SIDES:
            self._synapse_names |= {n + side: own + side for n, own in self._unit_names.items()}
        self._synapse_names |= {name: own_name(name) for name in spec.synapse_variables}
        self._synapse_names[spec.weight] = weight
        N = self.rule.network.units
        mask = self.rule.constraint.mask
        whole = np.ones((N, N), dtype=bool)
        self.pairs = np.nonzero(whole if mask is None else mask.cpu().numpy())  # (post, pre)

    def group_equations(self) -> str:
        """Return the declarations that a unit has besides its model's."""
        spec, lines = self.rule.spec, []
        for name in spec.unit_variables:
            unit = unit_text(spec.dimensions(name))
            lines.append(f"{own_name(name)} : {unit}")
        lines += [f"{own_name(name)} : {self._unit(name)}" for name in spec.sums]
        lines += [f"{own_name(n)} : {self._unit(n)} (constant)" for n in self.rule.parameters]
        lines += [f"{own_name(name)} : {self._unit(name)}" for name in self.rule.signals]
        lines.append(f"{_SIGN} : 1 (constant)")
        return "\n".join(lines)

    def arrays(self) -> dict[str, Any]:
        """Return signals that follow from the time alone as TimedArrays, by name."""
        import brian2

        B, N = self.rule.streams, self.rule.network.units
        made = {}
        for name, signal in self.rule.signals.items():
            if _is_timed(signal):
                rows = np.empty((self._grid.steps, B * N))
                for n in range(self._grid.steps):
                    rows[n] = numbers(signal.at(self._grid.time(n), _NO_RATES).expand(B, N)).ravel()
                values = brian2.Quantity(rows, dim=self.rule.spec.dimensions(name))
                step = self._grid.dt * brian2.second
                made[_timed(name)] = brian2.TimedArray(values, dt=step, name=_timed(name))
        return made

    def synapse_equations(self) -> str:
        """Return the declarations of a synapse besides weight and input, and the sums."""
        spec, lines = self.rule.spec, []
        for name in spec.synapse_variables:
            if name != spec.weight:
                lines.append(f"{own_name(name)} : {self._unit(name)}")
        for name, (side, _) in spec.sums.items():
            text = self._text(name, self._synapse_names)
            lines.append(f"{own_name(name)}{side} = {text} : {self._unit(name)} (summed)")
        return "\n".join(lines)

    def start(self, group: Any, synapses: Any) -> None:
        """Give all variables their first values, and let the rule run at each step."""
        rule, spec = self.rule, self.rule.spec
        B, N = rule.streams, rule.network.units
        values = {n: v.expand(B, N) for n, v in rule.parameters.items()}
        values |= {
            n: s.at(0.0, _NO_RATES).expand(B, N) for n, s in rule.signals.items() if s.is_constant
        }
        values |= {name: self._state.values[name] for name in spec.unit_variables}
        named = {own_name(name): numbers(value).ravel() for name, value in values.items()}
        signs = rule.constraint.signs
        signs = torch.zeros(N) if signs is None else signs
        named[_SIGN] = numbers(signs.expand(B, N)).ravel()
        group.set_states(named, units=False)
        whole = {name: self._state.values[name] for name in spec.synapse_variables}
        synapses.set_states(
            {self._synapse_names[n]: self._of_synapses(v) for n, v in whole.items()}, units=False
        )
        timed = [name for name, signal in rule.signals.items() if _is_timed(signal)]
        if timed:
            code = "\n".join(f"{own_name(name)} = {_timed(name)}(t, i)" for name in timed)
            name = f"{group.name}_plastic_signals"
            group.run_regularly(code, when="start", order=-2, name=name)
        for updater in synapses.summed_updaters.values():  # of order -1
            updater.when = "start"
        own = {n: self._synapse_names[n] for n in spec.synapse_variables}
        self._run(synapses, own, self._synapse_names, order=1)
        own = {n: self._unit_names[n] for n in spec.unit_variables}
        self._run(group, own, self._unit_names, order=2)

    def operations(self, group: Any) -> list[Any]:
        """Return what computes signals from the rates at the start of each step."""
        import brian2

        signals = {n: signal for n, signal in self.rule.signals.items() if signal.needs_rates}
        if not signals:
            return []
        B, N = self.rule.streams, self.rule.network.units
        steps = itertools.count()

        def look() -> None:
            rates = self._tensor(np.asarray(getattr(group, f"{self._unit_names[OUTPUT]}_")))
            t = self._grid.time(next(steps))
            found = {n: signal.at(t, rates.view(B, N)) for n, signal in signals.items()}
            values = {own_name(n): numbers(v.expand(B, N)).ravel() for n, v in found.items()}
            group.set_states(values, units=False)

        name = f"{group.name}_plastic_feedback"
        return [brian2.NetworkOperation(look, clock=group.clock, when="start", order=-2, name=name)]

    def take_in(self, group: Any, synapses: Any) -> None:
        """Take Brian2's values into the state."""
        rule = self.rule
        B, N = rule.streams, rule.network.units
        for name in rule.spec.unit_variables:
            value = np.asarray(getattr(group, f"{own_name(name)}_")).reshape(B, N)
            self._state.values[name] = self._tensor(value)
        for name in rule.spec.synapse_variables:
            whole = np.zeros((B, N, N))
            found = np.asarray(getattr(synapses, f"{self._synapse_names[name]}_"))
            whole[:, self.pairs[0], self.pairs[1]] = found.reshape(B, -1)
            shape = rule.shape_of(name)
            self._state.values[name] = self._tensor(whole.reshape(shape))

    def _tensor(self, values: np.ndarray) -> Tensor:
        network = self.rule.network
        return torch.tensor(values, dtype=network.dtype, device=network.device)

    def _of_synapses(self, values: Tensor) -> np.ndarray:
        """Return values (B, N, N) or (N, N) of the synapses that there are, stream after stream."""
        B, N = self.rule.streams, self.rule.network.units
        return numbers(values.expand(B, N, N))[:, self.pairs[0], self.pairs[1]].ravel()

    def _run(self, owner: Any, own: dict[str, str], names: dict[str, str], order: int) -> None:
        """Let variables take a step at the start of each step, all from their old values."""
        if not own:
            return
        code = [f"{_NEXT}{n} = {self._moved(n, there, names)}" for n, there in own.items()]
        for name, there in own.items():
            value = f"{_NEXT}{name}"
            if name == self.rule.weight and self.rule.constraint.signs is not None:
                zero = f"0*{value}"
                value = f"{value}*int({value}*{_SIGN}_pre >= {zero}*{_SIGN}_pre)"
            code.append(f"{there} = {value}")
        name = f"{owner.name}_plastic_step"
        owner.run_regularly("\n".join(code), when="start", order=order, name=name)

    def _moved(self, name: str, there: str, names: dict[str, str]) -> str:
        """Return the new value of a variable, before its sign is looked at."""
        change = f"dt*({self._text(name, names)})"
        if name == self.rule.weight and self.rule.constraint.is_multiplicative:
            return f"{there}*exp({_SIGN}_pre*{change}/(1*{self._unit(name)}))"
        return f"{there} + {change}"

    def _unit(self, name: str) -> str:
        return unit_text(self.rule.spec.dimensions(name))

    def _text(self, name: str, names: dict[str, str]) -> str:
        """Return the right-hand side of a variable, or a summand, in Brian2's names."""
        return renamed(self.rule.spec.brian2_expression(name), {**names, "t": self._time})


def _is_timed(signal: Signal) -> bool:
    return not (signal.is_constant or signal.needs_rates)


def _timed(name: str) -> str:
    return f"ratenet_signal_{name}"
