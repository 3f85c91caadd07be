"""What one batch changes: the recurrent weights by the rule, read-in and read-out by gradients.

recurrent   the rule's change
read-out    -rate mean(s y^T)
read-in     -rate mean(lambda pixels^T),    lambda = G (I - W^T G)^{-1} e
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ratenet.connectivity.base import Change
from ratenet.errors import DivergenceError, RatenetWarning
from ratenet.fixed_points import solve_adjoint
from ratenet.plasticity import AbstractRule
from ratenet.results import FixedPoints
from ratenet.training.classifier import Classifier
from ratenet.training.optimizers import Changes


@dataclass(frozen=True, eq=False)
class Learned:
    """Changes to be made, and how many settled samples an adjoint solve had to leave out."""

    changes: Changes
    left_out: int


def learned_parameters(classifier: Classifier, learn: Sequence[str]) -> dict[str, Tensor]:
    """Return the tensors that learn, by name."""
    names = (*classifier.network.connectivity.parameters, *learn)
    return {name: classifier.parameters[name] for name in names}


@torch.no_grad()
def learn_from(
    classifier: Classifier,
    rule: AbstractRule,
    fp: FixedPoints,
    pixels: Tensor,
    labels: Tensor,
    *,
    learn: Sequence[str],
    rate: float,
) -> Learned:
    """Return what the settled samples of a batch change; means over them.

    Raises
    ------
    UnsettledError, SingularError
        If the rule finds nothing to learn from.
    DivergenceError
        If a change is not finite.
    """
    surprise = classifier.surprise(fp.rates, labels)
    error = surprise @ classifier.read_out
    change, warned = _rule_change(rule, fp, error, rate)
    settled, left_out = fp.converged, 0
    changes = dict(classifier.network.connectivity.named(change))
    if "read-out" in learn:
        mean = surprise[settled].T @ fp.rates[settled] / int(settled.sum())
        changes["read-out"] = -rate * mean
    if "read-in" in learn or warned:
        adjoint = solve_adjoint(fp.select(settled), error[settled])
        solved = adjoint.converged
        left_out = int((~solved).sum())
        if "read-in" in learn:
            total = adjoint.values[solved].T @ pixels[settled][solved]
            changes["read-in"] = -rate * total / max(1, int(solved.sum()))
    for name, value in changes.items():
        if not torch.isfinite(value).all():
            raise DivergenceError(
                f"the change of the {name} weights is NaN or infinite; lower learning_rate."
            )
    return Learned(changes, left_out)


def _rule_change(
    rule: AbstractRule, fp: FixedPoints, error: Tensor, rate: float
) -> tuple[Change, bool]:
    """Return the rule's change, and whether it warned that it left samples out.

    In a run these are counted, and reported at its end instead.
    """
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        change = rule.update(fp, error, rate)
    own = [warning for warning in said if issubclass(warning.category, RatenetWarning)]
    for warning in said:
        if warning not in own:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    return change, bool(own)
