"""A model's equations and functions as LaTeX, to paste into a paper."""

import ast

import sympy

from ratenet.equations import JointSpec, ModelSpec, PlasticitySpec
from ratenet.equations.shown import show
from ratenet.equations.statements import Statement
from ratenet.equations.units import DIMENSIONLESS, Dimension, get_unit


def model_latex(model: ModelSpec | JointSpec) -> str:
    r"""Return equations, functions and parameters as an ``align*`` environment.

    Parameters
    ----------
    model : ModelSpec or JointSpec
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
    return _align([*_lines(model), *_parameters(model)])


def plasticity_latex(rule: PlasticitySpec) -> str:
    r"""Return equations, functions and parameters of a plasticity rule, likewise.

    Examples
    --------
    >>> from ratenet import load_plasticity
    >>> print(plasticity_latex(load_plasticity("hebb")))
    \begin{align*}
    \frac{\mathrm{d}w}{\mathrm{d}t} &= \eta y_{post} y_{pre} && (1) \\
    \eta &= \text{0.1*Hz}
    \end{align*}
    """
    lines = [*_lines(rule), *_parameters(rule)]
    lines += [
        rf"{_expression(name)} &: \text{{signal}} && ({_unit(rule.dimensions(name))})"
        for name, _ in rule.signals
    ]
    return _align(lines)


def _align(lines: list[str]) -> str:
    return "\n".join([r"\begin{align*}", " \\\\\n".join(lines), r"\end{align*}"])


def _parameters(spec: ModelSpec | JointSpec | PlasticitySpec) -> list[str]:
    return [
        rf"{_expression(name)} &= \text{{{_escape(show(value))}}}"
        for name, value in spec.parameters
    ]


def equations_latex(spec: ModelSpec | JointSpec | PlasticitySpec) -> str:
    """Return equations and functions alone, as an ``aligned`` block within a formula.

    Returns
    -------
    str
        LaTeX, without the dollars of a formula.
    """
    return "\n".join([r"\begin{aligned}", " \\\\\n".join(_lines(spec)), r"\end{aligned}"])


def _lines(model: ModelSpec | JointSpec | PlasticitySpec) -> list[str]:
    if isinstance(model, PlasticitySpec):
        return [*_statements(model.statements), *_functions(model)]
    if isinstance(model, JointSpec):
        models = dict.fromkeys(each for _, each in model.models)
        return [line for each in models for line in _lines(each)]
    return [
        *_statements(model.statements),
        f"y &= {_expression(model.output)} && ({_unit(model.output_dimensions)})",
        rf"{_expression(model.recurrent)} &= W y, \quad {_expression(model.drive)} = x",
        *_functions(model),
    ]


def _statements(statements: tuple[Statement, ...]) -> list[str]:
    return [
        f"{_left(statement)} &= {_right(statement)} && ({_unit(statement.dimensions)})"
        for statement in statements
        if statement.expression is not None
    ]


def _right(statement: Statement) -> str:
    right = _expression(ast.unparse(statement.expression))  # type: ignore[arg-type]
    if not statement.is_sum:
        return right
    side = "pre" if statement.name.endswith("_post") else "post"
    return rf"\sum_{{\mathrm{{{side}}}}} {right}"


def _functions(spec: ModelSpec | PlasticitySpec) -> list[str]:
    return [f"{_expression(name)}(u) &= {_expression(body)}" for name, body in spec.functions]


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
