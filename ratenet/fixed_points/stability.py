"""Whether fixed points are stable for the dynamics, at the cost of a few products with W.

With one state variable a unit the Jacobian is J = diag(a) (-I + G W) but for a similarity, a > 0
the units' own rates of decay. Where G >= 0 and the largest eigenvalue of (W + W^T) / 2 is m,

    max(G) m < 1    makes    G^{-1} diag(1/a)    a Lyapunov matrix: v^T (-G^{-1} + W) v < 0

so that J is stable whatever the time constants are; with gains of both signs the norm of W
stands in place of m. One Lanczos iteration serves the whole batch, and all batches until the
weights change. What that leaves open is decided sample by sample: by all eigenvalues where that is
cheap, else by restarted Arnoldi iteration with batched products, and what is then still close to
the border by `FixedPoints.abscissa`. Most samples leave the first cycle early: their Ritz values
lie far left of the border, which needs no eigenvalues (`ritz_values_left_of`). An abscissa within
rounding of 0, relative to the slowest unit's own rate, is neither stable nor unstable: neutral, as
along a line attractor.
"""

import dataclasses

import torch
from torch import Tensor

from ratenet.errors import ConvergenceError, counted
from ratenet.fixed_points.jacobian import jacobian_product
from ratenet.fixed_points.kept import kept_for
from ratenet.fixed_points.results import FixedPoints
from ratenet.fixed_points.status import Status
from ratenet.linear_algebra import (
    KrylovSpace,
    all_eigenvalues,
    lanczos,
    random_start,
    rightmost_ritz,
    ritz_values_left_of,
)
from ratenet.linear_algebra.krylov import STEPS, Product
from ratenet.network import JacobianBlocks, Network

CYCLES = 4
CHUNK = 4_000_000  # numbers in the basis, or in the matrices, that are held at a time
DENSE = 64  # k N up to which all eigenvalues are computed
BORDER = 0.2  # of the slowest own rate: closer to 0 an estimate does not decide
ERRORS = 3.0  # times the residual of an estimate: closer to 0 it does not decide
EARLY = 16  # products after which estimates that are clearly left of 0 decide
EARLY_BORDER = 0.3  # as BORDER, there
EARLY_ERRORS = 2.0  # as ERRORS, there
SAFETY = 1.05  # of the Lanczos estimate, which is from below
NEUTRAL = 1e-6  # of the slowest own rate: an abscissa that close to 0 is taken for 0
ROUNDING = 1024  # times eps: at least so close, 1e-4 in float32
UNDECIDED = -1  # no code of a `Status`


def examined(found: FixedPoints) -> FixedPoints:
    """Return the same with every settled sample's stability known, and told by its status."""
    settled = torch.nonzero(found.converged)[:, 0]
    if len(settled) == 0:
        return found
    verdict = verdicts(found.select(settled))
    is_known = verdict != UNDECIDED
    status, known, notes = found.status.clone(), found.examined.clone(), found.notes
    status[settled] = torch.where(is_known, verdict, int(Status.SETTLED))
    known[settled] = is_known
    if not is_known.all():
        unknown = counted(int((~is_known).sum()), "settled sample")
        notes += (
            f"Stability is unknown for {unknown}: the Arnoldi "
            "iteration found no eigenvalue; look at the eigenvalues of `jacobian(sample)`.",
        )
    return dataclasses.replace(found, status=status, examined=known, notes=notes)


def verdicts(found: FixedPoints) -> Tensor:
    """Return for each of these states, all finite, whether it is SETTLED, NEUTRAL or UNSTABLE.

    Codes of `Status`, (B,), of a state that is stable, neither, or unstable; UNDECIDED
    where no eigenvalue is found. Of components that settle one after another the worst counts.
    """
    network = found.network
    if network.components:
        parts = torch.stack([verdicts(found.within(part)) for part in network.components])
        codes = torch.full_like(found.status, int(Status.SETTLED))
        for verdict in (UNDECIDED, int(Status.NEUTRAL), int(Status.UNSTABLE)):
            codes[(parts == verdict).any(dim=0)] = verdict
        return codes
    codes = torch.full_like(found.status, int(Status.SETTLED))
    blocks = network.jacobian_blocks(found.state, found.drive)
    doubtful = torch.nonzero(~_surely_stable(network, blocks, found.gain))[:, 0]
    if len(doubtful) > 1 and _is_shared(blocks):  # as in a linear network
        codes[doubtful] = _examine(found, blocks, doubtful[:1])
        return codes
    n = found.state[:, 0].numel()
    size = max(1, CHUNK // (n * n if n <= DENSE else n * STEPS))
    for chunk in doubtful.split(size) if len(doubtful) else ():
        codes[chunk] = _examine(found, blocks, chunk)
    return codes


def _examine(found: FixedPoints, blocks: JacobianBlocks, samples: Tensor) -> Tensor:
    """Return the verdicts on some samples, (b,), by their eigenvalues."""
    part = _select(blocks, samples)
    rate = slowest_rate(part)
    if found.state[:, 0].numel() <= DENSE:
        return _verdict(_abscissa_dense(found.network, part), rate)
    abscissa, is_open = _arnoldi(found.network, part, rate)
    for row in torch.nonzero(is_open)[:, 0].tolist():
        try:
            abscissa[row] = found.abscissa([int(samples[row])])[0]
        except ConvergenceError:
            abscissa[row] = torch.nan
    return _verdict(abscissa, rate)


def _verdict(abscissa: Tensor, rate: Tensor) -> Tensor:
    """Return what abscissas (b,) say, relative to rates (b,); both in 1/s."""
    margin = _margin(rate)
    codes = torch.full_like(abscissa, int(Status.SETTLED), dtype=torch.int64)
    codes[abscissa >= -margin] = int(Status.NEUTRAL)
    codes[abscissa > margin] = int(Status.UNSTABLE)
    return codes.masked_fill(torch.isnan(abscissa), UNDECIDED)


def neutral_margin(found: FixedPoints) -> Tensor:
    """Return how close to 0 the abscissa of each state is taken for 0, (B,), in 1/s."""
    return _margin(slowest_rate(found.network.jacobian_blocks(found.state, found.drive)))


def _margin(rate: Tensor) -> Tensor:
    return max(NEUTRAL, ROUNDING * torch.finfo(rate.dtype).eps) * rate


def slowest_rate(blocks: JacobianBlocks) -> Tensor:
    """Return the smallest |eigenvalue| of the units' own dynamics in each sample, (b,), in 1/s."""
    if len(blocks.F_I) == 1:
        return blocks.F_s[0, 0].abs().amin(dim=1)
    own = all_eigenvalues(blocks.F_s.permute(2, 3, 0, 1))  # (b, N, k)
    return own.abs().amin(dim=(1, 2))


def _select(blocks: JacobianBlocks, samples: Tensor) -> JacobianBlocks:
    return JacobianBlocks(*(block[..., samples, :] for block in blocks))


def _is_shared(blocks: JacobianBlocks) -> bool:
    """Return whether all samples have one Jacobian."""
    return all(bool((block == block[..., :1, :]).all()) for block in blocks)


def _surely_stable(network: Network, blocks: JacobianBlocks, gain: Tensor) -> Tensor:
    """Return where the bound on the feedback proves stability, (B,)."""
    if len(blocks.F_I) > 1:
        return torch.zeros(len(gain), dtype=torch.bool, device=gain.device)
    largest = gain.amax(dim=1)
    signed = (gain < 0).any(dim=1)
    strength = torch.maximum(largest, -gain.amin(dim=1)) if signed.any() else largest
    decays = (blocks.F_s[0, 0] < 0).all(dim=1)
    how = _norm if signed.any() else _largest_of_symmetric_part
    bound = kept_for(network).bound(how.__name__, network, how)
    return decays & (SAFETY * bound * strength < 1)


def _largest_of_symmetric_part(network: Network) -> float:
    """Estimate the largest eigenvalue of (W + W^T) / 2 by Lanczos iteration."""
    W = network.connectivity
    return _largest(network, lambda v: 0.5 * (W.apply(v) + W.apply_transpose(v)))


def _norm(network: Network) -> float:
    """Estimate the largest singular value of W by Lanczos iteration on W^T W."""
    W = network.connectivity
    return max(0.0, _largest(network, lambda v: W.apply_transpose(W.apply(v)))) ** 0.5


def _largest(network: Network, product: Product) -> float:
    like = torch.empty(0, dtype=network.dtype, device=network.device)
    return float(lanczos(product, random_start(network.units, like))[0])


def _abscissa_dense(network: Network, blocks: JacobianBlocks) -> Tensor:
    """Return the abscissa of each sample from its matrix; for small k N only."""
    k, b, N = blocks.F_I.shape
    identity = torch.eye(k * N, dtype=network.dtype, device=network.device)
    columns = []
    for column in identity.view(k * N, k, 1, N).expand(-1, -1, b, -1):
        columns.append(jacobian_product(network, blocks, column).transpose(0, 1).flatten(1))
    jacobians = torch.stack(columns, dim=2)  # (b, kN, kN)
    # In float64 the iteration adds no rounding to that of the entries.
    return all_eigenvalues(jacobians.double()).real.amax(dim=1).to(network.dtype)


def _arnoldi(network: Network, blocks: JacobianBlocks, rate: Tensor) -> tuple[Tensor, Tensor]:
    """Return estimates of the abscissas, and where they do not decide, both (b,)."""
    k, b, N = blocks.F_I.shape
    abscissa, is_open = torch.zeros_like(rate), torch.zeros_like(rate, dtype=torch.bool)
    space = KrylovSpace(random_start(k * N, rate).expand(b, -1))
    left = _looked_at_early(network, blocks, rate, space, abscissa)
    for _ in range(CYCLES):
        if len(left) == 0:
            return abscissa, is_open
        space.grow(_product(network, _select(blocks, left)), STEPS)
        ritz = rightmost_ritz(space)
        abscissa[left] = ritz.real
        clear = torch.maximum(ERRORS * ritz.error, BORDER * rate[left])
        undecided = ~(ritz.real.abs() > clear)
        left, space = left[undecided], KrylovSpace(ritz.vector[undecided])
    is_open[left] = True
    return abscissa, is_open


def _looked_at_early(
    network: Network, blocks: JacobianBlocks, rate: Tensor, space: KrylovSpace, abscissa: Tensor
) -> Tensor:
    """Return the samples that a few products do not show to be stable; the space keeps those."""
    every = torch.arange(len(rate), device=rate.device)
    if space.steps <= EARLY:
        return every
    space.grow(_product(network, blocks), EARLY)
    stable = ritz_values_left_of(space, EARLY_BORDER * rate, share=EARLY_ERRORS)
    abscissa[stable] = -EARLY_BORDER * rate[stable]
    others = every[~stable]
    space.keep(others)
    return others


def _product(network: Network, blocks: JacobianBlocks) -> Product:
    """Return what takes rows (b, k N) to J v."""
    k, _, N = blocks.F_I.shape

    def product(rows: Tensor) -> Tensor:
        if k == 1:
            return jacobian_product(network, blocks, rows[None])[0]
        vectors = rows.unflatten(1, (k, N)).transpose(0, 1)
        return jacobian_product(network, blocks, vectors).transpose(0, 1).flatten(1)

    return product
