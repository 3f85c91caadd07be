"""Plasticity in time: weights that move by equations while a network is simulated."""

from ratenet.simulation.plasticity.bound import Plasticity as Plasticity, bind as bind
from ratenet.simulation.plasticity.record import (
    PlasticityRecord as PlasticityRecord,
    PlasticityRecorder as PlasticityRecorder,
)
from ratenet.simulation.plasticity.signals import Feedback as Feedback
from ratenet.simulation.plasticity.state import PlasticState as PlasticState
