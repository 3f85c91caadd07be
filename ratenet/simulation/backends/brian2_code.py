"""Expressions and numbers as Brian2 takes them."""

import ast
from collections.abc import Mapping

import numpy as np
from torch import Tensor


def numbers(values: Tensor) -> np.ndarray:
    """Return what Brian2 computes with: float64 on the CPU."""
    return values.detach().double().cpu().numpy()


def renamed(expression: str, names: Mapping[str, str]) -> str:
    """Return an expression with Brian2's names, or expressions, in place of the model's names."""
    return ast.unparse(_Renamed(names).visit(ast.parse(expression, mode="eval")))


class _Renamed(ast.NodeTransformer):
    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names

    def visit_Call(self, node: ast.Call) -> ast.expr:
        return ast.Call(node.func, [self.visit(argument) for argument in node.args], [])

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.parse(self.names.get(node.id, node.id), mode="eval").body
