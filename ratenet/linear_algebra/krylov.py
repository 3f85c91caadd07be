"""Krylov spaces of a batch of matrices that are given by products: Arnoldi and Lanczos iteration.

    A V = V' H        V orthonormal (n, m), V' one vector more, H (m + 1, m) upper Hessenberg

The eigenvalues of H's first m rows, the Ritz values, approach the outer eigenvalues of A first.
For symmetric A, H is tridiagonal (Lanczos). Vectors are rows (b, n), one for each sample.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Product = Callable[[Tensor], Tensor]  # vectors (b, n) -> A v, (b, n): tensors nobody else holds

STEPS = 20  # vectors of a Krylov space, unless said otherwise


class RitzValue(NamedTuple):
    """The rightmost Ritz value of each sample, and where to continue."""

    real: Tensor  # (b,): its real part
    error: Tensor  # (b,): |A x - theta x| of its vector, |x| = 1
    vector: Tensor  # (b, n): real part of x, the start of the next cycle


def extend(basis: list[Tensor], vector: Tensor) -> list[Tensor]:
    """Append a vector (b, n), made orthonormal to the basis in place; return H's new column.

    Its entries (b,) are the overlaps with the basis, and what is left of the vector's length. One
    pass of Gram and Schmidt; zero is appended where nothing is left.
    """
    column = []
    for earlier in basis:
        overlap = torch.linalg.vecdot(earlier, vector)
        vector.addcmul_(overlap[:, None], earlier, value=-1)
        column.append(overlap)
    column.append(vector.norm(dim=1))
    basis.append(unit(vector, column[-1]))
    return column


def unit(vectors: Tensor, lengths: Tensor) -> Tensor:
    """Return the vectors over their lengths; zero where there is nothing left."""
    return vectors * torch.where(lengths > 0, 1 / lengths, 0.0)[:, None]


def arnoldi(product: Product, start: Tensor, steps: int = STEPS) -> tuple[list[Tensor], Tensor]:
    """Return an orthonormal basis of the Krylov space, m + 1 times (b, n), and H, (b, m + 1, m).

    Parameters
    ----------
    product : callable
        Vectors (b, n) to A v for each sample.
    start : Tensor, shape (b, n)
    steps : int
        Products; m is at most n.

    References
    ----------
    Arnoldi 1951, Q. Appl. Math. 9:17.
    """
    m = min(steps, start.shape[1])
    basis = [unit(start, start.norm(dim=1))]
    H = start.new_zeros(len(start), m + 1, m)
    for j in range(m):
        column = extend(basis, product(basis[j]))
        H[:, : j + 2, j] = torch.stack(column, dim=1)
    return basis, H


def rightmost_ritz(product: Product, start: Tensor, steps: int = STEPS) -> RitzValue:
    """Return the Ritz value with the largest real part, by one cycle of Arnoldi iteration.

    Parameters
    ----------
    product, start, steps
        As for `arnoldi`; to continue, start from the returned vector.
    """
    basis, H = arnoldi(product, start, steps)
    H, m = H.double().cpu(), H.shape[2]  # small matrices, slow on a GPU
    finite = torch.isfinite(H).flatten(1).all(dim=1)
    H = H.where(finite[:, None, None], 0.0)  # LAPACK may end the process else
    values, vectors = torch.linalg.eig(H[:, :m])
    rightmost = values.real.argmax(dim=1)  # (b,)
    each = torch.arange(len(H))
    weights = vectors[each, :, rightmost]  # (b, m)
    error = H[:, m, m - 1] * weights[:, -1].abs()
    following, shares = torch.zeros_like(start), weights.real.to(start)
    for i in range(m):
        following.addcmul_(shares[:, i, None], basis[i])
    found = values.real[each, rightmost].where(finite, torch.nan)
    return RitzValue(found.to(start), error.to(start), following)


def lanczos(product: Product, start: Tensor, steps: int = STEPS) -> Tensor:
    """Return an estimate from below of a symmetric matrix's largest eigenvalue, shape (b,).

    Parameters
    ----------
    product, start, steps
        As for `arnoldi`, with symmetric A.

    Notes
    -----
    New vectors are made orthogonal to all earlier ones, not to two: with so few steps that costs
    little, and no eigenvalue is found twice.

    References
    ----------
    Lanczos 1950, J. Res. Natl. Bur. Stand. 45:255.
    """
    H = arnoldi(product, start, steps)[1][:, :-1].double().cpu()
    return torch.linalg.eigvalsh(H, UPLO="L")[:, -1].to(start)


def random_start(n: int, like: Tensor) -> Tensor:
    """Return a random vector, shape (1, n), always the same, on the device of `like`."""
    generator = torch.Generator().manual_seed(0)  # the same at each call, on every device
    return torch.randn(1, n, generator=generator, dtype=torch.float64).to(like)
