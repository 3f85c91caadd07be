"""Published circuits: a model with its weights, its stimulus and a start, ready to simulate.

Each constructor takes what a user varies, as Brian2 quantities or SI floats, and returns a
`Circuit`. `load` returns one by name, with its defaults.
"""

from ratenet.circuits.attractors import hopfield as hopfield
from ratenet.circuits.attractors import ring_attractor as ring_attractor
from ratenet.circuits.attractors import wong_wang as wong_wang
from ratenet.circuits.base import Circuit as Circuit
from ratenet.circuits.base import Coordinate as Coordinate
from ratenet.circuits.excitation_inhibition import balanced_amplification as balanced_amplification
from ratenet.circuits.excitation_inhibition import inhibition_stabilized as inhibition_stabilized
from ratenet.circuits.excitation_inhibition import (
    wilson_cowan_multistable as wilson_cowan_multistable,
)
from ratenet.circuits.excitation_inhibition import (
    wilson_cowan_oscillating as wilson_cowan_oscillating,
)
from ratenet.circuits.named import load as load
from ratenet.circuits.named import names as names
from ratenet.circuits.random_networks import chaotic as chaotic
from ratenet.circuits.random_networks import low_rank as low_rank
from ratenet.circuits.supralinear import ssn_four_types as ssn_four_types
from ratenet.circuits.supralinear import ssn_line as ssn_line
from ratenet.circuits.supralinear import ssn_ring as ssn_ring
from ratenet.circuits.supralinear import ssn_stochastic as ssn_stochastic
from ratenet.circuits.synapses import short_term_plasticity as short_term_plasticity
from ratenet.circuits.synapses import synaptic_currents as synaptic_currents
