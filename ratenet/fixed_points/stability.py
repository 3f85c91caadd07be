"""Whether fixed points are stable for the dynamics, at the cost of a few products with W.

With one state variable a unit the Jacobian is J = diag(a) (-I + G W) but for a similarity, a > 0
the units' own rates of decay. Where G >= 0 and the largest eigenvalue of (W + W^T) / 2 is m,

    max(G) m < 1    makes    G^{-1} diag(1/a)    a Lyapunov matrix: v^T (-G^{-1} + W) v < 0

so that J is stable whatever the time constants are; with gains of both signs the norm of W
stands in place of m. One Lanczos iteration serves the whole batch. What that leaves open is
decided sample by sample: by all eigenvalues where that is cheap, else by restarted Arnoldi
iteration with batched products, and what is then still close to the border by
`FixedPoints.abscissa`.
"""

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from ratenet.fixed_points.results import FixedPoints, Status, jacobian_product
from ratenet.network import JacobianBlocks, Network

BASIS = 20  # vectors of an Arnoldi cycle
CYCLES = 4
CHUNK = 4_000_000  # numbers in the basis, or in the matrices, that are held at a time
DENSE = 64  # k N up to which all eigenvalues are computed
BORDER = 0.1  # of the slowest own rate: closer to 0 an estimate does not decide
SAFETY = 1.05  # of the Lanczos estimate, which is from below


def examined(found: FixedPoints) -> FixedPoints:
    """Return the same with every settled sample's stability known; unstable ones say so."""
    settled = torch.nonzero(found.converged)[:, 0]
    if len(settled) == 0:
        return found
    unstable = settled[unstable_samples(found.select(settled))]
    status, known = found.status.clone(), found.examined.clone()
    status[unstable], known[settled] = int(Status.UNSTABLE), True
    return dataclasses.replace(found, status=status, examined=known)


def unstable_samples(found: FixedPoints) -> Tensor:
    """Return which of these states, all finite, repel the dynamics, as a mask (B,)."""
    network = found.network
    unstable = torch.zeros(len(found), dtype=torch.bool, device=found.rates.device)
    blocks = network.jacobian_blocks(found.state, found.drive)
    doubtful = torch.nonzero(~_surely_stable(network, blocks, found.gain))[:, 0]
    n = found.state[:, 0].numel()
    size = max(1, CHUNK // (n * n if n <= DENSE else n * BASIS))
    for chunk in doubtful.split(size) if len(doubtful) else ():
        part = JacobianBlocks(blocks.F_s[:, :, chunk], blocks.F_I[:, chunk], blocks.rho_s[:, chunk])
        if n <= DENSE:
            unstable[chunk] = _abscissa_dense(network, part) >= 0
        else:
            unstable[chunk], open_ones = _arnoldi(network, part)
            for sample in chunk[open_ones].tolist():
                unstable[sample] = float(found.abscissa([sample])[0]) >= 0
    return unstable


def _surely_stable(network: Network, blocks: JacobianBlocks, gain: Tensor) -> Tensor:
    """Return where the bound on the feedback proves stability, (B,)."""
    if len(blocks.F_I) > 1:
        return torch.zeros(len(gain), dtype=torch.bool, device=gain.device)
    largest = gain.amax(dim=1)
    signed = (gain < 0).any(dim=1)
    strength = torch.maximum(largest, -gain.amin(dim=1)) if signed.any() else largest
    decays = (blocks.F_s[0, 0] < 0).all(dim=1)
    bound = _norm(network) if signed.any() else _largest_of_symmetric_part(network)
    return decays & (SAFETY * bound * strength < 1)


def _largest_of_symmetric_part(network: Network) -> float:
    """Estimate the largest eigenvalue of (W + W^T) / 2 by Lanczos iteration."""
    W = network.connectivity
    return _lanczos(network, lambda v: 0.5 * (W.apply(v) + W.apply_transpose(v)))


def _norm(network: Network) -> float:
    """Estimate the largest singular value of W by Lanczos iteration on W^T W."""
    W = network.connectivity
    return _lanczos(network, lambda v: W.apply_transpose(W.apply(v))) ** 0.5


def _lanczos(network: Network, product: Callable[[Tensor], Tensor]) -> float:
    start = _random_rows((1, network.units), network.dtype, network.device)
    _, H = _krylov(product, start)
    return float(torch.linalg.eigvals(H[0, :-1].cpu()).real.max())


def _abscissa_dense(network: Network, blocks: JacobianBlocks) -> Tensor:
    """Return the abscissa of each sample from its matrix; for small k N only."""
    k, b, N = blocks.F_I.shape
    identity = torch.eye(k * N, dtype=network.dtype, device=network.device)
    columns = []
    for column in identity.view(k * N, k, 1, N).expand(-1, -1, b, -1):
        columns.append(jacobian_product(network, blocks, column).transpose(0, 1).flatten(1))
    jacobians = torch.stack(columns, dim=2)  # (b, kN, kN)
    return torch.linalg.eigvals(jacobians).real.amax(dim=1)


def _arnoldi(network: Network, blocks: JacobianBlocks) -> tuple[Tensor, Tensor]:
    """Return which samples are unstable, and which stay undecided, both (b,)."""
    k, b, N = blocks.F_I.shape
    slowest = blocks.F_s.diagonal(dim1=0, dim2=1).abs().amin(dim=(1, 2))  # (b,), 1/s
    unstable = torch.zeros(b, dtype=torch.bool, device=network.device)
    left = torch.arange(b, device=network.device)
    start = _random_rows((1, k * N), network.dtype, network.device).repeat(b, 1)
    for _ in range(CYCLES):
        part = JacobianBlocks(blocks.F_s[:, :, left], blocks.F_I[:, left], blocks.rho_s[:, left])

        def product(rows: Tensor, part: JacobianBlocks = part) -> Tensor:
            vectors = rows.unflatten(1, (k, N)).transpose(0, 1)
            return jacobian_product(network, part, vectors).transpose(0, 1).flatten(1)

        largest, error, start = _rightmost(product, start)
        margin = torch.maximum(error, BORDER * slowest[left])
        unstable[left] = largest > margin
        undecided = ~(largest.abs() > margin)
        left, start = left[undecided], start[undecided]
        if len(left) == 0:
            break
    open_ones = torch.zeros_like(unstable)
    open_ones[left] = True
    return unstable, open_ones


def _rightmost(product: Callable[[Tensor], Tensor], start: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the largest real part of the Ritz values, its residual, and its vector's real part."""
    basis, H = _krylov(product, start)
    H, m = H.double().cpu(), len(basis) - 1  # small matrices, slow on a GPU
    values, vectors = torch.linalg.eig(H[:, :m])
    rightmost = values.real.argmax(dim=1)  # (b,)
    each = torch.arange(len(H))
    weights = vectors[each, :, rightmost]  # (b, m)
    error = H[:, m, m - 1] * weights[:, -1].abs()
    following, shares = torch.zeros_like(start), weights.real.to(start)
    for i in range(m):
        following.addcmul_(shares[:, i, None], basis[i])
    return values.real[each, rightmost].to(start), error.to(start), following


def _krylov(product: Callable[[Tensor], Tensor], start: Tensor) -> tuple[list[Tensor], Tensor]:
    """Return an orthonormal basis (m + 1 times (b, n)) and H, (b, m + 1, m), with A V = V H."""
    m = min(BASIS, start.shape[1])
    basis = [start / start.norm(dim=1, keepdim=True)]
    H = start.new_zeros(len(start), m + 1, m)
    for j in range(m):
        vector = product(basis[j])
        for i, earlier in enumerate(basis):
            H[:, i, j] = (earlier * vector).sum(dim=1)
            vector = torch.addcmul(vector, H[:, i, j, None], earlier, value=-1)
        H[:, j + 1, j] = vector.norm(dim=1)
        basis.append(torch.where(H[:, j + 1, j, None] > 0, vector / H[:, j + 1, j, None], 0.0))
    return basis, H


def _random_rows(shape: tuple[int, int], dtype: torch.dtype, device: torch.device) -> Tensor:
    generator = torch.Generator().manual_seed(0)  # the same at each call, on every device
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(device, dtype)
