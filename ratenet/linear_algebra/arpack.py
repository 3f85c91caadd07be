"""One eigenvalue or singular value of one large matrix that is given by products, by ARPACK."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

Product = Callable[[Tensor], Tensor]  # one vector (1, m) -> A v, (1, n)

BASES = (60, 240)  # vectors of a cycle; the second where the first does not converge


def rightmost_eigenvalue(
    product: Product, n: int, like: Tensor, tol: float, shift: float = 0.0
) -> float:
    """Return the largest real part of a matrix's eigenvalues; NaN if none is found.

    Parameters
    ----------
    product : callable
        A vector (1, n) to A v.
    n : int
        At least 4.
    like : Tensor
        Whose dtype and device the vectors have.
    tol : float
        Error relative to |l + shift|, l the eigenvalue.
    shift : float
        Where l may be 0, of which no share can be asked for, the size that errors are relative to.

    References
    ----------
    Lehoucq, Sorensen and Yang 1998, ARPACK Users' Guide (SIAM).
    """
    forward = _on_arrays(product, like)
    found = _eigenvalues(lambda v: forward(v) + shift * v.ravel(), n, "LR", tol)
    return math.nan if found is None else float(found.real.max()) - shift


def spectral_radius(product: Product, n: int, like: Tensor, tol: float) -> float:
    """Return the largest modulus of a matrix's eigenvalues; NaN if none is found.

    Parameters
    ----------
    product : callable
        A vector (1, n) to A v.
    n : int
        At least 4.
    like : Tensor
        Whose dtype and device the vectors have.
    tol : float
        Relative error.
    """
    forward = _on_arrays(product, like)
    if not forward(_start(n)).any():  # A = 0, on which ARPACK stops
        return 0.0
    found = _eigenvalues(forward, n, "LM", tol)
    return math.nan if found is None else float(np.abs(found).max())


def _eigenvalues(
    matvec: Callable[[np.ndarray], np.ndarray], n: int, which: str, tol: float
) -> np.ndarray | None:
    """Return two eigenvalues, the largest in the sense of `which`; None if none is found."""
    from scipy.sparse.linalg import ArpackError, eigs  # imported where it is used: takes a while

    operator = _operator((n, n), matvec=matvec)
    for basis in BASES:
        try:
            found: np.ndarray = eigs(operator, k=2, which=which, v0=_start(n), ncv=min(basis, n),
                                     tol=tol, return_eigenvectors=False)  # fmt: skip
            return found
        except ArpackError:
            continue
    return None


def largest_singular_value(
    product: Product, transposed: Product, shape: tuple[int, int], like: Tensor, tol: float
) -> float:
    """Return the spectral norm of a matrix (n, m); NaN if it is not found.

    Parameters
    ----------
    product, transposed : callable
        A vector (1, m) to A v, and (1, n) to A^T v.
    shape : tuple of int
        (n, m).
    like : Tensor
        Whose dtype and device the vectors have.
    tol : float
        Relative error.
    """
    from scipy.sparse.linalg import ArpackError, svds

    operator = _operator(
        shape, matvec=_on_arrays(product, like), rmatvec=_on_arrays(transposed, like)
    )
    try:
        found = svds(operator, k=1, v0=_start(min(shape)), tol=tol, return_singular_vectors=False)
    except ArpackError:
        return math.nan
    return float(found.max())


def _operator(shape: tuple[int, int], **products: Callable[[np.ndarray], np.ndarray]) -> Any:
    from scipy.sparse.linalg import LinearOperator

    return LinearOperator(shape, dtype=np.float64, **products)


def _on_arrays(product: Product, like: Tensor) -> Callable[[np.ndarray], np.ndarray]:
    """Return the product of vectors as SciPy has them."""

    def apply(vector: np.ndarray) -> np.ndarray:
        row = torch.as_tensor(vector, dtype=like.dtype, device=like.device).reshape(1, -1)
        return product(row)[0].double().cpu().numpy()

    return apply


def _start(n: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(n)  # the same at each call
