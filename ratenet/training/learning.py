"""What one batch changes: the recurrent weights by the rule, read-in and read-out by gradients.

recurrent   the rule's change
read-out    -rate mean(s y^T)
read-in     -rate mean(lambda pixels^T),    lambda = G (I - W^T G)^{-1} e
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ratenet.errors import DivergenceError
from ratenet.fixed_points import FixedPoints, adjoint_of
from ratenet.plasticity import AbstractRule
from ratenet.stimuli.images import filled, is_answerable
from ratenet.training.classifier import Classifier
from ratenet.training.optimizers import Changes
from ratenet.training.workers import Workers


@dataclass(frozen=True, eq=False)
class Learned:
    """Changes to be made: means over samples, and over how many.

    Attributes
    ----------
    changes : dict of str to Tensor
        By the parameters' names.
    counts : dict of str to int
        Over how many samples each is a mean.
    left_out : int
        Settled samples that an adjoint solve had to leave out.
    """

    changes: Changes
    counts: dict[str, int]
    left_out: int

    def of_all(self, workers: Workers) -> "Learned":
        """Return the same for the samples of all processes."""
        if workers.size == 1:
            return self
        mine = [*self.counts.values(), self.left_out]
        *counts, left_out = workers.total(torch.tensor(mine, device=workers.device)).tolist()
        changes = {
            name: workers.total(self.counts[name] * change) / max(1, count)
            for (name, change), count in zip(self.changes.items(), counts, strict=True)
        }
        return Learned(changes, dict(zip(changes, counts, strict=True)), left_out)


def nothing_learned(classifier: Classifier, learn: Sequence[str]) -> Learned:
    """Return what a process learns of whose samples none has settled."""
    parameters = learned_parameters(classifier, learn)
    changes = {name: torch.zeros_like(tensor) for name, tensor in parameters.items()}
    return Learned(changes, dict.fromkeys(changes, 0), 0)


def learned_parameters(classifier: Classifier, learn: Sequence[str]) -> dict[str, Tensor]:
    """Return the tensors that learn, by name."""
    names = (*classifier.network.connectivity.parameters, *learn)
    return {name: classifier.parameters[name] for name in names}


def teaches(rule: AbstractRule, labels: Tensor) -> Tensor:
    """Return which samples a rule can learn from, (B,): without a class there is no error."""
    needs_label = rule.traits.uses_error or rule.traits.needs_loss
    has_label = is_answerable(labels)
    return has_label if needs_label else torch.ones_like(has_label)


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

    Samples without a class, whose label is -1, change the recurrent weights only by rules that do
    not use the error, and nothing else.

    Raises
    ------
    UnsettledError, SingularError
        If the rule finds nothing to learn from.
    DivergenceError
        If a change is not finite.
    """
    taught = teaches(rule, labels)
    if not taught.all():
        fp, pixels, labels = fp.select(taught), pixels[taught], labels[taught]
    if not len(fp):
        return nothing_learned(classifier, learn)
    has_label = is_answerable(labels)
    surprise = classifier.surprise(fp.rates, filled(labels))
    surprise[~has_label] = 0.0
    error = surprise @ classifier.read_out
    if not torch.isfinite(error[fp.converged]).all():
        raise DivergenceError("the error of a sample is NaN or infinite; lower learning_rate.")
    delta, left_out, _ = rule.propose(
        fp, error, rate, loss=lambda rates: classifier.losses(rates, labels)
    )
    counts = dict.fromkeys(
        learned_parameters(classifier, learn), int(fp.converged.sum()) - left_out
    )
    settled = fp.converged & has_label
    number = int(settled.sum())
    counts["read-out"] = number
    changes = dict(classifier.network.connectivity.named(delta))
    if "read-out" in learn:
        changes["read-out"] = -rate * (surprise[settled].T @ fp.rates[settled] / max(1, number))
    if "read-in" in learn:
        adjoint = adjoint_of(fp.select(settled), error[settled])
        solved = adjoint.converged
        counts["read-in"] = int(solved.sum())
        left_out = max(left_out, number - counts["read-in"])
        total = adjoint.values[solved].T @ pixels[settled][solved]
        changes["read-in"] = -rate * total / max(1, counts["read-in"])
    for name, value in changes.items():  # the rule's own is finite
        if name in learn and not torch.isfinite(value).all():
            raise DivergenceError(
                f"the change of the {name} weights is NaN or infinite; lower learning_rate."
            )
    names = learned_parameters(classifier, learn)  # in the same order in every process
    return Learned(
        {name: changes[name] for name in names}, {name: counts[name] for name in names}, left_out
    )
