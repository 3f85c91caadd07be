"""Published circuits: a model with its weights, its stimulus and a start, ready to simulate.

Each constructor takes what a user varies, as Brian2 quantities or SI floats, and returns a
`Circuit`. `load` returns one by name.
"""

from ratenet.circuits.attractors import (
    hopfield as hopfield,
    ring_attractor as ring_attractor,
    wong_wang as wong_wang,
)
from ratenet.circuits.base import Circuit as Circuit, Coordinate as Coordinate
from ratenet.circuits.excitation_inhibition import (
    balanced_amplification as balanced_amplification,
    inhibition_stabilized as inhibition_stabilized,
    wilson_cowan_multistable as wilson_cowan_multistable,
    wilson_cowan_oscillating as wilson_cowan_oscillating,
)
from ratenet.circuits.named import load as load, names as names
from ratenet.circuits.random_networks import chaotic as chaotic, low_rank as low_rank
from ratenet.circuits.supralinear import (
    ssn_four_types as ssn_four_types,
    ssn_line as ssn_line,
    ssn_ring as ssn_ring,
    ssn_stochastic as ssn_stochastic,
)
from ratenet.circuits.synapses import (
    short_term_plasticity as short_term_plasticity,
    synaptic_currents as synaptic_currents,
)
