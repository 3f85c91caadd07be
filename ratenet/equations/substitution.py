"""Expressions written out: functions and subexpressions in their places, constants folded.

On the syntax tree, never on text. Limits on size, depth and powers keep what follows quick, and
constants are folded in floats, without which ``9**9**9**9`` hangs.
"""

import ast
import copy
import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

from ratenet.equations.expressions import BINARY, check_depth, infinite_bound, names_in
from ratenet.equations.functions import CONSTANTS, FUNCTIONS
from ratenet.errors import ModelError, show_any

MAX_DEPTH_WRITTEN_OUT = 80
MAX_NODES = 1_000
MAX_POWER = 1_000  # product of nested exponents


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
    check_depth(result, where, MAX_DEPTH_WRITTEN_OUT)
    _check_powers(result, where)
    return _Fold(where).visit(result)


class _WriteOut(ast.NodeTransformer):
    def __init__(
        self, where: str, functions: Mapping[str, ast.expr], names: Mapping[str, ast.expr]
    ) -> None:
        self.where, self.functions, self.names = where, functions, names
        self.nodes = 0

    def visit(self, node: ast.AST) -> Any:
        self.nodes += isinstance(node, ast.expr)
        if self.nodes > MAX_NODES:
            raise ModelError(
                f"{self.where}: written out, the expression has more than {MAX_NODES} parts: "
                "simplify it."
            )
        return super().visit(node)

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
            return self._folded(node, BINARY[type(node.op)], [node.left, node.right])
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
                f"{self.where}: {show_any(ast.unparse(node))} is a comparison of two constants; "
                "replace it by 0 or 1."
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
                f"{self.where}: the constant {show_any(ast.unparse(node))} has no finite real "
                "value."
            )
        return ast.Constant(value)


def without(node: ast.expr, names: Collection[str]) -> ast.expr:
    """Return an expression in which the names, which enter linearly, are set to zero."""
    return _without(node, names) or ast.Constant(0)


def _without(node: ast.expr, names: Collection[str]) -> ast.expr | None:
    """As `without`; None stands for zero, so that what is left keeps its unit."""
    if not names_in(node) & set(names):
        return node
    match node:
        case ast.UnaryOp(op=op, operand=operand):
            inner = _without(operand, names)
            return inner and ast.UnaryOp(op=op, operand=inner)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
            first, second = _without(left, names), _without(right, names)
            if first is None and second is not None and isinstance(op, ast.Sub):
                return ast.UnaryOp(op=ast.USub(), operand=second)
            if first is None or second is None:
                return first or second
            return ast.BinOp(left=first, op=op, right=second)
        case ast.BinOp(left=left, op=op, right=right):  # a product or quotient
            first, second = _without(left, names), _without(right, names)
            return first and second and ast.BinOp(left=first, op=op, right=second)
    return None  # the name itself


def _check_powers(node: ast.expr, where: str) -> None:
    """Refuse nested powers whose product SymPy would multiply out into a huge integer."""

    def power(node: ast.AST) -> float:
        match node:
            case ast.BinOp(left=base, op=ast.Pow(), right=right):
                match _Fold(where).visit(copy.deepcopy(right)):
                    case ast.Constant(value=int() | float() as exponent):
                        return max(power(base) * max(1.0, abs(exponent)), power(right))
        return max((power(child) for child in ast.iter_child_nodes(node)), default=1.0)

    if power(node) > MAX_POWER:
        raise ModelError(
            f"{where}: an exponent (nested ones multiply) is above {MAX_POWER}: use a smaller one."
        )
