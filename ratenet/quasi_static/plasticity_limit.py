"""A rule's change of weights at moving fixed points, and its first-order corrections.

Times are those of the stimulus at speed 1; what is of first order is given for speeds of 1.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from ratenet.equations.plasticity_parser import OUTPUT
from ratenet.errors import SingularError
from ratenet.fixed_points import FixedPoints
from ratenet.linear_algebra import solve_units
from ratenet.quasi_static.lag import solve_jacobian
from ratenet.quasi_static.plasticity_equations import RuleEquations, Values
from ratenet.quasi_static.results import Lag
from ratenet.simulation.plasticity import Plasticity

MOST = 2**20  # numbers of a tensor of synapses: rows are taken in parts
GREGORY = (3 / 8, 7 / 6, 23 / 24)  # weights of the outermost times; the others have weight 1


class Corrections(NamedTuple):
    """Changes of weights, (S, N, N), at speeds of 1; all but the first are of first order."""

    at_fixed_points: Tensor
    first: Tensor  # dw/dt at the beginning
    last: Tensor  # and at the end
    rates: Tensor  # grows with the speed of the stimulus
    trailing: Tensor  # fast variables; with the speed of the stimulus
    drifting: Tensor  # slow variables; with the speed of plasticity
    weights: Tensor  # with the speed of plasticity
    shift: Tensor  # (T, B, N): y* moves with the weights; with the speed of plasticity


class _Part(NamedTuple):
    """Some of the times, with everything that is known there."""

    times: slice
    values: Values  # rows: times, then streams
    signals: Values
    slopes: Values
    moved: Tensor  # (times, S, N, N): the integral of dw/dt so far
    drift: Values  # slow variables likewise, (rows, N)


@dataclass(frozen=True, eq=False)
class Limit:
    """A rule along the fixed points of T times, `step` seconds apart, and B stimuli.

    Parameters
    ----------
    rule : Plasticity
    slow : sequence of str
    fp : FixedPoints
        T B rows, the first B at the beginning.
    lag : Lag
        How the rates trail, at speed 1.
    step : float
        Seconds from one time to the next.
    is_shared : bool
    """

    rule: Plasticity
    slow: Sequence[str]
    fp: FixedPoints
    lag: Lag
    step: float
    is_shared: bool
    equations: RuleEquations = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "equations", RuleEquations(self.rule, self.slow))

    @property
    def number(self) -> int:
        """T."""
        return len(self.fp) // self.rule.streams

    def weights_of_times(self) -> Tensor:
        """Return the weights of a fourth-order rule of integration, (T,), in seconds."""
        weights = torch.full((self.number,), self.step, dtype=self.fp.rates.dtype)
        for index, weight in enumerate(GREGORY):
            weights[index] = weights[-1 - index] = weight * self.step
        return weights.to(self.fp.rates)

    def start(self, rest: Values) -> Values:
        """Return all variables but the weights at rest at the beginning, in the rule's shapes."""
        values, _ = self._at(slice(0, 1), rest)
        return {name: value for name, value in values.items() if name not in self._given}

    @property
    def _given(self) -> tuple[str, str]:
        return OUTPUT, self.rule.weight

    def slow_rest(self) -> Values:
        """Return the slow variables at rest for the mean over the showing, (B, N) each.

        Raises
        ------
        SingularError
            If they have none.
        """
        if not self.slow:
            return {}
        equations, y = self.equations, self.fp.rates[: self.rule.streams]
        k, weights = len(self.slow), self.weights_of_times()
        matrix, right = y.new_zeros(k, k, *y.shape), y.new_zeros(k, *y.shape)
        for times in self._parts():
            values, signals = self._at(times, equations.zeros(self.slow, y))
            slopes = equations.slopes(values, signals)
            right -= torch.stack([self._integral(slopes[n], weights[times]) for n in self.slow])
            for column, name in enumerate(self.slow):
                along = equations.response(values, signals, {name: torch.ones_like(values[name])})
                slopes = equations.derivative(values, signals, along)
                matrix[:, column] += torch.stack(
                    [self._integral(slopes[n], weights[times]) for n in self.slow]
                )
        found = solve_units(matrix, right)
        if not bool(torch.isfinite(found).all()):
            raise SingularError(f"rule: slow variables of {self.rule.spec.name!r} have no rest.")
        return dict(zip(self.slow, found, strict=True))

    def corrections(self, rest: Values) -> Corrections:
        """Return the change of the weights at fixed points, and what corrects it."""
        N, weight, q = self.rule.network.units, self.rule.weight, self.weights_of_times()
        S = 1 if self.is_shared else self.rule.streams
        change, *others = (self.fp.rates.new_zeros(S, N, N) for _ in range(5))
        ends, pushes = [], []
        for part in self._walk(rest):
            slope = self._by_stream(weight, part.slopes[weight])
            change += torch.einsum("t,tsij->sij", q[part.times], slope)
            rates = part.values[OUTPUT].unflatten(0, (-1, self.rule.streams))
            pushes.append((part.moved @ rates[..., None])[..., 0])
            ends += [slope[0], slope[-1]]
        shift = self._shift(torch.cat(pushes))
        for part in self._walk(rest):
            for total, along in zip(others, self._changes(part, shift), strict=True):
                slopes = self.equations.derivative(part.values, part.signals, along)
                slope = self._by_stream(weight, slopes[weight])
                total += torch.einsum("t,tsij->sij", q[part.times], slope)
        rates, trailing, drifting, weights = others
        return Corrections(change, ends[0], ends[-1], rates, trailing, drifting, weights, shift)

    def _changes(self, part: _Part, shift: Tensor) -> Iterator[Values]:
        """Yield what changes with the rates' lag, the variables' own lag, their drift, weights."""
        equations, rows, at = self.equations, self._rows(part.times), (part.values, part.signals)
        yield equations.response(*at, self._with_signals(part, self.lag.rates[rows]))
        fast = [name for names in equations.fast for name in names]
        moving: Values = {}
        if fast:
            known = self._with_signals(part, self.lag.velocity[rows], passing=1.0)
            moving = equations.response(*at, known)
        yield equations.response(*at, {}, {name: moving[name] for name in fast})
        yield equations.response(*at, part.drift)
        weights = part.moved.expand(-1, self.rule.streams, -1, -1).flatten(0, 1)
        known = self._with_signals(part, shift[part.times].flatten(0, 1))
        yield equations.response(*at, known | {self.rule.weight: weights})

    def _with_signals(self, part: _Part, rates: Tensor, passing: float = 0.0) -> Values:
        """Return a change of the rates, while time passes, and that of the signals with it."""
        changes = {OUTPUT: rates}
        if any(not signal.is_constant for signal in self.rule.signals.values()):
            h = self.step * torch.finfo(rates.dtype).eps ** (1 / 3)
            y = part.values[OUTPUT]
            ahead = self._signals(part.times, y + h * rates, h * passing)
            behind = self._signals(part.times, y - h * rates, -h * passing)
            changes |= {name: (ahead[name] - behind[name]) / (2 * h) for name in ahead}
        return changes

    def _shift(self, pushes: Tensor) -> Tensor:
        """Return how y* moves with the recurrent input, -rho_s J^{-1} F_I (dW y*), (T, B, N)."""
        fp = self.fp
        blocks = fp.network.jacobian_blocks(fp.state, fp.drive)
        state, _ = solve_jacobian(fp, blocks, -blocks.F_I * pushes.flatten(0, 1))
        return (blocks.rho_s * state).sum(dim=0).view_as(pushes)

    def _walk(self, rest: Values) -> Iterator[_Part]:
        """Yield parts of the times, in order."""
        last: Values = {}
        total: Values = {}
        for times in self._parts():
            values, signals = self._at(times, rest)
            slopes = self.equations.slopes(values, signals)
            sums = {}
            for name in (self.rule.weight, *self.slow):
                rows = self._by_stream(name, slopes[name])
                before = torch.cat([last.get(name, rows[0])[None], rows[:-1]])
                parts = self.step / 2 * (before + rows)
                if name not in total:  # nothing before the first time
                    parts[0] = 0.0
                sums[name] = total.get(name, 0.0) + parts.cumsum(dim=0)
                last[name], total[name] = rows[-1], sums[name][-1]
            moved = sums.pop(self.rule.weight)
            yield _Part(
                times, values, signals, slopes, moved, {n: v.flatten(0, 1) for n, v in sums.items()}
            )

    def _parts(self) -> Iterator[slice]:
        N = self.rule.network.units
        size = max(1, MOST // (self.rule.streams * N * N))
        for begin in range(0, self.number, size):
            yield slice(begin, min(begin + size, self.number))

    def _rows(self, times: slice) -> slice:
        B = self.rule.streams
        return slice(times.start * B, times.stop * B)

    def _at(self, times: slice, rest: Values) -> tuple[Values, Values]:
        """Return all values at fixed points, fast variables at rest, and the signals."""
        y = self.fp.rates[self._rows(times)]
        number, signals = times.stop - times.start, self._signals(times, y)
        W = self.rule.initial[self.rule.weight]
        values = {OUTPUT: y, self.rule.weight: W[:1].expand(len(y), -1, -1)}
        values |= {name: value.repeat(number, 1) for name, value in rest.items()}
        return self.equations.at_rest(values, signals), signals

    def _signals(self, times: slice, rates: Tensor, shift: float = 0.0) -> Values:
        """Return all signals at some times, (rows, N) or (rows, 1) each."""
        moments = [index * self.step + shift for index in range(times.start, times.stop)]
        each = list(zip(moments, rates.unflatten(0, (-1, self.rule.streams)), strict=True))
        return {
            name: torch.cat([signal.at(t, y) for t, y in each])
            for name, signal in self.rule.signals.items()
        }

    def _by_stream(self, name: str, rows: Tensor) -> Tensor:
        """Return a variable's rows as (times, streams, ...); of shared weights the mean."""
        found = rows.unflatten(0, (-1, self.rule.streams))
        is_one = self.is_shared and name == self.rule.weight
        return found.mean(dim=1, keepdim=True) if is_one else found

    def _integral(self, slopes: Tensor, weights: Tensor) -> Tensor:
        """Return the integral of slopes (rows, N) over some times, (B, N)."""
        rows = slopes.unflatten(0, (-1, self.rule.streams))  # times, streams
        return torch.einsum("t,tbn->bn", weights, rows)
