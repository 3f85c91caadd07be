"""From a checked syntax tree to SymPy, in a form whose derivatives exist.

SymPy does the calculus; every function is a class of this module that SymPy differentiates and
otherwise leaves alone (its own ones are rewritten when they are built, which takes forever on a
nest of them). The derivative at a kink is the one from the left, in the function's own argument:
relu has 0 at 0, clip 1 at its upper bound, abs -1 at 0.
"""

import ast
import math
from collections.abc import Callable
from typing import Any

import sympy

from ratenet.equations import expressions, functions

# What marks a constant that is not a finite real number.
_NOT_FINITE = (sympy.nan, sympy.zoo, sympy.oo, -sympy.oo, sympy.I)


class _Function(sympy.Function):  # type: ignore[misc]  # sympy is untyped
    """A function of the model language; of numbers alone it is a number."""

    value: Callable[..., float]
    slopes: tuple[Callable[..., Any], ...]  # one derivative for each argument

    @classmethod
    def eval(cls, *arguments: Any) -> Any:
        if not all(argument.is_Number for argument in arguments):
            return None
        try:
            return sympy.Float(cls.value(*(float(argument) for argument in arguments)))
        except (ArithmeticError, ValueError, TypeError):
            return sympy.nan

    def fdiff(self, argindex: int = 1) -> Any:
        return self.slopes[argindex - 1](*self.args)


class _Indicator(_Function):
    """1 where a comparison holds, else 0."""

    def _eval_power(self, exponent: Any) -> Any:
        return self if exponent.is_positive else None


def _flat(*_: Any) -> sympy.Expr:
    return sympy.S.Zero


def _define(
    name: str,
    value: Callable[..., float],
    *slopes: Callable[..., Any],
    base: type[_Function] = _Function,
) -> Any:
    members = {"value": staticmethod(value), "slopes": slopes, "nargs": len(slopes)}
    return type(name, (base,), members)


def _function(name: str, slope: Callable[..., Any]) -> Any:
    return _define(name, functions.FUNCTIONS[name], slope)


def _indicator(name: str, value: Callable[..., float]) -> Any:
    return _define(name, value, _flat, _flat, base=_Indicator)


# Comparisons, which a model writes inside int(...).
less = _indicator("less", lambda a, b: float(a < b))
less_equal = _indicator("less_equal", lambda a, b: float(a <= b))
greater = _indicator("greater", lambda a, b: float(a > b))
greater_equal = _indicator("greater_equal", lambda a, b: float(a >= b))
COMPARISONS = {
    ast.Lt: less, ast.LtE: less_equal, ast.Gt: greater, ast.GtE: greater_equal
}  # fmt: skip

# Masks, which only derivatives hold: a product with one is 0 where it does not hold, even if
# another factor is infinite there (the square root of relu has the slope 0 below 0).
above = _indicator("above", lambda a, b: float(a > b))
at_or_below = _indicator("at_or_below", lambda a, b: float(a <= b))


class Masked(sympy.Function):  # type: ignore[misc]
    """Masked(mask, product) is the product where the mask holds, else 0."""

    nargs = 2


# The two halves of clip.
at_least = _define("at_least", max, above, at_or_below)
at_most = _define("at_most", min, at_or_below, above)

# A power whose exponent is no number (SymPy has the others).
power: Any = _define(
    "power", lambda a, b: float(a**b), lambda a, b: b * _power(a, b - 1),
    lambda a, b: power(a, b) * FUNCTIONS["log"](a),
)  # fmt: skip


def _exprel_slope(u: float) -> float:
    """Return the derivative of (exp(u) - 1) / u; near 0, where that cancels, by its series."""
    if abs(u) > 0.5:
        return (math.exp(u) * (u - 1) + 1) / u**2
    return sum((n + 1) / math.factorial(n + 2) * u**n for n in range(EXPREL_TERMS))


EXPREL_TERMS = 14  # of the series: for |u| <= 0.5 the rest is below 1e-17
exprel_slope = _define("exprel_slope", _exprel_slope, lambda u: sympy.nan)  # only ever a slope

_SLOPES: dict[str, Callable[..., Any]] = {
    "sin": lambda u: FUNCTIONS["cos"](u),
    "cos": lambda u: -FUNCTIONS["sin"](u),
    "tan": lambda u: 1 + FUNCTIONS["tan"](u) ** 2,
    "sinh": lambda u: FUNCTIONS["cosh"](u),
    "cosh": lambda u: FUNCTIONS["sinh"](u),
    "tanh": lambda u: 1 - FUNCTIONS["tanh"](u) ** 2,
    "arcsin": lambda u: 1 / FUNCTIONS["sqrt"](1 - u**2),
    "arccos": lambda u: -1 / FUNCTIONS["sqrt"](1 - u**2),
    "arctan": lambda u: 1 / (1 + u**2),
    "exp": lambda u: FUNCTIONS["exp"](u),
    "expm1": lambda u: FUNCTIONS["exp"](u),
    "log": lambda u: 1 / u,
    "log10": lambda u: 1 / (u * FUNCTIONS["log"](10)),
    "log1p": lambda u: 1 / (1 + u),
    "sqrt": lambda u: 1 / (2 * FUNCTIONS["sqrt"](u)),
    "abs": lambda u: 2 * above(u, 0) - 1,
    "sign": _flat,
    "int": _flat,
    "relu": lambda u: above(u, 0),
    "sigmoid": lambda u: FUNCTIONS["sigmoid"](u) * FUNCTIONS["sigmoid"](-u),
    "softplus": lambda u: FUNCTIONS["sigmoid"](u),
    "erf": lambda u: 2 / sympy.sqrt(sympy.pi).evalf(17) * FUNCTIONS["exp"](-(u**2)),
    "exprel": lambda u: exprel_slope(u),
}
# By their names in a model: all of `functions.FUNCTIONS` but clip, which is two of the above.
FUNCTIONS: dict[str, Any] = {name: _function(name, slope) for name, slope in _SLOPES.items()}

_STEPS = (FUNCTIONS["sign"], FUNCTIONS["int"], *COMPARISONS.values())
_TO_THE_LEFT = {
    greater_equal: greater, less: less_equal  # the variable on the left of the sign
}  # fmt: skip
_TO_THE_LEFT_REVERSED = {less_equal: less, greater: greater_equal}


def to_sympy(node: ast.expr) -> sympy.Expr:
    """Return the SymPy expression of a syntax tree from `ratenet.equations.expressions`."""
    match node:
        case ast.Constant(value=int() as value):
            return sympy.Integer(value)
        case ast.Constant(value=float() as value):
            return sympy.Float(value)
        case ast.Name(id=name):
            return symbol(name)
        case ast.UnaryOp(operand=operand):
            return -to_sympy(operand)
        case ast.BinOp(left=left, op=op, right=right):
            return _operation(op, to_sympy(left), to_sympy(right))
        case ast.Call(func=ast.Name(id="clip"), args=[value, low, high]):
            return _clip(value, low, high)
        case ast.Call(func=ast.Name(id="int"), args=[ast.Compare() as comparison]):
            sides = (comparison.left, comparison.comparators[0])
            return COMPARISONS[type(comparison.ops[0])](*map(to_sympy, sides))
        case ast.Call(func=ast.Name(id=name), args=[argument]):
            return FUNCTIONS[name](to_sympy(argument))
    raise TypeError(f"not a checked expression: {ast.dump(node)}")


def _operation(op: ast.operator, left: sympy.Expr, right: sympy.Expr) -> sympy.Expr:
    match op:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case ast.Div():
            return left * _reciprocal(right)
    return _power(left, right)


def _reciprocal(divisor: sympy.Expr) -> sympy.Expr:
    """Return 1 / divisor; 1 / (1 + exp(u)) as sigmoid(-u), whose slope is not inf / inf."""
    if divisor.is_Add and len(divisor.args) == 2 and divisor.args[0] == 1:
        (exponential,) = divisor.args[1:]
        if isinstance(exponential, FUNCTIONS["exp"]):
            return FUNCTIONS["sigmoid"](-exponential.args[0])
    return 1 / divisor


def _power(base: sympy.Expr, exponent: sympy.Expr) -> sympy.Expr:
    return base**exponent if exponent.is_Number else power(base, exponent)


def _clip(value: ast.expr, low: ast.expr, high: ast.expr) -> sympy.Expr:
    clipped = to_sympy(value)
    if expressions.infinite_bound(low) is None:
        clipped = at_least(clipped, to_sympy(low))
    if expressions.infinite_bound(high) is None:
        clipped = at_most(clipped, to_sympy(high))
    return clipped


def symbol(name: str) -> sympy.Symbol:
    """Return the symbol that stands for a name in `to_sympy`'s expressions."""
    return sympy.Symbol(name)


def left_derivative(expression: sympy.Expr, name: str) -> sympy.Expr:
    """Return d expression / d name, at a kink from the left.

    A condition that is true only from the kink on (``u >= 0``) is still false to the left of it,
    so weak and strict inequalities change sides before the derivative is taken.
    """
    variable = symbol(name)

    def from_the_left(comparison: sympy.Expr) -> sympy.Expr:
        left, right = comparison.args
        is_reversed = right.has(variable) and not left.has(variable)
        kinds = _TO_THE_LEFT_REVERSED if is_reversed else _TO_THE_LEFT
        return kinds.get(comparison.func, comparison.func)(left, right)

    comparisons = expression.atoms(*COMPARISONS.values())
    moved = expression.xreplace({c: from_the_left(c) for c in comparisons})
    return sympy.diff(moved, variable)


def with_masks(expression: sympy.Expr) -> sympy.Expr:
    """Return an expression whose products with masks are written as Masked."""

    def masked(product: sympy.Mul) -> sympy.Expr:
        masks = [factor for factor in product.args if isinstance(factor, (above, at_or_below))]
        coefficient, rest = product.func(*(set(product.args) - set(masks))).as_coeff_Mul()
        for mask in masks if rest != 1 else ():
            rest = Masked(mask, rest)
        return coefficient * rest if rest != 1 else product

    return expression.replace(lambda e: e.is_Mul and e.has(above, at_or_below), masked)


def has_step(expression: sympy.Expr, name: str) -> bool:
    """Return whether a step (int, sign, a comparison) in the expression depends on the name."""
    return any(step.has(symbol(name)) for step in expression.atoms(*_STEPS))


def is_finite(expression: sympy.Expr) -> bool:
    """Return whether all constants in an expression are finite real floats."""
    constants = [c for c in expression.atoms(sympy.Number, sympy.Pow) if c.is_number]
    return not expression.has(*_NOT_FINITE) and all(_fits_a_float(c) for c in constants)


def _fits_a_float(constant: sympy.Expr) -> bool:
    return bool(abs(sympy.N(constant)) < sympy.Float(1.7e308))
