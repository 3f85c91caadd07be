"""The Jacobian J = blockdiag(F_s) + F_I W rho_s of a network at a state, and its slowest mode."""

import torch
from torch import Tensor

from ratenet.linear_algebra import all_eigenvalues, rightmost_eigenvalue, spectral_radius
from ratenet.network import JacobianBlocks, Network

DENSE_EIGENVALUES = 512  # k N up to which all eigenvalues are computed


def jacobian_product(network: Network, blocks: JacobianBlocks, vectors: Tensor) -> Tensor:
    """Return J v for each sample, shape (k, B, N), by one product with W."""
    output = (blocks.rho_s * vectors).sum(dim=0)
    own = (blocks.F_s * vectors).sum(dim=1)
    return own + blocks.F_I * network.connectivity.apply(output)


def dense_jacobian(network: Network, blocks: JacobianBlocks) -> Tensor:
    """Return J of one sample, shape (k N, k N), in 1/s."""
    W, k = network.connectivity.dense(), len(blocks.F_I)
    rows = [
        torch.cat(
            [
                torch.diag(blocks.F_s[i, j, 0]) + blocks.F_I[i, 0][:, None] * W * blocks.rho_s[j, 0]
                for j in range(k)
            ],
            dim=1,
        )
        for i in range(k)
    ]
    return torch.cat(rows)


def jacobian_abscissa(network: Network, blocks: JacobianBlocks) -> float:
    """Return the largest real part of one sample's J, matrix-free, in 1/s; NaN: none was found."""
    like = blocks.rho_s  # (k, 1, N), as the state

    def product(row: Tensor) -> Tensor:
        return jacobian_product(network, blocks, row.view_as(like)).reshape(1, -1)

    # The eigenvalue may be 0: errors are relative to the units' own rates.
    rate = float(blocks.F_s.diagonal(dim1=0, dim2=1).abs().mean())
    tol = 2e-5 if like.dtype == torch.float32 else 1e-8
    return rightmost_eigenvalue(product, like.numel(), like, tol, shift=rate)


def map_radius(network: Network, gain: Tensor) -> float:
    """Return the spectral radius of G W for gains (1, N) of one sample; NaN: none was found."""
    W = network.connectivity
    if network.units <= DENSE_EIGENVALUES:
        return float(all_eigenvalues(gain[0, :, None] * W.dense()).abs().max())
    tol = 2e-5 if gain.dtype == torch.float32 else 1e-8
    return spectral_radius(lambda row: gain * W.apply(row), gain.numel(), gain, tol)
