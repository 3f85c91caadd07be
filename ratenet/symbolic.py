"""From a checked syntax tree to SymPy, in a form whose derivatives exist.

Brian2's own renderer does the translation; what SymPy cannot differentiate as Brian2 writes it
(clip, int, abs, sign) becomes a Piecewise. At a kink the derivative from the left is taken:
relu has 0 at 0.
"""

import ast
import math

import sympy
from brian2.parsing.rendering import SympyNodeRenderer

from ratenet.expressions import infinite_bound


def to_sympy(node: ast.expr) -> sympy.Expr:
    """Return the SymPy expression of a syntax tree from `ratenet.expressions`."""
    return sympy.sympify(_Renderer().render_node(node))


def symbol(name: str) -> sympy.Symbol:
    """Return the (real) symbol that stands for a name in `to_sympy`'s expressions."""
    return sympy.Symbol(name, real=True)


def left_derivative(expression: sympy.Expr, name: str) -> sympy.Expr:
    """Return d expression / d name, at a kink from the left.

    A condition that is true only from the kink on (``u >= 0``) is still false to the left of it,
    so weak and strict inequalities change sides before the derivative is taken.
    """
    variable = symbol(name)

    def from_the_left(relation: sympy.Rel) -> sympy.Rel:
        below = relation.rhs.has(variable) and not relation.lhs.has(variable)
        relation = relation.reversed if below else relation
        if isinstance(relation, sympy.GreaterThan):
            return sympy.StrictGreaterThan(relation.lhs, relation.rhs)
        if isinstance(relation, sympy.StrictLessThan):
            return sympy.LessThan(relation.lhs, relation.rhs)
        return relation

    relations = {relation: from_the_left(relation) for relation in expression.atoms(sympy.Rel)}
    return sympy.diff(expression.xreplace(relations), variable)


class _Renderer(SympyNodeRenderer):  # type: ignore[misc]  # brian2 is untyped
    def render_Call(self, node: ast.Call) -> sympy.Expr:
        name = node.func.id  # type: ignore[attr-defined]
        if name == "clip":
            return self._clip(*node.args)
        argument = self.render_node(node.args[0])
        match name:
            case "abs":
                return sympy.Piecewise((-argument, argument <= 0), (argument, True))
            case "sign":
                return sympy.Piecewise((-1, argument < 0), (1, argument > 0), (0, True))
            case "int" if isinstance(argument, sympy.logic.boolalg.Boolean):
                return sympy.Piecewise((1, argument), (0, True))
            case "int":
                # Towards zero, as in C; int(x) of a number is not continuous, its slope is 0.
                floor = sympy.floor(argument)
                return sympy.Piecewise((-sympy.floor(-argument), argument < 0), (floor, True))
        return super().render_Call(node)

    def _clip(self, value: ast.expr, low: ast.expr, high: ast.expr) -> sympy.Expr:
        # NaN fails every comparison, so the last branch must be the value: NaN stays NaN.
        clipped = self.render_node(value)
        branches = []
        if infinite_bound(low) != -math.inf:
            bound = self.render_node(low)
            branches.append((bound, clipped <= bound))
        if infinite_bound(high) != math.inf:
            bound = self.render_node(high)
            branches.append((bound, clipped > bound))
        return sympy.Piecewise(*branches, (clipped, True))
