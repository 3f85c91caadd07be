"""Circuits whose synapses have dynamics of their own: short-term plasticity, slow currents."""

from typing import Any

import numpy as np
import torch

from ratenet.circuits.arguments import number, numbers, stimuli
from ratenet.circuits.base import Circuit
from ratenet.circuits.titles import TITLES
from ratenet.equations.units import hertz
from ratenet.network import Network


def short_term_plasticity(
    *, weight: float = 4.0, background: Any = -2.0, facilitation: float = 0.8
) -> Circuit:
    """Return a population that holds a memory in its facilitated synapses.

    At rest it is nearly silent; once its synapses are facilitated it reactivates itself again
    and again.

    Parameters
    ----------
    weight : float
        J of the recurrent drive J u x r.
    background : Quantity or float, or one per stimulus
        Drive in Hz.
    facilitation : float
        Initial u, 0 to 1; U = 0.2 is rest, more is what a cue leaves behind.

    Returns
    -------
    Circuit
        U = 0.2, tau_F = 1.5 s, tau_D = 0.2 s.

    Raises
    ------
    InputError
        If an argument is out of range or has the wrong unit.

    References
    ----------
    Mongillo, Barak and Tsodyks 2008, Science 319:1543; the rate equations as in Mi, Katsnelson
    and Tsodyks 2017, Neuron 93:323.

    Examples
    --------
    >>> short_term_plasticity().network.model.states
    ('h', 'u', 'x')
    """
    where = "short_term_plasticity"
    J = number(weight, f"{where}, weight", least=0.0)
    drive = numbers(background, f"{where}, background", hertz)
    u = number(facilitation, f"{where}, facilitation", least=0.0, most=1.0)
    return Circuit(
        name="short_term_plasticity",
        title=TITLES["short_term_plasticity"],
        source="Mongillo, Barak & Tsodyks 2008, Science 319:1543",
        network=Network("short_term_plasticity", [[J]]),
        drive=torch.from_numpy(drive[:, None]),
        initial={"h": drive[:, None], "u": u, "x": 1.0},
        duration=3.0,
        dt=0.0002,
    )


def synaptic_currents(*, nmda: float = 0.5, drive_E: Any = 30.0, drive_I: Any = 20.0) -> Circuit:
    """Return E and I populations that slow NMDA synapses keep from oscillating.

    Parameters
    ----------
    nmda : float
        Fraction of the slow, second-order part of recurrent excitation, 0 to 1; below about 0.3
        the fixed point is unstable and the populations oscillate.
    drive_E, drive_I : Quantity or float, or one per stimulus
        Drive in Hz.

    Returns
    -------
    Circuit
        W = [[3, -2], [4, -1]]; AMPA 5 ms, GABA 10 ms, NMDA 2 ms (rise) and 100 ms (decay).

    Raises
    ------
    InputError
        If an argument is out of range or has the wrong unit.

    References
    ----------
    Tegner, Compte and Wang 2002, Biol. Cybern. 87:471.

    Examples
    --------
    >>> synaptic_currents().network.model.states
    ('r', 's', 'z', 'n')
    """
    where = "synaptic_currents"
    share = number(nmda, f"{where}, nmda", least=0.0, most=1.0)
    to_E, to_I = stimuli(
        where,
        numbers(drive_E, f"{where}, drive_E", hertz),
        numbers(drive_I, f"{where}, drive_I", hertz),
    )
    return Circuit(
        name="synaptic_currents",
        title=TITLES["synaptic_currents"],
        source="Tegner, Compte & Wang 2002, Biol. Cybern. 87:471",
        network=Network(
            "synaptic_currents",
            [[3.0, -2.0], [4.0, -1.0]],
            parameters={"nmda": {"E": share, "I": 0.0}},
        ),
        drive=torch.from_numpy(np.hstack([to_E, to_I])),
        initial=None,
        duration=0.5,
        dt=0.0001,
    )
