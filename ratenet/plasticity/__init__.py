"""Plasticity rules: from fixed points and errors to a change of the recurrent weights."""

from ratenet.plasticity.approximate_adjoint import FeedbackAlignment as FeedbackAlignment
from ratenet.plasticity.approximate_adjoint import TruncatedAdjoint as TruncatedAdjoint
from ratenet.plasticity.base import AbstractRule as AbstractRule
from ratenet.plasticity.base import Traits as Traits
from ratenet.plasticity.equilibrium import ContrastiveHebbian as ContrastiveHebbian
from ratenet.plasticity.equilibrium import EquilibriumPropagation as EquilibriumPropagation
from ratenet.plasticity.euclidean import Euclidean as Euclidean
from ratenet.plasticity.frozen import Frozen as Frozen
from ratenet.plasticity.function_rule import rule as rule
from ratenet.plasticity.hebbian import BCM as BCM
from ratenet.plasticity.hebbian import Hebb as Hebb
from ratenet.plasticity.hebbian import Oja as Oja
from ratenet.plasticity.loss import Loss as Loss
from ratenet.plasticity.mirror import AbstractPotential as AbstractPotential
from ratenet.plasticity.mirror import ExponentiatedGradient as ExponentiatedGradient
from ratenet.plasticity.mirror import MirrorDescent as MirrorDescent
from ratenet.plasticity.mirror import NegativeEntropy as NegativeEntropy
from ratenet.plasticity.mirror import PNorm as PNorm
from ratenet.plasticity.mixed import Mixed as Mixed
from ratenet.plasticity.named import RULES as RULES
from ratenet.plasticity.named import rule_named as rule_named
from ratenet.plasticity.natural import NaturalGradient as NaturalGradient
from ratenet.plasticity.perturbation import NodePerturbation as NodePerturbation
from ratenet.plasticity.perturbation import WeightPerturbation as WeightPerturbation
from ratenet.plasticity.recurrent import BackpropagationThroughTime as BackpropagationThroughTime
from ratenet.plasticity.recurrent import RecurrentBackpropagation as RecurrentBackpropagation
from ratenet.plasticity.reparameterized import GainFreeReparameterized as GainFreeReparameterized
from ratenet.plasticity.reparameterized import (
    LinearizedReparameterized as LinearizedReparameterized,
)
from ratenet.plasticity.reparameterized import Reparameterized as Reparameterized
