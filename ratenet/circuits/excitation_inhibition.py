"""Circuits of one excitatory and one inhibitory population.

W = [[w_EE, -w_EI],
     [w_IE, -w_II]]
"""

from typing import Any

import numpy as np
import torch

from ratenet.circuits.arguments import number, numbers, stimuli
from ratenet.circuits.base import Circuit
from ratenet.circuits.titles import TITLES
from ratenet.equations.units import hertz
from ratenet.network import Network


def inhibition_stabilized(
    *, w_EE: float = 2.0, drive_E: Any = 30.0, drive_I: Any = 20.0
) -> Circuit:
    """Return a pair of populations that inhibition stabilises: more drive to I lowers r_I.

    Parameters
    ----------
    w_EE : float
        Recurrent excitation; above 1 the excitatory population alone is unstable, and the
        response of I to its own drive is paradoxical. At most 2.75; stability ends at 2.875.
    drive_E, drive_I : Quantity or float, or one per stimulus
        Drive in Hz.

    Returns
    -------
    Circuit
        w_EI = 1.5, w_IE = 2.5, w_II = 1; time constants 20 and 10 ms.

    Raises
    ------
    InputError
        If an argument is out of range or has the wrong unit.

    References
    ----------
    Tsodyks et al. 1997, J. Neurosci. 17:4382; Ozeki et al. 2009, Neuron 62:578.

    Examples
    --------
    >>> inhibition_stabilized().network.populations
    {'E': slice(0, 1, None), 'I': slice(1, 2, None)}
    """
    where = "inhibition_stabilized"
    w = number(w_EE, f"{where}, w_EE", least=0.0, most=2.75)
    to_E, to_I = stimuli(
        where,
        numbers(drive_E, f"{where}, drive_E", hertz),
        numbers(drive_I, f"{where}, drive_I", hertz),
    )
    return Circuit(
        name="inhibition_stabilized",
        title=TITLES["inhibition_stabilized"],
        source="Tsodyks et al. 1997, J. Neurosci. 17:4382; Ozeki et al. 2009, Neuron 62:578",
        network=Network("inhibition_stabilized", [[w, -1.5], [2.5, -1.0]]),
        drive=torch.from_numpy(np.hstack([to_E, to_I])),
        initial=None,
        duration=0.3,
        dt=0.0001,
    )


def wilson_cowan_multistable() -> Circuit:
    """Return Wilson-Cowan populations with a silent and an active stable state.

    Two stimuli, both without drive, start in the two basins.

    Returns
    -------
    Circuit
        W = [[12, -4], [13, -11]].

    References
    ----------
    Wilson and Cowan 1972, Biophys. J. 12:1 (its first example of hysteresis).

    Examples
    --------
    >>> wilson_cowan_multistable().drive.shape
    torch.Size([2, 2])
    """
    return Circuit(
        name="wilson_cowan_multistable",
        title=TITLES["wilson_cowan_multistable"],
        source="Wilson & Cowan 1972, Biophys. J. 12:1",
        network=Network("wilson_cowan", [[12.0, -4.0], [13.0, -11.0]]),
        drive=torch.zeros(2, 2, dtype=torch.float64),
        initial={"r": np.array([[0.05, 0.0], [0.4, 0.2]])},
        duration=0.3,
        dt=0.0001,
    )


def wilson_cowan_oscillating(*, drive_E: Any = 1.25, w_II: float = 4.0) -> Circuit:
    """Return Wilson-Cowan populations on a limit cycle.

    Parameters
    ----------
    drive_E : float, or one per stimulus
        P, the drive to the excitatory population.
    w_II : float
        Inhibition of inhibition, c4: 34.9 Hz at 4, 25.0 Hz at 3, as in public code.

    Returns
    -------
    Circuit
        W = [[16, -12], [15, -w_II]].

    Raises
    ------
    InputError
        If an argument is out of range or has the wrong unit.

    References
    ----------
    Wilson and Cowan 1972, Biophys. J. 12:1 (limit cycle).

    Examples
    --------
    >>> wilson_cowan_oscillating(drive_E=[0.5, 1.25]).drive
    tensor([[0.5000, 0.0000],
            [1.2500, 0.0000]], dtype=torch.float64)
    """
    where = "wilson_cowan_oscillating"
    P = numbers(drive_E, f"{where}, drive_E")
    w = number(w_II, f"{where}, w_II", least=0.0)
    parameters = {"tau": 0.008, "a": {"E": 1.3, "I": 2.0}, "theta": {"E": 4.0, "I": 3.7}}
    return Circuit(
        name="wilson_cowan_oscillating",
        title=TITLES["wilson_cowan_oscillating"],
        source="Wilson & Cowan 1972, Biophys. J. 12:1",
        network=Network("wilson_cowan", [[16.0, -12.0], [15.0, -w]], parameters=parameters),
        drive=torch.from_numpy(np.stack([P, np.zeros_like(P)], axis=1)),
        initial={"r": np.array([0.1, 0.05])},
        duration=0.5,
        dt=0.00002,  # Euler slows and widens this cycle: its frequency is 1 % low here
    )


def balanced_amplification(*, w: float = 4 + 2 / 7, inhibition: float = 1.1) -> Circuit:
    """Return a linear pair whose E - I difference is amplified into the E + I sum, for a while.

    W = [[w, -k w], [w, -k w]] has no positive eigenvalue, and a feedforward weight of w (1 + k)
    from the difference to the sum.

    Parameters
    ----------
    w : float
        Excitatory weight.
    inhibition : float
        k, inhibition over excitation; at least 1.

    Returns
    -------
    Circuit
        Without drive; it starts with a difference of length 1.

    Raises
    ------
    InputError
        If an argument is out of range or has the wrong unit.

    References
    ----------
    Murphy and Miller 2009, Neuron 61:635.

    Examples
    --------
    >>> balanced_amplification(w=2.0, inhibition=1.5).network.connectivity.dense()
    tensor([[ 2., -3.],
            [ 2., -3.]], dtype=torch.float64)
    """
    where = "balanced_amplification"
    w = number(w, f"{where}, w", least=0.0)
    k = number(inhibition, f"{where}, inhibition", least=1.0)
    return Circuit(
        name="balanced_amplification",
        title=TITLES["balanced_amplification"],
        source="Murphy & Miller 2009, Neuron 61:635",
        network=Network("linear", [[w, -k * w], [w, -k * w]], parameters={"tau": 0.02}),
        drive=torch.zeros(1, 2, dtype=torch.float64),
        initial={"r": np.array([1.0, -1.0]) / 2**0.5},
        duration=0.2,
        dt=0.0001,
    )
