"""The physical dimensions of an expression, by one walk over its syntax tree.

Brian2's own walk visits the arguments of a function twice, so it takes forever on a nest of them.
"""

import ast
from collections.abc import Mapping

from ratenet.equations.expressions import infinite_bound, to_text
from ratenet.equations.units import DIMENSIONLESS, Dimension, show_unit
from ratenet.errors import ModelError, show_any


def expression_dimensions(
    node: ast.expr, where: str, dimensions: Mapping[str, Dimension]
) -> Dimension:
    """Return the dimensions of an expression that is written out.

    Raises
    ------
    ModelError
        If units do not fit together; the message names the two sides and their units.
    """
    return _Dimensions(where, dimensions).of(node)


class _Dimensions:
    def __init__(self, where: str, dimensions: Mapping[str, Dimension]) -> None:
        self.where, self.dimensions = where, dimensions

    def of(self, node: ast.expr) -> Dimension:
        match node:
            case ast.Name(id=name):
                return self.dimensions[name]
            case ast.UnaryOp(operand=operand):
                return self.of(operand)
            case ast.BinOp(op=ast.Mult(), left=left, right=right):
                return self.of(left) * self.of(right)
            case ast.BinOp(op=ast.Div(), left=left, right=right):
                return self.of(left) / self.of(right)
            case ast.BinOp(op=ast.Pow(), left=base, right=exponent):
                return self._power(base, exponent)
            case ast.BinOp(op=op, left=left, right=right):
                return self._same(left, right, user="+" if isinstance(op, ast.Add) else "-")
            case ast.Compare(left=left, comparators=[right]):
                self._same(left, right, user="a comparison")
                return DIMENSIONLESS
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return self._call(name, arguments)
        return DIMENSIONLESS  # a number

    def _power(self, base: ast.expr, exponent: ast.expr) -> Dimension:
        self._plain(exponent, "an exponent")
        found = self.of(base)
        if found is DIMENSIONLESS:
            return found
        if not isinstance(exponent, ast.Constant):
            raise ModelError(
                f"{self.where}: {_show(base)} has the unit {show_unit(found)}, so its "
                f"exponent must be a number, not {_show(exponent)}."
            )
        return found**exponent.value

    def _call(self, name: str, arguments: list[ast.expr]) -> Dimension:
        value, *bounds = arguments
        match name:
            case "clip":
                finite = [bound for bound in bounds if infinite_bound(bound) is None]
                return self._same(value, *finite, user="clip")
            case "abs" | "relu":
                return self.of(value)
            case "sqrt":
                return self.of(value) ** 0.5
            case "sign":
                self.of(value)
            case _:
                self._plain(value, name)
        return DIMENSIONLESS

    def _same(self, first: ast.expr, *others: ast.expr, user: str) -> Dimension:
        found = self.of(first)
        for node in others:
            other = self.of(node)
            if found != other:
                raise ModelError(
                    f"{self.where}: {_show(first)} has the unit {show_unit(found)} and "
                    f"{_show(node)} the unit {show_unit(other)}; {user} needs the same "
                    "unit on both sides."
                )
        return found

    def _plain(self, node: ast.expr, user: str) -> None:
        found = self.of(node)
        if found is not DIMENSIONLESS:
            raise ModelError(
                f"{self.where}: {_show(node)} has the unit {show_unit(found)}; {user} "
                "needs a number without a unit."
            )


def _show(node: ast.expr) -> str:
    return show_any(to_text(node))
