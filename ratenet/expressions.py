"""The gate through which text becomes an expression or a quantity.

Model files are data. What they say passes a whitelist over Python's syntax tree here, before
Brian2 or SymPy sees it: numbers, known names and functions, ``+ - * / **``, comparisons, calls
without keywords; limits on length, depth and size; constants folded in floats. Without it
``9**9**9**9`` hangs, and SymPy takes ``__import__('os')`` for an unknown function.
"""

import ast
import copy
import math
import operator
import re
from collections.abc import Callable, Collection, Mapping

import numpy as np
from brian2.core.namespace import DEFAULT_UNITS
from brian2.units.fundamentalunits import DimensionMismatchError, Quantity

from ratenet.errors import ModelError

MAX_CHARACTERS = 2_000
MAX_DEPTH = 50
MAX_DEPTH_WRITTEN_OUT = 80
MAX_NODES = 1_000  # after functions and subexpressions are written out
MAX_POWER = 1_000  # product of nested integer exponents

CONSTANTS = {"pi": math.pi, "e": math.e}

# Brian2's names; what Python's math module folds a call of constants with.
FUNCTIONS: dict[str, Callable[..., float]] = {
    "sin": math.sin, "cos": math.cos, "tan": math.tan,
    "sinh": math.sinh, "cosh": math.cosh, "tanh": math.tanh,
    "arcsin": math.asin, "arccos": math.acos, "arctan": math.atan,
    "exp": math.exp, "expm1": math.expm1,
    "log": math.log, "log10": math.log10, "log1p": math.log1p,
    "sqrt": math.sqrt, "abs": abs,
    "sign": lambda value: float((value > 0) - (value < 0)),
    "clip": lambda value, low, high: min(max(value, low), high),
    "int": int,
}  # fmt: skip
_NUMBER_OF_ARGUMENTS = {name: 3 if name == "clip" else 1 for name in FUNCTIONS}

_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
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

_ALLOWED = {
    "an arithmetic expression": f"allowed are {_GRAMMAR}",
    "a quantity": "write a number times a unit that Brian2 knows, such as 10*ms, 2*nA or 0.5",
    "a unit": "write a base unit such as 1, volt, amp/metre**2 or 1/second",
}


def check_name(name: str, where: str) -> None:
    """Refuse a name that is no plain identifier (letters, digits, underscores; a letter first)."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise ModelError(
            f"{where}: {shorten(name)!r} is not a name; a name begins with a letter and goes on with "
            "letters, digits and underscores."
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
    node = _parse(text, where)
    _check_arithmetic(node, where, in_int=False)
    return node


def _parse(text: str, where: str, kind: str = "an arithmetic expression") -> ast.expr:
    if len(text) > MAX_CHARACTERS:
        raise ModelError(
            f"{where}: the expression has {len(text)} characters; at most {MAX_CHARACTERS} are "
            "allowed: split it into subexpressions."
        )
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise ModelError(f"{where}: {shorten(text)!r} is not {kind}; {_ALLOWED[kind]}.") from None
    _check_depth(node, where, MAX_DEPTH)
    return node


def _check_depth(root: ast.AST, where: str, allowed: int) -> None:
    """Refuse a deep tree; without recursion, so that a hostile one cannot exhaust the stack."""
    depth, level = 0, [root]
    while level:
        depth += 1
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if depth > allowed:
            raise ModelError(
                f"{where}: the expression is nested deeper than {allowed} levels: simplify it."
            )


def shorten(text: str) -> str:
    """Return a text on one line, its end cut off where it is long."""
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:57] + "..."


def _check_arithmetic(node: ast.expr, where: str, in_int: bool) -> None:
    match node:
        case ast.Constant(value=value) if type(value) in (int, float):
            _check_number(value, where)
        case ast.Name(id=name):
            _check_plain_name(name, where)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            _check_arithmetic(operand, where, in_int=False)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
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


def _check_number(value: float, where: str) -> None:
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


def functions_in(node: ast.expr) -> set[str]:
    """Return the names of the functions that an expression calls."""
    return {
        call.func.id
        for call in ast.walk(node)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
    }


def write_out(
    node: ast.expr,
    where: str,
    *,
    functions: Mapping[str, ast.expr],
    names: Mapping[str, ast.expr],
) -> ast.expr:
    """Return the expression with the user's functions and the given names written out.

    Substitution is on the syntax tree, so ``u`` in a function's body is the function's own, and
    constants are folded in floats afterwards.

    Parameters
    ----------
    node : ast.expr
        A tree from `parse_expression`.
    where : str
        What an error begins with.
    functions : mapping of str to ast.expr
        Bodies, already written out, of functions of one argument ``u``.
    names : mapping of str to ast.expr
        Expressions, already written out, that stand for names.
    """
    result = _WriteOut(where, functions, names).visit(node)
    _check_depth(result, where, MAX_DEPTH_WRITTEN_OUT)
    return _checked_power(_Fold(where).visit(result), where)


class _WriteOut(ast.NodeTransformer):
    def __init__(
        self, where: str, functions: Mapping[str, ast.expr], names: Mapping[str, ast.expr]
    ) -> None:
        self.where, self.functions, self.names = where, functions, names
        self.nodes = 0

    def visit(self, node: ast.AST) -> ast.AST:
        self.nodes += isinstance(node, ast.expr)
        if self.nodes > MAX_NODES:
            raise ModelError(
                f"{self.where}: written out, the expression has more than {MAX_NODES} parts: "
                "simplify it."
            )
        result: ast.AST = super().visit(node)
        return result

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id not in self.names:
            return ast.Name(id=node.id, ctx=ast.Load())
        copy = _WriteOut(self.where, {}, {})
        copy.nodes = self.nodes
        result = copy.visit(self.names[node.id])
        self.nodes = copy.nodes
        return result

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        arguments = [self.visit(argument) for argument in node.args]
        if name not in self.functions:
            return ast.Call(func=ast.Name(id=name, ctx=ast.Load()), args=arguments, keywords=[])
        body = _WriteOut(self.where, {}, {"u": arguments[0]})
        body.nodes = self.nodes
        result = body.visit(self.functions[name])
        self.nodes = body.nodes
        return result

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        return ast.BinOp(left=self.visit(node.left), op=node.op, right=self.visit(node.right))

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        return ast.UnaryOp(op=node.op, operand=self.visit(node.operand))

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        return ast.Compare(
            left=self.visit(node.left),
            ops=node.ops,
            comparators=[self.visit(right) for right in node.comparators],
        )


class _Fold(ast.NodeTransformer):
    """Replace each constant subtree by its value, computed in floats."""

    def __init__(self, where: str) -> None:
        self.where = where

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Constant(CONSTANTS[node.id]) if node.id in CONSTANTS else node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        node.operand = self.visit(node.operand)
        if isinstance(node.operand, ast.Constant):
            sign = -1 if isinstance(node.op, ast.USub) else 1
            return ast.Constant(sign * node.operand.value)  # type: ignore[operator]
        return node.operand if isinstance(node.op, ast.UAdd) else node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        node.left, node.right = self.visit(node.left), self.visit(node.right)
        if isinstance(node.left, ast.Constant) and isinstance(node.right, ast.Constant):
            return self._folded(node, _BINARY[type(node.op)], [node.left, node.right])
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        node.args = [self.visit(argument) for argument in node.args]
        bounds = [infinite_bound(argument) for argument in node.args]
        constants = [
            argument if bound is None else ast.Constant(bound)
            for argument, bound in zip(node.args, bounds, strict=True)
        ]
        if constants and all(isinstance(c, ast.Constant) for c in constants):
            name = node.func.id  # type: ignore[attr-defined]
            return self._folded(node, FUNCTIONS[name], constants)  # type: ignore[arg-type]
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        node.left = self.visit(node.left)
        node.comparators = [self.visit(right) for right in node.comparators]
        left, right = node.left, node.comparators[0]
        if isinstance(left, ast.Constant) and isinstance(right, ast.Constant):
            raise ModelError(
                f"{self.where}: {ast.unparse(node)!r} compares two constants: "
                "write the result in its place."
            )
        return node

    def _folded(
        self, node: ast.expr, function: Callable[..., float], constants: list[ast.Constant]
    ) -> ast.Constant:
        try:
            value = function(*(float(c.value) for c in constants))  # type: ignore[arg-type]
        except (ArithmeticError, ValueError):
            value = math.nan
        if not (isinstance(value, int | float) and math.isfinite(value)):
            raise ModelError(
                f"{self.where}: the constant {shorten(ast.unparse(node))!r} has no finite "
                "real value."
            )
        return ast.Constant(value)


def _checked_power(node: ast.expr, where: str) -> ast.expr:
    """Refuse nested powers whose product SymPy would multiply out into a huge integer."""

    def power(node: ast.AST) -> float:
        inner = max((power(child) for child in ast.iter_child_nodes(node)), default=1.0)
        match node:
            case ast.BinOp(op=ast.Pow(), right=ast.Constant(value=int() | float() as exponent)):
                return inner * max(1.0, abs(exponent))
        return inner

    if power(node) > MAX_POWER:
        raise ModelError(
            f"{where}: an exponent (nested ones multiply) is above {MAX_POWER}: use a smaller one."
        )
    return node


def check_functions_known(node: ast.expr, where: str, user_functions: Collection[str]) -> None:
    """Refuse calls of unknown functions, and calls with a wrong number of arguments."""
    for call in ast.walk(node):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
            continue
        name, got = call.func.id, len(call.args)
        if name not in FUNCTIONS and name not in user_functions:
            allowed = ", ".join([*sorted(user_functions), *sorted(FUNCTIONS)])
            raise ModelError(
                f"{where}: the function {name!r} does not exist; known are {allowed}. "
                "Define it under [functions]."
            )
        expected = _NUMBER_OF_ARGUMENTS.get(name, 1)
        if got != expected:
            raise ModelError(
                f"{where}: {name} takes {expected} argument{'s' * (expected > 1)}, got {got}."
            )


def parse_quantity(text: str, where: str) -> Quantity:
    """Return the Brian2 quantity that a text such as ``"10*ms"`` stands for.

    Allowed are numbers, Brian2's unit names, ``+ - * /`` and ``**`` with a literal integer
    exponent between -9 and 9.

    Raises
    ------
    ModelError
        If the text is anything else, or its units do not fit together.
    """
    node = _parse(text, where, "a quantity")
    try:
        with np.errstate(all="ignore"):
            quantity = Quantity(_quantity(node, where))
    except DimensionMismatchError:
        raise ModelError(
            f"{where}: {shorten(text)!r} adds quantities of different units."
        ) from None
    except ArithmeticError:
        quantity = Quantity(math.nan)
    if not math.isfinite(float(quantity)):
        raise ModelError(f"{where}: {shorten(text)!r} has no finite value.")
    return quantity


def _quantity(node: ast.expr, where: str) -> Quantity | float:
    match node:
        case ast.Constant(value=value) if type(value) in (int, float):
            _check_number(value, where)
            return float(value)
        case ast.Name(id=name) if name in DEFAULT_UNITS:
            return DEFAULT_UNITS[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_quantity(operand, where)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _quantity(left, where) ** _literal_exponent(right, where)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _BINARY[type(op)](_quantity(left, where), _quantity(right, where))
    raise ModelError(
        f"{where}: {shorten(ast.unparse(node))!r} is not a quantity; {_ALLOWED['a quantity']}."
    )


def _literal_exponent(node: ast.expr, where: str) -> int:
    sign = 1
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        sign, node = -1, node.operand
    if isinstance(node, ast.Constant) and type(node.value) is int and node.value <= 9:
        return sign * node.value
    raise ModelError(f"{where}: in a unit or quantity an exponent is an integer between -9 and 9.")


def check_unit_text(text: str, where: str) -> None:
    """Refuse a unit specification that is not made of names, 1, ``*``, ``/`` and small powers.

    Brian2 evaluates unit texts as Python, so only this shape may reach it; which names are units
    it then checks itself.
    """

    def check(node: ast.expr) -> None:
        match node:
            case ast.Name(id="bool" | "boolean" | "integer" as name):
                raise ModelError(
                    f"{where}: variables of the type {name} are not used by rate models; "
                    f"{_ALLOWED['a unit']}."
                )
            case ast.Name():
                check_name(node.id, where)
            case ast.Constant(value=value) if type(value) is int and value == 1:
                return
            case ast.BinOp(left=left, op=ast.Mult() | ast.Div(), right=right):
                check(left)
                check(right)
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                check(left)
                _literal_exponent(right, where)
            case _:
                raise ModelError(f"{where}: {shorten(text)!r} is not a unit; {_ALLOWED['a unit']}.")

    check(_parse(text, where, "a unit"))
