"""The functions and constants of the model language, with what folds a call of constants."""

import math
from collections.abc import Callable

CONSTANTS = {"pi": math.pi, "e": math.e}


def _sigmoid(value: float) -> float:
    small = math.exp(-abs(value))  # cannot overflow
    return (1.0 if value >= 0 else small) / (1.0 + small)


# Brian2's names, and what rate models need besides.
FUNCTIONS: dict[str, Callable[..., float]] = {
    "sin": math.sin, "cos": math.cos, "tan": math.tan,
    "sinh": math.sinh, "cosh": math.cosh, "tanh": math.tanh,
    "arcsin": math.asin, "arccos": math.acos, "arctan": math.atan,
    "exp": math.exp, "expm1": math.expm1,
    "exprel": lambda value: math.expm1(value) / value if value else 1.0,
    "log": math.log, "log10": math.log10, "log1p": math.log1p,
    "sqrt": math.sqrt, "abs": abs,
    "sign": lambda value: float((value > 0) - (value < 0)),
    "clip": lambda value, low, high: min(max(value, low), high),
    "int": int,
    "relu": lambda value: max(value, 0.0),
    "sigmoid": _sigmoid,
    "softplus": lambda value: max(value, 0.0) + math.log1p(math.exp(-abs(value))),
    "erf": math.erf,
}  # fmt: skip
BEYOND_BRIAN2 = ("relu", "sigmoid", "softplus", "erf")


def number_of_arguments(name: str) -> int:
    """Return how many arguments a function takes; those of a model take one."""
    return 3 if name == "clip" else 1
