"""ModelSpec: the dynamics of a rate network as data, checked and differentiated once.

A model has k state variables s a unit, a transmitted variable y = rho(s), a recurrent input
I_rec = W y and a drive I_ext:

    ds/dt = F(s, I_rec, I_ext)

The spec knows no backend. Brian2's unit system checks it, SymPy differentiates it;
`ratenet.equations.torch_model` makes torch functions of it, and
`ratenet.simulation.backends.brian2_backend` hands it to Brian2.
"""

import ast
import dataclasses
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import sympy

from ratenet.equations import expressions
from ratenet.equations.parameters import ParameterText
from ratenet.equations.parser import TIME, Parts, read_model
from ratenet.equations.populations import Sizes
from ratenet.equations.shown import roles_of_model, show
from ratenet.equations.statements import Statement
from ratenet.equations.substitution import without
from ratenet.equations.symbolic import has_step, is_finite, left_derivative, symbol, to_sympy
from ratenet.equations.table import ModelTable
from ratenet.equations.table_spec import TableSpec
from ratenet.equations.units import Dimension, second, unit_text
from ratenet.errors import ModelError, UnsupportedError
from ratenet.notebook import formula, table

TABLES = ("functions", "parameters", "populations")


@dataclass(frozen=True, kw_only=True)
class ModelSpec(TableSpec):
    """A rate model: equations, roles, functions and default parameters.

    Parameters
    ----------
    name, title, source : str
        Short name, one line of description (by default the name), and where the model was
        published.
    equations : str or brian2.Equations
        Brian2 equations: one ``dx/dt = ... : unit`` for each state variable, subexpressions
        ``x = ... : unit``, and declarations ``x : unit`` of roles or parameters. ``xi``, ``xi_1``
        ... are white noises, which must enter linearly.
    output : str
        What the recurrent weights transmit: a state variable, or an expression of state
        variables and parameters.
    recurrent, drive : str
        The names that stand for W y and for the external input x.
    functions : mapping, or tuple of (name, body)
        Functions of one argument ``u``; a body may use parameters and earlier functions.
    parameters : mapping, or tuple of (name, value)
        Defaults: a number, a quantity (``"10*ms"`` or ``10*ms``), a list of them (one per unit), a
        distribution such as ``"normal(10*ms, 2*ms)"``, or a mapping from populations to these.
    populations : mapping, or tuple of (name, size)
        Groups of units that follow one another: sizes, or fractions that sum to 1.

    Raises
    ------
    ModelError
        If anything in it does not fit; the message names the key or the equation.

    Examples
    --------
    >>> from ratenet import load_model
    >>> load_model("rate").states
    ('r',)
    """

    name: str = "model"
    title: str = ""
    source: str = ""
    equations: str
    output: str
    recurrent: str
    drive: str
    functions: tuple[tuple[str, str], ...] = ()
    parameters: tuple[tuple[str, ParameterText], ...] = ()
    populations: Sizes = ()
    _parts: Parts = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._take(ModelTable, TABLES)
        object.__setattr__(self, "_parts", read_model(self))
        self._check_finite()
        self._check_noise_linear()

    def _check_noise_linear(self) -> None:
        for index, state in enumerate(self.states):
            strengths = self.noise_strengths[index]
            noises = [symbol(noise) for noise in self.noises]
            steps = any(has_step(self._with_noise[index], noise) for noise in self.noises)
            if steps or any(strength.has(*noises) for strength in strengths if noises):
                raise ModelError(
                    f"equations, d{state}/dt: the noise does not enter linearly; write "
                    "... + strength*xi with a strength that is free of xi."
                )

    def _check_finite(self) -> None:
        """Refuse constants such as u/0 here, where the equation is known, not at the first use."""
        checked = {"output": (self.output_expression, *self.output_derivatives)}
        for index, state in enumerate(self.states):
            slopes = (*self.state_derivatives[index], self.input_derivatives[index])
            slopes = (*slopes, *self.noise_strengths[index])
            checked[f"equations, d{state}/dt"] = (self.right_hand_sides[index], *slopes)
        for where, found in checked.items():
            if not all(is_finite(expression) for expression in found):
                raise ModelError(
                    f"{where}: expected finite real constants in it and in its derivative; "
                    "look for a division by 0, or a root or logarithm of a negative number."
                )

    def __str__(self) -> str:
        roles = roles_of_model(self.populations, self.output, self.recurrent, self.drive)
        return "\n".join([self.heading, *self.lines, *roles])

    def _repr_html_(self) -> str:
        from ratenet.equations.latex import equations_latex  # it needs this class

        rows = {"equations": formula(equations_latex(self)), "source": self.source or "none given"}
        rows |= {name: show(value) for name, value in self.parameters}
        return table(self.title, rows)

    def _repr_latex_(self) -> str:
        from ratenet.equations.latex import equations_latex  # it needs this class

        return f"$${equations_latex(self)}$$"

    def plot(self, ax: Any = None) -> Any:
        """Draw the rate at rest of units without synapses against their drive.

        The drive reaches to twice a parameter of its unit, or to twice a typical one; where a unit
        does not settle, the line is interrupted.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; default new axes, which a notebook shows.

        Returns
        -------
        matplotlib.axes.Axes

        Examples
        --------
        >>> import ratenet as rn
        >>> rn.load_model("rate").plot().get_ylabel()
        'rate $y$ at rest (dimensionless)'
        """
        from ratenet.report.pictures import plot_model

        return plot_model(self, ax)

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the k state variables, in the order of the equations."""
        return tuple(self._parts.right_hand_sides)

    @property
    def statements(self) -> tuple[Statement, ...]:
        """The equations one by one, as they are written, before anything is substituted."""
        return self._parts.statements

    @property
    def noises(self) -> tuple[str, ...]:
        """Names of the white noises xi, xi_1, ... in the equations, sorted."""
        return self._parts.noises

    @property
    def weight_dimensions(self) -> Dimension:
        """Physical dimensions of W: those of the recurrent input over those of the output."""
        return self.dimensions(self.recurrent) / self._parts.output_dimensions

    @property
    def output_dimensions(self) -> Dimension:
        """Physical dimensions of the transmitted variable y."""
        return self._parts.output_dimensions

    @property
    def uses_time(self) -> bool:
        """Whether the equations name t explicitly; such a model has no fixed points."""
        nodes = self._parts.right_hand_sides.values()
        return any(TIME in expressions.names_in(node) for node in nodes)

    def dimensions(self, name: str) -> Dimension:
        """Return the physical dimensions of a state variable, role or parameter.

        Parameters
        ----------
        name : str
            As in the equations.
        """
        return self._parts.dimensions[name]

    def brian2_expression(self, state: str) -> str:
        """Return dF/dt of a state variable, functions and subexpressions written out, as text.

        Parameters
        ----------
        state : str
            A state variable.
        """
        return expressions.to_text(self._parts.right_hand_sides[state])

    @property
    def brian2_output(self) -> str:
        """The transmitted variable as text in Brian2's language."""
        return expressions.to_text(self._parts.output)

    @cached_property
    def _with_noise(self) -> tuple[sympy.Expr, ...]:
        return tuple(to_sympy(node) for node in self._parts.right_hand_sides.values())

    @cached_property
    def right_hand_sides(self) -> tuple[sympy.Expr, ...]:
        """F, one SymPy expression for each state variable; noise left out."""
        silent = dict.fromkeys(map(symbol, self.noises), sympy.S.Zero)
        return tuple(expression.xreplace(silent) for expression in self._with_noise)

    @cached_property
    def noise_strengths(self) -> tuple[tuple[sympy.Expr, ...], ...]:
        """dF_i / d xi_j: what each white noise is multiplied by, k x J."""
        return tuple(
            tuple(left_derivative(expression, noise) for noise in self.noises)
            for expression in self._with_noise
        )

    @cached_property
    def output_expression(self) -> sympy.Expr:
        """The transmitted variable y = rho(s) as a SymPy expression."""
        return to_sympy(self._parts.output)

    @cached_property
    def state_derivatives(self) -> tuple[tuple[sympy.Expr, ...], ...]:
        """F_s, k x k: row i, column j holds dF_i / ds_j."""
        return tuple(
            tuple(left_derivative(rhs, state) for state in self.states)
            for rhs in self.right_hand_sides
        )

    @cached_property
    def input_derivatives(self) -> tuple[sympy.Expr, ...]:
        """F_I: dF_i / dI_rec, one expression for each state variable."""
        return tuple(left_derivative(rhs, self.recurrent) for rhs in self.right_hand_sides)

    @cached_property
    def output_derivatives(self) -> tuple[sympy.Expr, ...]:
        """rho_s: dy / ds_j, one expression for each state variable."""
        return tuple(left_derivative(self.output_expression, state) for state in self.states)

    @cached_property
    def own_rates(self) -> tuple[sympy.Expr, ...]:
        """M of F_k = M s_k + B, one expression for each state variable, in 1/s.

        Raises
        ------
        UnsupportedError
            If an equation is not linear in its own variable, as `exponential_euler` needs it.
        """
        return tuple(self._own_rate(index) for index in range(len(self.states)))

    def _own_rate(self, index: int) -> sympy.Expr:
        own, rhs = symbol(self.states[index]), self.right_hand_sides[index]
        rate = self.state_derivatives[index][index]
        if rate.has(own) or has_step(rhs, str(own)):
            raise UnsupportedError(
                f"Model {self.name!r}: exponential_euler needs d{own}/dt to be linear in {own} "
                f"(M*{own} + B with M and B free of {own}), and it is not; use method='euler'."
            )
        return rate

    def without_noise(self) -> "ModelSpec":
        """Return the model with every white noise set to zero: its deterministic skeleton.

        Subexpressions and functions are written out; names and values of parameters stay.
        """
        lines = [f"d{state}/dt = {self._silent(state)}" for state in self.states]
        names = (*self.states, self.recurrent, self.drive)
        units = [unit_text(self.dimensions(name)) for name in names]
        lines = [
            f"{line} : {unit}" for line, unit in zip([*lines, *names[-2:]], units, strict=True)
        ]
        return dataclasses.replace(
            self,
            name=f"{self.name} without noise",
            equations="\n".join(lines),
            output=self.brian2_output,
            functions=(),
        )

    def _silent(self, state: str) -> str:
        """Return F of a state variable without noise, as text; a zero of the right unit."""
        node = without(self._parts.right_hand_sides[state], self.noises)
        if not isinstance(node, ast.Constant):
            return expressions.to_text(node)
        times = [n for n, p in self.defaults.items() if p.dimensions == second.dim]
        return f"0*{state}/{times[0]}" if times else "0"
