"""Reading a model: from the texts of a ModelSpec to expressions, dimensions and defaults.

The order is: whitelist, names, Brian2's parser, units. A ModelError names the key or the equation.
"""

import ast
import math
import re
import warnings
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Protocol

import numpy as np
from brian2.equations.equations import (
    DIFFERENTIAL_EQUATION,
    EQUATIONS,
    PARAMETER,
    SUBEXPRESSION,
    EquationError,
    Equations,
)
from brian2.units.allunits import second
from brian2.units.fundamentalunits import (
    DIMENSIONLESS,
    Dimension,
    Quantity,
    get_dimensions,
    get_unit_for_display,
)
from pyparsing import ParseException

from ratenet import expressions, quantities, substitution
from ratenet.dimensions import expression_dimensions
from ratenet.errors import ModelError

MAX_EQUATION_CHARACTERS = 20_000
MAX_STATES = 20
TIME = "t"

ParameterText = str | float | tuple[str | float, ...]


class ModelTexts(Protocol):
    """What is read: the fields of a ModelSpec that say something about the dynamics."""

    @property
    def equations(self) -> str: ...  # noqa: D102
    @property
    def output(self) -> str: ...  # noqa: D102
    @property
    def recurrent(self) -> str: ...  # noqa: D102
    @property
    def drive(self) -> str: ...  # noqa: D102
    @property
    def functions(self) -> tuple[tuple[str, str], ...]: ...  # noqa: D102
    @property
    def parameters(self) -> tuple[tuple[str, ParameterText], ...]: ...  # noqa: D102


@dataclass(frozen=True)
class Parts:
    """What reading a spec gives: written-out expressions, dimensions, defaults."""

    right_hand_sides: dict[str, ast.expr]
    output: ast.expr
    output_dimensions: Dimension
    dimensions: dict[str, Dimension]
    defaults: dict[str, Quantity]


def read_model(spec: ModelTexts) -> Parts:
    """Return the parts of a model, or say in a ModelError what does not fit."""
    return _Reader(spec).read()


class _Reader:
    """Reads and checks a ModelSpec: whitelist, names, Brian2's parser, units, in this order."""

    def __init__(self, spec: ModelTexts) -> None:
        self.spec = spec
        for key, entries in (("functions", spec.functions), ("parameters", spec.parameters)):
            for name, _ in entries:
                expressions.check_name(name, key)
        self.defaults = {name: _default(name, value) for name, value in spec.parameters}

    def read(self) -> Parts:
        parsed = _parse_equations(self.spec.equations)
        self.trees = {name: tree for name, (_, tree, _) in parsed.items() if tree is not None}
        _check_no_cycle(parsed)
        equations = _brian2_equations(self.spec.equations)
        self.states = [n for n, (kind, _, _) in parsed.items() if kind == DIFFERENTIAL_EQUATION]
        self.subexpressions = [n for n in equations if parsed[n][0] == SUBEXPRESSION]
        self._check_roles(set(parsed))
        self.functions = self._read_functions()
        self.dimensions = self._read_dimensions(equations)
        written_out = self._write_out_equations(equations)
        self._check_roles_used(written_out)
        output = self._read_output(written_out)
        return Parts(
            right_hand_sides={name: written_out[name] for name in self.states},
            output=output,
            output_dimensions=expression_dimensions(output, "output", self.dimensions),
            dimensions=self.dimensions,
            defaults=self.defaults,
        )

    def _check_roles(self, defined: set[str]) -> None:
        if not self.states:
            raise ModelError(
                "equations: there is no state variable; write at least one dx/dt = ... : unit."
            )
        if len(self.states) > MAX_STATES:
            raise ModelError(
                f"equations: there are {len(self.states)} state variables; at most {MAX_STATES} "
                "a unit are allowed (units are counted by W, not by equations)."
            )
        for role in ("recurrent", "drive"):
            name = getattr(self.spec, role)
            _check_identifier(name, role)
            if name in self.trees or name in self.defaults:
                raise ModelError(
                    f"{role}: {name!r} is defined by the model itself; name the input that "
                    "ratenet provides, and leave it undefined in equations and parameters."
                )
        if self.spec.recurrent == self.spec.drive:
            raise ModelError(
                f"drive: {self.spec.drive!r} is the recurrent input already; use two names "
                "and add them in the equations."
            )
        for name in defined & set(self.defaults) & set(self.trees):
            raise ModelError(f"parameters: {name!r} is defined in the equations as well.")

    def _read_functions(self) -> dict[str, ast.expr]:
        bodies: dict[str, ast.expr] = {}
        taken = {*self.trees, *self.defaults, self.spec.recurrent, self.spec.drive}
        for name, text in self.spec.functions:
            where = f"functions, {name}"
            _check_identifier(name, where)
            if name in taken:
                raise ModelError(f"{where}: the name is used for a variable or parameter as well.")
            body = expressions.parse_expression(text, where)
            allowed = {"u", *self.defaults}
            _check_names(body, where, allowed, hint="a function sees u and parameters only")
            expressions.check_functions_known(body, where, bodies)
            bodies[name] = substitution.write_out(body, where, functions=bodies, names={})
        return bodies

    def _read_dimensions(self, equations: Equations) -> dict[str, Dimension]:
        dimensions = {name: equation.dim for name, equation in equations.items()}
        for role in (self.spec.recurrent, self.spec.drive):
            dimensions.setdefault(role, DIMENSIONLESS)
        for name, equation in equations.items():
            needs_default = name not in {*self.trees, self.spec.recurrent, self.spec.drive}
            if needs_default and name not in self.defaults:
                raise ModelError(
                    f"equations, {name}: it is declared and nowhere given a value; "
                    "add a default under [parameters]."
                )
            if name in self.defaults and get_dimensions(self.defaults[name]) != equation.dim:
                raise ModelError(
                    f"parameters, {name}: the default {self.defaults[name]} has another unit than "
                    f"the equations declare ({get_unit_for_display(equation.dim)})."
                )
        for name, default in self.defaults.items():
            _check_identifier(name, f"parameters, {name}")
            dimensions[name] = get_dimensions(default)
            check_time_constant(default, f"parameters, {name}")
        return {**dimensions, TIME: second.dim}

    def _write_out_equations(self, equations: Equations) -> dict[str, ast.expr]:
        """Write out subexpressions in the order that Brian2 sorted them into, then the rest."""
        allowed = set(self.dimensions)
        done: dict[str, ast.expr] = {}
        for name in [*_sorted_subexpressions(equations), *self.states]:
            where = f"equations, d{name}/dt" if name in self.states else f"equations, {name}"
            tree = self.trees[name]
            _check_names(tree, where, allowed, hint="define it in [parameters] or the equations")
            expressions.check_functions_known(tree, where, self.functions)
            names = {n: done[n] for n in self.subexpressions if n in done}
            done[name] = substitution.write_out(tree, where, functions=self.functions, names=names)
            found = expression_dimensions(done[name], where, self.dimensions)
            expected = self.dimensions[name]
            if name in self.states:
                expected = expected / second.dim
            if found != expected:
                raise ModelError(
                    f"{where}: the right-hand side has the unit {get_unit_for_display(found)}, "
                    f"needed is {get_unit_for_display(expected)}; check the equation and the units "
                    "of the parameters."
                )
        return done

    def _check_roles_used(self, written_out: dict[str, ast.expr]) -> None:
        used = set().union(*(expressions.names_in(written_out[name]) for name in self.states))
        for role in ("recurrent", "drive"):
            if getattr(self.spec, role) not in used:
                raise ModelError(
                    f"{role}: no equation of a state variable uses {getattr(self.spec, role)!r}; "
                    "the input must enter the dynamics."
                )

    def _read_output(self, written_out: dict[str, ast.expr]) -> ast.expr:
        tree = expressions.parse_expression(self.spec.output, "output")
        _check_names(
            tree, "output", set(self.dimensions), hint="name a state variable or a subexpression"
        )
        expressions.check_functions_known(tree, "output", self.functions)
        names = {name: written_out[name] for name in self.subexpressions}
        output = substitution.write_out(tree, "output", functions=self.functions, names=names)
        used = expressions.names_in(output)
        if not used & set(self.states) or used - {*self.states, *self.defaults}:
            raise ModelError(
                f"output: {self.spec.output!r} must be an expression of state variables "
                f"({', '.join(self.states)}) and parameters only."
            )
        return output


def _sorted_subexpressions(equations: Equations) -> list[str]:
    ordered = [name for name in equations if equations[name].type == SUBEXPRESSION]
    return sorted(ordered, key=lambda name: equations[name].update_order)


def _default(name: str, value: ParameterText) -> Quantity:
    where = f"parameters, {name}"
    if isinstance(value, tuple):
        if not value:
            raise ModelError(f"{where}: the list is empty; give one value, or one a unit.")
        values = [_default(name, entry) for entry in value]
        dimensions = {get_dimensions(entry) for entry in values}
        if len(dimensions) > 1:
            raise ModelError(f"{where}: the values have different units.")
        return Quantity(np.array([float(entry) for entry in values]), dim=dimensions.pop())
    if isinstance(value, str):
        quantity = quantities.parse_quantity(value, where)
    else:
        quantity = Quantity(_as_float(value))
    if not np.isfinite(float(quantity)):
        raise ModelError(f"{where}: the value is not a finite float; a parameter must be.")
    return quantity


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer above 1.8e308
        return math.inf


def check_time_constant(value: Quantity, where: str) -> None:
    """Refuse a parameter in seconds that is not above zero: time constants divide."""
    if get_dimensions(value) == second.dim and not np.all(np.asarray(value) > 0):
        raise ModelError(f"{where}: a time constant must be above 0, got {value!s}.")


def _check_identifier(name: str, where: str) -> None:
    expressions.check_name(name, where)
    try:
        Equations.check_identifier(name)
    except (SyntaxError, ValueError) as error:
        raise ModelError(f"{where}: {_sentence(error)[:-1]}; choose another name.") from None


def _check_names(tree: ast.expr, where: str, allowed: set[str], hint: str) -> None:
    unknown = sorted(expressions.names_in(tree) - allowed - set(expressions.CONSTANTS))
    if unknown:
        raise ModelError(
            f"{where}: the name {unknown[0]!r} is not defined; known are "
            f"{', '.join(sorted(allowed))} ({hint})."
        )


Parsed = dict[str, tuple[str, ast.expr | None, str]]


def _parse_equations(text: str) -> Parsed:
    """Split the equations with Brian2's grammar and pass each part through the whitelist."""
    if len(text) > MAX_EQUATION_CHARACTERS:
        raise ModelError(f"equations: more than {MAX_EQUATION_CHARACTERS} characters.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Brian2 builds on old names
            parsed = EQUATIONS.parse_string(text, parse_all=True)
    except (ParseException, RecursionError) as error:
        raise ModelError(
            f"equations: {expressions.shorten(str(getattr(error, 'line', text)))!r} is no "
            "equation; write dx/dt = expression : unit, x = expression : unit or x : unit."
        ) from None
    result: Parsed = {}
    for equation in parsed:
        parts = dict(equation.items())
        name, kind = parts["identifier"], equation.get_name()
        where = f"equations, {'d' + name + '/dt' if kind == DIFFERENTIAL_EQUATION else name}"
        if name in result:
            raise ModelError(f"{where}: {name!r} is defined twice.")
        if parts.get("flags"):
            raise ModelError(f"{where}: flags are not used by rate models; remove the parentheses.")
        _check_identifier(name, where)
        quantities.check_unit_text(parts["unit"], where)
        tree = None
        if kind != PARAMETER:
            expression = re.sub(r"\s+", " ", parts["expression"])
            tree = expressions.parse_expression(expression, where)
        result[name] = (kind, tree, parts["unit"])
    return result


def _brian2_equations(text: str) -> Equations:
    try:
        return Equations(text)
    except (EquationError, SyntaxError, ValueError, TypeError) as error:
        raise ModelError(f"equations: {_sentence(error)}") from None


def _check_no_cycle(parsed: Parsed) -> None:
    """Refuse subexpressions that use one another in a circle, and name them."""
    uses = {
        name: sorted(expressions.names_in(tree))
        for name, (kind, tree, _) in parsed.items()
        if kind == SUBEXPRESSION and tree is not None
    }
    try:
        tuple(TopologicalSorter(uses).static_order())
    except CycleError as error:
        raise ModelError(
            f"equations: the subexpressions {' -> '.join(reversed(error.args[1]))} use one another "
            "in a circle; make one of them a state variable, or write it without the others."
        ) from None


def _sentence(error: BaseException) -> str:
    """Return Brian2's message on one line, ending in a full stop."""
    message = error.msg if isinstance(error, SyntaxError) and error.msg else str(error)
    message = " ".join(message.split())
    return message if message.endswith(".") else message + "."
