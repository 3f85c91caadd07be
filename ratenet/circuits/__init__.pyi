# The public names of this room; each is imported when it is first used.

from .attractors import (
    hopfield as hopfield,
    ring_attractor as ring_attractor,
    wong_wang as wong_wang,
)
from .base import Circuit as Circuit, Coordinate as Coordinate
from .excitation_inhibition import (
    balanced_amplification as balanced_amplification,
    inhibition_stabilized as inhibition_stabilized,
    wilson_cowan_multistable as wilson_cowan_multistable,
    wilson_cowan_oscillating as wilson_cowan_oscillating,
)
from .named import load as load, names as names
from .neural_mass import jansen_rit as jansen_rit
from .random_networks import chaotic as chaotic, low_rank as low_rank
from .supralinear import (
    ssn_four_types as ssn_four_types,
    ssn_line as ssn_line,
    ssn_ring as ssn_ring,
    ssn_stochastic as ssn_stochastic,
)
from .synapses import (
    short_term_plasticity as short_term_plasticity,
    synaptic_currents as synaptic_currents,
)
