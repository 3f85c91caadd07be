"""ModelSpec: the dynamics of a rate network as data, checked and differentiated once.

A model has k state variables s a unit, a transmitted variable y = rho(s), a recurrent input
I_rec = W y and a drive I_ext:

    ds/dt = F(s, I_rec, I_ext)

The spec knows no backend. Brian2's parser and unit system check it, SymPy differentiates it;
`ratenet.translate` makes torch functions of it and `ratenet.backends.brian2_backend` hands it to
Brian2.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import sympy
from brian2.units.fundamentalunits import (
    DIMENSIONLESS,
    Dimension,
    Quantity,
    get_unit,
)

from ratenet import expressions
from ratenet.errors import ModelError, UnsupportedError
from ratenet.reading import TIME, ParameterText, Parts, read_model
from ratenet.symbolic import has_step, is_finite, left_derivative, symbol, to_sympy


@dataclass(frozen=True)
class ModelSpec:
    """A rate model: equations, roles, functions and default parameters.

    Parameters
    ----------
    name, title, source : str
        Short name, one line of description, and where the model comes from.
    equations : str
        Brian2 equations: one ``dx/dt = ... : unit`` for each state variable, subexpressions
        ``x = ... : unit``, and declarations ``x : unit`` of roles or parameters.
    output : str
        What the recurrent weights transmit: a state variable, or an expression of state
        variables and parameters.
    recurrent, drive : str
        The names that stand for W y and for the external input x.
    functions : tuple of (name, body)
        Functions of one argument ``u``; a body may use parameters and earlier functions.
    parameters : tuple of (name, value)
        Defaults: a number, a quantity such as ``"10*ms"``, or a tuple of them, one a unit.

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

    name: str
    title: str
    source: str
    equations: str
    output: str
    recurrent: str
    drive: str
    functions: tuple[tuple[str, str], ...] = ()
    parameters: tuple[tuple[str, ParameterText], ...] = ()
    _parts: Parts = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_parts", read_model(self))
        self._check_finite()

    def _check_finite(self) -> None:
        """Refuse constants such as u/0 here, where the equation is known, not at the first use."""
        checked = {"output": (self.output_expression, *self.output_derivatives)}
        for index, state in enumerate(self.states):
            slopes = (*self.state_derivatives[index], self.input_derivatives[index])
            checked[f"equations, d{state}/dt"] = (self.right_hand_sides[index], *slopes)
        for where, found in checked.items():
            if not all(is_finite(expression) for expression in found):
                raise ModelError(
                    f"{where}: a constant in it, or in its derivative, is no finite real number; "
                    "look for a division by 0, or a root or logarithm of a negative number."
                )

    def __str__(self) -> str:
        lines = [line.strip() for line in self.equations.strip().splitlines() if line.strip()]
        lines += [f"{name}(u) = {body}" for name, body in self.functions]
        lines += [f"{name} = {_show_parameter(value)}" for name, value in self.parameters]
        lines.append(f"output {self.output}, recurrent input {self.recurrent}, drive {self.drive}")
        return "\n".join([f"{self.name}: {self.title} ({self.source})", *lines])

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the k state variables, in the order of the equations."""
        return tuple(self._parts.right_hand_sides)

    @property
    def parameter_defaults(self) -> dict[str, Quantity]:
        """Default parameter values as Brian2 quantities, scalars or one value a unit."""
        return dict(self._parts.defaults)

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
        """Return the physical dimensions of a state variable, role or parameter."""
        return self._parts.dimensions[name]

    def brian2_expression(self, state: str) -> str:
        """Return dF/dt of a state variable, functions and subexpressions written out, as text."""
        return expressions.to_text(self._parts.right_hand_sides[state])

    @property
    def brian2_output(self) -> str:
        """The transmitted variable as text in Brian2's language."""
        return expressions.to_text(self._parts.output)

    @cached_property
    def right_hand_sides(self) -> tuple[sympy.Expr, ...]:
        """F, one SymPy expression for each state variable."""
        return tuple(to_sympy(node) for node in self._parts.right_hand_sides.values())

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

    def to_table(self) -> dict[str, Any]:
        """Return the model in the layout of a model file, for a run's record."""
        texts = ("name", "title", "source", "equations", "output", "recurrent", "drive")
        table: dict[str, Any] = {key: getattr(self, key) for key in texts}
        table["functions"] = dict(self.functions)
        table["parameters"] = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in self.parameters
        }
        return table


def unit_text(dimensions: Dimension) -> str:
    """Return the base unit of dimensions as Brian2's equations write it: "1", "second", ..."""
    return "1" if dimensions is DIMENSIONLESS else repr(get_unit(dimensions))


def _show_parameter(value: ParameterText) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
