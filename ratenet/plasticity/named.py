"""Rules by their names on the command line."""

from typing import Any

from ratenet.equations.registry import Registry, Weighted
from ratenet.plasticity.approximate_adjoint import FeedbackAlignment, TruncatedAdjoint
from ratenet.plasticity.base import AbstractRule
from ratenet.plasticity.equilibrium import ContrastiveHebbian, EquilibriumPropagation
from ratenet.plasticity.euclidean import Euclidean
from ratenet.plasticity.frozen import Frozen
from ratenet.plasticity.hebbian import BCM, Hebb, Oja
from ratenet.plasticity.mirror import ExponentiatedGradient, MirrorDescent
from ratenet.plasticity.mixed import Mixed
from ratenet.plasticity.natural import NaturalGradient
from ratenet.plasticity.perturbation import NodePerturbation, WeightPerturbation
from ratenet.plasticity.recurrent import BackpropagationThroughTime, RecurrentBackpropagation
from ratenet.plasticity.reparameterized import (
    FirstOrderReparameterized,
    GainFreeReparameterized,
    LinearizedReparameterized,
    Reparameterized,
)


def _pairs(rule: AbstractRule) -> Weighted | None:
    return rule.rules if isinstance(rule, Mixed) else None


RULES: Registry[AbstractRule] = Registry(
    "rule",
    AbstractRule,
    {
        "euclidean": Euclidean,
        "reparameterized": Reparameterized,
        "linearized-reparameterized": LinearizedReparameterized,
        "first-order-reparameterized": FirstOrderReparameterized,
        "gain-free-reparameterized": GainFreeReparameterized,
        "bptt": BackpropagationThroughTime,
        "recurrent-backpropagation": RecurrentBackpropagation,
        "truncated-adjoint": TruncatedAdjoint,
        "feedback-alignment": FeedbackAlignment,
        "equilibrium-propagation": EquilibriumPropagation,
        "contrastive-hebbian": ContrastiveHebbian,
        "hebb": Hebb,
        "oja": Oja,
        "bcm": BCM,
        "node-perturbation": NodePerturbation,
        "weight-perturbation": WeightPerturbation,
        "exponentiated-gradient": ExponentiatedGradient,
        "mirror-descent": MirrorDescent,
        "natural-gradient": NaturalGradient,
        "frozen": Frozen,
    },
    group="ratenet.rules",
    expected="a rule: its name, FILE.py:NAME, or an object derived from AbstractRule or decorated "
    "with ratenet.plasticity.rule",
    remedy="sums such as '0.5*euclidean+0.5*hebb' are rules, too",
    combine=Mixed,
    parts=_pairs,
)
"""All rules, by the names that the command line knows them by."""


def rule_named(name: Any) -> AbstractRule:
    """Return the rule with a given name, or of the user's own.

    Parameters
    ----------
    name : str, mapping or AbstractRule
        A key of `RULES`, with settings in brackets where they differ from the defaults, such as
        ``"truncated-adjoint(terms=5)"``; the user's own, ``"FILE.py:NAME"`` or
        ``"package.module:NAME"``; a sum of these with weights, such as
        ``"0.5*euclidean+0.5*linearized-reparameterized"``, which makes a `Mixed`; or a table with
        the name and the settings. A rule is returned as it is.

    Returns
    -------
    AbstractRule

    Raises
    ------
    UnknownNameError
        If there is no such rule, or it has no such setting.
    InputError
        If the string cannot be read, a setting has a wrong value, or the user's own cannot be
        imported or is not a rule.

    Examples
    --------
    >>> rule_named("0.9*truncated-adjoint(terms=2)+0.1*hebb")
    Mixed(rules=((0.9, TruncatedAdjoint(terms=2)), (0.1, Hebb())))
    """
    return RULES.read(name)
