"""Masked connectivity: a fixed pattern of synapses; what is not there stays exactly 0."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

import torch
from torch import Tensor

from ratenet.connectivity.base import LARGEST_DENSE, Change, refuse_dense
from ratenet.connectivity.checks import check_weights
from ratenet.connectivity.computation import current_computation
from ratenet.connectivity.dense import AbstractMatrix
from ratenet.connectivity.matmul import AbstractProduct, Product
from ratenet.connectivity.synapses import (
    SynapseProduct,
    check_synapses,
    compressed,
    ordered,
)
from ratenet.errors import InputError, counted

SPARSE_BELOW = 0.05  # share of synapses: up to here compressed rows are clearly faster on a CPU


@dataclass(frozen=True, eq=False, repr=False)
class Masked(AbstractMatrix):
    """Sparse weights: entries outside a fixed mask stay 0, and gradients are restricted to it.

    Parameters
    ----------
    W : Tensor, shape (post, pre) or (synapses,)
        As a matrix 0 wherever there is no synapse; or the weights of the synapses alone.
    mask : Tensor of bool, shape (post, pre), or of int, shape (2, synapses)
        Where there is one; or the post- and the presynaptic unit of each, ordered by post, then
        pre, as `from_synapses` makes them.
    size : tuple of int, optional
        Numbers of post- and presynaptic units, where W holds synapses alone.

    Raises
    ------
    InputError
        If the mask does not fit, holds no synapse, or W has an entry off it; if synapses are out of
        range, out of order or repeated.

    Notes
    -----
    Changes and gradients have the shape of W. Of a matrix on a CPU with at most 5 % synapses
    products take compressed sparse rows: a seventh of the time for 1 % of 1,000 units. Of synapses
    alone no matrix is made anywhere, except by `dense`, up to 10,000 units. `Network` keeps a
    sparse W that way above 10,000 units.

    Examples
    --------
    >>> W = torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    >>> ring = Masked(W, W != 0)
    >>> ring.add_(torch.ones(2, 2))
    >>> ring.W
    tensor([[0., 2.],
            [3., 0.]])
    """

    W: Tensor
    mask: Tensor
    size: tuple[int, int] | None = None
    _forward: AbstractProduct = field(init=False, repr=False)
    _backward: AbstractProduct = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.size is None:
            self._prepare_matrix()
        else:
            self._prepare_synapses(self.size)

    @classmethod
    def from_synapses(
        cls, post: Tensor, pre: Tensor, weights: Tensor, size: tuple[int, int]
    ) -> "Masked":
        """Return weights that are stored synapse by synapse, given in any order.

        Parameters
        ----------
        post, pre : Tensor of int, shape (synapses,)
            The units that each synapse leads to, and comes from.
        weights : Tensor, shape (synapses,)
            One weight per synapse.
        size : tuple of int
            Numbers of post- and presynaptic units.

        Returns
        -------
        Masked
            W is (synapses,), ordered by post, then pre.

        Raises
        ------
        InputError
            If a synapse is out of range or given twice, a weight is not finite, or shapes differ.

        Examples
        --------
        >>> post, pre = torch.tensor([1, 0]), torch.tensor([0, 1])
        >>> ring = Masked.from_synapses(post, pre, torch.tensor([2.0, 1.0]), (2, 2))
        >>> ring.apply(torch.tensor([[1.0, 10.0]]))
        tensor([[10.,  2.]])
        """
        return cls(*ordered(post, pre, weights, size), size)

    def _prepare_synapses(self, size: tuple[int, int]) -> None:
        check_weights(self.W, "W", "synapses")
        check_synapses(self.mask, size, len(self.W))
        size = (size[0], size[1])  # whatever held them
        object.__setattr__(self, "size", size)
        rows = compressed(self.mask, size[0])
        forward, backward = (
            SynapseProduct(self.W, rows, size, transposed=turned) for turned in (False, True)
        )
        forward.other, backward.other = backward, forward
        object.__setattr__(self, "_forward", forward)
        object.__setattr__(self, "_backward", backward)

    def _prepare_matrix(self) -> None:
        W, mask = self.W, self.mask
        check_weights(W, "W", "post, pre")
        if not isinstance(mask, Tensor) or mask.dtype != torch.bool or mask.shape != W.shape:
            raise InputError.at(
                "mask",
                got=mask,
                expected=f"a tensor of bool with the shape of W, {tuple(W.shape)}",
                remedy="compute it as W != 0",
            )
        if not mask.any():
            raise InputError.at("mask", found="only False", expected="at least one True")
        off = torch.nonzero((W != 0) & ~mask)
        if len(off):
            post, pre = off[0].tolist()
            raise InputError(
                f"W has {counted(len(off), 'entry')} where the mask has no synapse, the first at "
                f"W[{post}, {pre}]; multiply W by the mask.",
                argument="W",
            )
        is_sparse = W.device.type == "cpu" and float(mask.float().mean()) <= SPARSE_BELOW
        for name, transposed in (("_forward", False), ("_backward", True)):
            dense = Product(W, transposed=transposed)
            product = SparseProduct(W, mask, dense, transposed=transposed) if is_sparse else dense
            object.__setattr__(self, name, product)

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of post- and presynaptic units."""
        return self.size or super().shape

    def dense(self) -> Tensor:
        """Return W (post, pre), which is made of synapses up to 10,000 units."""
        return self.W if self.size is None else self._matrix(self.W)

    def pattern(self) -> Tensor:
        """Return where there are synapses, bool (post, pre)."""
        return self.mask if self.size is None else self._matrix(torch.ones_like(self.mask[0]) > 0)

    def _matrix(self, values: Tensor) -> Tensor:
        if max(self.shape) > LARGEST_DENSE:
            refuse_dense(self.shape)
        post, pre = self.mask
        return values.new_zeros(self.shape).index_put((post.long(), pre.long()), values)

    @property
    def constants(self) -> dict[str, Tensor]:
        """The pattern."""
        return {"mask": self.mask}

    def with_parameters(self, parameters: Mapping[str, Tensor]) -> "Masked":
        """Return the same pattern, or the one that is given, with another W."""
        W = parameters["W"]
        return Masked(W, parameters.get("mask", self.mask).to(W.device), self.size)

    def accumulate(self, left: Tensor, right: Tensor) -> Tensor:
        """Return sum_b left_b right_b^T on the pattern, 0 off it, in the shape of W."""
        if isinstance(self._forward, SynapseProduct):
            return self._forward.outer(left, right)
        return (left.T @ right).mul_(self.mask)

    @torch.no_grad()
    def add_(self, delta: Change) -> None:
        """Add a change, shaped like W, on the pattern, in place."""
        change = self.named(delta)["W"]
        self.W.add_(change * self.mask if self.size is None else change)
        self.touch_()

    @torch.no_grad()
    def constrain_(self) -> None:
        """Set every entry off the pattern to 0, if one is not."""
        if self.size is None and ((self.W != 0) & ~self.mask).any():
            self.W.masked_fill_(~self.mask, 0.0)
            self.touch_()

    def touch_(self) -> None:
        """Say that the weights were changed; the compressed rows are made anew."""
        super().touch_()
        for product in (self._forward, self._backward):
            if isinstance(product, SparseProduct):
                product.forget()

    def _watched(self) -> list[Tensor]:
        """Return W; its synapses alone where they are few."""
        product = self._forward
        return [product.entries() if isinstance(product, SparseProduct) else self.W]


def is_listed(connectivity: Any) -> TypeGuard[Masked]:
    """Return whether weights are stored synapse by synapse, without a matrix."""
    return isinstance(connectivity, Masked) and connectivity.size is not None


class SparseProduct(AbstractProduct):
    """values -> values @ W.T, or values @ W, by the compressed sparse rows of a pattern.

    Where a gradient is needed, or rows are of another dtype, the full matrix multiplies. The
    entries of W are compared with those in the compressed rows before each product, amid a
    computation of ours before the first.
    """

    def __init__(self, W: Tensor, mask: Tensor, dense: Product, *, transposed: bool) -> None:
        self._W, self._dense = W, dense
        rows, columns = torch.nonzero(mask.T if transposed else mask, as_tuple=True)
        self._places = (columns, rows) if transposed else (rows, columns)  # of W
        self._shape = (mask.shape[1], mask.shape[0]) if transposed else tuple(mask.shape)
        self._columns = columns
        counts = torch.bincount(rows, minlength=self._shape[0])
        self._starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        self._converted: Tensor | None = None
        self._looked_in: object | None = None  # the computation in which entries were compared

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is made anew when it is needed: torch copies no compressed rows."""
        return {**self.__dict__, "_converted": None, "_looked_in": None}

    def entries(self) -> Tensor:
        """Return the weights of all synapses as they are now, shape (synapses,)."""
        return self._W.detach()[self._places]

    def forget(self) -> None:
        """Compare the entries at the next product, in whatever computation."""
        self._looked_in = None

    @property
    def cost(self) -> int:
        """One for each synapse."""
        return len(self._columns)

    def __call__(self, values: Tensor) -> Tensor:
        """Return the product, shape (B, N); differentiable where anything needs a gradient."""
        needs_gradient = torch.is_grad_enabled() and (values.requires_grad or self._W.requires_grad)
        if needs_gradient or values.dtype != self._W.dtype:
            return self._dense(values)
        return (self._compressed() @ values.detach().T).T.contiguous()

    def _compressed(self) -> Tensor:
        here, kept = current_computation(), self._converted
        if kept is not None and here is not None and here is self._looked_in:
            return kept
        entries = self.entries()
        if kept is None or not torch.equal(kept.values(), entries):
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Sparse (CSR tensor support|invariant checks)")
                kept = torch.sparse_csr_tensor(self._starts, self._columns, entries, self._shape)
        self._converted, self._looked_in = kept, here
        return kept
