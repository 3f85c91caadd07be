"""A model's equations and functions as LaTeX, to paste into a paper."""

import ast

import sympy

from ratenet.equations import ModelSpec
from ratenet.equations.parameters import show
from ratenet.equations.statements import Statement
from ratenet.equations.units import DIMENSIONLESS, Dimension, get_unit


def model_latex(model: ModelSpec) -> str:
    r"""Return equations, functions and parameters as an ``align*`` environment.

    Parameters
    ----------
    model : ModelSpec
        Its strings have passed the whitelist, so nothing in them is executed here.

    Returns
    -------
    str
        LaTeX, for a document that uses amsmath.

    Examples
    --------
    >>> from ratenet import load_model
    >>> print(model_latex(load_model("linear")))
    \begin{align*}
    \frac{\mathrm{d}r}{\mathrm{d}t} &= \frac{I_{ext} + I_{rec} - r}{\tau} && (1) \\
    y &= r && (1) \\
    I_{rec} &= W y, \quad I_{ext} = x \\
    \tau &= \text{10*ms}
    \end{align*}
    """
    parameters = [
        rf"{_expression(name)} &= \text{{{_escape(show(value))}}}"
        for name, value in model.parameters
    ]
    lines = [*_lines(model), *parameters]
    return "\n".join([r"\begin{align*}", " \\\\\n".join(lines), r"\end{align*}"])


def equations_latex(model: ModelSpec) -> str:
    """Return equations and functions alone, as an ``aligned`` block within a formula.

    Returns
    -------
    str
        LaTeX, without the dollars of a formula.
    """
    return "\n".join([r"\begin{aligned}", " \\\\\n".join(_lines(model)), r"\end{aligned}"])


def _lines(model: ModelSpec) -> list[str]:
    lines = [
        f"{_left(statement)} &= {_expression(ast.unparse(statement.expression))} "
        f"&& ({_unit(statement.dimensions)})"
        for statement in model.statements
        if statement.expression is not None
    ]
    lines += [
        f"y &= {_expression(model.output)} && ({_unit(model.output_dimensions)})",
        rf"{_expression(model.recurrent)} &= W y, \quad {_expression(model.drive)} = x",
    ]
    lines += [f"{_expression(name)}(u) &= {_expression(body)}" for name, body in model.functions]
    return lines


def _left(statement: Statement) -> str:
    symbol = _expression(statement.name)
    if statement.is_differential:
        return rf"\frac{{\mathrm{{d}}{symbol}}}{{\mathrm{{d}}t}}"
    return symbol


def _expression(text: str) -> str:
    from brian2.parsing.sympytools import str_to_sympy

    return str(sympy.latex(str_to_sympy(text)))


def _unit(dimensions: Dimension) -> str:
    if dimensions is DIMENSIONLESS:
        return "1"
    return rf"\mathrm{{{get_unit(dimensions)}}}"


def _escape(text: str) -> str:
    return text.replace("_", r"\_").replace("%", r"\%")
