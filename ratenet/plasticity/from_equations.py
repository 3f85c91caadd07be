"""The quasi-static limit of a plasticity rule in time: dw/dt where everything else is at rest."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy
import torch
from torch import Tensor

from ratenet.connectivity.base import Change, scaled
from ratenet.equations import PlasticitySpec
from ratenet.equations.plasticity_parser import OUTPUT
from ratenet.equations.symbolic import left_derivative, symbol
from ratenet.equations.synapse_terms import Term, parted
from ratenet.equations.torch_expressions import TorchExpressions
from ratenet.errors import InputError, SingularError, UnknownNameError, UnsupportedError, counted
from ratenet.fixed_points import FixedPoints
from ratenet.network.coerce import as_tensor
from ratenet.plasticity.base import AbstractRule, Traits
from ratenet.plasticity.loss import Loss
from ratenet.simulation.plasticity.bound import check_units
from ratenet.simulation.plasticity.constraint import pattern_of
from ratenet.simulation.plasticity.synapses import mean_outer, row

ERROR = "error"  # the signal that is dL/dy where no value is given for it
Held = tuple[tuple[str, float | tuple[float, ...]], ...]


@dataclass(frozen=True)
class FromEquations(AbstractRule):
    """A plasticity rule in time, at fixed points: the learning rate times the mean of dw/dt.

    Variables of units and synapses are at rest for each stimulus; those named in `slow` are at
    rest for the mean over the stimuli, as BCM's threshold, which is slower than these change.

    Parameters
    ----------
    spec : PlasticitySpec
        The equations of the rule, from `load_plasticity`.
    slow : tuple of str
        Variables of units.
    values : tuple of (name, number or numbers)
        Signals, and variables of units that are held at a value, or at one for each unit. A signal
        named ``error`` that is not among them is dL/dy.

    Raises
    ------
    UnsupportedError
        If a variable's equation is not linear in the variables, so that its rest is not known in
        closed form; or if the equations name t.

    Examples
    --------
    >>> import torch, ratenet as rn
    >>> rule = rn.load_plasticity("bcm").with_parameters(eta="1*Hz").rule(slow=("theta",))
    >>> fp = rn.find_fixed_points(rn.Network("linear", [[0.5]]), [[1.0], [0.5]])  # y = 2 and 1
    >>> rule.update(fp, torch.zeros(2, 1, dtype=torch.float64), learning_rate=0.1)  # theta: 2.5
    tensor([[-0.1750]], dtype=torch.float64)
    """

    spec: PlasticitySpec
    slow: tuple[str, ...] = ()
    values: Held = ()

    def __post_init__(self) -> None:
        _program(self.spec, self.slow, self.values)

    @property
    def traits(self) -> Traits:
        """Whether it uses the error; variables at rest for the mean couple the samples."""
        return Traits(
            "none: equations of the weights",
            uses_error=ERROR in dict(self.spec.signals) and ERROR not in dict(self.values),
            is_mean=not self.slow,
        )

    def change(
        self, fp: FixedPoints, error: Tensor, learning_rate: float, loss: Loss | None = None
    ) -> Change:
        """Return eta times the mean of dw/dt over the stimuli."""
        check_units(self.spec, fp.network)
        return self.of_numbers(fp, error, learning_rate)

    def of_numbers(self, fp: FixedPoints, error: Tensor, learning_rate: float) -> Change:
        """Return the change, whatever unit rates and weights have: all numbers are in SI units.

        Parameters
        ----------
        fp : FixedPoints
            Samples that have all converged.
        error : Tensor, shape (B, N)
            e = dL/dy, which the equations may name as a signal.
        learning_rate : float
            Time in seconds for which the weights change at the rate dw/dt.
        """
        program = _program(self.spec, self.slow, self.values)
        return scaled(program.slope(fp, error), learning_rate)


def from_equations(
    spec: PlasticitySpec, slow: Any = (), values: Mapping[str, Any] | None = None
) -> FromEquations:
    """Return a rule at fixed points; see `PlasticitySpec.rule`."""
    if not isinstance(slow, str | list | tuple | set | frozenset):
        raise InputError.at("slow", got=slow, expected="names of variables of units")
    if values is not None and not isinstance(values, Mapping):
        raise InputError.at("values", got=values, expected="a mapping from names to numbers")
    given = (slow,) if isinstance(slow, str) else tuple(slow)
    for name in given:
        if name not in spec.unit_variables:
            raise UnknownNameError.among("slow variable", name, spec.unit_variables)
    names = tuple(dict.fromkeys(given))
    known = (*dict(spec.signals), *spec.unit_variables)
    for name in values or {}:
        if name not in known:
            raise UnknownNameError.among("signal or variable", name, known)
    held = tuple((name, _held(spec, name, value)) for name, value in (values or {}).items())
    missing = [n for n, _ in spec.signals if n not in (values or {}) and n != ERROR]
    if missing:
        raise InputError(
            f"signals: the rule {spec.name!r} needs {', '.join(missing)}; give a number by "
            f"rule(values={{{missing[0]!r}: ...}}).",
            argument="signals",
        )
    return FromEquations(spec, names, held)


def _held(spec: PlasticitySpec, name: str, value: Any) -> float | tuple[float, ...]:
    """Return a value that is held, in SI units: a number, or one for each unit."""
    where = f"values, {name}"
    tensor = as_tensor(value, spec.dimensions(name), where, torch.float64, torch.device("cpu"))
    if tensor.ndim > 1 or (tensor.ndim == 1 and name in spec.global_signals):
        expected = "a number" if name in spec.global_signals else "a number, or one per unit"
        raise InputError.at(where, got=tuple(tensor.shape), expected=expected)
    return float(tensor) if tensor.ndim == 0 else tuple(tensor.tolist())


@functools.lru_cache(maxsize=64)
def _program(spec: PlasticitySpec, slow: tuple[str, ...], held: Held) -> "_Program":
    return _Program(spec, slow, held)


class _Program:
    """A rule's equations solved for rest once, and compiled."""

    def __init__(self, spec: PlasticitySpec, slow: tuple[str, ...], held: Held) -> None:
        self.spec, self.held, self.slow = spec, dict(held), slow
        if spec.uses_time:
            raise UnsupportedError(f"rule: the equations of {spec.name!r} name t; nothing rests.")
        moving = [n for n in spec.unit_variables if n not in self.held]
        fast = {n: spec.units[n] for n in moving if n not in slow}
        rest = _at_rest(fast, spec.name)
        self.fast = tuple(fast)
        self._fast = TorchExpressions(list(rest.values()))
        rows, sources = _linear(
            {n: spec.units[n].subs(rest) for n in slow if n in moving}, spec.name
        )
        self.slow = tuple(n for n in slow if n in moving)
        self._slow = TorchExpressions([*(e for row in rows for e in row), *sources])
        others = {n: e for n, e in spec.synapses.items() if n != spec.weight}
        resting = _at_rest(others, spec.name)
        self._terms = self._parted(spec.synapses[spec.weight].subs(resting), spec.weight)
        self._sums = {
            name: (side, self._parted(summand.subs(resting), name))
            for name, (side, summand) in spec.sums.items()
        }
        used = {str(s) for _, (_, e) in spec.sums.items() for s in e.free_symbols}
        for name in spec.unit_variables:
            if used & {f"{name}_pre", f"{name}_post"}:
                raise UnsupportedError(f"rule: a sum of {spec.name!r} uses {name!r}; simulate it.")

    def _parted(self, expression: sympy.Expr, name: str) -> list[tuple[Term, TorchExpressions]]:
        terms = parted(expression, [self.spec.weight], self.spec.global_signals)
        if terms is None:
            raise UnsupportedError(
                f"rule: the right-hand side of {name!r} of {self.spec.name!r} is not a sum of "
                "products of the two units' factors; simulate it."
            )
        return [(t, TorchExpressions([t.post, t.pre, t.synapse])) for t in terms]

    def slope(self, fp: FixedPoints, error: Tensor) -> Change:
        """Return the mean of dw/dt over the stimuli, shaped like the parameters."""
        W, y = fp.network.connectivity, fp.rates
        B, N = y.shape
        units = self._units(fp, error)
        sided = units | {n + s: v for n, v in units.items() for s in ("_pre", "_post")}
        left, right, whole = [], [], None
        for term, expressions in self._terms:
            values = {**sided, self.spec.weight: y if term.synapse == 1 else W.dense()}
            post, pre, synapse = expressions(values)
            post, pre = row(post, y), row(pre, y)
            if term.synapse == 1:
                left.append(post.expand(B, N) / B)
                right.append(pre.expand(B, N))
                continue
            part = (mean_outer(post, pre, B, N) * synapse).expand(N, N)
            whole = part if whole is None else whole + part
        if whole is not None:  # sum_j whole[:, j] e_j^T
            left.append(whole.T)
            right.append(torch.eye(N, dtype=y.dtype, device=y.device))
        if not left:
            return scaled(W.accumulate(torch.zeros_like(y), y), 0.0)
        return W.accumulate(torch.cat(left), torch.cat(right))

    def _units(self, fp: FixedPoints, error: Tensor) -> dict[str, Any]:
        """Return the values of all names of a unit at rest."""
        spec, y = self.spec, fp.rates
        units: dict[str, Any] = {OUTPUT: y, **self._held(y)}
        for name, parameter in spec.defaults.items():
            values = torch.as_tensor(parameter.values({}, fp.network.units, 0)).to(y)
            units[name] = float(values) if values.ndim == 0 else values
        if ERROR in dict(spec.signals):
            units.setdefault(ERROR, error)
        for name, (side, terms) in self._sums.items():
            units[name] = self._sum(fp, units, side, terms)
        if self.slow:
            units |= zip(self.slow, self._slow_at_rest(units, y), strict=True)
        if self.fast:
            found = self._fast(units)
            units |= {n: row(v, y).expand_as(y) for n, v in zip(self.fast, found, strict=True)}
        return units

    def _held(self, y: Tensor) -> dict[str, float | Tensor]:
        """Return the values that are held: numbers, or (N,)."""
        found: dict[str, float | Tensor] = {}
        for name, value in self.held.items():
            found[name] = y.new_tensor(value) if isinstance(value, tuple) else value
            if isinstance(value, tuple) and len(value) != y.shape[1]:
                raise InputError.at(
                    f"values, {name}",
                    got=len(value),
                    expected=f"a number, or one for each of the N = {counted(y.shape[1], 'unit')}",
                )
        return found

    def _slow_at_rest(self, units: dict[str, Any], y: Tensor) -> tuple[Tensor, ...]:
        """Solve mean(A) s + mean(b) = 0 of each unit."""
        k = len(self.slow)
        means = [row(v, y).expand_as(y).mean(dim=0) for v in self._slow(units)]
        A = torch.stack(means[: k * k], dim=-1).unflatten(-1, (k, k))  # (N, k, k)
        b = torch.stack(means[k * k :], dim=-1)
        if (torch.linalg.det(A) == 0).any():
            raise SingularError(f"rule: slow variables of {self.spec.name!r} have no rest.")
        s = torch.linalg.solve(A, -b)
        return tuple(value.expand_as(y) for value in s.unbind(-1))

    def _sum(
        self,
        fp: FixedPoints,
        units: dict[str, Any],
        side: str,
        terms: list[tuple[Term, TorchExpressions]],
    ) -> Tensor:
        W, y = fp.network.connectivity.dense(), fp.rates
        pattern = pattern_of(fp.network.connectivity)
        mask = torch.ones_like(W) if pattern is None else pattern.to(W)
        total = torch.zeros_like(y)
        sided = units | {n + s: v for n, v in units.items() for s in ("_pre", "_post")}
        for _, expressions in terms:
            post, pre, synapse = expressions({**sided, self.spec.weight: W})
            matrix = mask * synapse
            post, pre = row(post, y).expand_as(y), row(pre, y).expand_as(y)
            onto = side == "_post"
            total = total + (post * (pre @ matrix.T) if onto else pre * (post @ matrix))
        return total


def _linear(
    equations: Mapping[str, sympy.Expr], rule: str
) -> tuple[list[list[sympy.Expr]], list[sympy.Expr]]:
    """Return A and b of right-hand sides A v + b; refuse others."""
    zero = {symbol(name): sympy.S.Zero for name in equations}
    rows, sources = [], []
    for name, expression in equations.items():
        row = [left_derivative(expression, other) for other in equations]
        source = expression.xreplace(zero)
        total = source + sum(a * symbol(n) for a, n in zip(row, equations, strict=True))
        if any(a.has(*zero) for a in row) or sympy.expand(total - expression) != 0:
            raise UnsupportedError(
                f"rule: d{name}/dt of {rule!r} is not linear in {', '.join(equations)}, so that "
                "its rest is not known in closed form; simulate it."
            )
        rows.append(row)
        sources.append(source)
    return rows, sources


def _at_rest(equations: Mapping[str, sympy.Expr], rule: str) -> dict[sympy.Symbol, sympy.Expr]:
    """Return where variables are at rest, in terms of everything else."""
    if not equations:
        return {}
    rows, sources = _linear(equations, rule)
    A = sympy.Matrix(rows)
    if A.det() == 0:
        raise UnsupportedError(f"rule: {', '.join(equations)} of {rule!r} have no rest.")
    solution = A.LUsolve(-sympy.Matrix(sources))
    return {symbol(n): sympy.simplify(s) for n, s in zip(equations, solution, strict=True)}
