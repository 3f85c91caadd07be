"""Reading a model: from the texts of a ModelSpec to expressions, dimensions and defaults.

The order is: whitelist, names, units. A ModelError names the key or the equation. What models and
plasticity rules have in common is in `Reader`.
"""

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any, Protocol

from ratenet.equations import expressions, substitution
from ratenet.equations.dimensions import expression_dimensions
from ratenet.equations.functions import CONSTANTS
from ratenet.equations.names import check_identifier, check_name, unknown_name
from ratenet.equations.parameters import Parameter, ParameterText, read_parameter
from ratenet.equations.populations import Sizes, check_populations
from ratenet.equations.statements import Statement, parse_statements
from ratenet.equations.units import DEFAULT_UNITS, DIMENSIONLESS, Dimension, second, show_unit
from ratenet.errors import ModelError

MAX_STATES = 20
TIME = "t"

NOISE_DIMENSIONS = second.dim**-0.5


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
    @property
    def populations(self) -> Sizes: ...  # noqa: D102


@dataclass(frozen=True)
class Parts:
    """What reading a spec gives: statements, written-out expressions, dimensions, defaults."""

    statements: tuple[Statement, ...]
    right_hand_sides: dict[str, ast.expr]
    output: ast.expr
    output_dimensions: Dimension
    dimensions: dict[str, Dimension]
    parameters: dict[str, Parameter]
    noises: tuple[str, ...]
    unused: tuple[str, ...]  # parameters that no expression names


def read_model(spec: ModelTexts) -> Parts:
    """Return the parts of a model, or say in a ModelError what does not fit."""
    return _ModelReader(spec).read()


class Reader:
    """Reads the tables that all files of equations have: parameters, functions, populations.

    Parameters
    ----------
    spec
        Has the attributes equations, functions and parameters.
    given : tuple of str
        Names that ratenet gives values to.
    populations : tuple of (name, size)
    """

    def __init__(self, spec: Any, given: tuple[str, ...], populations: Sizes = ()) -> None:
        self.spec, self.given = spec, given
        tables: dict[str, tuple[tuple[str, Any], ...]] = {
            "functions": spec.functions,
            "parameters": spec.parameters,
            "populations": populations,
        }
        for key, entries in tables.items():
            for name, _ in entries:
                check_name(name, key)
        check_populations(populations)
        names = tuple(name for name, _ in populations)
        self.parameters = {
            name: read_parameter(name, value, names) for name, value in spec.parameters
        }

    def take(self, statements: dict[str, Statement]) -> None:
        """Sort the statements of the equations."""
        self.statements = statements
        self.trees = {
            name: statement.expression
            for name, statement in statements.items()
            if statement.expression is not None
        }
        self.states = [n for n, s in statements.items() if s.is_differential]
        for name in sorted(set(self.parameters) & set(self.trees)):
            raise ModelError(f"parameters: {name!r} is also defined in the equations.")

    def read_functions(self) -> dict[str, ast.expr]:
        """Return the bodies of the functions, written out."""
        bodies: dict[str, ast.expr] = {}
        self.bodies: list[ast.expr] = []
        taken = {*self.trees, *self.parameters, *self.given}
        for name, text in self.spec.functions:
            where = f"functions, {name}"
            check_identifier(name, where)
            if name in taken:
                raise ModelError(f"{where}: {name!r} is already a variable or parameter.")
            body = expressions.parse_expression(text, where)
            allowed = {"u", *self.parameters}
            check_names(body, where, allowed, hint="a function may use u and parameters")
            expressions.check_functions_known(body, where, bodies)
            self.bodies.append(body)
            bodies[name] = substitution.write_out(body, where, functions=bodies, names={})
        return bodies

    def read_dimensions(self) -> dict[str, Dimension]:
        """Return the dimensions of all names: declared, of parameters, else none."""
        declared = {name: statement.dimensions for name, statement in self.statements.items()}
        dimensions = {**dict.fromkeys(self.given, DIMENSIONLESS), **declared}
        for name, expected in declared.items():
            needs_default = name not in {*self.trees, *self.given}
            if needs_default and name not in self.parameters:
                raise ModelError(
                    f"equations, {name}: declared, but without a value; add a default under "
                    "[parameters]."
                )
            if name in self.parameters and self.parameters[name].dimensions != expected:
                raise ModelError(
                    f"parameters, {name}: expected a value in {show_unit(expected)}, as the "
                    f"equations declare, got {self.parameters[name]}."
                )
        for name, parameter in self.parameters.items():
            check_identifier(name, f"parameters, {name}")
            dimensions[name] = parameter.dimensions
        return {**dimensions, TIME: second.dim}

    def write_out(self, name: str, where: str, names: dict[str, ast.expr]) -> ast.expr:
        """Return an equation's right-hand side, written out, its functions and unit checked."""
        tree = self.trees[name]
        expressions.check_functions_known(tree, where, self.functions)
        written = substitution.write_out(tree, where, functions=self.functions, names=names)
        found = expression_dimensions(written, where, self.dimensions)
        expected = self.dimensions[name]
        if name in self.states:
            expected = expected / second.dim
        if found != expected:
            raise ModelError(
                f"{where}: expected a right-hand side in {show_unit(expected)}, got "
                f"{show_unit(found)}; {self._units_of(written)}."
            )
        return written

    def where(self, name: str) -> str:
        """Return what an error about an equation begins with."""
        return f"equations, d{name}/dt" if name in self.states else f"equations, {name}"

    def _units_of(self, tree: ast.expr) -> str:
        """Return which names in an expression have which units, for a sentence about it."""
        units = {name: self.dimensions[name] for name in sorted(expressions.names_in(tree))}
        shown = [f"{n} is in {show_unit(d)}" for n, d in units.items() if d is not DIMENSIONLESS]
        return ", ".join(shown) or "no name in it has a unit"

    functions: dict[str, ast.expr]
    dimensions: dict[str, Dimension]


class _ModelReader(Reader):
    """Reads and checks a ModelSpec: whitelist, names, units, in this order."""

    def __init__(self, spec: ModelTexts) -> None:
        super().__init__(spec, (spec.recurrent, spec.drive), spec.populations)

    def read(self) -> Parts:
        self.take(parse_statements(self.spec.equations))
        self.subexpressions = in_order(self.statements.values())
        self.noises = _noises(self.statements.values())
        self._check_roles()
        self.functions = self.read_functions()
        noises = dict.fromkeys(self.noises, NOISE_DIMENSIONS)
        self.dimensions = {**self.read_dimensions(), **noises}
        written_out = self._write_out_equations()
        self._check_roles_used(written_out)
        output = self._read_output(written_out)
        return Parts(
            statements=tuple(self.statements.values()),
            right_hand_sides={name: written_out[name] for name in self.states},
            output=output,
            output_dimensions=expression_dimensions(output, "output", self.dimensions),
            dimensions=self.dimensions,
            parameters=self.parameters,
            noises=self.noises,
            unused=self._unused_parameters(),
        )

    def _check_roles(self) -> None:
        if not self.states:
            raise ModelError(
                "equations: expected at least one state variable, dx/dt = ... : unit, got none."
            )
        if len(self.states) > MAX_STATES:
            raise ModelError(
                f"equations: expected at most {MAX_STATES} state variables per unit, got "
                f"{len(self.states)} (W says how many units there are, not the equations)."
            )
        for role in ("recurrent", "drive"):
            name = getattr(self.spec, role)
            check_identifier(name, role)
            if name in self.trees or name in self.parameters:
                raise ModelError(
                    f"{role}: {name!r} is already defined by the model; choose a name that "
                    "equations and parameters leave undefined, since ratenet provides this input."
                )
        if self.spec.recurrent == self.spec.drive:
            raise ModelError(
                f"drive: {self.spec.drive!r} is already the recurrent input; use two names and "
                "add them in the equations."
            )

    def _write_out_equations(self) -> dict[str, ast.expr]:
        """Write out subexpressions, each after those that it uses, then the rest."""
        allowed = set(self.dimensions)
        done: dict[str, ast.expr] = {}
        for name in [*self.subexpressions, *self.states]:
            where = self.where(name)
            check_names(
                self.trees[name], where, allowed, hint="define it in [parameters] or the equations"
            )
            names = {n: done[n] for n in self.subexpressions if n in done}
            done[name] = self.write_out(name, where, names)
        return done

    def _unused_parameters(self) -> tuple[str, ...]:
        trees = [*self.trees.values(), *self.bodies, self.output]
        used = set().union(*map(expressions.names_in, trees))
        return tuple(name for name in self.parameters if name not in used)

    def _check_roles_used(self, written_out: dict[str, ast.expr]) -> None:
        used = set().union(*(expressions.names_in(written_out[name]) for name in self.states))
        for role in ("recurrent", "drive"):
            if getattr(self.spec, role) not in used:
                raise ModelError(
                    f"{role}: no state variable's equation uses {getattr(self.spec, role)!r}; the "
                    "input must enter the dynamics."
                )

    def _read_output(self, written_out: dict[str, ast.expr]) -> ast.expr:
        self.output = tree = expressions.parse_expression(self.spec.output, "output")
        check_names(
            tree, "output", set(self.dimensions), hint="name a state variable or a subexpression"
        )
        expressions.check_functions_known(tree, "output", self.functions)
        names = {name: written_out[name] for name in self.subexpressions}
        output = substitution.write_out(tree, "output", functions=self.functions, names=names)
        used = expressions.names_in(output)
        if not used & set(self.states) or used - {*self.states, *self.parameters}:
            raise ModelError(
                f"output: {self.spec.output!r} must be an expression of state variables "
                f"({', '.join(self.states)}) and parameters only."
            )
        return output


def in_order(statements: Iterable[Statement]) -> list[str]:
    """Return the subexpressions, each after those that it uses; refuse a circle."""
    uses = {
        statement.name: sorted(expressions.names_in(statement.expression))
        for statement in statements
        if statement.is_subexpression and statement.expression is not None
    }
    try:
        return [name for name in TopologicalSorter(uses).static_order() if name in uses]
    except CycleError as error:
        raise ModelError(
            f"equations: the subexpressions {' -> '.join(reversed(error.args[1]))} use one another "
            "in a circle; make one of them a state variable, or write it without the others."
        ) from None


def _noises(statements: Iterable[Statement]) -> tuple[str, ...]:
    """Return the white noises (xi, xi_1, ...) that equations name, sorted."""
    found: dict[str, list[Statement]] = {}
    for statement in statements:
        if statement.expression is not None:
            for name in expressions.names_in(statement.expression):
                found.setdefault(name, []).append(statement)
    for statement in found.get("xi", ()):
        if statement.is_subexpression:
            raise ModelError(
                f"equations, {statement.name}: the noise xi belongs into the equation of a state "
                "variable, dx/dt = ... + strength*xi; a subexpression may use xi_1."
            )
    if len(found.get("xi", ())) > 1:
        names = " and ".join(f"d{statement.name}/dt" for statement in found["xi"])
        raise ModelError(
            f"equations: {names} use xi; write xi_1 in both for the same noise, or xi_1 and xi_2 "
            "for independent noises."
        )
    return tuple(sorted(name for name in found if re.fullmatch(r"xi(_\w+)?", name)))


def check_names(tree: ast.expr, where: str, allowed: set[str], hint: str) -> None:
    """Refuse a name that is not among the allowed ones."""
    unknown = sorted(expressions.names_in(tree) - allowed - set(CONSTANTS))
    if unknown and unknown[0] in DEFAULT_UNITS:
        raise ModelError(
            f"{where}: {unknown[0]!r} is a unit, and equations contain no units; write the "
            f"quantity (such as 10*{unknown[0]}) under [parameters], and its name here."
        )
    if unknown:
        raise unknown_name("name", unknown[0], sorted(allowed), where, hint)
