"""Masked connectivity: a fixed pattern of synapses; what is not there stays exactly 0."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ratenet.connectivity.base import Change
from ratenet.connectivity.checks import check_weights
from ratenet.connectivity.computation import current_computation
from ratenet.connectivity.dense import AbstractMatrix
from ratenet.connectivity.matmul import AbstractProduct, Product
from ratenet.errors import InputError

SPARSE_BELOW = 0.05  # share of synapses: up to here compressed rows are clearly faster on a CPU


@dataclass(frozen=True, eq=False, repr=False)
class Masked(AbstractMatrix):
    """Sparse weights: entries outside a fixed mask stay 0, and gradients are restricted to it.

    Parameters
    ----------
    W : Tensor, shape (post, pre)
        0 wherever there is no synapse.
    mask : Tensor of bool, shape (post, pre)
        Where there is one.

    Raises
    ------
    InputError
        If the mask does not fit, holds no synapse, or W has an entry off it.

    Notes
    -----
    W is stored as a full matrix, which the rules' gradients have the shape of. On a CPU, where at
    most 5 % of the entries are synapses, products take compressed sparse rows: a seventh of the
    time for 1 % of 1,000 units.

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
    _forward: AbstractProduct = field(init=False, repr=False)
    _backward: AbstractProduct = field(init=False, repr=False)

    def __post_init__(self) -> None:
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
                f"W has {len(off)} entries where the mask has no synapse, the first at "
                f"W[{post}, {pre}]; multiply W by the mask.",
                argument="W",
            )
        is_sparse = W.device.type == "cpu" and float(mask.float().mean()) <= SPARSE_BELOW
        for name, transposed in (("_forward", False), ("_backward", True)):
            dense = Product(W, transposed=transposed)
            product = SparseProduct(W, mask, dense, transposed=transposed) if is_sparse else dense
            object.__setattr__(self, name, product)

    @property
    def constants(self) -> dict[str, Tensor]:
        """The pattern."""
        return {"mask": self.mask}

    def with_parameters(self, parameters: Mapping[str, Tensor]) -> "Masked":
        """Return the same pattern, or the one that is given, with another W."""
        W = parameters["W"]
        return Masked(W, parameters.get("mask", self.mask).to(W.device))

    def accumulate(self, left: Tensor, right: Tensor) -> Tensor:
        """Return sum_b left_b right_b^T on the pattern, 0 off it, shape (post, pre)."""
        return (left.T @ right).mul_(self.mask)

    @torch.no_grad()
    def add_(self, delta: Change) -> None:
        """Add a change of shape (post, pre) on the pattern, in place."""
        self.W.add_(self.named(delta)["W"] * self.mask)
        self.touch_()

    @torch.no_grad()
    def constrain_(self) -> None:
        """Set every entry off the pattern to 0, if one is not."""
        if ((self.W != 0) & ~self.mask).any():
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
