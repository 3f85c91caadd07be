"""Simulation: a network's states over time, by one of two simulators that must agree."""

from ratenet.simulation.drives import (
    AbstractDrive as AbstractDrive,
    Drive as Drive,
    SampledDrive as SampledDrive,
)
from ratenet.simulation.integrate import simulate as simulate
from ratenet.simulation.plasticity import Feedback as Feedback
from ratenet.simulation.statistics import Statistics as Statistics
from ratenet.simulation.step_check import dt_check as dt_check
from ratenet.simulation.trajectory import Trajectory as Trajectory
