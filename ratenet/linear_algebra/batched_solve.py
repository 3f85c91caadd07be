"""Linear systems of a batch: k x k of each unit, vectorised, and N x N of each sample, in turn."""

import torch
from torch import Tensor


def solve_units(F_s: Tensor, right: Tensor) -> Tensor:
    """Return F_s^{-1} right for the k x k system of each unit; not finite where it is singular.

    Parameters
    ----------
    F_s : Tensor, shape (k, k, B, N)
    right : Tensor, shape (k, B, N), or (k, m, B, N) for m right-hand sides

    Returns
    -------
    Tensor, shaped like `right`
    """
    k = len(F_s)
    if k == 1:
        return right / F_s[0]
    # Elimination with the units as vectors: torch's batched LU takes a hundred times as long.
    size = F_s.abs().amax(dim=1)  # (k, B, N): equations may differ in unit
    rows = [[*(F_s[i] / size[i]), right[i] / size[i]] for i in range(k)]
    for j in range(k):
        for i in range(j + 1, k):
            _bring_up_larger(rows, j, i)
        for i in range(j + 1, k):
            factor = rows[i][j] / rows[j][j]
            rows[i] = [low - factor * high for low, high in zip(rows[i], rows[j], strict=True)]
    solution: list[Tensor] = []
    for i in reversed(range(k)):
        known = sum(a * x for a, x in zip(rows[i][i + 1 : k], solution, strict=True))
        solution.insert(0, (rows[i][k] - known) / rows[i][i])
    smallest = torch.stack([rows[i][i].abs() for i in range(k)]).amin(dim=0)
    singular = ~(smallest > k * torch.finfo(F_s.dtype).eps)
    return torch.where(singular, torch.nan, torch.stack(solution))


def solve_samples(matrices: Tensor, right: Tensor) -> Tensor:
    """Return A^{-1} b for the N x N matrix of each sample; NaN where it is singular.

    One matrix after the other: oneMKL's batched LU fails or hangs on several threads where N is
    above 128 ("Parameter 6 was incorrect on entry to DLASWP").

    Parameters
    ----------
    matrices : Tensor, shape (B, N, N)
    right : Tensor, shape (B, N) or (B, N, M)

    Returns
    -------
    Tensor, shaped like `right`
    """
    solutions = torch.full_like(right, torch.nan)
    for solution, matrix, b in zip(solutions, matrices, right, strict=True):
        x, info = torch.linalg.solve_ex(matrix, b)
        if not int(info):
            solution.copy_(x)
    return solutions


def _bring_up_larger(rows: list[list[Tensor]], j: int, i: int) -> None:
    """Exchange rows i and j of those units where row i has the larger entry in column j."""
    swap = rows[i][j].abs() > rows[j][j].abs()
    pairs = list(zip(rows[j], rows[i], strict=True))
    rows[j] = [torch.where(swap, low, high) for high, low in pairs]
    rows[i] = [torch.where(swap, high, low) for high, low in pairs]
