"""Circuits whose populations fire by the mean potential that second-order synapses evoke."""

from typing import Any

import numpy as np
import torch

from ratenet.circuits.arguments import number, numbers
from ratenet.circuits.base import Circuit
from ratenet.circuits.titles import TITLES
from ratenet.equations.units import hertz
from ratenet.network import Network


def jansen_rit(*, drive: Any = 220.0, contacts: float = 135.0) -> Circuit:
    """Return a cortical column that rests, oscillates in the alpha range or spikes, by its drive.

    Parameters
    ----------
    drive : Quantity or float, or one per stimulus
        p, the firing that reaches the pyramidal cells, in Hz.
    contacts : float
        C, the mean number of synapses; C1, C2, C3 and C4 are 1, 0.8, 0.25 and 0.25 times it.

    Returns
    -------
    Circuit
        A = 3.25 mV, B = 22 mV, 1/a = 10 ms, 1/b = 20 ms; units P, E, I. The model of the
        electroencephalogram is the potential of P, ``network.recurrent(...)`` of unit 0.

    Raises
    ------
    InputError
        If an argument is out of range or has the wrong unit.

    Notes
    -----
    Their y0, y1 and y2 are the potentials v of P, E and I. The drive acts on the synapses of E
    onto P, as in their equations.

    References
    ----------
    Jansen and Rit 1995, Biol. Cybern. 73:357; Grimbert and Faugeras 2006, Neural Comput. 18:3052.

    Examples
    --------
    >>> jansen_rit(drive=[120, 220]).drive
    tensor([[  0., 120.,   0.],
            [  0., 220.,   0.]], dtype=torch.float64)
    """
    where = "jansen_rit"
    p = numbers(drive, f"{where}, drive", hertz)
    C = number(contacts, f"{where}, contacts", least=0.0)
    W = [[0.0, 1.0, -1.0], [C, 0.0, 0.0], [0.25 * C, 0.0, 0.0]]
    parameters = {"contacts": {"P": 1.0, "E": 0.8 * C, "I": 0.25 * C}}
    return Circuit(
        name="jansen_rit",
        title=TITLES["jansen_rit"],
        source="Jansen & Rit 1995, Biol. Cybern. 73:357",
        network=Network("jansen_rit", W, parameters=parameters),
        drive=torch.from_numpy(np.stack([np.zeros_like(p), p, np.zeros_like(p)], axis=1)),
        initial=None,
        duration=2.0,
        dt=0.0005,
    )
