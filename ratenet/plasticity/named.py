"""Rules by their names on the command line."""

import dataclasses

from ratenet.equations.terms import Term, parse_sum
from ratenet.errors import UnknownNameError
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
    GainFreeReparameterized,
    LinearizedReparameterized,
    Reparameterized,
)

RULES: dict[str, type[AbstractRule]] = {
    "euclidean": Euclidean,
    "reparameterized": Reparameterized,
    "linearized-reparameterized": LinearizedReparameterized,
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
}
"""All rules by the names that the command line knows them by."""


def rule_named(name: str) -> AbstractRule:
    """Return the rule with a given name on the command line.

    Parameters
    ----------
    name : str
        A key of `RULES`, with settings in brackets where they differ from the defaults, such as
        ``"truncated-adjoint(terms=5)"``; or a sum of these with weights, such as
        ``"0.5*euclidean+0.5*linearized-reparameterized"``, which makes a `Mixed`.

    Returns
    -------
    AbstractRule

    Raises
    ------
    UnknownNameError
        If there is no such rule, or it has no such setting.
    InputError
        If the string cannot be read, or a setting has a wrong value.

    Examples
    --------
    >>> rule_named("0.9*truncated-adjoint(terms=2)+0.1*hebb")
    Mixed(rules=((0.9, TruncatedAdjoint(terms=2)), (0.1, Hebb())))
    """
    terms = parse_sum(name, "rule")
    if len(terms) == 1 and terms[0].weight is None:
        return _rule(terms[0])
    return Mixed(tuple((1.0 if t.weight is None else t.weight, _rule(t)) for t in terms))


def _rule(term: Term) -> AbstractRule:
    """Return the rule of one term."""
    if term.name not in RULES:
        remedy = "sums such as '0.5*euclidean+0.5*hebb' are rules, too"
        raise UnknownNameError.among("rule", term.name, RULES, remedy)
    kind = RULES[term.name]
    allowed = [each.name for each in dataclasses.fields(kind) if each.init]  # type: ignore[arg-type]
    for setting in term.settings:
        if setting not in allowed:
            raise UnknownNameError.among(f"setting of rule {term.name!r}:", setting, allowed)
    return kind(**term.settings)
