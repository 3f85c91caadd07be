"""Learning with its derivatives: synapses and units advance by a family, and so do tangents.

    v(t + dt) = v + dt F(v, u, y; theta)          variables of synapses, the weight first
    dv(t + dt) = dv + dt (F_v dv + F_u du + F_y dy + F_theta)

The tangents are derivatives by P parameters, of which the family's coefficients are the first K.
Between two rows of a recording the rates are those of the first one. Equations of units, which may
be faster, advance by as many steps as they need.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy
import torch
from torch import Tensor

from ratenet.equations.plasticity_parser import OUTPUT, SIDES
from ratenet.equations.symbolic import left_derivative
from ratenet.equations.torch_expressions import TorchExpressions
from ratenet.hypotheses.inference.families import Family

FINE = 0.5  # of a unit variable's own time constant, in one step
MOST_STEPS = 20  # of unit variables between two rows
Moving = dict[str, tuple[Tensor, Tensor]]  # values, and tangents with one more axis (P)


@dataclass(frozen=True, eq=False)
class _Slopes:
    """Right-hand sides with those derivatives that are not zero."""

    names: tuple[str, ...]
    pairs: tuple[tuple[int, str], ...]  # of which right-hand side, by what
    evaluate: TorchExpressions

    @classmethod
    def of(cls, equations: Mapping[str, sympy.Expr], by: Sequence[str]) -> "_Slopes":
        pairs, expressions = [], list(equations.values())
        for index, expression in enumerate(equations.values()):
            for name in by:
                slope = left_derivative(expression, name)
                if slope != 0:
                    pairs.append((index, name))
                    expressions.append(slope)
        return cls(tuple(equations), tuple(pairs), TorchExpressions(expressions))


@functools.lru_cache(maxsize=64)
def _compiled(family: Family) -> tuple[_Slopes, _Slopes | None]:
    """Return the equations of synapses and of units with derivatives, made once."""
    per_unit = (OUTPUT, *family.units)
    sided = [name + side for name in per_unit for side in SIDES]
    synapses = _Slopes.of(family.synapses, (*family.synapses, *sided, *family.free))
    units = _Slopes.of(family.units, (*per_unit, *family.free)) if family.units else None
    return synapses, units


class Learner:
    """A family's equations, ready to advance with tangents.

    Parameters
    ----------
    family : Family
    post, pre : Tensor of int, shape (S,)
        The synapses that are followed.
    size : int
        P, the number of parameters; the first K are the family's.
    """

    def __init__(self, family: Family, post: Tensor, pre: Tensor, size: int) -> None:
        self.family, self.size = family, size
        self._sides = {"_post": post, "_pre": pre}
        self._synapses, self._units = _compiled(family)
        self._column = {name: k for k, name in enumerate(family.free)}

    def values(self, theta: Tensor) -> dict[str, Any]:
        """Return parameters by name, those of each unit by side as well."""
        found: dict[str, Any] = dict(zip(self.family.free, theta.unbind(), strict=True))
        for name, value in self.family.held.items():
            held = value if isinstance(value, float) else torch.as_tensor(value)
            found[name] = held
            if isinstance(held, Tensor):
                found |= {name + side: held[at] for side, at in self._sides.items()}
            else:
                found |= {name + side: held for side in SIDES}
        for name in self.family.free:
            found |= {name + side: found[name] for side in SIDES}
        return found

    def units_at_start(self, units: int) -> Moving:
        """Return the variables of units at the start, zero, as in a simulation."""
        zero = torch.zeros(units, dtype=torch.float64)
        return {n: (zero, zero.new_zeros(units, self.size)) for n in self.family.units}

    def synapses_at_start(self, weights: Tensor, tangent: Tensor) -> Moving:
        """Return the variables of synapses: the weights, and zero for all others."""
        zero = (torch.zeros_like(weights), torch.zeros_like(tangent))
        return dict.fromkeys(self.family.synapses, zero) | {self.family.weight: (weights, tangent)}

    def advance(
        self,
        synapses: Moving,
        units: Moving,
        rates: Tensor,
        rates_tangent: Tensor | None,
        values: Mapping[str, Any],
        signals: Mapping[str, Tensor],
        dt: float,
    ) -> tuple[Moving, Moving]:
        """Return synapses and units one row later; all advance from the old state."""
        per_unit = {OUTPUT: rates, **{n: v for n, (v, _) in units.items()}, **signals}
        known = {**values, **per_unit, **{n: v for n, (v, _) in synapses.items()}}
        for name, value in per_unit.items():
            for side, at in self._sides.items():
                known[name + side] = value if value.ndim == 0 else value[at]
        tangents: dict[str, Tensor] = {n: d for n, (_, d) in synapses.items()}
        moving = {n: d for n, (_, d) in units.items()}
        if rates_tangent is not None:
            moving[OUTPUT] = rates_tangent
        for name, tangent in moving.items():
            tangents |= {name + side: tangent[at] for side, at in self._sides.items()}
        later = self._step(self._synapses, synapses, known, tangents, dt)
        return later, self._advance_units(units, known, rates_tangent, dt)

    def _advance_units(
        self, units: Moving, known: dict[str, Any], rates_tangent: Tensor | None, dt: float
    ) -> Moving:
        if self._units is None:
            return units
        done, fixed = 0.0, {} if rates_tangent is None else {OUTPUT: rates_tangent}
        for _ in range(MOST_STEPS):
            known = known | {n: v for n, (v, _) in units.items()}
            step = min(dt - done, max(FINE / _fastest(self._units, known), dt / MOST_STEPS))
            tangents = fixed | {n: d for n, (_, d) in units.items()}
            units = self._step(self._units, units, known, tangents, step)
            done += step
            if done >= dt * (1 - 1e-12):
                break
        return units

    def _step(
        self,
        slopes: _Slopes,
        old: Moving,
        known: Mapping[str, Any],
        tangents: Mapping[str, Tensor],
        dt: float,
    ) -> Moving:
        found = slopes.evaluate(known)
        like = next(iter(old.values()))[0]
        new = {
            n: (old[n][0] + dt * found[i], old[n][1].clone()) for i, n in enumerate(slopes.names)
        }
        for value, (index, by) in zip(found[len(slopes.names) :], slopes.pairs, strict=True):
            tangent = new[slopes.names[index]][1]
            if by in self._column:
                tangent[..., self._column[by]] += dt * value
            elif by in tangents:
                slope = torch.as_tensor(value, dtype=like.dtype).expand_as(like)
                tangent.addcmul_(slope[..., None], tangents[by], value=dt)
        return new


def _fastest(slopes: _Slopes, known: Mapping[str, Any]) -> float:
    """Return the largest rate of the variables of units, 1/s."""
    found = slopes.evaluate(known)[len(slopes.names) :]
    pairs = zip(found, slopes.pairs, strict=True)
    own = [torch.as_tensor(v).abs().max() for v, (i, n) in pairs if n == slopes.names[i]]
    return max([float(rate) for rate in own if torch.isfinite(rate)], default=0.0) or 1e-300
