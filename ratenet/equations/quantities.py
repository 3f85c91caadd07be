"""The gate through which text becomes a quantity ("10*ms") or passes as a unit ("amp/metre**2").

Nothing is evaluated: a syntax tree of numbers, Brian2's units and ``+ - * / **`` is walked.
"""

import ast
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ratenet.equations.expressions import ALLOWED, BINARY, check_name, check_number, parse_limited
from ratenet.equations.units import DEFAULT_UNITS, DimensionMismatchError, Quantity, get_dimensions
from ratenet.errors import ModelError, shorten


def with_units(value: Any) -> Any:
    """Return lists of quantities as one quantity array; NumPy alone would drop their units.

    Raises
    ------
    DimensionMismatchError
        If their units differ.
    """
    if not isinstance(value, list | tuple):
        return value
    leaves = list(_leaves(value))
    if not any(isinstance(leaf, Quantity) for leaf in leaves):
        return value
    dimensions = {get_dimensions(leaf) for leaf in leaves}
    if len(dimensions) > 1:
        raise DimensionMismatchError("the values of a list have different units", *dimensions)
    return Quantity(np.array(value, dtype=np.float64), dim=dimensions.pop())


def _leaves(value: Any) -> Iterator[Any]:
    for entry in value:
        if isinstance(entry, list | tuple):
            yield from _leaves(entry)
        else:
            yield entry


def parse_quantity(text: str, where: str) -> Quantity:
    """Return the Brian2 quantity that a text such as ``"10*ms"`` stands for.

    Allowed are numbers, Brian2's unit names, ``+ - * /`` and ``**`` with a literal integer
    exponent between -9 and 9.

    Raises
    ------
    ModelError
        If the text is anything else, or its units do not fit together.
    """
    return quantity_of(parse_limited(text, where, "a quantity"), where, text)


def quantity_of(node: ast.expr, where: str, text: str) -> Quantity:
    """Return the Brian2 quantity of a syntax tree that is part of `text` (see parse_quantity)."""
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
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            check_number(value, where)
            return float(value)
        case ast.Name(id=name) if name in DEFAULT_UNITS:
            return DEFAULT_UNITS[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_quantity(operand, where)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _quantity(left, where) ** _literal_exponent(right, where)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
            return BINARY[type(op)](_quantity(left, where), _quantity(right, where))
    raise ModelError(
        f"{where}: {shorten(ast.unparse(node))!r} is not a quantity; {ALLOWED['a quantity']}."
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
                    f"{ALLOWED['a unit']}."
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
                raise ModelError(f"{where}: {shorten(text)!r} is not a unit; {ALLOWED['a unit']}.")

    check(parse_limited(text, where, "a unit"))
