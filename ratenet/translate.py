"""From a ModelSpec to torch functions: right-hand side, output, gain and Jacobian blocks.

Expressions are walked once and become closures over tensors; nothing is written out as source
and executed. Subexpressions that occur several times are computed once a call.
"""

import functools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy
import torch
from torch import Tensor

from ratenet import symbolic
from ratenet.spec import ModelSpec

Values = dict[str, Any]  # a tensor or number for each name
Evaluate = Callable[[Values], Any]
_LIKE = ""  # key of a tensor that has the network's dtype and device; no variable is named so


class TorchExpressions:
    """Several SymPy expressions as one torch function.

    Parameters
    ----------
    expressions : sequence of sympy.Expr
        What to compute; names in them are looked up at each call.

    Examples
    --------
    >>> from ratenet.symbolic import symbol
    >>> u = symbol("u")
    >>> TorchExpressions([u**2, 2 * u])({"u": torch.tensor(3.0)})
    [tensor(9.), tensor(6.)]
    """

    def __init__(self, expressions: Sequence[sympy.Expr]) -> None:
        # No name in a model begins with an underscore, so shared parts cannot hide one.
        fresh = sympy.numbered_symbols("_shared")
        masked = [symbolic.with_masks(expression) for expression in expressions]
        shared, results = sympy.cse(masked, symbols=fresh, order="none")
        self._names = {str(name) for e in expressions for name in e.free_symbols}
        self._shared = [(str(name), _compile(expression)) for name, expression in shared]
        self._results = [_compile(expression) for expression in results]

    def __call__(self, values: Mapping[str, Any]) -> list[Any]:
        """Return one tensor (or number, where nothing varies) for each expression."""
        like = next(v for v in values.values() if isinstance(v, Tensor))
        everything = {name: _scalar(values[name], like) for name in self._names}
        everything[_LIKE] = like
        for name, evaluate in self._shared:
            everything[name] = evaluate(everything)
        results = [evaluate(everything) for evaluate in self._results]
        return [r.to(like.dtype) if isinstance(r, Tensor) else r for r in results]


def _scalar(value: Any, like: Tensor) -> Tensor:
    """Return a number (time) as a tensor; in double precision, which changes no tensor's dtype."""
    if isinstance(value, Tensor):
        return value
    return torch.full((), value, dtype=torch.float64, device=like.device)


@dataclass(frozen=True)
class TorchModel:
    """The functions of one model; each takes a mapping from names to tensors.

    Attributes
    ----------
    right_hand_sides : TorchExpressions
        F, one entry for each of the k state variables, in units of the state a second.
    output : TorchExpressions
        The transmitted variable y = rho(s), one entry.
    noise_strengths : TorchExpressions
        dF_i / d xi_j, k x J entries, row by row.
    own_rates : TorchExpressions
        M of F_k = M s_k + B, in 1/s; raises UnsupportedError where there is none.
    blocks : TorchExpressions
        F_s (k x k entries, row by row), F_I (k entries) and rho_s (k entries).
    newton_parts : TorchExpressions
        What a unit's Newton step needs: F_s (k x k entries, row by row) and F (k entries); for
        k = 1 the step -F / F_s itself in place of F, which for r' = (-r + f)/tau is -r + f.
    """

    spec: ModelSpec

    @functools.cached_property
    def right_hand_sides(self) -> TorchExpressions:
        """F, compiled when it is first used."""
        return TorchExpressions(self.spec.right_hand_sides)

    @functools.cached_property
    def output(self) -> TorchExpressions:
        """The transmitted variable, compiled when it is first used."""
        return TorchExpressions([self.spec.output_expression])

    @functools.cached_property
    def noise_strengths(self) -> TorchExpressions:
        """What the white noises are multiplied by, compiled when it is first used."""
        return TorchExpressions([entry for row in self.spec.noise_strengths for entry in row])

    @functools.cached_property
    def own_rates(self) -> TorchExpressions:
        """M, compiled when it is first used."""
        return TorchExpressions(self.spec.own_rates)

    @functools.cached_property
    def newton_parts(self) -> TorchExpressions:
        """F_s and F, or the step; compiled when they are first used."""
        entries = [entry for row in self.spec.state_derivatives for entry in row]
        if len(entries) > 1:
            return TorchExpressions([*entries, *self.spec.right_hand_sides])
        F_s, F = entries[0], self.spec.right_hand_sides[0]
        return TorchExpressions([F_s, sympy.nan if F_s.is_zero else -F / F_s])

    @functools.cached_property
    def blocks(self) -> TorchExpressions:
        """F_s, F_I and rho_s, compiled when they are first used."""
        entries = [entry for row in self.spec.state_derivatives for entry in row]
        inputs, outputs = self.spec.input_derivatives, self.spec.output_derivatives
        return TorchExpressions([*entries, *inputs, *outputs])


@functools.lru_cache(maxsize=64)
def translate(spec: ModelSpec) -> TorchModel:
    """Return the torch functions of a model (cached: a spec is hashable)."""
    return TorchModel(spec)


def _tanh(argument: Tensor) -> Tensor:
    # torch's float32 sigmoid is five times as fast as its tanh on a CPU, and as exact to 1e-7.
    if argument.dtype == torch.float32:
        return torch.sigmoid(argument * 2).mul(2).sub(1)
    return argument.tanh()


def _sign(argument: Tensor) -> Tensor:
    # torch.sign(NaN) is 0; a NaN must stay one.
    return torch.where(argument.isnan(), argument, argument.sign())


def _exprel(argument: Tensor) -> Tensor:
    divisor = torch.where(argument == 0, 1.0, argument)  # first: no gradient through 0 / 0
    return torch.where(argument == 0, 1.0, torch.expm1(argument) / divisor)


def _exprel_slope(argument: Tensor) -> Tensor:
    """Return the derivative of exprel; near 0, where its closed form cancels, by the series."""
    small, series = argument.clamp(-0.5, 0.5), torch.zeros_like(argument)
    for n in reversed(range(symbolic.EXPREL_TERMS)):  # Horner's scheme
        series = series * small + (n + 1) / math.factorial(n + 2)
    large = torch.where(argument.abs() > 0.5, argument, 1.0)
    closed = (large.exp() * (large - 1) + 1) / large**2
    return torch.where(argument.abs() > 0.5, closed, series)


def _softplus(argument: Tensor) -> Tensor:
    # torch's own becomes linear above 20, which is wrong by 2e-9 there.
    return argument.clamp(min=0) + (-argument.abs()).exp().log1p()


_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sin": torch.sin, "cos": torch.cos, "tan": torch.tan,
    "sinh": torch.sinh, "cosh": torch.cosh, "tanh": _tanh,
    "arcsin": torch.arcsin, "arccos": torch.arccos, "arctan": torch.arctan,
    "exp": torch.exp, "expm1": torch.expm1,
    "log": torch.log, "log10": torch.log10, "log1p": torch.log1p,
    "sqrt": torch.sqrt, "abs": torch.abs, "sign": _sign, "int": torch.trunc,
    "exprel": _exprel, "exprel_slope": _exprel_slope,
    "relu": torch.relu, "sigmoid": torch.sigmoid, "softplus": _softplus, "erf": torch.erf,
}  # fmt: skip
_INDICATORS: dict[type, Callable[[Any, Any], Any]] = {
    symbolic.less: operator.lt,
    symbolic.less_equal: operator.le,
    symbolic.greater: operator.gt,
    symbolic.greater_equal: operator.ge,
    symbolic.above: operator.gt,
    symbolic.at_or_below: operator.le,
}
_BOUNDS: dict[type, Callable[[Tensor, Tensor], Tensor]] = {
    symbolic.at_least: torch.maximum,  # NaN stays NaN
    symbolic.at_most: torch.minimum,
}


def _compile(expression: sympy.Basic) -> Evaluate:
    """Return a closure that evaluates one expression; a visitor over SymPy's node types."""
    if expression.is_Symbol:
        name = str(expression)
        return lambda values: values[name]
    if expression.is_number:
        number = float(expression)
        return lambda values: number
    if isinstance(expression, sympy.Add):
        return _compile_sum(expression)
    if isinstance(expression, sympy.Mul):
        return _compile_product(expression)
    if isinstance(expression, sympy.Pow):
        return _compile_power(expression)
    if len(expression.args) == 2:
        return _compile_pair(expression)
    function, argument = _FUNCTIONS[str(expression.func)], _compile(expression.args[0])
    return lambda values: function(argument(values))


def _compile_sum(expression: sympy.Add) -> Evaluate:
    """Compile a sum with the negative terms subtracted, so that -1 is never multiplied."""
    plus, minus = [], []
    for term in expression.args:
        coefficient, _ = term.as_coeff_Mul()
        if coefficient.is_negative and not term.is_Number:
            minus.append(_compile(-term))
        else:
            plus.append(_compile(term))

    def evaluate(values: Values) -> Any:
        total = functools.reduce(operator.add, (term(values) for term in plus)) if plus else None
        for term in minus:
            total = -term(values) if total is None else total - term(values)
        return total

    return evaluate


def _compile_product(expression: sympy.Mul) -> Evaluate:
    """Compile a product as numerator / denominator, so that 1/tau is a division as written."""
    above, below = [], []
    for factor in expression.args:
        if isinstance(factor, sympy.Pow) and factor.exp.is_negative:
            below.append(_compile(factor.base ** (-factor.exp)))
        elif factor not in (1, -1):
            above.append(_compile(factor))
    negative = -1 in expression.args

    def evaluate(values: Values) -> Any:
        result = functools.reduce(operator.mul, (f(values) for f in above)) if above else 1.0
        for divisor in below:
            result = result / divisor(values)
        return -result if negative else result

    return evaluate


def _compile_power(expression: sympy.Pow) -> Evaluate:
    base = _compile(expression.base)
    if expression.exp == -1:
        return lambda values: 1.0 / base(values)
    if expression.exp.is_Integer:
        exponent: float = int(expression.exp)
    else:
        exponent = float(expression.exp)
    return lambda values: base(values) ** exponent


def _compile_pair(expression: sympy.Expr) -> Evaluate:
    """Compile a function of two arguments: a power, a bound of clip, a comparison or a mask."""
    kind = type(expression)
    left, right = (_compile(argument) for argument in expression.args)
    if kind in _INDICATORS:
        holds = _INDICATORS[kind]
        return lambda values: holds(left(values), right(values)).to(values[_LIKE].dtype)
    if kind is symbolic.Masked:
        return lambda values: torch.where(left(values) != 0, _tensor(right(values), values), 0.0)
    if kind is symbolic.power:
        return lambda values: left(values) ** right(values)
    bound = _BOUNDS[kind]
    if not expression.args[1].is_Number:
        return lambda values: bound(_tensor(left(values), values), _tensor(right(values), values))
    number = float(expression.args[1])
    if kind is symbolic.at_least:
        return lambda values: left(values).clamp(min=number)
    return lambda values: left(values).clamp(max=number)


def _tensor(value: Any, values: Values) -> Tensor:
    """Return a number as a tensor of the network's dtype, where torch would take its default."""
    if isinstance(value, Tensor):
        return value
    like = values[_LIKE]
    return torch.full((), value, dtype=like.dtype, device=like.device)
