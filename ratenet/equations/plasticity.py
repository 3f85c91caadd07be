"""PlasticitySpec: a plasticity rule as data, equations of the weights and of what they depend on.

    dw/dt = F(w, ..., y_pre, y_post, ...)      one for each synapse; other variables of a synapse
    dx/dt = G(x, ..., y)                       any number for each unit: traces, thresholds

y is what the weights transmit, the network's rates. The parser, the units and the errors are those
of models (`ratenet.equations.spec`).
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from typing import Any

import sympy

from ratenet.equations import expressions
from ratenet.equations.parameters import ParameterText
from ratenet.equations.parser import TIME
from ratenet.equations.plasticity_parser import OUTPUT, PlasticityParts, read_plasticity
from ratenet.equations.shown import roles_of_plasticity, show
from ratenet.equations.statements import Statement
from ratenet.equations.symbolic import is_finite, to_sympy
from ratenet.equations.table import PlasticityTable
from ratenet.equations.table_spec import TableSpec
from ratenet.equations.units import Dimension
from ratenet.errors import InputError, ModelError, UnknownNameError
from ratenet.notebook import formula, table

TABLES = ("functions", "parameters", "signals")


@dataclass(frozen=True, kw_only=True)
class PlasticitySpec(TableSpec):
    """A plasticity rule as equations.

    Parameters
    ----------
    name, title, source : str
        Short name, one line of description (by default the name), and where it was published.
    equations : str or brian2.Equations
        ``dw/dt = ... : unit`` for the weight and for other variables of a synapse, in which names
        of the two units end in ``_pre`` and ``_post``; ``dx/dt = ... : unit`` for variables of a
        unit, in which ``y`` is its rate; subexpressions ``x = ... : unit``; sums over the synapses
        onto a unit, ``x_post = ... : unit (summed)``, or from it, ``x_pre``; declarations, such as
        ``y : Hz`` where rates have a unit.
    weight : str
        Name of the weight in the equations.
    functions : mapping, or tuple of (name, body)
        Functions of one argument ``u``.
    parameters : mapping, or tuple of (name, value)
        Values, as in a model; one with a value for each unit is named with ``_pre`` or ``_post`` in
        equations of a synapse.
    signals : mapping, or tuple of (name, unit)
        Third factors, given to ``simulate(signals=)``. One that equations of a synapse name
        without ``_pre`` or ``_post`` is shared by all units.

    Raises
    ------
    ModelError
        If anything in it does not fit; the message names the key or the equation.

    Examples
    --------
    >>> from ratenet import load_plasticity
    >>> bcm = load_plasticity("bcm")
    >>> bcm.unit_variables, bcm.synapse_variables
    (('theta',), ('w',))
    """

    name: str = "plasticity"
    title: str = ""
    source: str = ""
    equations: str
    weight: str = "w"
    functions: tuple[tuple[str, str], ...] = ()
    parameters: tuple[tuple[str, ParameterText], ...] = ()
    signals: tuple[tuple[str, str], ...] = ()
    _parts: PlasticityParts = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._take(PlasticityTable, TABLES)
        object.__setattr__(self, "_parts", read_plasticity(self))
        checked = {f"equations, d{n}/dt": e for n, e in {**self.units, **self.synapses}.items()}
        checked |= {f"equations, {n}{side}": e for n, (side, e) in self.sums.items()}
        for where, expression in checked.items():
            if not is_finite(expression):
                raise ModelError(
                    f"{where}: expected finite real constants in it; look for a division by 0, or "
                    "a root or logarithm of a negative number."
                )

    def __str__(self) -> str:
        roles = roles_of_plasticity(self.signals, self.weight)
        return "\n".join([self.heading, *self.lines, *roles])

    def _repr_html_(self) -> str:
        from ratenet.equations.latex import equations_latex  # it needs this class

        rows = {"equations": formula(equations_latex(self)), "source": self.source or "none given"}
        rows |= {name: show(value) for name, value in self.parameters}
        rows |= {f"signal {name}": unit for name, unit in self.signals}
        return table(self.title, rows)

    def _repr_latex_(self) -> str:
        from ratenet.equations.latex import equations_latex  # it needs this class

        return f"$${equations_latex(self)}$$"

    def plot(self, ax: Any = None) -> Any:
        """Draw how fast a weight of 0.5 changes, against the postsynaptic rate.

        A line for each of three presynaptic rates. Variables of units are those that rest at these
        rates, signals are 1.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; default new axes, which a notebook shows.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        UnsupportedError
            If the equations name the time, so that nothing rests.

        Examples
        --------
        >>> import ratenet as rn
        >>> rn.load_plasticity("bcm").plot().get_xlabel()
        'postsynaptic rate y_post (dimensionless)'
        """
        from ratenet.report.pictures import plot_plasticity

        return plot_plasticity(self, ax)

    @property
    def statements(self) -> tuple[Statement, ...]:
        """The equations one by one, as they are written."""
        return self._parts.statements

    @property
    def unit_variables(self) -> tuple[str, ...]:
        """Names of the variables that each unit has."""
        return tuple(self._parts.units)

    @property
    def synapse_variables(self) -> tuple[str, ...]:
        """Names of the variables that each synapse has, the weight among them."""
        return tuple(self._parts.synapses)

    @property
    def global_signals(self) -> frozenset[str]:
        """Names of the signals that all units share."""
        return self._parts.global_signals

    @property
    def weight_dimensions(self) -> Dimension:
        """Physical dimensions of the weight."""
        return self.dimensions(self.weight)

    @property
    def output_dimensions(self) -> Dimension:
        """Physical dimensions of y."""
        return self.dimensions(OUTPUT)

    @property
    def uses_time(self) -> bool:
        """Whether the equations name t explicitly."""
        trees = [*self._parts.units.values(), *self._parts.synapses.values()]
        trees += [tree for _, tree in self._parts.sums.values()]
        return any(TIME in expressions.names_in(tree) for tree in trees)

    def dimensions(self, name: str) -> Dimension:
        """Return the physical dimensions of a variable, signal or parameter.

        Parameters
        ----------
        name : str
            As in the equations.
        """
        return self._parts.dimensions[name]

    @cached_property
    def units(self) -> dict[str, sympy.Expr]:
        """Right-hand sides of the variables of a unit."""
        return {name: to_sympy(tree) for name, tree in self._parts.units.items()}

    @cached_property
    def synapses(self) -> dict[str, sympy.Expr]:
        """Right-hand sides of the variables of a synapse."""
        return {name: to_sympy(tree) for name, tree in self._parts.synapses.items()}

    @cached_property
    def sums(self) -> dict[str, tuple[str, sympy.Expr]]:
        """Sums over the synapses of a unit: "_post" or "_pre", and the summand."""
        return {name: (side, to_sympy(tree)) for name, (side, tree) in self._parts.sums.items()}

    def brian2_expression(self, name: str) -> str:
        """Return the right-hand side of a variable, or the summand of a sum, as text.

        Parameters
        ----------
        name : str
            A variable or a sum of the rule.
        """
        parts = self._parts
        trees = {
            **parts.units,
            **parts.synapses,
            **{n: tree for n, (_, tree) in parts.sums.items()},
        }
        return expressions.to_text(trees[name])

    def with_parameters(self, **values: Any) -> "PlasticitySpec":
        """Return the same rule with other values of some parameters.

        Parameters
        ----------
        **values : str, float or Quantity
            New values by the parameters' names; a float is in SI units.

        Raises
        ------
        UnknownNameError
            If there is no such parameter.
        ModelError
            If a value does not fit.

        Examples
        --------
        >>> from ratenet import load_plasticity
        >>> dict(load_plasticity("oja").with_parameters(eta="2*Hz").parameters)
        {'eta': '2*Hz'}
        """
        for name in values:
            if name not in self.defaults:
                raise UnknownNameError.among("parameter", name, self.defaults)
        changed = dataclasses.replace(self, parameters={**dict(self.parameters), **values})  # type: ignore[arg-type]
        for name in values:
            if changed.dimensions(name) != self.dimensions(name):
                raise InputError.at(
                    f"parameters, {name}",
                    got=values[name],
                    expected=f"a value like {self.defaults[name]}",
                )
        return changed

    def rule(self, slow: Any = (), values: Mapping[str, Any] | None = None) -> Any:
        """Return the rule at fixed points: the learning rate times the mean of dw/dt.

        Parameters
        ----------
        slow : sequence of str
            Variables of units that are at rest for the mean over the stimuli; the other ones are
            at rest for each stimulus.
        values : mapping, optional
            Signals, and variables of units that are held: a number, or one for each unit. The
            signal ``error`` is dL/dy where no value is given.

        Returns
        -------
        AbstractRule
            For `rule.update`, `TrainingConfig`, and wherever a rule may stand.

        Raises
        ------
        UnsupportedError
            If the rest of the other variables is not known in closed form.

        Examples
        --------
        >>> from ratenet import load_plasticity
        >>> load_plasticity("bcm").rule(slow=["theta"]).traits.is_mean
        False
        """
        # By name: rules stand above equations, which import nothing of them.
        return import_module("ratenet.plasticity.from_equations").from_equations(self, slow, values)

    def given_signals(self, signals: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """Return the signals that were given, or say which are missing or not among the rule's.

        Parameters
        ----------
        signals : mapping of str to object, optional
            As `simulate` takes them.
        """
        known = dict(self.signals)
        if signals is not None and not isinstance(signals, Mapping):
            raise InputError.at("signals", got=signals, expected="a mapping from names to signals")
        given = dict(signals or {})
        for name in given:
            if name not in known:
                raise UnknownNameError.among("signal", name, known)
        missing = [name for name in known if name not in given]
        if missing:
            raise InputError(
                f"signals: the rule {self.name!r} needs {', '.join(missing)}; give "
                f"signals={{{missing[0]!r}: ...}}.",
                argument="signals",
                got=sorted(given),
                expected=", ".join(known),
            )
        return given
