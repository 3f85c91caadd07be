"""Attractor networks: a bump on a ring, memories as patterns, two populations that decide."""

from typing import Any

import numpy as np
import torch

from ratenet.circuits.arguments import number, numbers, stimuli, units_of, whole
from ratenet.circuits.base import Circuit, Coordinate
from ratenet.circuits.titles import TITLES
from ratenet.equations.units import amp, hertz
from ratenet.network import Network


def ring_attractor(
    *, contrast: Any = 0.4, orientation: Any = 0.0, tuning: float = 0.1, units: int = 100
) -> Circuit:
    """Return the ring whose recurrent connections sharpen a weakly tuned drive.

    W = (-7.3 + 11 cos 2(theta_i - theta_j)) / N, drive 40 Hz c (1 - e + e cos 2(theta - theta_0)).

    Parameters
    ----------
    contrast : float, or one per stimulus
        c of the drive: the bump grows with it and keeps its width.
    orientation : float, or one per stimulus
        theta_0 in degrees.
    tuning : float
        e, 0 to 0.5; at 0 the drive is the same everywhere, and a bump persists where it was.
    units : int
        N.

    Returns
    -------
    Circuit
        Units with preferred orientations from -90 to 90 degrees; it starts at zero.

    Raises
    ------
    InputError
        If an argument is out of range or has the wrong unit.

    References
    ----------
    Ben-Yishai, Bar-Or and Sompolinsky 1995, PNAS 92:3844; values of Dayan and Abbott 2001,
    Theoretical Neuroscience, section 7.4.

    Examples
    --------
    >>> ring_attractor().coordinate.label
    'preferred orientation (deg)'
    """
    where = "ring_attractor"
    c, peak = stimuli(
        where,
        numbers(contrast, f"{where}, contrast", least=0.0),
        numbers(orientation, f"{where}, orientation"),
    )
    e = number(tuning, f"{where}, tuning", least=0.0, most=0.5)
    N = units_of(units, where, least=4)
    preferred = -90 + 180.0 * np.arange(N) / N
    apart = np.deg2rad(preferred[:, None] - preferred)
    W = (-7.3 + 11 * np.cos(2 * apart)) / N
    drive = 40 * c * (1 - e + e * np.cos(2 * np.deg2rad(preferred - peak)))
    return Circuit(
        name="ring_attractor",
        title=TITLES["ring_attractor"],
        source="Ben-Yishai, Bar-Or & Sompolinsky 1995, PNAS 92:3844",
        network=Network("ring_attractor", W),
        drive=torch.from_numpy(drive),
        initial=None,
        duration=0.5,
        dt=0.0002,
        coordinate=Coordinate("preferred orientation (deg)", preferred),
    )


def hopfield(
    *, patterns: int = 3, units: int = 100, flipped: float = 0.2, seed: int = 0
) -> Circuit:
    """Return a network that completes stored patterns; its energy never rises.

    W = (1/N) sum of xi xi^T over the patterns, without self-connections.

    Parameters
    ----------
    patterns : int
        Number of random patterns of -1 and 1 that are stored; each is recalled by one stimulus.
    units : int
        N.
    flipped : float
        Fraction of the entries, 0 to 0.5, with the wrong sign in the initial states.
    seed : int
        Seed of the patterns and of the flipped entries.

    Returns
    -------
    Circuit
        Without drive; stimulus p starts at half of pattern p, with some entries flipped.

    Raises
    ------
    InputError
        If an argument is out of range or has the wrong unit.

    References
    ----------
    Hopfield 1984, PNAS 81:3088.

    Examples
    --------
    >>> hopfield(patterns=2).drive.shape
    torch.Size([2, 100])
    """
    where = "hopfield"
    P = whole(patterns, f"{where}, patterns")
    N = units_of(units, where, least=2)
    share = number(flipped, f"{where}, flipped", least=0.0, most=0.5)
    draws = np.random.default_rng(whole(seed, f"{where}, seed", least=0))
    stored = draws.choice([-1.0, 1.0], size=(P, N))
    W = stored.T @ stored / N
    np.fill_diagonal(W, 0.0)
    wrong = draws.permuted(np.tile(np.arange(N) < round(share * N), (P, 1)), axis=1)
    return Circuit(
        name="hopfield",
        title=TITLES["hopfield"],
        source="Hopfield 1984, PNAS 81:3088",
        network=Network("hopfield", W),
        drive=torch.zeros(P, N, dtype=torch.float64),
        initial={"v": 0.5 * np.where(wrong, -stored, stored)},
        duration=0.2,
        dt=0.0001,
    )


def wong_wang(*, coherence: Any = 0.512, rate: Any = 30.0, noise: Any = 0.02e-9) -> Circuit:
    """Return two populations that accumulate evidence and decide.

    Parameters
    ----------
    coherence : float, or one per stimulus
        -1 to 1; above 0 favours the first population.
    rate : Quantity or float, or one per stimulus
        mu_0 in Hz, the rate of the stimulus; 0 at rest.
    noise : Quantity or float
        sigma in ampere; 0.02 nA in the paper.

    Returns
    -------
    Circuit
        W = 0.2609 nA to oneself, -0.0497 nA to the other; drive 0.00052 nA/Hz mu_0 (1 +- c).

    Raises
    ------
    InputError
        If an argument is out of range or has the wrong unit.

    References
    ----------
    Wong and Wang 2006, J. Neurosci. 26:1314.

    Examples
    --------
    >>> wong_wang(coherence=[0, 0.128, 0.512]).drive.shape
    torch.Size([3, 2])
    """
    where = "wong_wang"
    c, mu = stimuli(
        where,
        numbers(coherence, f"{where}, coherence", least=-1.0, most=1.0),
        numbers(rate, f"{where}, rate", hertz, least=0.0),
    )
    sigma = number(noise, f"{where}, noise", amp, least=0.0)
    W = 1e-9 * np.array([[0.2609, -0.0497], [-0.0497, 0.2609]])  # A
    return Circuit(
        name="wong_wang",
        title=TITLES["wong_wang"],
        source="Wong & Wang 2006, J. Neurosci. 26:1314",
        network=Network("wong_wang", W, parameters={"sigma": sigma}),
        drive=torch.from_numpy(5.2e-13 * mu * np.hstack([1 + c, 1 - c])),  # A
        initial={"S": 0.1, "I_noise": 0.0},
        duration=2.0,
        dt=0.0002,
    )
