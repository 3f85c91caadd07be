"""Reading a plasticity rule: which variables belong to a unit and which to a synapse, and units.

A statement belongs to a synapse if it names the weight, another variable of a synapse, or one of
the two units by _pre or _post; to a unit if it names what a unit has: y, a signal, a sum over its
synapses, or another variable of a unit.
"""

import ast
from dataclasses import dataclass
from typing import Any

from ratenet.equations import expressions
from ratenet.equations.names import check_identifier
from ratenet.equations.parameters import Distribution, Parameter
from ratenet.equations.parser import MAX_STATES, TIME, Reader, check_names, in_order
from ratenet.equations.quantities import parse_unit
from ratenet.equations.statements import Statement, parse_statements
from ratenet.equations.units import Dimension
from ratenet.errors import ModelError

OUTPUT = "y"  # what the weights transmit
SIDES = ("_post", "_pre")


@dataclass(frozen=True)
class PlasticityParts:
    """What reading a plasticity rule gives; expressions are written out.

    Attributes
    ----------
    statements : tuple of Statement
    units, synapses : dict of str to expression
        Right-hand sides of the variables of a unit, and of a synapse (the weight among them).
    sums : dict of str to (side, expression)
        Sums over the synapses of a unit: those onto it ("_post") or from it ("_pre").
    dimensions : dict of str to Dimension
    parameters : dict of str to Parameter
    global_signals : frozenset of str
        Signals that equations of synapses name without a side: one for all units.
    unused : tuple of str
        Parameters that nothing names.
    """

    statements: tuple[Statement, ...]
    units: dict[str, ast.expr]
    synapses: dict[str, ast.expr]
    sums: dict[str, tuple[str, ast.expr]]
    dimensions: dict[str, Dimension]
    parameters: dict[str, Parameter]
    global_signals: frozenset[str]
    unused: tuple[str, ...]


def without_side(name: str) -> str:
    """Return a name without _pre or _post."""
    return name.removesuffix("_post").removesuffix("_pre")


def side_of(name: str) -> str:
    """Return _pre or _post, which a name ends with, or an empty string."""
    return name[len(without_side(name)) :]


def read_plasticity(spec: Any) -> PlasticityParts:
    """Return the parts of a plasticity rule, or say in a ModelError what does not fit."""
    return _PlasticityReader(spec).read()


class _PlasticityReader(Reader):
    """Reads and checks a PlasticitySpec."""

    def __init__(self, spec: Any) -> None:
        self.signals = {name: _unit_of_signal(name, text) for name, text in spec.signals}
        super().__init__(spec, (OUTPUT, *self.signals))

    def read(self) -> PlasticityParts:
        self.take(parse_statements(self.spec.equations, sums=True))
        self.sums = {without_side(n): n for n, s in self.statements.items() if s.is_sum}
        self._check_roles()
        self._sort()
        self.functions = self.read_functions()
        self.dimensions = {**self.read_dimensions(), **self._signal_dimensions()}
        for base, name in self.sums.items():
            self.dimensions[base] = self.dimensions[name]
        per_unit = {OUTPUT, *self.signals, *self.parameters, *self.sums, *self.of_units}
        for name in per_unit:
            self.dimensions |= {name + side: self.dimensions[name] for side in SIDES}
        written_units = self._write_out_units()
        written = self._write_out_synapses(written_units)
        return PlasticityParts(
            statements=tuple(self.statements.values()),
            units={name: written_units[name] for name in self.states if name in self.of_units},
            synapses={name: written[name] for name in self.states if name in self.of_synapses},
            sums={base: (side_of(name), written[name]) for base, name in self.sums.items()},
            dimensions=self.dimensions,
            parameters=self.parameters,
            global_signals=frozenset(self._bare_in_synapses() & set(self.signals)),
            unused=self._unused(),
        )

    def _check_roles(self) -> None:
        weight = self.spec.weight
        if weight not in self.states:
            raise ModelError(
                f"weight: {weight!r} has no equation; write d{weight}/dt = ... : unit, or give the "
                f"name of the weight ({', '.join(self.states) or 'no variable has one'})."
            )
        if len(self.states) > MAX_STATES:
            raise ModelError(
                f"equations: expected at most {MAX_STATES} variables, got {len(self.states)}."
            )
        for name in (OUTPUT, *self.signals):
            if name in self.trees or name in self.parameters or name in self.sums:
                what = "what the weights transmit" if name == OUTPUT else "a signal"
                raise ModelError(f"equations: {name!r} is {what}; choose another name.")
        if OUTPUT in self.signals:
            raise ModelError(f"signals: {OUTPUT!r} is what the weights transmit.")
        for base in self.sums:
            if base in self.trees or base in self.parameters:
                raise ModelError(f"equations: {base!r} is defined twice.")
        for name, tree in self.trees.items():
            for used in sorted(expressions.names_in(tree)):
                if used == "xi" or used.startswith("xi_"):
                    raise ModelError(
                        f"{self.where(name)}: white noise ({used}) is for models, not for "
                        "plasticity; give it to the network's model, or as a signal."
                    )

    def _sort(self) -> None:
        """Say of each statement whether it belongs to a unit or to a synapse."""
        rest = [n for n, s in self.statements.items() if s.expression is not None and not s.is_sum]
        names = {n: expressions.names_in(self.trees[n]) for n in rest}
        synapses: set[str] = {self.spec.weight}
        units: set[str] = set()
        of_units = {OUTPUT, *self.signals, *self.sums}
        changed = True
        while changed:
            changed = False
            for name in rest:
                if name in synapses or name in units:
                    continue
                used = names[name] - {name}
                if used & synapses or any(self._is_sided(n) for n in used):
                    synapses.add(name)
                    changed = True
            if changed:
                continue
            for name in rest:
                used = names[name] - {name}
                if name not in synapses | units and used & (of_units | units):
                    units.add(name)
                    changed = True
                    break
        for name in rest:
            if name not in synapses | units:
                self._refuse_homeless(name)
        self.of_units, self.of_synapses = units, synapses

    def _is_sided(self, name: str) -> bool:
        return bool(side_of(name)) and name not in self.trees

    def _refuse_homeless(self, name: str) -> None:
        own = self.statements[name]
        if own.is_subexpression and not expressions.names_in(self.trees[name]) - {
            *self.parameters,
            TIME,
        }:
            remedy = "write it under [parameters]"
        else:
            remedy = "name y or another variable of a unit in it, or a variable of a synapse"
        raise ModelError(
            f"{self.where(name)}: {name!r} belongs to neither a unit nor a synapse; {remedy}."
        )

    def _signal_dimensions(self) -> dict[str, Dimension]:
        for name in self.signals:
            check_identifier(name, f"signals, {name}")
            if name in self.statements and self.statements[name].dimensions != self.signals[name]:
                raise ModelError(f"signals, {name}: the equations declare another unit.")
        return self.signals

    def _write_out_units(self) -> dict[str, ast.expr]:
        allowed = {*self.of_units, OUTPUT, *self.signals, *self.sums, *self.parameters, TIME}
        ordered = [n for n in in_order(self.statements.values()) if n in self.of_units]
        done: dict[str, ast.expr] = {}
        for name in [*ordered, *(n for n in self.states if n in self.of_units)]:
            where = self.where(name)
            check_names(self.trees[name], where, allowed, hint="define it in [parameters]")
            names = {n: done[n] for n in ordered if n in done}
            done[name] = self.write_out(name, where, names)
        return done

    def _write_out_synapses(self, units: dict[str, ast.expr]) -> dict[str, ast.expr]:
        """Write out the equations of synapses; what a unit has gets the side of the unit."""
        sides = {
            name + side: _with_side(tree, side, set(self.dimensions) - {TIME})
            for name, tree in units.items()
            if name not in self.states
            for side in SIDES
        }
        sided = {n for n in self.dimensions if side_of(n)}
        allowed = {*self.of_synapses, *self.signals, *self.parameters, *sided, TIME}
        ordered = [n for n in in_order(self.statements.values()) if n in self.of_synapses]
        done: dict[str, ast.expr] = {}
        states = [n for n in self.states if n in self.of_synapses]
        for name in [*ordered, *states, *self.sums.values()]:
            where, tree = self.where(name), self.trees[name]
            self._check_sides(tree, where, is_sum=name in self.sums.values())
            check_names(tree, where, allowed, hint="define it in [parameters] or the equations")
            names = {n: done[n] for n in ordered if n in done}
            done[name] = self.write_out(name, where, {**sides, **names})
        return done

    def _check_sides(self, tree: ast.expr, where: str, *, is_sum: bool) -> None:
        """Refuse a name that both units have without saying whose is meant, and the reverse."""
        names = expressions.names_in(tree)
        for name in sorted(names & {OUTPUT, *self.of_units, *self.sums}):
            raise ModelError(
                f"{where}: both units of the synapse have {name!r}; write {name}_pre or "
                f"{name}_post."
            )
        for name in sorted(n for n in names if side_of(n)):
            base = without_side(name)
            if base in self.of_synapses:
                raise ModelError(
                    f"{where}: {base!r} is a variable of the synapse itself; write it without "
                    f"{side_of(name)}."
                )
            if is_sum and base in self.sums:
                raise ModelError(f"{where}: a sum over synapses cannot use the sum {base!r}.")
        for name in sorted(names & set(self.parameters)):
            if not _is_single(self.parameters[name]):
                raise ModelError(
                    f"{where}: the parameter {name!r} has a value for each unit; write {name}_pre "
                    f"or {name}_post."
                )

    def _bare_in_synapses(self) -> set[str]:
        found: set[str] = set()
        for name in (*self.of_synapses, *self.sums.values()):
            found |= expressions.names_in(self.trees[name])
        both = sorted(n for n in found & set(self.signals) if {n + s for s in SIDES} & found)
        if both:
            raise ModelError(
                f"signals, {both[0]}: equations name it with and without a side; write "
                f"{both[0]}_pre or {both[0]}_post for a signal of each unit, {both[0]} for one "
                "that all share."
            )
        return found

    def _unused(self) -> tuple[str, ...]:
        """Return the parameters that nothing names; refuse such signals, which must be given."""
        trees = [*self.trees.values(), *self.bodies]
        used = {without_side(n) for tree in trees for n in expressions.names_in(tree)}
        used |= {n for tree in trees for n in expressions.names_in(tree)}
        for name in self.signals:
            if name not in used:
                raise ModelError(
                    f"signals, {name}: no equation names it; write {name} (one for all units), or "
                    f"{name}_pre or {name}_post, in an equation, or delete the signal."
                )
        return tuple(name for name in self.parameters if name not in used)


def _unit_of_signal(name: str, text: str) -> Dimension:
    where = f"signals, {name}"
    check_identifier(name, where)
    return parse_unit(text, where)


def _is_single(parameter: Parameter) -> bool:
    entry = parameter.entries.get(None)
    return entry is not None and not isinstance(entry, Distribution) and entry.ndim == 0


def _with_side(tree: ast.expr, side: str, names: set[str]) -> ast.expr:
    """Return an expression of a unit as that of the unit on one side of a synapse."""

    class Sided(ast.NodeTransformer):
        def visit_Call(self, node: ast.Call) -> ast.expr:
            return ast.Call(node.func, [self.visit(argument) for argument in node.args], [])

        def visit_Name(self, node: ast.Name) -> ast.expr:
            return ast.Name(node.id + side if node.id in names else node.id, ctx=ast.Load())

    return Sided().visit(ast.parse(expressions.to_text(tree), mode="eval").body)
