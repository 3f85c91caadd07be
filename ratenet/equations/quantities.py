"""The gate through which text becomes a quantity ("10*ms") or a unit ("amp/metre**2").

Nothing is evaluated: a syntax tree of numbers, Brian2's units and ``+ - * / **`` is walked.
"""

import ast
import difflib
import math

import numpy as np

from ratenet.equations.expressions import (
    ALLOWED,
    BINARY,
    QUANTITY,
    UNIT,
    check_number,
    parse_limited,
    refusal,
)
from ratenet.equations.names import check_name
from ratenet.equations.units import (
    DEFAULT_UNITS,
    DIMENSIONLESS,
    Dimension,
    DimensionMismatchError,
    Quantity,
    get_unit,
)
from ratenet.errors import ModelError, show_any


def parse_quantity(text: str, where: str) -> Quantity:
    """Return the Brian2 quantity that a string such as ``"10*ms"`` stands for.

    Allowed are numbers, Brian2's unit names, ``+ - * /`` and ``**`` with a literal integer
    exponent between -9 and 9.

    Raises
    ------
    ModelError
        If the string is anything else, or its units do not fit together.
    """
    return quantity_of(parse_limited(text, where, QUANTITY), where, text)


def quantity_of(node: ast.expr, where: str, text: str) -> Quantity:
    """Return the Brian2 quantity of a syntax tree that is part of `text` (see parse_quantity)."""
    try:
        with np.errstate(all="ignore"):
            quantity = Quantity(_quantity(node, where))
    except DimensionMismatchError:
        raise ModelError(f"{where}: {show_any(text)} adds quantities of different units.") from None
    except ArithmeticError:
        quantity = Quantity(math.nan)
    if not math.isfinite(float(quantity)):
        raise ModelError(f"{where}: {show_any(text)} has no finite value.")
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
        case ast.Name(id=name):
            raise _unknown_unit(name, where, ALLOWED[QUANTITY])
    raise refusal(ast.unparse(node), where, QUANTITY)


def _literal_exponent(node: ast.expr, where: str) -> int:
    sign = 1
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        sign, node = -1, node.operand
    if isinstance(node, ast.Constant) and type(node.value) is int and node.value <= 9:
        return sign * node.value
    raise ModelError(f"{where}: in a unit or quantity an exponent is an integer between -9 and 9.")


def parse_unit(text: str, where: str) -> Dimension:
    """Return the dimensions of a unit as equations declare it: "1", "volt", "amp/metre**2".

    Allowed are 1, Brian2's base units, ``*``, ``/`` and small powers.

    Raises
    ------
    ModelError
        If the text is anything else; a scaled unit, too, which would be taken for its base unit.
    """

    def dimensions(node: ast.expr) -> Dimension:
        match node:
            case ast.Name(id=name):
                return _base_unit(name, where)
            case ast.Constant(value=value) if type(value) is int and value == 1:
                return DIMENSIONLESS
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                return dimensions(left) * dimensions(right)
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                return dimensions(left) / dimensions(right)
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                return dimensions(left) ** _literal_exponent(right, where)
        raise refusal(text, where, UNIT)

    return dimensions(parse_limited(text, where, UNIT))


def _base_unit(name: str, where: str) -> Dimension:
    if name in ("bool", "boolean", "integer"):
        raise ModelError(
            f"{where}: variables of the type {name} are not used by rate models; write a unit, "
            "1 for a number without one."
        )
    check_name(name, where)
    unit = DEFAULT_UNITS.get(name)
    if unit is None:
        raise _unknown_unit(name, where, ALLOWED[UNIT])
    base = get_unit(unit.dim)
    if float(unit) != 1.0 or name[-1].isdigit():
        raise ModelError(
            f"{where}: {name!r} is a scaled unit; equations are written in base units: use "
            f"{base!r}, and scaled units in the values of parameters."
        )
    return unit.dim


def _unknown_unit(name: str, where: str, remedy: str) -> ModelError:
    close = difflib.get_close_matches(name, list(DEFAULT_UNITS), n=1, cutoff=0.7)
    meant = f"did you mean {close[0]!r}? Otherwise " if close else ""
    return ModelError(f"{where}: unknown unit {show_any(name)}; {meant}{remedy}.")
