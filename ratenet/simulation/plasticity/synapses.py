"""Right-hand sides of synapses, and sums over the synapses of a unit, for a batch in torch.

A term that parts into a factor of the synapse, one of the postsynaptic and one of the presynaptic
unit is a matrix product over the batch where streams share their weights; memory O(N^2 + B N).
What does not part is computed synapse by synapse, B N^2 numbers at a time; so are weights that are
stored synapse by synapse, B S numbers at a time.
"""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import sympy
import torch
from torch import Tensor

from ratenet.equations.parser import TIME
from ratenet.equations.plasticity_parser import OUTPUT, SIDES, without_side
from ratenet.equations.symbolic import symbol
from ratenet.equations.synapse_terms import Term
from ratenet.equations.torch_expressions import TorchExpressions
from ratenet.simulation.plasticity.bound import Plasticity

Values = dict[str, Any]


def slope_of(rule: Plasticity, name: str, expression: sympy.Expr) -> "Slope":
    """Return the right-hand side of a synapse's variable as a function of units and synapses."""
    terms = rule.terms[name]
    return _BySynapse(rule, expression) if terms is None else _Parted(rule, name, terms)


class Slope(ABC):
    """A right-hand side, of the variables of each stream or as the mean over the streams."""

    @abstractmethod
    def add_to_(
        self, target: Tensor, units: Values, synapses: dict[str, Tensor], dt: float
    ) -> None:
        """Add dt times the slope in place, to (B, N, N), or the mean of it to (N, N).

        The target may be among the values of the synapses.
        """

    @abstractmethod
    def rows(
        self, like: Tensor, units: Values, synapses: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return rows with sum_b left_b right_b^T the mean slope; `like` are weights (N, N)."""


def _whole_rows(
    slope: Slope, like: Tensor, units: Values, synapses: dict[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """Return the columns of the mean slope, and those of the identity."""
    whole = torch.zeros_like(like)
    slope.add_to_(whole, units, synapses, 1.0)
    return whole.T, torch.eye(len(like), dtype=like.dtype, device=like.device)


class _BySynapse(Slope):
    def __init__(self, rule: Plasticity, expression: sympy.Expr) -> None:
        self._expression = TorchExpressions([expression])
        self._layout = rule.layout
        self._shape = (rule.streams, *rule.layout.shape)

    def add_to_(
        self, target: Tensor, units: Values, synapses: dict[str, Tensor], dt: float
    ) -> None:
        slope = self.values(units, synapses)
        is_shared = target.ndim < len(self._shape)
        target.add_(slope.mean(dim=0) if is_shared else slope, alpha=dt)

    def rows(
        self, like: Tensor, units: Values, synapses: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        return _whole_rows(self, like, units, synapses)

    def values(self, units: Values, synapses: dict[str, Tensor]) -> Tensor:
        """Return the values of all synapses, shape (B, N, N), or (B, S) where they are listed."""
        like, layout = next(iter(synapses.values())), self._layout
        values: Values = {}
        for name, value in units.items():
            has_units = isinstance(value, Tensor) and value.ndim > 0
            is_batch = isinstance(value, Tensor) and value.ndim == 2
            values[name] = layout.of_both(value) if is_batch else value
            values[f"{name}_post"] = layout.of_post(value) if has_units else value
            values[f"{name}_pre"] = layout.of_pre(value) if has_units else value
        found = self._expression(values | synapses)[0]
        if not isinstance(found, Tensor):
            found = like.new_full((), found)
        return found.expand(self._shape)


class _Parted(Slope):
    def __init__(self, rule: Plasticity, name: str, terms: list[Term]) -> None:
        self._factors = _Factors(rule, terms)
        self._outer = [index for index, term in enumerate(terms) if term.synapse == 1]
        groups: dict[sympy.Expr, list[int]] = {}
        for index, term in enumerate(terms):
            if term.synapse != 1:
                groups.setdefault(term.synapse, []).append(index)
        # The variable itself comes first: what is added to it in place is read before it changes.
        order = sorted(groups, key=lambda synapse: synapse != symbol(name))
        self._scaled = [groups[synapse] for synapse in order]
        self._matrices = TorchExpressions(order)

    def add_to_(
        self, target: Tensor, units: Values, synapses: dict[str, Tensor], dt: float
    ) -> None:
        factors = self._factors(units, target)
        matrices = self._matrices(synapses | _numbers(units)) if self._scaled else []
        for matrix, indices in zip(matrices, self._scaled, strict=True):
            _add_scaled_(target, matrix, [factors[index] for index in indices], dt)
        for index in self._outer:
            _add_outer_(target, factors[index], dt)

    def rows(
        self, like: Tensor, units: Values, synapses: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        if self._scaled or not self._outer:
            return _whole_rows(self, like, units, synapses)
        pairs = [product.rows(len(like)) for product in self._factors(units, like)]
        left, right = zip(*pairs, strict=True)
        return torch.cat(left), torch.cat(right)


class _Factors:
    """The factors of the units of some terms, as `_Product` s."""

    def __init__(self, rule: Plasticity, terms: list[Term]) -> None:
        shared = {n for n, value in rule.parameters.items() if value.ndim == 0} | {TIME}
        names = {symbol(n + side) for n in shared for side in ("", *SIDES)}
        split = [(_split(term.post, names), _split(term.pre, names)) for term in terms]
        factors = [f for (a, post), (b, pre) in split for f in (a * b, post, pre)]
        self._expressions = TorchExpressions(factors)
        used = {str(name) for factor in factors for name in factor.free_symbols}
        of_units = set(rule.names_of_units)
        # y_post and y_pre are both y, of two units.
        self._sources = {n: b if (b := without_side(n)) in of_units else n for n in used}
        self._one: Tensor | None = None

    def __call__(self, units: Values, like: Tensor) -> list["_Product"]:
        values = {name: units[source] for name, source in self._sources.items()}
        found = self._expressions({OUTPUT: like, **values})
        return [
            _Product(float(scale), self._row(post, like), self._row(pre, like))
            for scale, post, pre in zip(found[::3], found[1::3], found[2::3], strict=True)
        ]

    def _row(self, value: Any, like: Tensor) -> Tensor:
        if isinstance(value, Tensor) or value != 1:
            return row(value, like)
        if self._one is None:
            self._one = like.new_ones(1, 1)
        return self._one


def _split(factor: sympy.Expr, shared: set[sympy.Symbol]) -> tuple[sympy.Expr, sympy.Expr]:
    """Return what all units share in a product, and the rest."""
    return sympy.factor_terms(factor).as_independent(*(factor.free_symbols - shared), as_Add=False)


class _Product(NamedTuple):
    """A number times a factor of the postsynaptic and one of the presynaptic unit.

    The factors are (B or 1, N or 1): 1 where streams, or units, have the same.
    """

    scale: float
    post: Tensor
    pre: Tensor

    def each(self) -> Tensor:
        """Return post_b pre_b^T for each stream, shape (B, N, N) or with 1 in places."""
        return self.post[:, :, None] * self.pre[:, None, :]

    def rows(self, units: int) -> tuple[Tensor, Tensor]:
        """Return rows (B or 1, N) with sum_b left_b right_b^T the mean, scale included."""
        streams = max(len(self.post), len(self.pre))
        left, right = (each.expand(streams, units) for each in (self.post, self.pre))
        return self.scale / streams * left, right

    def mean(self) -> Tensor:
        """Return the mean of post_b pre_b^T, shape (N, N) or with 1 in places."""
        return mean_outer(self.post, self.pre, len(self.post), self.post.shape[1])


def _add_outer_(target: Tensor, product: _Product, dt: float) -> None:
    """Add dt times a product to (B, N, N), or its mean to (N, N)."""
    scale, post, pre = product
    if target.ndim == 3:
        target.addcmul_(post[:, :, None], pre[:, None, :], value=scale * dt)
    elif 1 in (*post.shape, *pre.shape):
        target.add_(product.mean(), alpha=scale * dt)
    else:
        target.addmm_(post.T, pre, alpha=scale * dt / len(post))


def _add_scaled_(target: Tensor, matrix: Tensor, products: list[_Product], dt: float) -> None:
    """Add dt times a factor of the synapse times a sum of products, or its mean."""
    is_each = max(matrix.ndim, target.ndim) == 3
    scale, total = products[0].scale, products[0].each() if is_each else products[0].mean()
    for other in products[1:]:
        part = other.each() if is_each else other.mean()
        total, scale = scale * total + other.scale * part, 1.0
    if matrix.ndim > target.ndim:
        target.add_((matrix * total).mean(dim=0), alpha=scale * dt)
    else:
        target.addcmul_(matrix, total, value=scale * dt)


def mean_outer(post: Tensor, pre: Tensor, streams: int, units: int) -> Tensor:
    """Return the mean of post_b pre_b^T, shape (N, N), or with 1 in place of N."""
    if 1 in (len(post), len(pre)):  # one of them is the same for all streams
        return _mean(post).T * _mean(pre)
    if 1 in (post.shape[1], pre.shape[1]):  # one of them is the same for all units
        mean = (post * pre).mean(dim=0)
        return mean[:, None] if pre.shape[1] == 1 else mean[None]
    return post.expand(streams, units).T @ pre.expand(streams, units) / streams


def _mean(rows: Tensor) -> Tensor:
    """Return the mean row."""
    return rows if len(rows) == 1 else rows.mean(dim=0, keepdim=True)


def row(value: Any, like: Tensor) -> Tensor:
    """Return a number, (N,) or (B, N) as a tensor (B or 1, N or 1)."""
    if not isinstance(value, Tensor):
        return like.new_full((1, 1), value)
    return value.reshape(1, -1) if value.ndim < 2 else value


def _numbers(units: Values) -> Values:
    """Return what all units and streams share, which a synapse's factor may name."""
    return {name: value for name, value in units.items() if not isinstance(value, Tensor)}


class Sum:
    """A sum over the synapses onto ("_post") or from ("_pre") each unit.

    (values of units, values of synapses) -> (B, N), or (B, 1) where all units have the same.
    """

    def __init__(self, rule: Plasticity, side: str, expression: sympy.Expr) -> None:
        self._rule, self._is_onto = rule, side == "_post"
        terms = rule.parted(expression)
        self._whole = _BySynapse(rule, expression) if terms is None else None
        self._terms = terms or []
        self._factors = _Factors(rule, self._terms)
        self._matrices = TorchExpressions([term.synapse for term in self._terms])

    def __call__(self, units: Values, synapses: dict[str, Tensor]) -> Tensor:
        """Return the sum of each unit."""
        rule = self._rule
        if self._whole is not None:
            every = rule.constraint.present(self._whole.values(units, synapses))
            return rule.layout.total(every, is_onto=self._is_onto)
        like = synapses[rule.weight]
        matrices = self._matrices(synapses | _numbers(units))
        total: Tensor | None = None
        factors = self._factors(units, like)
        for term, (scale, post, pre), matrix in zip(self._terms, factors, matrices, strict=True):
            here, there = (post, pre) if self._is_onto else (pre, post)
            part = self._over_synapses(term, matrix, there)
            part = part if here.numel() == 1 else here * part
            scale = scale * float(here) if here.numel() == 1 else scale
            part = part if scale == 1 else scale * part
            total = part if total is None else total + part
        return like.new_zeros(rule.streams, 1) if total is None else total

    def _over_synapses(self, term: Term, matrix: Any, values: Tensor) -> Tensor:
        """Return the sum of matrix_ij values_j, or of its transpose, shape (B, N) or (B, 1)."""
        rule = self._rule
        if term.synapse == 1:
            mask = rule.constraint.mask
            if mask is None:
                total = values.sum(dim=1, keepdim=True)
                return total * rule.network.units if values.shape[1] == 1 else total
            matrix = mask.to(values)
        elif not term.synapse.is_Symbol:  # a variable is 0 where there is no synapse
            matrix = rule.constraint.present(matrix)
        values = values.expand(rule.streams, rule.network.units)
        if matrix.ndim == 2:
            return values @ (matrix.T if self._is_onto else matrix)
        if self._is_onto:
            return torch.bmm(matrix, values[:, :, None])[:, :, 0]
        return torch.bmm(values[:, None], matrix)[:, 0]
