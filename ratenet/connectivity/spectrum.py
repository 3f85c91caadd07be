"""The eigenvalues of W: of a circular convolution by Fourier transform, else of the matrix.

Of more than DENSE units the rightmost one and the norm are found by products with W alone.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ratenet.connectivity.base import AbstractConnectivity
from ratenet.connectivity.checks import check_square
from ratenet.connectivity.computation import computation
from ratenet.connectivity.convolution import Convolution

DENSE = 1000  # units up to which the matrix is built
TOLERANCE = 1e-4  # relative, of what iterations find


@computation()
@torch.no_grad()
def eigenvalues(connectivity: AbstractConnectivity) -> Tensor:
    """Return all eigenvalues of W, complex, shape (N,).

    Parameters
    ----------
    connectivity : AbstractConnectivity
        Square.

    Raises
    ------
    InputError
        If it is not square.
    UnsupportedError
        If W has to be built as a matrix of more than 10,000 units.

    Notes
    -----
    A Fourier transform over the grid makes a circular convolution one C x C matrix for each of the
    H W frequencies, whose eigenvalues together are those of W: exact, and O(C^3 H W). All else
    costs O(N^3).

    Examples
    --------
    >>> from ratenet.connectivity import Dense
    >>> eigenvalues(Dense(torch.diag(torch.tensor([0.5, -2.0]))))
    tensor([ 0.5000+0.j, -2.0000+0.j])
    """
    check_square(connectivity.shape)
    if isinstance(connectivity, Convolution) and connectivity.border == "circular":
        kernel = connectivity.kernel
        return kernel_eigenvalues(kernel, connectivity.height, connectivity.width)
    return torch.linalg.eigvals(connectivity.dense())


def kernel_eigenvalues(kernel: Tensor, height: int, width: int) -> Tensor:
    """Return the eigenvalues of a circular convolution by a kernel (C, C, k, k), (C H W,)."""
    channels, k = kernel.shape[0], kernel.shape[2]
    placed = kernel.new_zeros(channels, channels, height, width)
    placed[..., :k, :k] = kernel
    # Where the kernel begins only turns phases with the frequency; its middle belongs at place 0.
    placed = placed.roll((-(k // 2), -(k // 2)), dims=(2, 3))
    transformed = torch.fft.fft2(placed).conj().permute(2, 3, 0, 1)  # (H, W, C, C); a correlation
    return torch.linalg.eigvals(transformed.flatten(0, 1)).flatten()


@computation()
@torch.no_grad()
def abscissa(connectivity: AbstractConnectivity) -> float:
    """Return the largest real part of W's eigenvalues.

    Parameters
    ----------
    connectivity : AbstractConnectivity
        Square.

    Returns
    -------
    float
        NaN if the Arnoldi iteration that serves more than 1,000 units finds no eigenvalue.

    Raises
    ------
    InputError
        If it is not square.

    Examples
    --------
    >>> from ratenet.connectivity import Dense
    >>> abscissa(Dense(torch.diag(torch.tensor([0.5, -2.0]))))
    0.5
    """
    check_square(connectivity.shape)
    if connectivity.shape[0] <= DENSE:
        return float(torch.linalg.eigvals(connectivity.dense().double().cpu()).real.max())
    from scipy.sparse.linalg import ArpackError, eigs  # here: takes a while

    try:
        found = eigs(
            _operator(connectivity), k=2, which="LR", v0=_start(connectivity.shape[1]), ncv=60,
            tol=TOLERANCE, return_eigenvectors=False,
        )  # fmt: skip
    except ArpackError:
        return math.nan
    return float(found.real.max())


@computation()
@torch.no_grad()
def norm(connectivity: AbstractConnectivity) -> float:
    """Return the spectral norm of W, its largest singular value.

    Parameters
    ----------
    connectivity : AbstractConnectivity

    Returns
    -------
    float
        NaN if the Lanczos iteration that serves more than 1,000 units finds none.

    Examples
    --------
    >>> from ratenet.connectivity import Dense
    >>> norm(Dense(torch.diag(torch.tensor([0.5, -2.0]))))
    2.0
    """
    if max(connectivity.shape) <= DENSE:
        return float(torch.linalg.matrix_norm(connectivity.dense().double(), 2))
    from scipy.sparse.linalg import ArpackError, svds

    smaller = min(connectivity.shape)
    try:
        found = svds(
            _operator(connectivity), k=1, v0=_start(smaller), tol=TOLERANCE,
            return_singular_vectors=False,
        )  # fmt: skip
    except ArpackError:
        return math.nan
    return float(found.max())


def _operator(connectivity: AbstractConnectivity) -> Any:
    """Return W as SciPy takes it."""
    from scipy.sparse.linalg import LinearOperator

    like = next(iter(connectivity.parameters.values()))

    def rows(vector: np.ndarray) -> Tensor:
        return torch.as_tensor(vector, dtype=like.dtype, device=like.device).reshape(1, -1)

    return LinearOperator(
        connectivity.shape,
        matvec=lambda vector: connectivity.apply(rows(vector))[0].double().cpu().numpy(),
        rmatvec=lambda vector: connectivity.apply_transpose(rows(vector))[0].double().cpu().numpy(),
        dtype=np.float64,
    )


def _start(n: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(n)  # the same at each call
