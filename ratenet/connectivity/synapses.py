"""Weights stored synapse by synapse: checks, order, products and outer products on the pattern."""

import warnings
from typing import Any

import torch
from torch import Tensor

from ratenet.connectivity.computation import current_computation
from ratenet.connectivity.matmul import AbstractProduct
from ratenet.errors import InputError

CHUNK = 1 << 22  # numbers that are gathered at a time for an outer product
SMALL = torch.int32  # of indices: half the memory, and less than half the time of a product
LARGEST_SMALL = torch.iinfo(SMALL).max

Rows = tuple[Tensor, Tensor]  # where each row starts, (rows + 1,), and its columns, (synapses,)


def check_synapses(places: Any, size: Any, synapses: int) -> None:
    """Refuse places of synapses that do not fit, lie outside, are out of order or repeated."""
    check_size(size)
    is_index = isinstance(places, Tensor) and places.dtype in (torch.int32, torch.int64)
    if not is_index or places.shape != (2, synapses):
        raise InputError.at(
            "mask",
            got=places,
            expected=f"whole numbers of shape (2, {synapses}): post and pre of each synapse",
            remedy="use Masked.from_synapses",
        )
    for row, name, units in zip(places, ("post", "pre"), size, strict=True):
        _check_range(row, name, units)
    post, pre = places
    step = post[1:] - post[:-1]
    fails = (step < 0) | ((step == 0) & (pre[1:] <= pre[:-1]))
    if fails.any():
        first = int(torch.nonzero(fails)[0]) + 1
        raise InputError(
            f"mask: the synapse from unit {int(pre[first])} to unit {int(post[first])} is repeated "
            "or out of order; give each once, with Masked.from_synapses.",
            argument="mask",
        )


def check_size(size: Any) -> None:
    """Refuse anything but two numbers of units."""
    is_pair = isinstance(size, list | tuple) and len(size) == 2
    if not is_pair or not all(type(n) is int and n > 0 for n in size):
        raise InputError.at("size", got=size, expected="the two numbers of units (post, pre)")


def _check_range(units: Tensor, name: str, number: int) -> None:
    if len(units) == 0:
        return
    low, high = int(units.min()), int(units.max())
    if low < 0 or high >= number:
        raise InputError.at(
            name, got=low if low < 0 else high, expected=f"units from 0 to {number - 1}"
        )


def ordered(post: Any, pre: Any, weights: Any, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return weights and places (2, synapses) in the order of post, then pre."""
    check_size(size)
    for name, value, units in (("post", post, size[0]), ("pre", pre, size[1])):
        is_index = isinstance(value, Tensor) and value.dtype in (torch.int32, torch.int64)
        if not is_index or value.ndim != 1:
            raise InputError.at(name, got=value, expected="a tensor of whole numbers (synapses,)")
        _check_range(value, name, units)
    if not isinstance(weights, Tensor) or not post.shape == pre.shape == weights.shape:
        raise InputError.at(
            "weights",
            got=weights,
            expected=f"a tensor with one number for each synapse, {len(post)} by post and "
            f"{len(pre)} by pre",
        )
    is_small = max(size) <= LARGEST_SMALL and len(post) <= LARGEST_SMALL
    places = torch.stack([post, pre]).to(SMALL if is_small else torch.int64)
    step = places[:, 1:] - places[:, :-1]
    if bool(((step[0] > 0) | ((step[0] == 0) & (step[1] > 0))).all()):
        return weights, places
    by_pre = torch.argsort(places[1], stable=True)
    order = by_pre[torch.argsort(places[0][by_pre], stable=True)]
    return weights[order], places[:, order].contiguous()


def pattern_of_rows(rows: Tensor, columns: Tensor, number: int) -> Rows:
    """Return the compressed rows of places that are ordered by row."""
    starts = torch.zeros(number + 1, dtype=torch.int64, device=rows.device)
    starts[1:] = torch.bincount(rows, minlength=number).cumsum(0)
    return starts.to(columns.dtype), columns


def sampled(left: Tensor, right: Tensor, places: Tensor) -> Tensor:
    """Return sum_b left[b, post] right[b, pre] for each synapse, shape (synapses,)."""
    left, right = left.T.contiguous(), right.T.contiguous()  # rows are gathered
    size = max(1, CHUNK // max(1, left.shape[1]))
    chunks = zip(places[0].split(size), places[1].split(size), strict=True)
    return torch.cat([(left[post] * right[pre]).sum(dim=1) for post, pre in chunks])


class SynapseProduct(AbstractProduct):
    """values -> values @ W.T, or values @ W, of weights (synapses,); differentiable once.

    Compressed rows of W share its memory. Those of W^T, in which synapses have another order, are
    copied when the weights changed, at most once amid a computation of ours.
    """

    other: "SynapseProduct"

    def __init__(
        self,
        W: Tensor,
        places: Tensor,
        size: tuple[int, int],
        rows: Rows,
        order: Tensor | None,
        *,
        transposed: bool,
    ) -> None:
        self._W, self._places, self._rows, self._transposed = W, places, rows, transposed
        self._shape = tuple(reversed(size)) if transposed else tuple(size)
        self._order = order if order is None else order.to(places.dtype)
        self._kept: Tensor | None = None
        self._made_in: object | None = None  # the computation in which they were copied

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is made anew when it is needed: torch copies no compressed rows."""
        return {**self.__dict__, "_kept": None, "_made_in": None}

    def forget(self) -> None:
        """Copy the weights at the next product."""
        self._made_in = None

    @property
    def cost(self) -> int:
        """One for each synapse."""
        return len(self._W)

    def __call__(self, values: Tensor) -> Tensor:
        """Return the product, shape (B, N)."""
        return _Multiply.apply(values, self._W, self)

    def product(self, values: Tensor) -> Tensor:
        """Return the product, without gradients."""
        matrix = self._compressed()
        if len(values) == 1:
            return (matrix @ values[0])[None]
        return (matrix @ values.T).T.contiguous()

    def slope(self, gradient: Tensor, values: Tensor) -> Tensor:
        """Return the gradient for the weights, (synapses,)."""
        left, right = (values, gradient) if self._transposed else (gradient, values)
        return sampled(left, right, self._places)

    def _compressed(self) -> Tensor:
        if self._order is None:
            return self._matrix(self._W.detach())
        here = current_computation()
        if self._kept is None or here is None or here is not self._made_in:
            self._kept = self._matrix(self._W.detach()[self._order])
            self._made_in = here
        return self._kept

    def _matrix(self, weights: Tensor) -> Tensor:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sparse (CSR tensor support|invariant checks)")
            return torch.sparse_csr_tensor(*self._rows, weights, self._shape)


class _Multiply(torch.autograd.Function):
    """A product by synapses, and its gradients."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, W: Tensor, product: SynapseProduct) -> Tensor:
        ctx.save_for_backward(values, W)  # torch then notices changes in place
        ctx.product = product
        return product.product(values.detach())

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        values, _ = ctx.saved_tensors
        product: SynapseProduct = ctx.product
        to_values = product.other.product(gradient) if ctx.needs_input_grad[0] else None
        to_weights = product.slope(gradient, values) if ctx.needs_input_grad[1] else None
        return to_values, to_weights, None
