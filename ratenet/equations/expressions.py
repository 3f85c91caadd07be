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

from ratenet.equations.functions import FUNCTIONS, number_of_arguments
from ratenet.equations.names import check_name, has_control_characters, unknown_name
from ratenet.errors import ModelError, counted, show_any

MAX_CHARACTERS = 2_000
MAX_DEPTH = 50

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
ARITHMETIC, QUANTITY, UNIT = "an arithmetic expression", "a quantity", "a unit"
ALLOWED = {
    ARITHMETIC: f"allowed are {_GRAMMAR}",
    QUANTITY: (
        "write a number times a unit that Brian2 knows, such as 10*ms, 2*nA or 0.5, or draw one "
        "per unit by normal(mean, sd), uniform(low, high), lognormal(mean, sd) or gamma(mean, sd)"
    ),
    UNIT: "write a base unit such as 1, volt, amp/metre**2 or 1/second",
}
_MISSING_SIGN = re.compile(
    r"(?<![\w.])[\d.]+\s*(?![eE][-+]?\d)[A-Za-z]|\w\s+[\w(]|\)\s*[\w(]"  # 10ms, a b, (a)b
)
_LOOKALIKES = {"\u2212": "-", "\u2013": "-", "\u00d7": "*", "\u00b7": "*", "\u00f7": "/"}


def refusal(text: str, where: str, kind: str, remedy: str = "") -> ModelError:
    """Return the error for a string that is not of a kind, with the likely mistake."""
    remedy = likely_mistake(text) or remedy or ALLOWED[kind]
    return ModelError.at(where, got=text, expected=kind, remedy=remedy)


def likely_mistake(text: str) -> str:
    """Return what to correct in a string outside the language, "" where that cannot be told."""
    foreign = next((c for c in text if c.isprintable() and not c.isascii()), None)
    missing = text.count("(") - text.count(")")
    if foreign is not None:
        instead = f"; write {_LOOKALIKES[foreign]}" if foreign in _LOOKALIKES else ""
        return f"the character {show_any(foreign)} is not allowed{instead}"
    if "^" in text:
        return "write ** for a power"
    if missing:
        return "a '(' is not closed" if missing > 0 else "a ')' has no '(' before it"
    if re.search(r"(?<![\w.])\d+, ?\d", text):
        return "write a decimal point, not a comma"
    return ""


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


def parse_limited(text: str, where: str, kind: str = ARITHMETIC) -> ast.expr:
    """Return the syntax tree of a string of limited length and depth, whatever is in it."""
    if has_control_characters(text):
        raise refusal(text, where, kind, "remove the control characters")
    if len(text) > MAX_CHARACTERS:
        raise ModelError(
            f"{where}: the expression has {len(text)} characters; at most {MAX_CHARACTERS} are "
            "allowed: split it into subexpressions."
        )
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        product = "write * between the factors of a product" if _MISSING_SIGN.search(text) else ""
        raise refusal(text, where, kind, product) from None
    check_depth(node, where, MAX_DEPTH)
    return node


def is_complete(text: str) -> bool:
    """Return whether a string is an expression, of whatever kind, by itself."""
    try:
        ast.parse(text[:MAX_CHARACTERS].strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return True


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
            raise refusal(ast.unparse(node), where, ARITHMETIC)


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
            known = [*sorted(user_functions), *sorted(FUNCTIONS)]
            raise unknown_name("function", name, known, where, "define others under [functions]")
        expected = number_of_arguments(name)
        if got != expected:
            hint = "" if name == "clip" else likely_mistake(ast.unparse(call))
            raise ModelError(
                f"{where}: {name} takes {counted(expected, 'argument')}, got {got}"
                f"{hint and '; '}{hint}."
            )
