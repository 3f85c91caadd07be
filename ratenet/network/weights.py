"""The door for W: arrays, quantities, tensors, sparse matrices, connectivities, blocks of these."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ratenet.connectivity import AbstractConnectivity, Block, Dense, Masked
from ratenet.connectivity.base import LARGEST_DENSE
from ratenet.connectivity.checks import check_square
from ratenet.connectivity.synapses import small_enough
from ratenet.equations.arrays import is_scipy_sparse, real_numbers
from ratenet.equations.populations import Sizes
from ratenet.equations.units import Dimension
from ratenet.errors import InputError
from ratenet.network.coerce import numbers_of
from ratenet.network.populations import check_known, slices

OF_WEIGHTS = " (recurrent input over output)"  # what their unit is


def as_connectivity(
    W: Any,
    dimensions: Dimension,
    populations: Sizes = (),
    dtype: torch.dtype | None = None,
    device: str | torch.device | None = None,
) -> AbstractConnectivity:
    """Return what was given as W: a connectivity as it is, a matrix as `Dense`.

    Parameters
    ----------
    W : AbstractConnectivity, array_like of shape (N, N), sparse matrix, or mapping
        A sparse matrix of SciPy or torch becomes `Masked`, its stored entries the synapses. A
        mapping gives blocks by population, post -> pre -> a number, a matrix or a connectivity;
        with a connectivity among them W is a `Block`.
    dimensions : Dimension
        Physical dimensions of the weights; a quantity must have them.
    populations : tuple of (name, size)
        Sizes, for blocks.
    dtype, device : optional
        Default: those of W; float64 where W is not a floating-point tensor.

    Raises
    ------
    InputError
        If the shape, the unit or the type does not fit, or a population is unknown.
    """
    if dtype is not None and not dtype.is_floating_point:
        raise InputError.at("dtype", got=dtype, expected="torch.float64 or torch.float32")
    if isinstance(W, Mapping):
        W = _from_blocks(W, populations, dimensions, dtype, device)
    if isinstance(W, AbstractConnectivity):
        _check_alike(W, dtype, device)
        check_square(W.shape)
        return W
    if is_scipy_sparse(W) or (isinstance(W, Tensor) and W.layout != torch.strided):
        return _masked(W, dtype, device)
    return Dense(_matrix(W, dimensions, "W", dtype, device))


def _check_alike(
    W: AbstractConnectivity, dtype: torch.dtype | None, device: str | torch.device | None
) -> None:
    if dtype not in (None, W.dtype) or device not in (
        None,
        W.device,
        str(W.device),
        W.device.type,
    ):
        raise InputError(
            f"W: the connectivity is {W.dtype} on {W.device}; make it with the dtype and device "
            "that the network is to have.",
            argument="W",
        )


def _matrix(
    W: Any,
    dimensions: Dimension,
    where: str,
    dtype: torch.dtype | None,
    device: str | torch.device | None,
) -> Tensor:
    """Return a square matrix as a tensor; one that fits already is not copied."""
    is_inference = isinstance(W, Tensor) and W.is_inference()
    numbers = W if is_inference else numbers_of(W, dimensions, where, OF_WEIGHTS)
    check_square(tuple(numbers.shape))
    target = dtype or (numbers.dtype if numbers.is_floating_point() else torch.float64)
    return numbers.to(dtype=target, device=device or numbers.device)


def _masked(
    W: Any, dtype: torch.dtype | None, device: str | torch.device | None
) -> AbstractConnectivity:
    """Return a sparse matrix as `Masked`: in full where a matrix is built at all, else synapses."""
    check_square(tuple(W.shape))
    places, values = _of_tensor(W) if isinstance(W, Tensor) else _of_scipy(W)
    target = dtype or (values.dtype if values.is_floating_point() else torch.float64)
    values = values.to(dtype=target, device=device or values.device)
    size = (int(W.shape[0]), int(W.shape[1]))
    sparse = Masked(values, places.to(values.device, small_enough(size, len(values))), size)
    return sparse if sparse.units > LARGEST_DENSE else Masked(sparse.dense(), sparse.pattern())


def _of_tensor(W: Tensor) -> tuple[Tensor, Tensor]:
    """Return places (2, synapses), in order, and values of torch's sparse matrix."""
    stored = W.to_sparse_coo().coalesce()
    return stored.indices(), real_numbers(stored.values(), "W")


def _of_scipy(W: Any) -> tuple[Tensor, Tensor]:
    """Return places (2, synapses), in order, and values of SciPy's, which stays as it is."""
    stored = W.tocsr()
    if not stored.has_canonical_format:
        stored = stored.copy()
        stored.sum_duplicates()
    values = torch.from_numpy(real_numbers(stored.data, "W"))
    places = torch.empty(2, stored.nnz, dtype=small_enough(W.shape, stored.nnz))
    rows = torch.arange(W.shape[0], dtype=places.dtype)
    places[0] = rows.repeat_interleave(torch.from_numpy(np.diff(stored.indptr)))
    places[1] = torch.from_numpy(stored.indices)
    return places, values


def _from_blocks(
    blocks: Mapping[str, Any],
    populations: Sizes,
    dimensions: Dimension,
    dtype: torch.dtype | None,
    device: str | torch.device | None,
) -> Tensor | Block:
    """Return W from blocks by population; those that are not named are zero."""
    if not populations or any(isinstance(size, float) for _, size in populations):
        raise InputError(
            "W: blocks by population need the sizes of the populations; give "
            "Network(populations={name: size, ...}).",
            argument="W",
        )
    sizes = {name: int(size) for name, size in populations}
    parts: dict[str, dict[str, AbstractConnectivity | Tensor]] = {}
    for post, row in blocks.items():
        if not isinstance(row, Mapping):
            raise InputError.at(
                f"W, {post}", got=row, expected="a mapping from presynaptic populations to weights"
            )
        for name in (post, *row):
            check_known(name, sizes, "W")
        parts[post] = {
            pre: part
            if isinstance(part, AbstractConnectivity)
            else _block(part, (sizes[post], sizes[pre]), dimensions, f"W, {post} from {pre}")
            for pre, part in row.items()
        }
    every = [part for row in parts.values() for part in row.values()]
    like = next((part for part in every if isinstance(part, AbstractConnectivity)), None)
    if like is None:
        return _assembled(parts, sizes)
    target, place = dtype or like.dtype, device or like.device
    whole = {
        post: {
            pre: Dense(part.to(place, target)) if isinstance(part, Tensor) else part
            for pre, part in row.items()
        }
        for post, row in parts.items()
    }
    return Block(whole, sizes)


def _assembled(parts: Mapping[str, Mapping[str, Any]], sizes: dict[str, int]) -> Tensor:
    """Return the matrix of these blocks."""
    places, units = slices(sizes), sum(sizes.values())
    W = torch.zeros(units, units, dtype=torch.float64)
    for post, row in parts.items():
        for pre, block in row.items():
            W[places[post], places[pre]] = block.to(W)
    return W


def _block(value: Any, shape: tuple[int, int], dimensions: Dimension, where: str) -> Tensor:
    """Return a block (N_post, N_pre) from one number or a matrix."""
    numbers = numbers_of(value, dimensions, where, OF_WEIGHTS)
    if tuple(numbers.shape) not in ((), shape):
        raise InputError.at(
            where, got=tuple(numbers.shape), expected=f"one number, or shape {shape}"
        )
    return numbers.expand(shape).clone()
