"""Connectivities made of others: their sum, one after another, and blocks between populations.

Parameters are named "<part>.<name>", as in "random.W" or "upper_from_lower.kernel".
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ratenet.connectivity.base import AbstractConnectivity, Change, as_change
from ratenet.connectivity.checks import check_alike
from ratenet.errors import InputError, UnknownNameError
from ratenet.validation import check_whole

Parts = Mapping[str, AbstractConnectivity]


class _OfParts(AbstractConnectivity):
    """What connectivities made of others have in common: each part is asked by its name."""

    parts: Parts

    @property
    def cost(self) -> int:
        """Multiplications of a product."""
        return sum(part.cost for part in self.parts.values())

    @property
    def parameters(self) -> dict[str, Tensor]:
        """The parameters of all parts."""
        return _joined({name: part.parameters for name, part in self.parts.items()})

    @property
    def constants(self) -> dict[str, Tensor]:
        """The constants of all parts."""
        return _joined({name: part.constants for name, part in self.parts.items()})

    def add_(self, delta: Change) -> None:
        """Let each part make its change, in place."""
        named = self.named(delta)
        for name, part in self.parts.items():
            part.add_({key: named[f"{name}.{key}"] for key in part.parameters})
        self.touch_()

    def constrain_(self) -> None:
        """Let each part keep its own constraint."""
        for part in self.parts.values():
            part.constrain_()


@dataclass(frozen=True, eq=False, repr=False)
class Sum(_OfParts):
    """W as the sum of connectivities over the same units.

    Parameters
    ----------
    parts : mapping of str to AbstractConnectivity
        By names of your choice.

    Raises
    ------
    InputError
        If there is no part, or parts differ in shape, dtype or device.

    Examples
    --------
    >>> from ratenet.connectivity import Dense, LowRank
    >>> m = torch.ones(2, 1)
    >>> both = Sum({"random": Dense(torch.eye(2)), "structure": LowRank(m, m)})
    >>> both.dense()
    tensor([[1.5000, 0.5000],
            [0.5000, 1.5000]])
    >>> list(both.parameters)
    ['random.W', 'structure.m', 'structure.n']
    """

    parts: Parts

    def __post_init__(self) -> None:
        check_alike(self.parts, "parts")
        shapes = {name: part.shape for name, part in self.parts.items()}
        if len(set(shapes.values())) > 1:
            shown = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            raise InputError(
                f"parts: all must have the same shape (post, pre); got {shown}.", argument="parts"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of post- and presynaptic units."""
        return next(iter(self.parts.values())).shape

    def with_parameters(self, parameters: Mapping[str, Tensor]) -> "Sum":
        """Return the same with other parameters."""
        return Sum(_with_parameters(self.parts, parameters))

    def apply(self, rates: Tensor) -> Tensor:
        """Return W y for each row of `rates` (B, N)."""
        return _total([part.apply(rates) for part in self.parts.values()])

    def apply_transpose(self, values: Tensor) -> Tensor:
        """Return W^T v for each row of `values` (B, N)."""
        return _total([part.apply_transpose(values) for part in self.parts.values()])

    def accumulate(self, left: Tensor, right: Tensor) -> Change:
        """Return the gradients of all parts' parameters."""
        changes = {
            name: part.named(part.accumulate(left, right)) for name, part in self.parts.items()
        }
        return as_change(_joined(changes))


@dataclass(frozen=True, eq=False, repr=False)
class Chain(_OfParts):
    """W as a product of connectivities: rates pass through one after another.

    Parameters
    ----------
    parts : mapping of str to AbstractConnectivity
        By names of your choice, from the presynaptic units on: the first is applied first.

    Raises
    ------
    InputError
        If there is no part, or one does not take what the one before gives, or parts differ in
        dtype or device.

    Examples
    --------
    >>> from ratenet.connectivity import Dense
    >>> Chain({"pool": Dense(torch.ones(1, 2)), "read_in": Dense(torch.tensor([[3.0]]))}).dense()
    tensor([[3., 3.]])
    """

    parts: Parts

    def __post_init__(self) -> None:
        check_alike(self.parts, "parts")
        for (first, one), (second, other) in itertools.pairwise(self.parts.items()):
            if other.shape[1] != one.shape[0]:
                raise InputError(
                    f"parts: {second} takes {other.shape[1]} units, and {first} before it gives "
                    f"{one.shape[0]}.",
                    argument="parts",
                )

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of post- and presynaptic units."""
        parts = list(self.parts.values())
        return parts[-1].shape[0], parts[0].shape[1]

    def with_parameters(self, parameters: Mapping[str, Tensor]) -> "Chain":
        """Return the same with other parameters."""
        return Chain(_with_parameters(self.parts, parameters))

    def apply(self, rates: Tensor) -> Tensor:
        """Return W y for each row of `rates` (B, N_pre)."""
        for part in self.parts.values():
            rates = part.apply(rates)
        return rates

    def apply_transpose(self, values: Tensor) -> Tensor:
        """Return W^T v for each row of `values` (B, N_post)."""
        for part in reversed(list(self.parts.values())):
            values = part.apply_transpose(values)
        return values

    def accumulate(self, left: Tensor, right: Tensor) -> Change:
        """Return the gradients of all parts' parameters, each at what reaches it."""
        steps = []
        for name, part in self.parts.items():
            steps.append((name, part, right))
            right = part.apply(right)
        changes: dict[str, Mapping[str, Tensor]] = {}
        for name, part, rates in reversed(steps):
            changes[name] = part.named(part.accumulate(left, rates))
            left = part.apply_transpose(left)
        return as_change(_joined({name: changes[name] for name in self.parts}))


@dataclass(frozen=True, eq=False, repr=False)
class Block(_OfParts):
    """Several populations or layers, with a connectivity of its own from each to each.

    Parameters
    ----------
    blocks : mapping of str to mapping of str to AbstractConnectivity
        Postsynaptic population -> presynaptic population -> weights of shape (N_post, N_pre). What
        is not named is not connected.
    sizes : mapping of str to int
        Numbers of units of all populations, in the order of the units.

    Raises
    ------
    InputError
        If a population is unknown, or a block's shape, dtype or device does not fit.

    Examples
    --------
    Two layers with feedback, the upper one half as large:

    >>> from ratenet.connectivity import Dense
    >>> blocks = {
    ...     "lower": {"lower": Dense(torch.eye(2)), "upper": Dense(torch.ones(2, 1))},
    ...     "upper": {"lower": Dense(torch.full((1, 2), 3.0))},
    ... }
    >>> Block(blocks, {"lower": 2, "upper": 1}).dense()
    tensor([[1., 0., 1.],
            [0., 1., 1.],
            [3., 3., 0.]])
    """

    blocks: Mapping[str, Mapping[str, AbstractConnectivity]]
    sizes: Mapping[str, int]
    parts: Parts = field(init=False, repr=False)  # by "<post>_from_<pre>"
    _ends: Mapping[str, tuple[str, str]] = field(init=False, repr=False)  # post and pre of each

    def __post_init__(self) -> None:
        for name, size in self.sizes.items():
            check_whole(size, f"sizes, {name}")
        parts: dict[str, AbstractConnectivity] = {}
        ends: dict[str, tuple[str, str]] = {}
        for post, row in self.blocks.items():
            if not isinstance(row, Mapping):
                raise InputError.at(
                    f"blocks, {post}",
                    got=row,
                    expected="a mapping from presynaptic populations to connectivities",
                )
            for pre, part in row.items():
                for name in (post, pre):
                    if name not in self.sizes:
                        found = UnknownNameError.among("population", name, self.sizes)
                        raise InputError(
                            f"blocks: {found}", argument="blocks", got=name, expected=found.expected
                        )
                name = f"{post}_from_{pre}"
                parts[name], ends[name] = part, (post, pre)
        check_alike(parts, "blocks")
        for name, part in parts.items():
            needed = tuple(self.sizes[end] for end in ends[name])
            if part.shape != needed:
                raise InputError.at(f"blocks, {name}", got=part.shape, expected=f"shape {needed}")
        object.__setattr__(self, "parts", parts)
        object.__setattr__(self, "_ends", ends)

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of post- and presynaptic units, both N."""
        N = sum(self.sizes.values())
        return N, N

    def with_parameters(self, parameters: Mapping[str, Tensor]) -> "Block":
        """Return the same with other parameters."""
        parts = _with_parameters(self.parts, parameters)
        blocks = {
            post: {pre: parts[f"{post}_from_{pre}"] for pre in row}
            for post, row in self.blocks.items()
        }
        return Block(blocks, self.sizes)

    def apply(self, rates: Tensor) -> Tensor:
        """Return W y for each row of `rates` (B, N)."""
        if not torch.is_grad_enabled():
            return self._summed(rates, transposed=False)
        y = self._split(rates)
        products = [(post, self.parts[n].apply(y[pre])) for n, (post, pre) in self._ends.items()]
        return self._assembled(products, rates)

    def apply_transpose(self, values: Tensor) -> Tensor:
        """Return W^T v for each row of `values` (B, N)."""
        if not torch.is_grad_enabled():
            return self._summed(values, transposed=True)
        v = self._split(values)
        products = [
            (pre, self.parts[n].apply_transpose(v[post])) for n, (post, pre) in self._ends.items()
        ]
        return self._assembled(products, values)

    def accumulate(self, left: Tensor, right: Tensor) -> Change:
        """Return the gradients of all blocks' parameters."""
        u, y, changes = self._split(left), self._split(right), {}
        for name, (post, pre) in self._ends.items():
            part = self.parts[name]
            changes[name] = part.named(part.accumulate(u[post], y[pre]))
        return as_change(_joined(changes))

    def _summed(self, rows: Tensor, *, transposed: bool) -> Tensor:
        """Return W y or W^T v for rows (B, N), each product added where it belongs."""
        total = torch.zeros_like(rows, memory_format=torch.contiguous_format)
        given, sums = (self._columns(tensor) for tensor in (rows, total))
        for name, (post, pre) in self._ends.items():
            if transposed:
                self.parts[name].add_transposed_product_(sums[pre], given[post])
            else:
                self.parts[name].add_product_(sums[post], given[pre])
        return total

    def _columns(self, rows: Tensor) -> dict[str, Tensor]:
        """Return each population's columns of rows (B, N), which they stay parts of."""
        return dict(zip(self.sizes, rows.split(list(self.sizes.values()), dim=1), strict=True))

    def _split(self, rows: Tensor) -> dict[str, Tensor]:
        """Return each population's part of rows (B, N), put together once for all its blocks."""
        return {name: part.contiguous() for name, part in self._columns(rows).items()}

    def _assembled(self, products: list[tuple[str, Tensor]], like: Tensor) -> Tensor:
        """Add up the products of each population, and put the populations side by side."""
        totals: dict[str, Tensor] = {}
        for target, product in products:  # nobody else holds it
            totals[target] = totals[target].add_(product) if target in totals else product
        pieces = [
            totals[name] if name in totals else like.new_zeros(len(like), size)
            for name, size in self.sizes.items()
        ]
        return torch.cat(pieces, dim=1)


def _joined(parts: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {f"{part}.{name}": tensor for part, own in parts.items() for name, tensor in own.items()}


def _with_parameters(
    parts: Parts, parameters: Mapping[str, Tensor]
) -> dict[str, AbstractConnectivity]:
    """Return the parts with those of the tensors that are named "<part>.<name>"."""
    return {
        name: part.with_parameters(
            {
                key: parameters[f"{name}.{key}"]
                for key in (*part.parameters, *part.constants)
                if f"{name}.{key}" in parameters
            }
        )
        for name, part in parts.items()
    }


def _total(products: list[Tensor]) -> Tensor:
    """Return the sum of some products."""
    total = products[0]
    for product in products[1:]:
        total = total + product
    return total
