"""Right-hand sides of synapses, and sums over the synapses of a unit, for a batch in torch.

A term that parts into a factor of the synapse, one of the postsynaptic and one of the presynaptic
unit is a matrix product over the batch where streams share their weights; memory O(N^2 + B N).
What does not part is computed synapse by synapse, B N^2 numbers at a time.
"""

from abc import ABC, abstractmethod
from typing import Any

import sympy
import torch
from torch import Tensor

from ratenet.equations.plasticity_parser import SIDES
from ratenet.equations.synapse_terms import Term, parted
from ratenet.equations.torch_expressions import TorchExpressions
from ratenet.simulation.plasticity.bound import Plasticity

Values = dict[str, Any]


def slope_of(rule: Plasticity, name: str, expression: sympy.Expr) -> "Slope":
    """Return the right-hand side of a synapse's variable as a function of units and synapses."""
    is_mean = rule.is_shared and name == rule.weight
    terms = rule.terms[name]
    return _BySynapse(rule, expression, is_mean) if terms is None else _Parted(rule, terms, is_mean)


class Slope(ABC):
    """A right-hand side: (values of units, values of synapses) -> (B, N, N), or their mean."""

    @abstractmethod
    def __call__(self, units: Values, synapses: dict[str, Tensor]) -> Tensor:
        """Return the slope, shape (B, N, N), or (N, N) of the weight that streams share."""


class _BySynapse(Slope):
    def __init__(self, rule: Plasticity, expression: sympy.Expr, is_mean: bool) -> None:
        self._expression, self._is_mean = TorchExpressions([expression]), is_mean
        self._shape = (rule.streams, rule.network.units, rule.network.units)

    def __call__(self, units: Values, synapses: dict[str, Tensor]) -> Tensor:
        like = next(iter(synapses.values()))
        values: Values = {}
        for name, value in units.items():
            has_units = isinstance(value, Tensor) and value.ndim > 0
            is_batch = isinstance(value, Tensor) and value.ndim == 2
            values[name] = value[:, :, None] if is_batch else value
            values[f"{name}_post"] = value[..., :, None] if has_units else value
            values[f"{name}_pre"] = value[..., None, :] if has_units else value
        found = self._expression(values | synapses)[0]
        if not isinstance(found, Tensor):
            found = like.new_full((), found)
        return found.expand(self._shape).mean(dim=0) if self._is_mean else found.expand(self._shape)


class _Parted(Slope):
    def __init__(self, rule: Plasticity, terms: list[Term], is_mean: bool) -> None:
        self._streams, self._units, self._is_mean = rule.streams, rule.network.units, is_mean
        self._factors = _Factors(terms)
        groups: dict[sympy.Expr, list[int]] = {}
        for index, term in enumerate(terms):
            groups.setdefault(term.synapse, []).append(index)
        self._groups = [(_Matrix(each), indices) for each, indices in groups.items()]

    def __call__(self, units: Values, synapses: dict[str, Tensor]) -> Tensor:
        like = next(iter(synapses.values()))
        factors = self._factors(units, like)
        N = self._units
        shape = (N, N) if self._is_mean else (self._streams, N, N)
        total: Tensor | None = None
        for matrix, indices in self._groups:
            of_synapse = matrix(synapses)
            per_stream = not self._is_mean or (of_synapse is not None and of_synapse.ndim == 3)
            products = [factors[index] for index in indices]
            outer = self._outer if per_stream else self._mean_outer
            part = outer(products[0])
            for product in products[1:]:
                part = part + outer(product)
            if of_synapse is not None:
                part = part * of_synapse
            if per_stream and self._is_mean:
                part = part.expand(self._streams, N, N).mean(dim=0)
            total = part if total is None else total + part
        return like.new_zeros(shape) if total is None else total.expand(shape)

    @staticmethod
    def _outer(factors: tuple[Tensor, Tensor]) -> Tensor:
        post, pre = factors
        return post[:, :, None] * pre[:, None, :]

    def _mean_outer(self, factors: tuple[Tensor, Tensor]) -> Tensor:
        return mean_outer(*factors, self._streams, self._units)


def mean_outer(post: Tensor, pre: Tensor, streams: int, units: int) -> Tensor:
    """Return the mean of post_b pre_b^T, shape (N, N), or with 1 in place of N."""
    if 1 in (post.shape[1], pre.shape[1]):  # one of them is the same for all units
        mean = (post * pre).mean(dim=0)
        return mean[:, None] if pre.shape[1] == 1 else mean[None]
    return post.expand(streams, units).T @ pre.expand(streams, units) / streams


class _Factors:
    """The factors of the units of some terms: (post, pre) as (B or 1, N or 1)."""

    def __init__(self, terms: list[Term]) -> None:
        factors = [factor for term in terms for factor in (term.post, term.pre)]
        self._expressions = TorchExpressions(factors)

    def __call__(self, units: Values, like: Tensor) -> list[tuple[Tensor, Tensor]]:
        sided = units | {n + side: value for n, value in units.items() for side in SIDES}
        found = [row(value, like) for value in self._expressions(sided)]
        return list(zip(found[::2], found[1::2], strict=True))


def row(value: Any, like: Tensor) -> Tensor:
    """Return a number, (N,) or (B, N) as a tensor (B or 1, N or 1)."""
    if not isinstance(value, Tensor):
        return like.new_full((1, 1), value)
    return value.reshape(1, -1) if value.ndim < 2 else value


class _Matrix:
    """The factor of the synapse of a term; None for 1."""

    def __init__(self, expression: sympy.Expr) -> None:
        self._expression = None if expression == 1 else TorchExpressions([expression])

    def __call__(self, synapses: dict[str, Tensor]) -> Tensor | None:
        return None if self._expression is None else self._expression(synapses)[0]


class Sum:
    """A sum over the synapses onto ("_post") or from ("_pre") each unit.

    (values of units, values of synapses) -> (B, N).
    """

    def __init__(self, rule: Plasticity, side: str, expression: sympy.Expr) -> None:
        self._rule, self._is_onto = rule, side == "_post"
        terms = parted(expression, rule.spec.synapse_variables)
        self._whole = _BySynapse(rule, expression, is_mean=False) if terms is None else None
        self._factors = _Factors(terms or [])
        self._matrices = [_Matrix(term.synapse) for term in terms or []]

    def __call__(self, units: Values, synapses: dict[str, Tensor]) -> Tensor:
        """Return the sum of each unit, shape (B, N)."""
        rule = self._rule
        like = synapses[rule.weight]
        B, N = rule.streams, rule.network.units
        if self._whole is not None:
            every = self._whole(units, synapses)
            if rule.mask is not None:
                every = every.masked_fill(~rule.mask, 0.0)
            return every.sum(dim=2 if self._is_onto else 1)
        total = like.new_zeros(B, N)
        for (post, pre), matrix in zip(self._factors(units, like), self._matrices, strict=True):
            of_synapse = matrix(synapses)
            here, there = (post, pre) if self._is_onto else (pre, post)
            total = total + here * self._product(of_synapse, there.expand(B, N))
        return total

    def _product(self, matrix: Tensor | None, values: Tensor) -> Tensor:
        """Return the sum of matrix_ij values_j, or of its transpose, shape (B, N) or (B, 1)."""
        mask = self._rule.mask
        if mask is not None:
            matrix = mask.to(values) if matrix is None else matrix.masked_fill(~mask, 0.0)
        if matrix is None:
            return values.sum(dim=1, keepdim=True)
        if matrix.ndim == 2:
            return values @ (matrix.T if self._is_onto else matrix)
        if self._is_onto:
            return torch.bmm(matrix, values[:, :, None])[:, :, 0]
        return torch.bmm(values[:, None], matrix)[:, 0]
