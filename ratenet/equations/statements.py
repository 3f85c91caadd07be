"""The equations of a model, one statement each, in the layout of Brian2's equations.

    dx/dt = expression : unit       a state variable
    x = expression : unit           a subexpression
    x : unit                        a declaration: of a role or a parameter
    x_post = expression : unit (summed)     of a plasticity rule: the sum over a unit's synapses

``#`` begins a comment, and an expression may go over several lines. Brian2 itself sees no text of
a model file: it would evaluate constants such as ``9**9**9**9`` in whole numbers.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ratenet.equations.expressions import is_complete, parse_expression
from ratenet.equations.names import check_identifier
from ratenet.equations.quantities import parse_unit
from ratenet.equations.units import Dimension
from ratenet.errors import ModelError, show_any

MAX_CHARACTERS = 20_000
FORMS = "dx/dt = expression : unit, x = expression : unit or x : unit"
_LEFT = r"(?:d\s*(?P<state>\w+)\s*/\s*dt|(?P<name>\w+))"
_BEGINNING = re.compile(_LEFT + r"\s*=(?!=)")
_DECLARATION = re.compile(r"\w+\s*:")
_STATEMENT = re.compile(
    _LEFT + r"\s*(?:=(?P<expression>[^:]*))?:\s*(?P<unit>[^:()]*?)\s*(?:\((?P<flags>[^:()]*)\))?"
)


@dataclass(frozen=True)
class Statement:
    """One equation or declaration.

    Attributes
    ----------
    name : str
        The variable on the left.
    is_differential : bool
        Whether it is of the form ``dx/dt = ...``.
    expression : ast.expr or None
        The right-hand side; None in a declaration.
    dimensions : Dimension
        Physical dimensions of the variable.
    is_sum : bool
        Whether it is the sum over the synapses of a unit (of a plasticity rule only).
    """

    name: str
    is_differential: bool
    expression: ast.expr | None
    dimensions: Dimension
    is_sum: bool = False

    @property
    def is_subexpression(self) -> bool:
        """Whether it is of the form ``x = ...``."""
        return not (self.is_differential or self.is_sum) and self.expression is not None


def parse_statements(text: str, *, sums: bool = False) -> dict[str, Statement]:
    """Return the statements of a model's equations by variable, in their order.

    Parameters
    ----------
    text : str
    sums : bool
        Whether x_post = ... : unit (summed) is allowed, as in a plasticity rule.

    Raises
    ------
    ModelError
        If one of them is of another form, is given twice or without a unit.
    """
    if len(text) > MAX_CHARACTERS:
        raise ModelError(f"equations: more than {MAX_CHARACTERS} characters.")
    statements: dict[str, Statement] = {}
    for source in _sources(text):
        statement = _parse(source, sums)
        if statement.name in statements:
            raise ModelError(f"equations: {statement.name!r} is defined twice.")
        statements[statement.name] = statement
    return statements


def _sources(text: str) -> Iterator[str]:
    """Split the equations into statements: each ends with the line that holds its unit."""
    pending: list[str] = []
    for line in text.splitlines():
        line = line.partition("#")[0].strip()
        if pending and _begins_anew(line, " ".join(pending)):
            raise _without_unit(" ".join(pending))
        if line:
            pending.append(line)
        if ":" in line:
            yield " ".join(pending)
            pending = []
    if pending:
        raise _without_unit(" ".join(pending))


def _begins_anew(line: str, before: str) -> bool:
    """Return whether a line is another statement, and no more of the expression before it."""
    if _BEGINNING.match(line):
        return True
    return bool(_DECLARATION.match(line)) and is_complete(before.partition("=")[2])


def _without_unit(source: str) -> ModelError:
    beginning = _BEGINNING.match(source)
    if beginning is None:
        return _of_another_form(source)
    name = beginning["state"] or beginning["name"]
    return ModelError(
        f"equations: {show_any(source)} has no unit; end it with the unit of {name}, such as "
        "': 1', ': Hz' or ': volt'."
    )


def _of_another_form(source: str) -> ModelError:
    return ModelError(f"equations: expected {FORMS}, got {show_any(source)}.")


def _parse(source: str, sums: bool) -> Statement:
    parts = _STATEMENT.fullmatch(source)
    if parts is None or (parts["state"] and parts["expression"] is None):
        raise _of_another_form(source)
    if not parts["unit"]:
        raise _without_unit(source)
    name, expression = parts["state"] or parts["name"], parts["expression"]
    where = f"equations, d{name}/dt" if parts["state"] else f"equations, {name}"
    is_sum = sums and parts["name"] is not None and (parts["flags"] or "").strip() == "summed"
    if is_sum and expression is not None:
        _check_sum(name, where)
    else:
        check_identifier(name, where)
        _check_flags(parts["flags"], expression is None, where)
    dimensions = parse_unit(parts["unit"], where)
    tree = None if expression is None else parse_expression(expression.strip(), where)
    return Statement(name, bool(parts["state"]), tree, dimensions, is_sum)


def _check_sum(name: str, where: str) -> None:
    """Refuse the name of a sum that does not say over which synapses of a unit it is."""
    unit = name.removesuffix("_post").removesuffix("_pre")
    if unit == name:
        raise ModelError(
            f"{where}: a sum is a variable of a unit; write {name}_post = ... (summed) for the sum "
            f"over the synapses onto it, {name}_pre for that over those from it."
        )
    check_identifier(unit, where)


def _check_flags(flags: str | None, is_declaration: bool, where: str) -> None:
    """Refuse flags, but those that say of a parameter what all of ratenet's parameters are."""
    given = {flag.strip() for flag in (flags or "").split(",")} - {""}
    if given and not (is_declaration and given <= {"constant", "shared"}):
        raise ModelError(
            f"{where}: the flags ({', '.join(sorted(given))}) are not used by rate models; remove "
            "the parentheses (a declared parameter may be (constant) or (shared))."
        )
