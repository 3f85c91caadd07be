"""Stabilized supralinear networks: rates are a power of the rectified input, r = k [I]+^n.

Gaussian connections over a preferred orientation (ring) or a position (line), populations E and I.
"""

from typing import Any

import numpy as np
import torch

from ratenet.circuits.arguments import number, numbers, stimuli, units_of
from ratenet.circuits.base import Circuit, Coordinate
from ratenet.circuits.titles import TITLES
from ratenet.equations.units import volt
from ratenet.network import Network

_RUBIN = "Rubin, Van Hooser & Miller 2015, Neuron 85:402"


def ssn_ring(
    *, contrast: Any = 20.0, orientation: Any = 90.0, units: int = 180, gain: float = 1.0
) -> Circuit:
    """Return the ring of preferred orientations: sums add supralinearly, then sublinearly.

    Parameters
    ----------
    contrast : float, or one per stimulus
        Strength c of the grating, 0 to 50 in the paper.
    orientation : float, or one per stimulus
        Orientation of the grating in degrees. Drives of several gratings add.
    units : int
        Orientations, each with an excitatory and an inhibitory unit.
    gain : float
        Factor of all weights.

    Returns
    -------
    Circuit
        k = 0.04 Hz, n = 2; J_EE, J_EI, J_IE, J_II = 0.044, 0.023, 0.042, 0.018 s for 180
        orientations; widths 32 deg (connections) and 30 deg (drive); 20 and 10 ms.

    Raises
    ------
    InputError
        If an argument is out of range or has the wrong unit.

    References
    ----------
    Rubin, Van Hooser and Miller 2015, Neuron 85:402.

    Examples
    --------
    >>> plaid = ssn_ring(orientation=45).drive + ssn_ring(orientation=135).drive
    >>> plaid.shape
    torch.Size([1, 360])
    """
    where = "ssn_ring"
    c, peak = stimuli(
        where,
        numbers(contrast, f"{where}, contrast", least=0.0),
        numbers(orientation, f"{where}, orientation"),
    )
    units = units_of(units, where, least=4, populations=2)
    gain = number(gain, f"{where}, gain", least=0.0)
    preferred = np.arange(units) * 180.0 / units
    kernel = _gaussian(_circular(preferred[:, None] - preferred), 32.0)
    J = np.array([[0.044, -0.023], [0.042, -0.018]]) * gain * 180 / units  # s
    drive = c * _gaussian(_circular(preferred - peak), 30.0)
    return Circuit(
        name="ssn_ring",
        title=TITLES["ssn_ring"],
        source=_RUBIN,
        network=Network("ssn", np.kron(J, kernel)),
        drive=torch.from_numpy(np.hstack([drive, drive])),
        initial=None,
        duration=0.3,
        dt=0.0002,
        coordinate=Coordinate("preferred orientation (deg)", np.tile(preferred, 2)),
    )


def ssn_line(
    *, contrast: Any = 50.0, size: Any = 1.0, units: int = 101, exponent: float = 2.0
) -> Circuit:
    """Return the line of positions: responses grow with stimulus size, then are suppressed.

    Parameters
    ----------
    contrast : float, or one per stimulus
        Strength of the stimulus.
    size : float, or one per stimulus
        Length of the stimulus in degrees of visual angle; it is centred.
    units : int
        Positions, 1/3 degree apart, each with an excitatory and an inhibitory unit.
    exponent : float
        n of the power law.

    Returns
    -------
    Circuit
        k = 0.01 Hz; J_EE = 1 s and J_IE = 1.25 s, Gaussian with widths 2/3 and 4/3 degree;
        W_EI = 1 s and W_II = 0.75 s, at the same position only.

    Raises
    ------
    InputError
        If an argument is out of range or has the wrong unit.

    References
    ----------
    Rubin, Van Hooser and Miller 2015, Neuron 85:402.

    Examples
    --------
    >>> ssn_line(size=[1, 2, 8]).drive.shape
    torch.Size([3, 202])
    """
    where = "ssn_line"
    c, length = stimuli(
        where,
        numbers(contrast, f"{where}, contrast", least=0.0),
        numbers(size, f"{where}, size", least=0.0),
    )
    units = units_of(units, where, least=4, populations=2)
    exponent = number(exponent, f"{where}, exponent", least=1.0)
    spacing = 1 / 3
    position = spacing * (np.arange(units) - (units - 1) / 2)
    apart, here = position[:, None] - position, np.eye(units)
    W = np.block(
        [
            [_gaussian(apart, 2 / 3), -1.0 * here],
            [1.25 * _gaussian(apart, 4 / 3), -0.75 * here],
        ]
    )
    edge = 0.125 * spacing
    left, right = (length / 2 + position) / edge, (length / 2 - position) / edge
    drive = c * _logistic(left) * _logistic(right)
    return Circuit(
        name="ssn_line",
        title=TITLES["ssn_line"],
        source=_RUBIN,
        network=Network("ssn", W, parameters={"k": 0.01, "n": exponent}),
        drive=torch.from_numpy(np.hstack([drive, drive])),
        initial=None,
        duration=0.5,
        dt=0.0001,
        coordinate=Coordinate("position (deg)", np.tile(position, 2)),
    )


def ssn_four_types(*, drive: Any = 15.0) -> Circuit:
    """Return pyramidal cells with PV, SOM and VIP interneurons, one unit each.

    Parameters
    ----------
    drive : float, or one per stimulus
        Input h, the same to all four.

    Returns
    -------
    Circuit
        W[post, pre] in seconds, as in the paper.

    Raises
    ------
    InputError
        If an argument is out of range or has the wrong unit.

    References
    ----------
    Kuchibhotla et al. 2017, Nat. Neurosci. 20:62.

    Examples
    --------
    >>> list(ssn_four_types().network.populations)
    ['E', 'PV', 'SOM', 'VIP']
    """
    h = numbers(drive, "ssn_four_types, drive")[:, None]
    W = [  # s; rows: post, columns: pre
        [0.017, -0.956, -0.512, -0.045],
        [0.8535, -0.99, -0.307, -0.09],
        [1.285, 0.0, 0.0, -0.14],
        [2.104, -0.184, -0.734, 0.0],
    ]
    return Circuit(
        name="ssn_four_types",
        title=TITLES["ssn_four_types"],
        source="Kuchibhotla et al. 2017, Nat. Neurosci. 20:62",
        network=Network("ssn_four_types", W),
        drive=torch.from_numpy(np.repeat(h, 4, axis=1)),
        initial=None,
        duration=0.3,
        dt=0.0001,
    )


def ssn_stochastic(*, drive: Any = 0.002) -> Circuit:
    """Return two noisy populations: variability grows with drive, then is quenched.

    Parameters
    ----------
    drive : Quantity or float, or one per stimulus
        Input h in volts, the same to both; the paper shows 0, 2 and 15 mV.

    Returns
    -------
    Circuit
        W = [[1.25, -0.65], [1.2, -0.5]] mV s; Ornstein-Uhlenbeck noise, 50 ms. It starts at
        the resting potential.

    Raises
    ------
    InputError
        If an argument is out of range or has the wrong unit.

    References
    ----------
    Hennequin, Ahmadian, Rubin, Lengyel and Miller 2018, Neuron 98:846.

    Examples
    --------
    >>> ssn_stochastic().network.model.noises
    ('xi',)
    """
    h = numbers(drive, "ssn_stochastic, drive", volt)[:, None]
    W = 1e-3 * np.array([[1.25, -0.65], [1.2, -0.5]])  # V s
    return Circuit(
        name="ssn_stochastic",
        title=TITLES["ssn_stochastic"],
        source="Hennequin et al. 2018, Neuron 98:846",
        network=Network("ssn_stochastic", W),
        drive=torch.from_numpy(np.repeat(h, 2, axis=1)),
        initial={"V": -0.07, "eta": 0.0},
        duration=2.0,
        dt=0.0002,
    )


def _circular(degrees: np.ndarray) -> np.ndarray:
    """Return a difference of orientations between -90 and 90 degrees."""
    return (degrees + 90) % 180 - 90


def _gaussian(distance: np.ndarray, width: float) -> np.ndarray:
    return np.exp(-(distance**2) / (2 * width**2))


def _logistic(u: np.ndarray) -> np.ndarray:
    return (1 + np.tanh(u / 2)) / 2  # no overflow, unlike 1 / (1 + exp(-u))
