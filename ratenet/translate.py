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
from sympy.codegen import cfunctions
from torch import Tensor

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
        shared, results = sympy.cse(list(expressions), order="none")
        self._shared = [(str(name), _compile(expression)) for name, expression in shared]
        self._results = [_compile(expression) for expression in results]

    def __call__(self, values: Mapping[str, Any]) -> list[Any]:
        """Return one tensor (or number, where nothing varies) for each expression."""
        everything = dict(values)
        everything[_LIKE] = next(v for v in values.values() if isinstance(v, Tensor))
        for name, evaluate in self._shared:
            everything[name] = evaluate(everything)
        return [evaluate(everything) for evaluate in self._results]


@dataclass(frozen=True)
class TorchModel:
    """The functions of one model; each takes a mapping from names to tensors.

    Attributes
    ----------
    right_hand_sides : TorchExpressions
        F, one entry for each of the k state variables, in units of the state a second.
    output : TorchExpressions
        The transmitted variable y = rho(s), one entry.
    own_rates : TorchExpressions
        M of F_k = M s_k + B, in 1/s; raises UnsupportedError where there is none.
    blocks : TorchExpressions
        F_s (k x k entries, row by row), F_I (k entries) and rho_s (k entries).
    newton_blocks : TorchExpressions
        F (k entries) and F_s (k x k entries): what the Newton step of a unit needs.
    """

    spec: ModelSpec

    @functools.cached_property
    def right_hand_sides(self) -> TorchExpressions:
        return TorchExpressions(self.spec.right_hand_sides)

    @functools.cached_property
    def output(self) -> TorchExpressions:
        return TorchExpressions([self.spec.output_expression])

    @functools.cached_property
    def own_rates(self) -> TorchExpressions:
        return TorchExpressions(self.spec.own_rates)

    @functools.cached_property
    def newton_blocks(self) -> TorchExpressions:
        entries = [entry for row in self.spec.state_derivatives for entry in row]
        return TorchExpressions([*self.spec.right_hand_sides, *entries])

    @functools.cached_property
    def blocks(self) -> TorchExpressions:
        entries = [entry for row in self.spec.state_derivatives for entry in row]
        inputs, outputs = self.spec.input_derivatives, self.spec.output_derivatives
        return TorchExpressions([*entries, *inputs, *outputs])


@functools.lru_cache(maxsize=64)
def translate(spec: ModelSpec) -> TorchModel:
    """Return the torch functions of a model (cached: a spec is hashable)."""
    return TorchModel(spec)


def _tanh(argument: Any) -> Any:
    # torch's float32 sigmoid is five times as fast as its tanh on a CPU, and as exact to 1e-7.
    if isinstance(argument, Tensor) and argument.dtype == torch.float32:
        return torch.sigmoid(argument * 2).mul(2).sub(1)
    return _by_tensor_method("tanh", math.tanh)(argument)


def _by_tensor_method(method: str, for_numbers: Callable[[float], float]) -> Callable[[Any], Any]:
    def call(argument: Any) -> Any:
        if isinstance(argument, Tensor):
            return getattr(argument, method)()
        return for_numbers(argument)

    return call


_FUNCTIONS: dict[type, Callable[[Any], Any]] = {
    sympy.tanh: _tanh,
    sympy.sin: _by_tensor_method("sin", math.sin),
    sympy.cos: _by_tensor_method("cos", math.cos),
    sympy.tan: _by_tensor_method("tan", math.tan),
    sympy.sinh: _by_tensor_method("sinh", math.sinh),
    sympy.cosh: _by_tensor_method("cosh", math.cosh),
    sympy.asin: _by_tensor_method("asin", math.asin),
    sympy.acos: _by_tensor_method("acos", math.acos),
    sympy.atan: _by_tensor_method("atan", math.atan),
    sympy.exp: _by_tensor_method("exp", math.exp),
    sympy.log: _by_tensor_method("log", math.log),
    sympy.Abs: _by_tensor_method("abs", abs),
    sympy.sign: _by_tensor_method("sign", lambda value: float((value > 0) - (value < 0))),
    sympy.floor: _by_tensor_method("floor", math.floor),
    sympy.ceiling: _by_tensor_method("ceil", math.ceil),
    cfunctions.expm1: _by_tensor_method("expm1", math.expm1),
    cfunctions.log1p: _by_tensor_method("log1p", math.log1p),
    cfunctions.log10: _by_tensor_method("log10", math.log10),
}
_RELATIONS: dict[type, Callable[[Any, Any], Any]] = {
    sympy.StrictLessThan: operator.lt,
    sympy.LessThan: operator.le,
    sympy.StrictGreaterThan: operator.gt,
    sympy.GreaterThan: operator.ge,
    sympy.Eq: operator.eq,
    sympy.Ne: operator.ne,
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
    if isinstance(expression, sympy.Piecewise):
        return _compile_piecewise(expression)
    if isinstance(expression, sympy.logic.boolalg.BooleanFunction):
        return _compile_logic(expression)
    if type(expression) in _RELATIONS:
        relation = _RELATIONS[type(expression)]
        left, right = _compile(expression.lhs), _compile(expression.rhs)
        return lambda values: relation(left(values), right(values))
    function, argument = _FUNCTIONS[type(expression)], _compile(expression.args[0])
    return lambda values: function(argument(values))


def _compile_sum(expression: sympy.Add) -> Evaluate:
    """Compile a sum with the negative terms subtracted, so that -1 is never multiplied."""
    plus, minus = [], []
    for term in expression.args:
        if term.could_extract_minus_sign() and not term.is_number:
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
        if isinstance(factor, sympy.Pow) and factor.exp.is_number and factor.exp.is_negative:
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
    base, exponent = _compile(expression.base), _compile(expression.exp)
    if expression.exp == -1:
        return lambda values: 1.0 / base(values)
    if expression.exp == sympy.S.Half:
        return lambda values: base(values) ** 0.5
    if expression.exp.is_Integer:
        integer = int(expression.exp)
        return lambda values: base(values) ** integer
    return lambda values: base(values) ** exponent(values)


def _compile_piecewise(expression: sympy.Piecewise) -> Evaluate:
    branches = [(_compile(value), condition) for value, condition in expression.args]
    otherwise = math.nan if branches[-1][1] != sympy.true else None
    conditional = [
        (value, _compile(condition)) for value, condition in branches if condition != sympy.true
    ]
    last = branches[-1][0]

    def evaluate(values: Values) -> Any:
        result = last(values) if otherwise is None else otherwise
        for value, condition in reversed(conditional):
            result = _select(condition(values), value(values), result, values[_LIKE])
        return result

    return evaluate


def _select(condition: Any, chosen: Any, other: Any, like: Tensor) -> Any:
    if isinstance(condition, bool):
        return chosen if condition else other
    if not (isinstance(chosen, Tensor) or isinstance(other, Tensor)):
        # where() of two numbers would take torch's default dtype, not the network's.
        chosen = torch.full((), chosen, dtype=like.dtype, device=like.device)
    return torch.where(condition, chosen, other)


def _compile_logic(expression: sympy.Basic) -> Evaluate:
    parts = [_compile(argument) for argument in expression.args]
    if isinstance(expression, sympy.Not):
        return lambda values: ~parts[0](values)
    combine = operator.and_ if isinstance(expression, sympy.And) else operator.or_
    return lambda values: functools.reduce(combine, (part(values) for part in parts))
