"""Plasticity rules: from fixed points and errors to a change of the recurrent weights."""

from ratenet.plasticity.approximate_adjoint import (
    FeedbackAlignment as FeedbackAlignment,
    TruncatedAdjoint as TruncatedAdjoint,
)
from ratenet.plasticity.base import AbstractRule as AbstractRule, Traits as Traits
from ratenet.plasticity.equilibrium import (
    ContrastiveHebbian as ContrastiveHebbian,
    EquilibriumPropagation as EquilibriumPropagation,
)
from ratenet.plasticity.euclidean import Euclidean as Euclidean
from ratenet.plasticity.from_equations import FromEquations as FromEquations
from ratenet.plasticity.frozen import Frozen as Frozen
from ratenet.plasticity.function_rule import rule as rule
from ratenet.plasticity.hebbian import BCM as BCM, Hebb as Hebb, Oja as Oja
from ratenet.plasticity.loss import Loss as Loss
from ratenet.plasticity.mirror import (
    AbstractPotential as AbstractPotential,
    ExponentiatedGradient as ExponentiatedGradient,
    MirrorDescent as MirrorDescent,
    NegativeEntropy as NegativeEntropy,
    PNorm as PNorm,
)
from ratenet.plasticity.mixed import Mixed as Mixed
from ratenet.plasticity.named import RULES as RULES, rule_named as rule_named
from ratenet.plasticity.natural import NaturalGradient as NaturalGradient
from ratenet.plasticity.perturbation import (
    NodePerturbation as NodePerturbation,
    WeightPerturbation as WeightPerturbation,
)
from ratenet.plasticity.proposal import Proposal as Proposal
from ratenet.plasticity.recurrent import (
    BackpropagationThroughTime as BackpropagationThroughTime,
    RecurrentBackpropagation as RecurrentBackpropagation,
)
from ratenet.plasticity.reparameterized import (
    FirstOrderReparameterized as FirstOrderReparameterized,
    GainFreeReparameterized as GainFreeReparameterized,
    LinearizedReparameterized as LinearizedReparameterized,
    Reparameterized as Reparameterized,
)
