"""Reading a model: from the texts of a ModelSpec to expressions, dimensions and defaults.

The order is: whitelist, names, Brian2's parser, units. A ModelError names the key or the equation.
"""

import ast
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any, Protocol

from brian2.equations.equations import (  # noqa: TID253
    DIFFERENTIAL_EQUATION,
    EQUATIONS,
    PARAMETER,
    SUBEXPRESSION,
    EquationError,
    Equations,
)
from pyparsing import ParseException

from ratenet.equations import expressions, quantities, substitution
from ratenet.equations.dimensions import expression_dimensions
from ratenet.equations.parameters import Parameter, ParameterText, read_parameter
from ratenet.equations.populations import Sizes, check_populations
from ratenet.equations.units import (
    DEFAULT_UNITS,
    DIMENSIONLESS,
    Dimension,
    get_unit_for_display,
    second,
)
from ratenet.errors import ModelError, shorten

MAX_EQUATION_CHARACTERS = 20_000
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
    """What reading a spec gives: written-out expressions, dimensions, defaults."""

    right_hand_sides: dict[str, ast.expr]
    output: ast.expr
    output_dimensions: Dimension
    dimensions: dict[str, Dimension]
    parameters: dict[str, Parameter]
    noises: tuple[str, ...]


def read_model(spec: ModelTexts) -> Parts:
    """Return the parts of a model, or say in a ModelError what does not fit."""
    return _Reader(spec).read()


class _Reader:
    """Reads and checks a ModelSpec: whitelist, names, Brian2's parser, units, in this order."""

    def __init__(self, spec: ModelTexts) -> None:
        self.spec = spec
        tables: dict[str, tuple[tuple[str, Any], ...]] = {
            "functions": spec.functions,
            "parameters": spec.parameters,
            "populations": spec.populations,
        }
        for key, entries in tables.items():
            for name, _ in entries:
                expressions.check_name(name, key)
        check_populations(spec.populations)
        populations = tuple(name for name, _ in spec.populations)
        self.parameters = {
            name: read_parameter(name, value, populations) for name, value in spec.parameters
        }

    def read(self) -> Parts:
        parsed = _parse_equations(self.spec.equations)
        self.trees = {name: tree for name, (_, tree, _) in parsed.items() if tree is not None}
        _check_no_cycle(parsed)
        equations = _brian2_equations(self.spec.equations)
        self.states = [n for n, (kind, _, _) in parsed.items() if kind == DIFFERENTIAL_EQUATION]
        self.subexpressions = [n for n in equations if parsed[n][0] == SUBEXPRESSION]
        self.noises = _noises(self.trees.values())
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
            parameters=self.parameters,
            noises=self.noises,
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
            if name in self.trees or name in self.parameters:
                raise ModelError(
                    f"{role}: {name!r} is defined by the model itself; name the input that "
                    "ratenet provides, and leave it undefined in equations and parameters."
                )
        if self.spec.recurrent == self.spec.drive:
            raise ModelError(
                f"drive: {self.spec.drive!r} is the recurrent input already; use two names "
                "and add them in the equations."
            )
        for name in defined & set(self.parameters) & set(self.trees):
            raise ModelError(f"parameters: {name!r} is defined in the equations as well.")

    def _read_functions(self) -> dict[str, ast.expr]:
        bodies: dict[str, ast.expr] = {}
        taken = {*self.trees, *self.parameters, self.spec.recurrent, self.spec.drive}
        for name, text in self.spec.functions:
            where = f"functions, {name}"
            _check_identifier(name, where)
            if name in taken:
                raise ModelError(f"{where}: the name is used for a variable or parameter as well.")
            body = expressions.parse_expression(text, where)
            allowed = {"u", *self.parameters}
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
            if needs_default and name not in self.parameters:
                raise ModelError(
                    f"equations, {name}: it is declared and nowhere given a value; "
                    "add a default under [parameters]."
                )
            if name in self.parameters and self.parameters[name].dimensions != equation.dim:
                raise ModelError(
                    f"parameters, {name}: the default {self.parameters[name]} has another unit "
                    f"than the equations declare ({get_unit_for_display(equation.dim)})."
                )
        for name, parameter in self.parameters.items():
            _check_identifier(name, f"parameters, {name}")
            dimensions[name] = parameter.dimensions
        return {**dimensions, TIME: second.dim, **dict.fromkeys(self.noises, NOISE_DIMENSIONS)}

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
        if not used & set(self.states) or used - {*self.states, *self.parameters}:
            raise ModelError(
                f"output: {self.spec.output!r} must be an expression of state variables "
                f"({', '.join(self.states)}) and parameters only."
            )
        return output


def _sorted_subexpressions(equations: Equations) -> list[str]:
    ordered = [name for name in equations if equations[name].type == SUBEXPRESSION]
    return sorted(ordered, key=lambda name: equations[name].update_order)


def _noises(trees: Iterable[ast.expr]) -> tuple[str, ...]:
    """Return the white noises (xi, xi_1, ...) that equations name, sorted."""
    names = set().union(*(expressions.names_in(tree) for tree in trees))
    return tuple(sorted(name for name in names if re.fullmatch(r"xi(_\w+)?", name)))


def _check_identifier(name: str, where: str) -> None:
    expressions.check_name(name, where)
    if name.endswith(("_pre", "_post")) or name.startswith("ratenet_"):
        raise ModelError(
            f"{where}: {name!r} cannot be used: Brian2 keeps names that end in _pre or _post for "
            "synapses, and ratenet those that begin with ratenet_; choose another name."
        )
    if name in expressions.BEYOND_BRIAN2:
        raise ModelError(f"{where}: {name!r} is a function of ratenet; choose another name.")
    try:
        Equations.check_identifier(name)
    except (SyntaxError, ValueError) as error:
        raise ModelError(f"{where}: {_sentence(error)[:-1]}; choose another name.") from None


def _check_names(tree: ast.expr, where: str, allowed: set[str], hint: str) -> None:
    unknown = sorted(expressions.names_in(tree) - allowed - set(expressions.CONSTANTS))
    if unknown and unknown[0] in DEFAULT_UNITS:
        raise ModelError(
            f"{where}: {unknown[0]!r} is a unit, and an equation holds no units; write the "
            f"quantity (such as 10*{unknown[0]}) under [parameters], and its name here."
        )
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
            f"equations: {shorten(str(getattr(error, 'line', text)))!r} is no "
            "equation; write dx/dt = expression : unit, x = expression : unit or x : unit."
        ) from None
    result: Parsed = {}
    for equation in parsed:
        parts = dict(equation.items())
        name, kind = parts["identifier"], equation.get_name()
        where = f"equations, {'d' + name + '/dt' if kind == DIFFERENTIAL_EQUATION else name}"
        if name in result:
            raise ModelError(f"{where}: {name!r} is defined twice.")
        _check_flags(list(parts.get("flags", [])), kind, where)
        _check_identifier(name, where)
        quantities.check_unit_text(parts["unit"], where)
        tree = None
        if kind != PARAMETER:
            expression = re.sub(r"\s+", " ", parts["expression"])
            tree = expressions.parse_expression(expression, where)
        result[name] = (kind, tree, parts["unit"])
    return result


def _check_flags(flags: list[str], kind: str, where: str) -> None:
    """Refuse flags, but those that say of a parameter what all of ratenet's parameters are."""
    if not flags or (kind == PARAMETER and set(flags) <= {"constant", "shared"}):
        return
    raise ModelError(
        f"{where}: the flags ({', '.join(flags)}) are not used by rate models; remove the "
        "parentheses (a declared parameter may be (constant) or (shared))."
    )


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
