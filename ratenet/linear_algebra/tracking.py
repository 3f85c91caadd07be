"""The rightmost eigenvalue of a matrix that changes little by little, as along training.

A subspace that held the rightmost eigenvectors a moment ago almost holds the new ones. So

    V  <-  what was kept,     A V           one product with a few vectors
    R  =  A x - theta x                     residual of the rightmost Ritz pair of V^T A V
    V  <-  [V, R, A R, ...]                 a few more, until the residual is small

(Rayleigh-Ritz, expanded by residuals: Arnoldi iteration where nothing was kept.)
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ratenet.linear_algebra.krylov import Product

LARGEST_SUBSPACE = 40
EXPANSION = 4  # vectors between two Rayleigh-Ritz steps


@dataclass(frozen=True)
class Eigenpair:
    """An eigenvalue with its vector x + i y, and how exactly: |A v - l v| with |v| = 1."""

    value: complex
    real: Tensor  # (n,): x
    imaginary: Tensor  # (n,): y
    residual: float


class RightmostTracker:
    """Follows the eigenvalue with the largest real part of a matrix that is given by products.

    Parameters
    ----------
    kept : int
        Vectors that are remembered from one call to the next: neighbours of the rightmost
        eigenvalue may overtake it.
    tol : float
        Residual, relative to the largest eigenvalue seen, at which a call ends.
    max_expansions : int
        Most expansions of the subspace in one call, by four vectors each.

    Attributes
    ----------
    basis : Tensor or None, shape (kept, n)
        The remembered vectors, orthonormal rows; to be saved and set where a run is resumed.

    Notes
    -----
    After a small change of the matrix a call takes about 20 products with single vectors, eight of
    them at once. To first order the error is at most the eigenvalue's condition number times the
    residual; an eigenvalue that overtakes from outside the subspace is seen a call or two late.
    Along Adam's training on MNIST (N = 300) the errors were 0.0002 to 0.0004 in the median, and 0.1
    at most, for eigenvalues of size 1.

    Examples
    --------
    >>> A = torch.tensor([[0.0, 2.0], [-2.0, 0.5]], dtype=torch.float64)
    >>> f"{RightmostTracker().track(lambda rows: rows @ A.T, A[0]).value:.4f}"
    '0.2500+1.9843j'
    """

    def __init__(self, kept: int = 8, tol: float = 3e-3, max_expansions: int = 50) -> None:
        self.kept, self.tol, self.max_expansions = kept, tol, max_expansions
        self.basis: Tensor | None = None

    @torch.no_grad()
    def track(self, product: Product, like: Tensor, near: complex | None = None) -> Eigenpair:
        """Return the rightmost eigenpair, with the imaginary part of its value at least 0.

        Parameters
        ----------
        product : callable
            Rows (b, n) to A v for each row v.
        like : Tensor, shape (n,)
            Whose dtype, device and length the vectors have.
        near : complex, optional
            Return the eigenpair nearest to this value instead, among those that are followed.

        Returns
        -------
        Eigenpair
            Its value is NaN where a product is not finite.
        """
        rows = self._start(like)
        products, expansions = product(rows), 0
        while True:
            matrix = (products @ rows.T).T.double().cpu()  # v_i . A v_j
            if not torch.isfinite(matrix).all():
                return Eigenpair(complex(math.nan), like * math.nan, like * math.nan, math.nan)
            values, vectors = torch.linalg.eig(matrix)
            order = _order(values, near)
            values, vectors = values[order], vectors[:, order]
            pair, residual = _first_pair(rows, products, values, vectors)
            small = pair.residual <= self.tol * float(values.abs().max())
            spent = expansions == self.max_expansions or len(rows) == len(like)
            if (small and expansions > 0) or spent:
                break
            if len(rows) + EXPANSION > LARGEST_SUBSPACE:
                rows, products = _shrunk(rows, products, vectors, LARGEST_SUBSPACE // 2)
            new = residual
            for _ in range(EXPANSION // len(residual)):
                new = _added(rows, new)
                rows = torch.cat([rows, new])
                new = product(new)
                products = torch.cat([products, new])
            expansions += 1
        self.basis, _ = _shrunk(rows, products, vectors, self.kept)
        return pair

    def _start(self, like: Tensor) -> Tensor:
        if self.basis is not None:
            return self.basis
        generator = torch.Generator().manual_seed(0)  # the same at each start, on every device
        shape = (len(like), min(self.kept, len(like)))
        start = torch.randn(shape, generator=generator, dtype=torch.float64)
        return torch.linalg.qr(start).Q.T.to(like).contiguous()


def _order(values: Tensor, near: complex | None) -> Tensor:
    """Return the indices of values with imaginary part >= 0, the wanted one first."""
    wanted = values.real if near is None else -(values - near).abs()
    ranked = wanted.argsort(descending=True, stable=True)
    return ranked[values.imag[ranked] >= 0]


def _first_pair(
    rows: Tensor, products: Tensor, values: Tensor, vectors: Tensor
) -> tuple[Eigenpair, Tensor]:
    """Return the first Ritz pair, and its residual as one real row or two."""
    value, weights = complex(values[0]), vectors[:, 0]
    parts = torch.stack([weights.real, weights.imag]).to(rows)  # (2, m)
    x, y = parts @ rows
    rest = parts @ products
    rest[0] -= value.real * x - value.imag * y
    rest[1] -= value.real * y + value.imag * x
    pair = Eigenpair(value, x, y, float(rest.norm()))
    return pair, rest if value.imag > 0 else rest[:1]


def _shrunk(rows: Tensor, products: Tensor, vectors: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Keep the space of the first Ritz vectors, given by columns; no product is needed."""
    parts = torch.stack([vectors.real, vectors.imag], dim=2).flatten(1)  # (m, 2 upper)
    parts = parts[:, parts.norm(dim=0) > 0][:, :most]  # a real vector has no imaginary part
    kept = torch.linalg.qr(parts).Q.T.to(rows)
    return kept @ rows, kept @ products


def _added(rows: Tensor, residual: Tensor) -> Tensor:
    """Return the residual's rows, made orthonormal and orthogonal to the orthonormal `rows`."""
    found = rows
    for row in residual:
        for _ in range(3):  # once loses digits; what is all rounding error needs one more
            row = row - (found @ row) @ found
            row = row / row.norm()
        if torch.isfinite(row).all() and len(found) < rows.shape[1]:
            found = torch.cat([found, row[None]])
    return found[len(rows) :]
