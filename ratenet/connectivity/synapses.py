"""Weights stored synapse by synapse: checks, order, products and outer products on the pattern.

Only compressed rows of W are kept, which share its memory: products with W^T scatter the rows.
"""

import warnings
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from ratenet.connectivity.matmul import AbstractProduct
from ratenet.errors import InputError

CHUNK = 1 << 22  # synapses that are looked at, or gathered, at a time
SMALL = torch.int32  # of indices: half the memory, and less than half the time of a product
LARGEST_SMALL = torch.iinfo(SMALL).max
FEWEST_SHARED = 1 << 25  # multiplications from which threads share a product with W^T

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
    first = _first_disorder(places)
    if first is not None:
        post, pre = places[:, first].tolist()
        raise InputError(
            f"mask: the synapse from unit {pre} to unit {post} is repeated "
            "or out of order; give each once, with Masked.from_synapses.",
            argument="mask",
        )


def _first_disorder(places: Tensor) -> int | None:
    """Return the first synapse that does not come after the one before, by post, then pre."""
    for start in range(0, places.shape[1] - 1, CHUNK):
        post, pre = places[:, start : start + CHUNK + 1]
        fails = (post[1:] < post[:-1]) | ((post[1:] == post[:-1]) & (pre[1:] <= pre[:-1]))
        if fails.any():
            return start + int(fails.byte().argmax()) + 1
    return None


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
    places = torch.stack([post, pre]).to(small_enough(size, len(post)))
    if _first_disorder(places) is None:
        return weights, places
    order = _order(places, size)
    return weights[order], places[:, order]


def small_enough(size: tuple[int, int], synapses: int) -> torch.dtype:
    """Return the type of indices that so many units and synapses need."""
    return SMALL if max(*size, synapses) <= LARGEST_SMALL else torch.int64


def _order(places: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the order by post, then pre, in time linear in the synapses, as SciPy makes rows."""
    post, pre = places.cpu().numpy()
    numbers = np.arange(len(post), dtype=post.dtype)
    listed = scipy.sparse.coo_array((numbers, (post, pre)), shape=size)
    listed.has_canonical_format = True  # or the numbers of repeated synapses would be added up
    rows = listed.tocsr()
    rows.sort_indices()
    return torch.from_numpy(rows.data).to(places.device)


def compressed(places: Tensor, number: int) -> Rows:
    """Return the compressed rows of places that are ordered by row."""
    rows, columns = places
    starts = torch.arange(number + 1, dtype=rows.dtype, device=rows.device)
    return torch.searchsorted(rows, starts).to(columns.dtype), columns


class SynapseProduct(AbstractProduct):
    """values -> values @ W.T, or values @ W, of weights (synapses,); differentiable once."""

    other: "SynapseProduct"

    def __init__(self, W: Tensor, rows: Rows, size: tuple[int, int], *, transposed: bool) -> None:
        self._W, self._rows, self._size, self._transposed = W, rows, size, transposed

    @property
    def cost(self) -> int:
        """One for each synapse."""
        return len(self._W)

    def __call__(self, values: Tensor) -> Tensor:
        """Return the product, shape (B, N)."""
        return _Multiply.apply(values, self._W, self)

    def product(self, values: Tensor) -> Tensor:
        """Return the product, without gradients."""
        if self._transposed and self._W.device.type == "cpu":
            return self._scattered(values)
        matrix = self._matrix(self._W.detach())
        if self._transposed:
            return (matrix.t() @ values.T).T.contiguous()
        if len(values) == 1:
            return (matrix @ values[0])[None]
        return (matrix @ values.T).T.contiguous()

    def outer(self, left: Tensor, right: Tensor) -> Tensor:
        """Return sum_b left[b, post] right[b, pre] for each synapse, shape (synapses,)."""
        found = self._matrix(torch.zeros_like(self._W, requires_grad=False))
        torch.sparse.sampled_addmm(found, left.T, right, beta=0.0, out=found)
        return found.values()

    def slope(self, gradient: Tensor, values: Tensor) -> Tensor:
        """Return the gradient for the weights, (synapses,)."""
        return self.outer(values, gradient) if self._transposed else self.outer(gradient, values)

    def _scattered(self, values: Tensor) -> Tensor:
        """Return W^T v for each row of `values`: each row of W is added where it leads."""
        columns = values[0].numpy() if len(values) == 1 else values.numpy().T.copy()
        if self.cost * len(values) < FEWEST_SHARED or torch.get_num_threads() == 1:
            total = self._scatter(0, self._size[0], columns)
        else:
            ends = np.linspace(0, self._size[0], torch.get_num_threads() + 1).astype(int)
            with ThreadPoolExecutor(
                torch.get_num_threads()
            ) as threads:  # SciPy's products leave Python to the others
                jobs = [threads.submit(self._scatter, *pair, columns) for pair in pairwise(ends)]
                total = np.sum([job.result() for job in jobs], axis=0)
        found = torch.from_numpy(total)
        return found[None] if len(values) == 1 else found.T.contiguous()

    def _scatter(self, first: int, last: int, columns: np.ndarray) -> np.ndarray:
        """Return what the rows from `first` to before `last` contribute, (pre,) or (pre, B)."""
        starts, pre, weights = (each.numpy() for each in (*self._rows, self._W.detach()))
        own = slice(*starts[[first, last]])
        turned = scipy.sparse.csc_array(
            (weights[own], pre[own], starts[first : last + 1] - starts[first]),
            shape=(self._size[1], last - first),
        )
        return turned @ columns[first:last]

    def _matrix(self, weights: Tensor) -> Tensor:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sparse (CSR tensor support|invariant checks)")
            return torch.sparse_csr_tensor(*self._rows, weights, self._size)


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
