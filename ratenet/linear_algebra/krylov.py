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
CANCELLED = 0.1  # of a vector's length: what is left of it is made orthogonal again
SQUARINGS = 8


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


class KrylovSpace:
    """Krylov spaces of a batch, in one tensor; they grow by products with A.

    Parameters
    ----------
    start : Tensor, shape (b, n)
    steps : int
        Products at most; m is at most n.

    Attributes
    ----------
    basis : Tensor, shape (b, m + 1, n)
        Orthonormal; zero where nothing was left.
    H : Tensor, shape (b, m + 1, m)
    size : int
        Products made so far: vectors beyond size + 1 are not there yet.

    References
    ----------
    Arnoldi 1951, Q. Appl. Math. 9:17.
    """

    def __init__(self, start: Tensor, steps: int = STEPS) -> None:
        b, n = start.shape
        m = min(steps, n)
        self.basis, self.H, self.size = (
            start.new_empty(b, m + 1, n),
            start.new_zeros(b, m + 1, m),
            0,
        )
        self.basis[:, 0] = unit(start, start.norm(dim=1))

    @property
    def steps(self) -> int:
        """The most products that it has room for."""
        return self.H.shape[2]

    def grow(self, product: Product, steps: int) -> None:
        """Make products until `steps` of them are made, or there is no more room.

        Each is made orthogonal to all earlier vectors at once (Gram and Schmidt), and a second time
        where that takes most of it away.
        """
        for j in range(self.size, min(steps, self.steps)):
            vector, earlier = product(self.basis[:, j]), self.basis[:, : j + 1]
            length = vector.norm(dim=1)
            overlap, rest = _orthogonal(vector, earlier)
            left = rest.norm(dim=1)
            if (left < CANCELLED * length).any():
                more, rest = _orthogonal(rest, earlier)
                overlap, left = overlap + more, rest.norm(dim=1)
                left = torch.where(left > torch.finfo(left.dtype).eps * length, left, 0.0)
            self.H[:, : j + 1, j], self.H[:, j + 1, j] = overlap, left
            self.basis[:, j + 1] = unit(rest, left)
            self.size = j + 1

    def small(self) -> tuple[Tensor, Tensor]:
        """Return the m x m part of H and the coupling to the next vector, (b, m, m) and (b,).

        In float64 on the CPU: such matrices are slow on a GPU.
        """
        m = self.size
        H = self.H[:, : m + 1, :m].double().cpu()
        return H[:, :m], H[:, m, m - 1]

    def keep(self, samples: Tensor) -> None:
        """Go on with some samples alone, given by indices."""
        self.basis, self.H = self.basis[samples], self.H[samples]

    def combined(self, weights: Tensor) -> Tensor:
        """Return the sum of the basis vectors times their weights (b, m), (b, n)."""
        vectors = self.basis[:, : weights.shape[1]]
        return (weights[:, None].to(vectors) @ vectors)[:, 0]


def _orthogonal(vector: Tensor, earlier: Tensor) -> tuple[Tensor, Tensor]:
    """Return the overlaps (b, j) with orthonormal vectors (b, j, n), and the remainder."""
    overlap = torch.bmm(earlier, vector[:, :, None])
    rest = torch.baddbmm(vector[:, None], overlap.mT, earlier, alpha=-1)
    return overlap[:, :, 0], rest[:, 0]


def arnoldi(product: Product, start: Tensor, steps: int = STEPS) -> KrylovSpace:
    """Return the Krylov space of a start.

    Parameters
    ----------
    product : callable
        Vectors (b, n) to A v for each sample.
    start : Tensor, shape (b, n)
    steps : int
        Products; m is at most n.
    """
    space = KrylovSpace(start, steps)
    space.grow(product, steps)
    return space


def rightmost_ritz(space: KrylovSpace) -> RitzValue:
    """Return the Ritz value with the largest real part; NaN where a product was not finite."""
    (H, coupling), like = space.small(), space.basis
    finite = torch.isfinite(H).flatten(1).all(dim=1) & torch.isfinite(coupling)
    values, vectors = torch.linalg.eig(H.where(finite[:, None, None], 0.0))  # else LAPACK may abort
    rightmost, each = values.real.argmax(dim=1), torch.arange(len(H))
    weights = vectors[each, :, rightmost]  # (b, m)
    error = coupling * weights[:, -1].abs()
    found = values.real[each, rightmost].where(finite, torch.nan)
    return RitzValue(found.to(like), error.to(like), space.combined(weights.real.to(like)))


def ritz_values_left_of(space: KrylovSpace, border: Tensor, share: float) -> Tensor:
    """Return where all Ritz values lie clearly left of the imaginary axis, (b,).

    That is: further than `border` (b,), and than the residual of the outermost one's vector
    times `share`. No eigenvalue is computed: with C = (s + H) (s - H)^{-1}, s > 0, the eigenvalues
    of H lie left of the axis where those of C lie in the unit circle, so that C^256 is small.
    It is as good as equal to its outermost eigenvector, times numbers.
    """
    H, coupling = space.small()
    border = border.double().cpu()
    power, _ = _cayley_power(H, border)
    error = coupling * power[:, -1].norm(dim=1)
    _, is_left = _cayley_power(H, torch.maximum(border, share * error))
    return is_left.to(space.basis.device)


def _cayley_power(H: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Return C^256 of H + shift (b, m, m) over its length, and whether that is below 1, (b,)."""
    identity = torch.eye(H.shape[1], dtype=H.dtype)
    moved = H + shift[:, None, None] * identity
    scale = moved.flatten(1).norm(dim=1)[:, None, None] / H.shape[1] ** 0.5 * identity
    power, info = torch.linalg.solve_ex(scale - moved, scale + moved)
    power, logarithm = _of_length_one(power)
    for _ in range(SQUARINGS):
        power, more = _of_length_one(power @ power)
        logarithm = 2 * logarithm + more
    return power, (info == 0) & (logarithm < 0)  # NaN is not


def _of_length_one(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Return matrices over their lengths, and the lengths' logarithms (b,); zero stays zero."""
    length = matrices.flatten(1).norm(dim=1).clamp(min=torch.finfo(matrices.dtype).tiny)
    return matrices / length[:, None, None], length.log()


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
    H, _ = arnoldi(product, start, steps).small()
    return torch.linalg.eigvalsh(H, UPLO="L")[:, -1].to(start)


def random_start(n: int, like: Tensor) -> Tensor:
    """Return a random vector, shape (1, n), always the same, on the device of `like`."""
    generator = torch.Generator().manual_seed(0)  # the same at each call, on every device
    return torch.randn(1, n, generator=generator, dtype=torch.float64).to(like)
