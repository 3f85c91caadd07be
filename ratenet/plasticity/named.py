"""Rules by their names on the command line."""

from ratenet.errors import InputError, UnknownNameError
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
        A key of `RULES`, or a sum of these with weights, such as
        ``"0.5*euclidean+0.5*linearized-reparameterized"``, which makes a `Mixed`.

    Raises
    ------
    UnknownNameError
        If there is no such rule.
    InputError
        If a weight is no number.

    Examples
    --------
    >>> rule_named("0.9*euclidean+0.1*hebb")
    Mixed(rules=((0.9, Euclidean()), (0.1, Hebb())))
    """
    if "+" not in name and "*" not in name:
        return _one(name)
    return Mixed(tuple(_term(term, name) for term in name.split("+")))


def _one(name: str) -> AbstractRule:
    if name not in RULES:
        raise UnknownNameError(
            f"There is no rule {name!r}; there are {', '.join(RULES)}, and sums of them such as "
            "'0.5*euclidean+0.5*hebb'."
        )
    return RULES[name]()


def _term(term: str, whole: str) -> tuple[float, AbstractRule]:
    """Return weight and rule of one term, ``weight*name`` or a name with the weight 1."""
    weight, star, name = term.partition("*")
    if not star:
        return 1.0, _one(term.strip())
    try:
        return float(weight), _one(name.strip())
    except ValueError:
        raise InputError(
            f"rule {whole!r}: {weight.strip()!r} is no weight; write sums as "
            "'0.5*euclidean+0.5*hebb'."
        ) from None
