"""The gate through which text becomes an expression.

Model files are data. What they say passes a whitelist over Python's syntax tree here, before
Brian2 or SymPy sees it: numbers, known names and functions, ``+ - * / **``, comparisons, calls
without keywords; limits on length and depth. Without it SymPy takes ``__import__('os')`` for an
unknown function. `ratenet.equations.quantities` is the gate for quantities and units.
"""

import ast
import copy
import math
import operator
import re
from collections.abc import Callable, Collection

from ratenet.errors import ModelError, shorten

MAX_CHARACTERS = 2_000
MAX_DEPTH = 50

CONSTANTS = {"pi": math.pi, "e": math.e}


def _sigmoid(value: float) -> float:
    small = math.exp(-abs(value))  # cannot overflow
    return (1.0 if value >= 0 else small) / (1.0 + small)


# Brian2's names, and what rate models need besides; each with what folds a call of constants.
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
_NUMBER_OF_ARGUMENTS = {name: 3 if name == "clip" else 1 for name in FUNCTIONS}

BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_GRAMMAR = (
    "numbers, names, the functions "
    + ", ".join(sorted(FUNCTIONS))
    + ", the operators + - * / ** and, inside int(...), the comparisons < <= > >="
)

ALLOWED = {
    "an arithmetic expression": f"allowed are {_GRAMMAR}",
    "a quantity": (
        "write a number times a unit that Brian2 knows, such as 10*ms, 2*nA or 0.5, or draw one a "
        "unit by normal(mean, sd), uniform(low, high) or lognormal(mean, sd)"
    ),
    "a unit": "write a base unit such as 1, volt, amp/metre**2 or 1/second",
}


def check_name(name: str, where: str) -> None:
    """Refuse a name that is no plain identifier (letters, digits, underscores; a letter first)."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise ModelError(
            f"{where}: {shorten(name)!r} is not a name; a name begins with a letter and goes on "
            "with letters, digits and underscores."
        )


def parse_expression(text: str, where: str) -> ast.expr:
    """Return the syntax tree of an arithmetic expression.

    Parameters
    ----------
    text : str
        An expression in Brian2's language.
    where : str
        What an error begins with: the key or the equation.

    Raises
    ------
    ModelError
        If the text is anything but arithmetic (see the module's description).
    """
    node = parse_limited(text, where)
    _check_arithmetic(node, where, in_int=False)
    return node


def parse_limited(text: str, where: str, kind: str = "an arithmetic expression") -> ast.expr:
    """Return the syntax tree of a text of limited length and depth, whatever is in it."""
    if len(text) > MAX_CHARACTERS:
        raise ModelError(
            f"{where}: the expression has {len(text)} characters; at most {MAX_CHARACTERS} are "
            "allowed: split it into subexpressions."
        )
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise ModelError(f"{where}: {shorten(text)!r} is not {kind}; {ALLOWED[kind]}.") from None
    check_depth(node, where, MAX_DEPTH)
    return node


def check_depth(root: ast.AST, where: str, allowed: int) -> None:
    """Refuse a deep tree; without recursion, so that a hostile one cannot exhaust the stack."""
    depth, level = 0, [root]
    while level:
        depth += 1
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if depth > allowed:
            raise ModelError(
                f"{where}: the expression is nested deeper than {allowed} levels; simplify it."
            )


def _check_arithmetic(node: ast.expr, where: str, in_int: bool) -> None:
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            check_number(value, where)
        case ast.Name(id=name):
            _check_plain_name(name, where)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            _check_arithmetic(operand, where, in_int=False)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
            _check_arithmetic(left, where, in_int=False)
            _check_arithmetic(right, where, in_int=False)
        case ast.Compare(left=left, ops=[op], comparators=[right]) if in_int and isinstance(
            op, _COMPARISONS
        ):
            _check_arithmetic(left, where, in_int=False)
            _check_arithmetic(right, where, in_int=False)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            _check_call(name, arguments, where)
        case _:
            raise ModelError(
                f"{where}: {shorten(ast.unparse(node))!r} is no arithmetic; allowed are {_GRAMMAR}."
            )


def check_number(value: float, where: str) -> None:
    """Refuse a number that no float can hold."""
    try:
        finite = math.isfinite(float(value))
    except OverflowError:
        finite = False
    if not finite:
        raise ModelError(f"{where}: a number is too large for a float (about 1.8e308).")


def _check_plain_name(name: str, where: str) -> None:
    if name == "inf":
        raise ModelError(f"{where}: inf is only allowed as a bound of clip(...).")
    check_name(name, where)


def _check_call(name: str, arguments: list[ast.expr], where: str) -> None:
    check_name(name, where)
    if name == "clip" and len(arguments) == 3:
        value, low, high = arguments
        if infinite_bound(low) == math.inf or infinite_bound(high) == -math.inf:
            raise ModelError(
                f"{where}: clip(value, low, high) takes -inf as low and inf as high, "
                "not the other way round."
            )
        arguments = [value, *(b for b in (low, high) if infinite_bound(b) is None)]
    for argument in arguments:
        _check_arithmetic(argument, where, in_int=name == "int")


def to_text(node: ast.expr) -> str:
    """Return an expression as text; a negative constant in brackets, for -2**x is -(2**x)."""

    class Brackets(ast.NodeTransformer):
        def visit_Constant(self, node: ast.Constant) -> ast.AST:
            value = node.value
            if isinstance(value, int | float) and math.copysign(1, value) < 0:
                return ast.UnaryOp(op=ast.USub(), operand=ast.Constant(-value))
            return node

    return ast.unparse(Brackets().visit(copy.deepcopy(node)))


def infinite_bound(node: ast.expr) -> float | None:
    """Return +-inf where the node is ``inf`` or ``-inf``, else None."""
    match node:
        case ast.Name(id="inf"):
            return math.inf
        case ast.UnaryOp(op=ast.USub(), operand=ast.Name(id="inf")):
            return -math.inf
    return None


def names_in(node: ast.expr) -> set[str]:
    """Return the names of variables (not of functions) that an expression uses."""
    called = {id(call.func) for call in ast.walk(node) if isinstance(call, ast.Call)}
    return {
        name.id
        for name in ast.walk(node)
        if isinstance(name, ast.Name) and id(name) not in called and name.id != "inf"
    }


def check_functions_known(node: ast.expr, where: str, user_functions: Collection[str]) -> None:
    """Refuse calls of unknown functions, and calls with a wrong number of arguments."""
    for call in ast.walk(node):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
            continue
        name, got = call.func.id, len(call.args)
        if name not in FUNCTIONS and name not in user_functions:
            allowed = ", ".join([*sorted(user_functions), *sorted(FUNCTIONS)])
            raise ModelError(
                f"{where}: the function {name!r} does not exist; known are {allowed}; "
                "define it under [functions]."
            )
        expected = _NUMBER_OF_ARGUMENTS.get(name, 1)
        if got != expected:
            raise ModelError(
                f"{where}: {name} takes {expected} argument{'s' * (expected > 1)}, got {got}."
            )
