"""Random networks: h' = -h + J tanh(h), with independent or with low-rank structured weights."""

import numpy as np
import torch

from ratenet.circuits.arguments import number, units_of, whole
from ratenet.circuits.base import Circuit
from ratenet.circuits.titles import TITLES
from ratenet.network import Network


def chaotic(*, gain: float = 1.5, units: int = 400, seed: int = 0) -> Circuit:
    """Return the random network that is chaotic for a gain above 1 (large networks).

    Parameters
    ----------
    gain : float
        g; weights are normal with variance g^2 / N.
    units : int
        N.
    seed : int
        Seed of the weights and of the initial state.

    Returns
    -------
    Circuit
        Without drive; the initial state is standard normal.

    Raises
    ------
    InputError
        If an argument is out of range or has the wrong unit.

    References
    ----------
    Sompolinsky, Crisanti and Sommers 1988, Phys. Rev. Lett. 61:259.

    Examples
    --------
    >>> chaotic(units=50).network.units
    50
    """
    where = "chaotic"
    g = number(gain, f"{where}, gain", least=0.0)
    N = units_of(units, where)
    draws = np.random.default_rng(whole(seed, f"{where}, seed", least=0))
    W = g / N**0.5 * draws.standard_normal((N, N))
    return Circuit(
        name="chaotic",
        title=TITLES["chaotic"],
        source="Sompolinsky, Crisanti & Sommers 1988, Phys. Rev. Lett. 61:259",
        network=Network("voltage", W),
        drive=torch.zeros(1, N, dtype=torch.float64),
        initial={"v": draws.standard_normal(N)},
        duration=1.0,
        dt=0.0005,
    )


def low_rank(
    *, overlap: float = 1.5, gain: float = 0.5, units: int = 1000, seed: int = 0
) -> Circuit:
    """Return a random network with a rank-one structure, W = g chi + m n^T / N, n = overlap m.

    Parameters
    ----------
    overlap : float
        n^T m / N, exactly; above about 1 the network has two active states.
    gain : float
        g of the random part, whose entries chi are normal with variance 1 / N.
    units : int
        N.
    seed : int
        Seed of chi and m.

    Returns
    -------
    Circuit
        It starts at v = m, on the side of the positive state. kappa = n^T y / N.

    Raises
    ------
    InputError
        If an argument is out of range or has the wrong unit.

    References
    ----------
    Mastrogiuseppe and Ostojic 2018, Neuron 99:609.

    Examples
    --------
    >>> m = low_rank(units=100).initial["v"]
    >>> round(float(m @ m) / 100, 12)
    1.0
    """
    where = "low_rank"
    rho = number(overlap, f"{where}, overlap")
    g = number(gain, f"{where}, gain", least=0.0)
    N = units_of(units, where)
    draws = np.random.default_rng(whole(seed, f"{where}, seed", least=0))
    chi = draws.standard_normal((N, N)) / N**0.5
    m = draws.standard_normal(N)
    m *= (N / (m @ m)) ** 0.5  # so that the overlap is exact
    return Circuit(
        name="low_rank",
        title=TITLES["low_rank"],
        source="Mastrogiuseppe & Ostojic 2018, Neuron 99:609",
        network=Network("voltage", g * chi + rho * np.outer(m, m) / N),
        drive=torch.zeros(1, N, dtype=torch.float64),
        initial={"v": m},
        duration=0.5,
        dt=0.0005,
    )
