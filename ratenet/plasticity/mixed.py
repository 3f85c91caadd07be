"""Mixed: a weighted sum of rules."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from torch import Tensor

from ratenet.connectivity.base import as_change
from ratenet.errors import InputError
from ratenet.fixed_points import FixedPoints
from ratenet.plasticity.base import AbstractRule, Traits
from ratenet.plasticity.loss import Loss
from ratenet.plasticity.proposal import LeftOut, Proposal, as_proposal


@dataclass(frozen=True)
class Mixed(AbstractRule):
    """A weighted sum of the changes of several rules.

        dW = sum_k weight_k dW_k

    Parameters
    ----------
    rules : sequence of (float, AbstractRule)
        Weight and rule of each.

    Notes
    -----
    On the command line: ``0.5*euclidean+0.5*linearized-reparameterized``. Each rule leaves out
    the samples that it cannot use.

    Examples
    --------
    >>> from ratenet.plasticity import Euclidean, Hebb
    >>> print(Mixed([(1.0, Euclidean()), (0.1, Hebb())]).metric)
    1 x (Euclidean in W) + 0.1 x (none: unsupervised, no gradient of a loss)
    """

    rules: tuple[tuple[float, AbstractRule], ...]

    def __post_init__(self) -> None:
        if not self.rules:
            raise InputError.at("Mixed", found="none", expected="at least one (weight, rule)")
        for pair in self.rules:
            _check_pair(pair)
        object.__setattr__(self, "rules", tuple((weight, rule) for weight, rule in self.rules))

    @property
    def traits(self) -> Traits:
        """What the rules need, together."""
        traits = [rule.traits for _, rule in self.rules]
        metrics = [f"{weight:g} x ({rule.metric})" for weight, rule in self.rules]
        return Traits(
            " + ".join(metrics),
            needs_loss=any(one.needs_loss for one in traits),
            uses_error=any(one.uses_error for one in traits),
            is_proportional=all(one.is_proportional for one in traits),
            is_mean=all(one.is_mean for one in traits),
            uses_adjoint=any(one.uses_adjoint for one in traits),
        )

    def change(
        self, fp: FixedPoints, error: Tensor, learning_rate: float, loss: Loss | None = None
    ) -> Proposal:
        """Return the sum, with the reason given by the rule that leaves out most samples."""
        named, total, left_out = fp.network.connectivity.named, dict[str, Tensor](), LeftOut()
        for weight, rule in self.rules:
            proposal = as_proposal(rule.change(fp, error, learning_rate, loss))
            left_out = max(left_out, LeftOut(proposal.left_out, proposal.reason))
            for name, part in named(proposal.delta).items():
                total[name] = weight * part + total.get(name, 0.0)
        return Proposal(as_change(total), *left_out)


def _check_pair(pair: Any) -> None:
    is_pair = isinstance(pair, Sequence) and len(pair) == 2 and isinstance(pair[0], Real)
    if not (is_pair and isinstance(pair[1], AbstractRule) and math.isfinite(pair[0])):
        raise InputError.at("Mixed", got=pair, expected="pairs of a finite weight and a rule")
