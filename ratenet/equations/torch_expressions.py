"""SymPy expressions as torch functions.

Expressions are walked once and become closures over tensors; nothing is written out as source and
executed. Subexpressions that occur several times are computed once a call. A tensor that a closure
has made itself is overwritten by the next operation where no gradient needs it: on a CPU a pass
over the batch costs as much for making its result as for the arithmetic.
"""

import math
import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import sympy
import torch
from torch import Tensor

from ratenet.equations import symbolic

Values = dict[str, Any]  # a tensor or number for each name
Evaluate = Callable[[Values], Any]
_MINUS_ONE, _TWO = torch.tensor(-1.0), torch.tensor(2.0)  # tensors: torch wraps numbers slowly
_LIKE = ""  # key of a tensor that has the network's dtype and device; no variable is named so


class TorchExpressions:
    """Several SymPy expressions as one torch function.

    Parameters
    ----------
    expressions : sequence of sympy.Expr
        What to compute; names in them are looked up at each call.
    handed_over : collection of str
        Names whose tensors are made for one call, and so may be overwritten in it.

    Examples
    --------
    >>> from ratenet.equations.symbolic import symbol
    >>> u = symbol("u")
    >>> TorchExpressions([u**2, 2 * u])({"u": torch.tensor(3.0)})
    [tensor(9.), tensor(6.)]
    """

    def __init__(
        self, expressions: Sequence[sympy.Expr], handed_over: Collection[str] = ()
    ) -> None:
        # No name in a model begins with an underscore, so shared parts cannot hide one.
        fresh = sympy.numbered_symbols("_shared")
        masked = [symbolic.with_masks(expression) for expression in expressions]
        shared, results = sympy.cse(masked, symbols=fresh, order="none")
        last_uses = _last_uses([*(e for _, e in shared), *results], handed_over)
        shared = [(name, expression.xreplace(last_uses)) for name, expression in shared]
        results = [expression.xreplace(last_uses) for expression in results]
        self._names = {str(name) for e in expressions for name in e.free_symbols}
        self._shared = [(str(name), _compile(expression)) for name, expression in shared]
        self._results = [_compile(expression) for expression in results]

    def __call__(self, values: Mapping[str, Any]) -> list[Any]:
        """Return one tensor (or number, where nothing varies) for each expression."""
        like = next(v for v in values.values() if isinstance(v, Tensor))
        everything = {name: values[name] for name in self._names}
        everything[_LIKE] = like
        for name, evaluate in self._shared:
            everything[name] = evaluate(everything)
        results = [evaluate(everything) for evaluate in self._results]
        return [_typed(r, like.dtype) for r in results]


def _typed(value: Any, dtype: torch.dtype) -> Any:
    is_other = isinstance(value, Tensor) and value.dtype != dtype
    return value.to(dtype) if is_other else value


class _LastUse(sympy.Function):  # type: ignore[misc]  # sympy is untyped
    """A name at the only place where its tensor is used: it may be overwritten there."""

    nargs = 1


def _last_uses(
    expressions: Sequence[sympy.Expr], handed_over: Collection[str]
) -> dict[sympy.Symbol, sympy.Expr]:
    """Return what to put in place of the handed-over names that are used exactly once."""
    symbols = [symbolic.symbol(name) for name in handed_over]
    uses = {symbol: sum(e.count(symbol) for e in expressions) for symbol in symbols}
    return {symbol: _LastUse(symbol) for symbol, number in uses.items() if number == 1}


def _scalar(value: Any, values: Values) -> Tensor:
    """Return a number as a tensor; in double precision, which changes no tensor's dtype."""
    if isinstance(value, Tensor):
        return value
    return torch.full((), value, dtype=torch.float64, device=values[_LIKE].device)


def _is_fresh(expression: sympy.Basic) -> bool:
    """Return whether evaluating it makes a tensor that nobody else has: it may be overwritten."""
    return not (expression.is_Symbol or expression.is_number)


def _may_overwrite(result: Any, operand: Any = None) -> bool:
    """Return whether a fresh result may reuse an operand in place, its shape and type kept.

    Only with gradients off: autograd may still need what would be overwritten.
    """
    if torch.is_grad_enabled() or not isinstance(result, Tensor) or result.ndim == 0:
        return False
    if not isinstance(operand, Tensor) or operand.ndim == 0:
        return True
    return operand.shape == result.shape and operand.dtype == result.dtype


def _tanh(argument: Tensor) -> Tensor:
    # torch's float32 sigmoid is five times as fast as its tanh on a CPU, and as exact to 1e-7.
    if argument.dtype == torch.float32:
        return torch.sigmoid(argument * 2).mul(2).sub(1)
    return argument.tanh()


def _tanh_(argument: Tensor) -> Tensor:
    if argument.dtype == torch.float32:
        grown = argument.mul_(_TWO).sigmoid_()
        return torch.add(_MINUS_ONE, grown, alpha=2, out=grown)  # one pass for two
    return argument.tanh_()


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
# The same where the argument may be overwritten.
_FUNCTIONS_IN_PLACE: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": _tanh_, "sigmoid": torch.sigmoid_, "relu": torch.relu_, "exp": torch.exp_,
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
    if expression.is_Symbol or isinstance(expression, _LastUse):
        name = str(expression if expression.is_Symbol else expression.args[0])
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
    return _compile_function(expression)


def _compile_function(expression: sympy.Expr) -> Evaluate:
    name, argument = str(expression.func), _compile(expression.args[0])
    function = _FUNCTIONS[name]
    if name not in _FUNCTIONS_IN_PLACE or not _is_fresh(expression.args[0]):
        return lambda values: function(_scalar(argument(values), values))
    in_place = _FUNCTIONS_IN_PLACE[name]

    def evaluate(values: Values) -> Any:
        value = argument(values)
        return in_place(value) if _may_overwrite(value) else function(_scalar(value, values))

    return evaluate


# A number that all units share, times a tensor (None: the number alone) and whether that may be
# overwritten; not multiplied yet, so that a sum does it in the pass that adds.
_Scaled = tuple[Any, Any, bool]


def _compile_scaled(expression: sympy.Expr) -> Callable[[Values], _Scaled]:
    if isinstance(expression, sympy.Mul):
        return _compile_factors(expression)
    term, is_fresh = _compile(expression), _is_fresh(expression)

    def evaluate(values: Values) -> _Scaled:
        value = term(values)
        varies = isinstance(value, Tensor) and value.ndim > 0
        return (1.0, value, is_fresh) if varies else (value, None, False)

    return evaluate


def _compile_sum(expression: sympy.Add) -> Evaluate:
    """Compile a sum; terms without factors come first, fresh ones before others: they take it."""
    order = sorted(expression.args, key=lambda term: (term.is_Mul, not _is_fresh(term)))
    terms = [_compile_scaled(term) for term in order]

    def evaluate(values: Values) -> Any:
        constant, total = None, None
        for term in terms:
            scaled = term(values)
            if scaled[1] is not None:
                total = scaled if total is None else _added(total, scaled)
            else:
                constant = scaled[0] if constant is None else constant + scaled[0]
        if total is None:
            return constant
        if constant is None:
            return total[1]
        return _raised(total, constant)

    return evaluate


def _added(one: _Scaled, other: _Scaled) -> _Scaled:
    """Return the sum of two that vary, in one of their tensors where it may be overwritten."""
    if not _is_one(one[0]):
        one, other = other, one
    total, is_fresh = (one[1], one[2]) if _is_one(one[0]) else (_product(one), True)
    factor, tensor, tensor_is_fresh = other
    if isinstance(factor, Tensor):
        factor, tensor, tensor_is_fresh = 1.0, _product(other), True
    if is_fresh and _may_overwrite(total, tensor):
        return 1.0, total.add_(tensor, alpha=factor), True
    if tensor_is_fresh and _may_overwrite(tensor, total):
        return 1.0, torch.add(total, tensor, alpha=factor, out=tensor), True
    return 1.0, torch.add(total, tensor, alpha=factor), True


def _raised(scaled: _Scaled, constant: Any) -> Tensor:
    """Return what varies plus a constant, in its own tensor where that may be overwritten."""
    factor, tensor, is_fresh = scaled
    if isinstance(factor, float) and factor != 1.0 and isinstance(constant, float):
        begin = torch.tensor(constant, dtype=tensor.dtype)
        return _added((1.0, begin, False), scaled)[1]
    total = tensor if _is_one(factor) else _product(scaled)
    is_fresh = is_fresh or total is not tensor
    return total.add_(constant) if is_fresh and _may_overwrite(total) else total + constant


def _is_one(factor: Any) -> bool:
    return isinstance(factor, float) and factor == 1.0


def _product(scaled: _Scaled) -> Any:
    """Return factor times tensor; what is not fresh is multiplied even by one, and so copied."""
    factor, tensor, is_fresh = scaled
    if tensor is None or (is_fresh and _is_one(factor)):
        return factor if tensor is None else tensor
    return _multiplied(tensor, factor, is_fresh)


def _compile_product(expression: sympy.Mul) -> Evaluate:
    factors = _compile_factors(expression)
    return lambda values: _product(factors(values))


def _compile_factors(expression: sympy.Mul) -> Callable[[Values], _Scaled]:
    """Compile a product; numbers and parameters that all units share are multiplied first."""
    above, below = [], []
    for factor in expression.args:
        if isinstance(factor, sympy.Pow) and factor.exp.is_negative:
            below.append(_compile(factor.base ** (-factor.exp)))
        elif factor not in (1, -1):
            above.append((_is_fresh(factor), _compile(factor)))
    above.sort(key=lambda pair: not pair[0])  # a fresh one first
    sign = -1.0 if -1 in expression.args else 1.0

    def evaluate(values: Values) -> _Scaled:
        scalar, result, is_fresh = sign, None, False
        for fresh, factor in above:
            value = factor(values)
            if not isinstance(value, Tensor) or value.ndim == 0:
                scalar = scalar * value
            elif result is None:
                result, is_fresh = value, fresh
            else:
                result, is_fresh = _multiplied(result, value, is_fresh), True
        for divisor in below:
            value = divisor(values)
            if not isinstance(value, Tensor) or value.ndim == 0:
                scalar = _quotient(scalar, value)
            elif result is None:
                result, scalar, is_fresh = scalar / value, 1.0, True
            else:
                result, is_fresh = result / value, True
        return scalar, result, is_fresh

    return evaluate


def _quotient(above: Any, below: Any) -> Any:
    """Return above / below; of two numbers as torch would, which knows no ZeroDivisionError."""
    if isinstance(above, Tensor) or isinstance(below, Tensor) or below != 0:
        return above / below
    return math.copysign(math.inf, above) * math.copysign(1, below) if above else math.nan


def _multiplied(result: Tensor, value: Any, is_fresh: bool) -> Tensor:
    return result.mul_(value) if is_fresh and _may_overwrite(result, value) else result * value


def _compile_power(expression: sympy.Pow) -> Evaluate:
    base = _compile(expression.base)
    if expression.exp == -1:
        return lambda values: 1.0 / _scalar(base(values), values)
    if expression.exp.is_Integer:
        exponent: float = int(expression.exp)
    else:
        exponent = float(expression.exp)
    return lambda values: _scalar(base(values), values) ** exponent


def _compile_pair(expression: sympy.Expr) -> Evaluate:
    """Compile a function of two arguments: a power, a bound of clip, a comparison or a mask."""
    kind = type(expression)
    left_argument, right = (_compile(argument) for argument in expression.args)

    def left(values: Values) -> Tensor:
        return _scalar(left_argument(values), values)

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
