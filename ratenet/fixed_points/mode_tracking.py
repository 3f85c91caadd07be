"""The slowest mode of a network that learns: its eigenvalue, and the gradient of that.

For a batch as a whole the matrix is the Jacobian with one gain a unit, for a rate network
J = T^{-1} (-I + G W). With J u = l u, J^T w = l w

    dl = w^T dJ u / w^T u,      dJ = F_I dW rho_s

so that the gradient of Re l with respect to the weights is an outer product, for any connectivity.
`linear_algebra.RightmostTracker` follows the eigenvalue from step to step.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ratenet.connectivity.base import Change
from ratenet.errors import UnsettledError
from ratenet.fixed_points.jacobian import jacobian_product
from ratenet.fixed_points.results import FixedPoints
from ratenet.linear_algebra import Eigenpair, RightmostTracker, all_eigenvalues
from ratenet.network import JacobianBlocks, Network


class BatchJacobians(NamedTuple):
    """One Jacobian for a whole batch, in two ways; blocks with B = 1."""

    mean: JacobianBlocks  # averaged over the settled samples: what is typical
    excitable: JacobianBlocks  # each unit where its gain is largest: what the network comes to


def batch_jacobians(fp: FixedPoints) -> BatchJacobians:
    """Return the Jacobians that stand for a batch, from its settled samples.

    Raises
    ------
    UnsettledError
        If there is none.
    """
    settled = fp.converged
    if not bool(settled.any()):
        raise UnsettledError(f"No sample is at a fixed point.\n{fp.summary()}")
    found = fp if bool(settled.all()) else fp.select(settled)
    blocks = fp.network.jacobian_blocks(found.state, found.drive)
    most = found.gain.argmax(dim=0)  # (N,)
    units = torch.arange(len(most), device=most.device)
    return BatchJacobians(
        JacobianBlocks(*(block.mean(dim=-2, keepdim=True) for block in blocks)),
        JacobianBlocks(*(block[..., most, units].unsqueeze(-2) for block in blocks)),
    )


def own_decay(blocks: JacobianBlocks) -> float:
    """Return how fast the slowest unit decays by itself, in 1/s; not above 0: it does not."""
    own = blocks.F_s[:, :, 0].permute(2, 0, 1)  # (N, k, k)
    return -float(all_eigenvalues(own).real.max())


def rightmost_of_jacobian(
    tracker: RightmostTracker, network: Network, blocks: JacobianBlocks
) -> Eigenpair:
    """Return the rightmost eigenpair of J, value in 1/s, vectors of length k N."""

    def product(rows: Tensor) -> Tensor:
        return _rows(jacobian_product(network, blocks, _vectors(rows, blocks)))

    return tracker.track(product, blocks.F_I.flatten())


def left_eigenpair(
    tracker: RightmostTracker, network: Network, blocks: JacobianBlocks, value: complex
) -> Eigenpair:
    """Return the eigenpair of J^T that belongs to an eigenvalue of J."""

    def product(rows: Tensor) -> Tensor:
        vectors = _vectors(rows, blocks)
        own = (blocks.F_s * vectors[:, None]).sum(dim=0)
        back = network.connectivity.apply_transpose((blocks.F_I * vectors).sum(dim=0))
        return _rows(own + blocks.rho_s * back)

    return tracker.track(product, blocks.F_I.flatten(), near=value)


def abscissa_gradient(
    network: Network, blocks: JacobianBlocks, right: Eigenpair, left: Eigenpair
) -> Change:
    """Return the gradient of Re l, shaped like the connectivity's parameters, gains held fixed.

    Not finite where left and right eigenvectors are orthogonal, as at a defective eigenvalue.

    References
    ----------
    Lancaster 1964, Numer. Math. 6:377 (derivatives of eigenvalues).
    """
    u = torch.complex(right.real, right.imaginary)
    w = torch.complex(left.real, left.imaginary)
    w = w / (w * u).sum()
    post = (blocks.F_I * _vectors(w[None], blocks)).sum(dim=0)  # (1, N)
    pre = (blocks.rho_s * _vectors(u[None], blocks)).sum(dim=0)
    return network.connectivity.accumulate(
        torch.cat([post.real, -post.imag]), torch.cat([pre.real, pre.imag])
    )


def _vectors(rows: Tensor, blocks: JacobianBlocks) -> Tensor:
    """Turn rows (b, k N) into (k, b, N)."""
    return rows.unflatten(1, (len(blocks.F_I), -1)).transpose(0, 1)


def _rows(vectors: Tensor) -> Tensor:
    """Turn (k, b, N) into rows (b, k N)."""
    return vectors.transpose(0, 1).flatten(1)
