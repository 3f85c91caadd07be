"""Initial weights: random, balanced, sparse, convolutional, each of a given spectral radius.

The spectral radius, the largest absolute eigenvalue of W, says how strong the feedback is: where
every gain is 1 and all time constants are equal, a network is stable just where all eigenvalues of
W have real parts below 1. All weights come from their seed.
"""

import math

import torch
from scipy.sparse import csr_array
from torch import Tensor

from ratenet.connectivity.computation import computation
from ratenet.connectivity.spectrum import kernel_eigenvalues
from ratenet.errors import InputError, SingularError
from ratenet.validation import check_positive, check_seed, check_whole


@computation()
def random_weights(
    units: int, *, radius: float, seed: int, exact: bool = True, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Draw Gaussian weights, scaled to a given spectral radius (largest absolute eigenvalue).

    Parameters
    ----------
    units : int
        N.
    radius : float
        Spectral radius, above 0.
    seed : int
        Fixes the draw: the same seed gives the same numbers.
    exact : bool
        True: rescale to the exact radius, which computes all eigenvalues, O(N^3). False: standard
        deviation radius / sqrt(N), accurate to a few per cent for large N.
    dtype : torch.dtype
        torch.float32 or torch.float64, of the result.

    Returns
    -------
    Tensor, shape (N, N)
        W[post, pre].

    Raises
    ------
    InputError
        If an argument is out of range.

    References
    ----------
    Girko 1985, Theory Probab. Appl. 29:694 (the circular law).

    Examples
    --------
    >>> W = random_weights(100, radius=0.5, seed=0, dtype=torch.float64)
    >>> f"{torch.linalg.eigvals(W).abs().max():.6f}"
    '0.500000'
    """
    _check(units=units, radius=radius)
    W = radius / units**0.5 * _normal((units, units), seed)
    return (with_radius(W, radius) if exact else W).to(dtype)


@computation()
def balanced_weights(
    excitatory: int,
    inhibitory: int,
    *,
    radius: float,
    seed: int,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    """Return weights (N, N) that obey Dale's law, balanced for each unit, and the signs (N,).

    Parameters
    ----------
    excitatory, inhibitory : int
        How many units of each kind; the excitatory ones come first.
    radius : float
        Spectral radius, above 0; W is scaled to it exactly.
    seed : int
        Fixes the draw: the same seed gives the same numbers.
    dtype : torch.dtype
        torch.float32 or torch.float64, of the result.

    Returns
    -------
    W : Tensor, shape (N, N)
    signs : Tensor, shape (N,)
        1 and -1; together they make a `Signed` connectivity.

    Raises
    ------
    InputError
        If an argument is out of range.

    Notes
    -----
    Absolute values of normal numbers are drawn, and the inhibitory ones of each row scaled so that
    it sums to 0. W = J + 1 m^T with the mean m of the columns: since 1 is in the null space of W,
    and balance makes m^T 1 = 0, W has the eigenvalues of J alone. Without the balance of each row
    some eigenvalues would lie far outside of the circle that the others fill.

    References
    ----------
    Rajan and Abbott 2006, Phys. Rev. Lett. 97:188104.

    Examples
    --------
    >>> W, signs = balanced_weights(80, 20, radius=0.9, seed=0, dtype=torch.float64)
    >>> bool(W.sum(dim=1).abs().max() < 1e-12), bool((W * signs >= 0).all())
    (True, True)
    """
    _check(excitatory=excitatory, inhibitory=inhibitory, radius=radius)
    units = excitatory + inhibitory
    strengths = _normal((units, units), seed).abs()
    E, I = strengths[:, :excitatory], strengths[:, excitatory:]  # noqa: E741 - the field's letters
    I = I * (E.sum(dim=1) / I.sum(dim=1))[:, None]  # noqa: E741
    signs = torch.ones(units, dtype=torch.float64)
    signs[excitatory:] = -1.0
    W = with_radius(torch.cat([E, -I], dim=1), radius)
    return W.to(dtype), signs.to(dtype)


@computation()
def random_mask(post: int, pre: int, *, density: float, seed: int) -> Tensor:
    """Return a pattern (post, pre) of bool, each synapse there with probability `density`.

    Parameters
    ----------
    post, pre : int
        Numbers of units.
    density : float
        Above 0 and at most 1.
    seed : int
        Fixes the draw: the same seed gives the same numbers.

    Returns
    -------
    Tensor of bool, shape (post, pre)

    Raises
    ------
    InputError
        If an argument is out of range.

    Examples
    --------
    >>> f"{random_mask(1000, 1000, density=0.1, seed=0).float().mean():.2f}"
    '0.10'
    """
    _check(post=post, pre=pre)
    check_positive(density, "density", most=1)
    return torch.rand(post, pre, generator=_generator(seed), dtype=torch.float64) < density


@computation()
def sparse_weights(
    units: int, *, density: float, radius: float, seed: int, dtype: torch.dtype = torch.float32
) -> csr_array:
    """Draw Gaussian weights on random synapses; no dense matrix is made.

    Parameters
    ----------
    units : int
        N.
    density : float
        Probability of each synapse, above 0 and at most 1.
    radius : float
        Spectral radius, above 0: the standard deviation of a weight is radius / sqrt(density N),
        accurate to a few per cent where units have many synapses.
    seed : int
        Fixes the draw: the same seed gives the same numbers.
    dtype : torch.dtype
        torch.float32 or torch.float64, of the result.

    Returns
    -------
    scipy.sparse.csr_array, shape (N, N)
        W[post, pre]; a `Network` keeps it sparse.

    Raises
    ------
    InputError
        If an argument is out of range.

    References
    ----------
    Girko 1985, Theory Probab. Appl. 29:694 (the circular law); Wood 2012, Ann. Appl. Probab.
    22:1266 (for sparse matrices).

    Examples
    --------
    >>> W = sparse_weights(100_000, density=1e-4, radius=0.5, seed=0)
    >>> W.shape, W.nnz
    ((100000, 100000), 997965)
    """
    _check(units=units, radius=radius)
    check_positive(density, "density", most=1)
    generator = _generator(seed)
    synapses = _chosen(units**2, density, generator)
    starts = torch.searchsorted(synapses, torch.arange(units + 1) * units)
    values = torch.randn(len(synapses), generator=generator, dtype=dtype)
    values *= radius / (density * units) ** 0.5
    parts = values.numpy(), (synapses % units).numpy(), starts.numpy()
    return csr_array(parts, shape=(units, units))


@computation()
def random_kernel(
    channels: int,
    size: int,
    *,
    height: int,
    width: int,
    radius: float,
    seed: int,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Return a normal kernel (C, C, k, k) for a `Convolution` of a given spectral radius.

    Parameters
    ----------
    channels : int
        C.
    size : int
        k, odd.
    height, width : int
        Size of the grid, at least k.
    radius : float
        Spectral radius with circular borders, above 0, exactly. With zero borders it is close to
        that for large grids, and mostly below.
    seed : int
        Fixes the draw: the same seed gives the same numbers.
    dtype : torch.dtype
        torch.float32 or torch.float64, of the result.

    Returns
    -------
    Tensor, shape (C, C, k, k)

    Raises
    ------
    InputError
        If an argument is out of range.

    Examples
    --------
    >>> from ratenet.connectivity import Convolution, eigenvalues
    >>> kernel = random_kernel(2, 3, height=5, width=5, radius=0.8, seed=0)
    >>> f"{eigenvalues(Convolution(kernel, 5, 5)).abs().max():.4f}"
    '0.8000'
    """
    _check(channels=channels, size=size, height=height, width=width, radius=radius)
    if size % 2 == 0 or size > min(height, width):
        raise InputError.at(
            "size",
            got=size,
            expected=f"an odd number, at most the height {height} and the width {width}",
        )
    kernel = _normal((channels, channels, size, size), seed)
    found = float(kernel_eigenvalues(kernel, height, width).abs().max())
    return (radius / found * kernel).to(dtype)


@computation()
def with_radius(W: Tensor, radius: float) -> Tensor:
    """Return W (N, N) scaled so that its largest absolute eigenvalue is `radius`.

    Parameters
    ----------
    W : Tensor, shape (N, N)
        Weights; not changed.
    radius : float
        Spectral radius of the result, above 0: the largest |eigenvalue|.

    Returns
    -------
    Tensor, shape (N, N)

    Raises
    ------
    InputError
        If the radius is not above 0.
    SingularError
        If all eigenvalues are 0, as where no unit can reach itself.

    Examples
    --------
    >>> with_radius(torch.diag(torch.tensor([4.0, 8.0])), 0.5)
    tensor([[0.2500, 0.0000],
            [0.0000, 0.5000]])
    """
    _check(radius=radius)
    found = float(torch.linalg.eigvals(W).abs().max())
    if not found > 0:
        raise SingularError(
            "with_radius: all eigenvalues of W are 0, so no factor gives it a spectral radius; add "
            "connections that lead back."
        )
    return radius / found * W


def _check(*, radius: float = 1.0, **counts: int) -> None:
    """Refuse numbers out of range, by their names."""
    for name, count in counts.items():
        check_whole(count, name)
    check_positive(radius, "radius")


def _normal(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randn(shape, generator=_generator(seed), dtype=torch.float64)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(check_seed(seed))


def _chosen(number: int, probability: float, generator: torch.Generator) -> Tensor:
    """Return those of the whole numbers below `number` that are drawn, each by itself, sorted.

    From one to the next it is a geometric number, so no time goes into those that are left out.
    """
    if probability == 1:
        return torch.arange(number)
    size = math.ceil(number * probability + 6 * math.sqrt(number * probability)) + 16
    chosen = torch.full((1,), -1)
    while chosen[-1] < number:
        gaps = torch.empty(size, dtype=torch.int64).geometric_(probability, generator=generator)
        chosen = torch.cat([chosen, chosen[-1] + gaps.cumsum(dim=0)])
    return chosen[1 : int(torch.searchsorted(chosen, number))]
