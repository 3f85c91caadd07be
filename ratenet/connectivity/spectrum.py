"""The eigenvalues of W: of a circular convolution by Fourier transform, else of the matrix.

Of more than DENSE units the rightmost one and the norm are found by products with W alone.
"""

import torch
from torch import Tensor

from ratenet.connectivity.base import AbstractConnectivity
from ratenet.connectivity.checks import check_square
from ratenet.connectivity.computation import computation
from ratenet.connectivity.convolution import Convolution
from ratenet.linear_algebra import all_eigenvalues, largest_singular_value, rightmost_eigenvalue

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

    Returns
    -------
    Tensor, shape (N,)
        Complex.

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
    match connectivity:
        case Convolution(border="circular", stride=1, kernel=kernel):
            return kernel_eigenvalues(kernel, connectivity.height, connectivity.width)
    return all_eigenvalues(connectivity.dense())


def kernel_eigenvalues(kernel: Tensor, height: int, width: int) -> Tensor:
    """Return the eigenvalues of a circular convolution by a kernel (C, C, k, k), (C H W,)."""
    channels, k = kernel.shape[0], kernel.shape[2]
    placed = kernel.new_zeros(channels, channels, height, width)
    placed[..., :k, :k] = kernel
    # Where the kernel begins only turns phases with the frequency; its middle belongs at place 0.
    placed = placed.roll((-(k // 2), -(k // 2)), dims=(2, 3))
    transformed = torch.fft.fft2(placed).conj().permute(2, 3, 0, 1)  # (H, W, C, C); a correlation
    return all_eigenvalues(transformed.flatten(0, 1)).flatten()


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
        return float(all_eigenvalues(connectivity.dense().double().cpu()).real.max())
    like = next(iter(connectivity.parameters.values()))
    return rightmost_eigenvalue(connectivity.apply, connectivity.shape[1], like, TOLERANCE)


@computation()
@torch.no_grad()
def norm(connectivity: AbstractConnectivity) -> float:
    """Return the spectral norm of W, its largest singular value.

    Parameters
    ----------
    connectivity : AbstractConnectivity
        Weights of any kind.

    Returns
    -------
    float
        NaN if the Lanczos iteration that serves more than 1,000 units finds none.

    Raises
    ------
    UnsupportedError
        If W has to be built as a matrix of more than 10,000 units.

    Examples
    --------
    >>> from ratenet.connectivity import Dense
    >>> norm(Dense(torch.diag(torch.tensor([0.5, -2.0]))))
    2.0
    """
    if max(connectivity.shape) <= DENSE:
        return float(torch.linalg.matrix_norm(connectivity.dense().double(), 2))
    like = next(iter(connectivity.parameters.values()))
    return largest_singular_value(
        connectivity.apply, connectivity.apply_transpose, connectivity.shape, like, TOLERANCE
    )
