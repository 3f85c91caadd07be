"""All eigenvalues of dense matrices."""

import torch
from torch import Tensor


def all_eigenvalues(matrices: Tensor) -> Tensor:
    """Return the eigenvalues of matrices (..., n, n), complex, (..., n).

    NaN for a matrix with an entry that is not finite: LAPACK would end with an error, or with the
    process.

    Examples
    --------
    >>> all_eigenvalues(torch.tensor([[[0.5]], [[torch.inf]]])).real
    tensor([[0.5000],
            [   nan]])
    """
    finite = torch.isfinite(matrices).flatten(-2).all(dim=-1)
    values: Tensor = torch.linalg.eigvals(matrices.where(finite[..., None, None], 0))
    return values.where(finite[..., None], torch.nan)
