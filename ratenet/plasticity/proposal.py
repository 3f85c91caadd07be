"""Proposal: what a rule's `change` returns, and what every change is checked for."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ratenet.connectivity.base import Change
from ratenet.errors import DivergenceError, InputError, show_any
from ratenet.fixed_points import FixedPoints


class Proposal(NamedTuple):
    """What a rule proposes: a change, and the settled samples that it could not use.

    Attributes
    ----------
    delta : Tensor or dict of str to Tensor
        The change, shaped like the connectivity's parameters; a mean over the samples used.
    left_out : int
        Number of settled samples that the rule left out, such as those without an adjoint.
    reason : str
        Why, as a sentence; empty if none was left out.

    Examples
    --------
    >>> Proposal(torch.zeros(2, 2)).left_out
    0
    """

    delta: Change
    left_out: int = 0
    reason: str = ""


class LeftOut(NamedTuple):
    """The last two items of a `Proposal`: how many settled samples are left out, and why."""

    samples: int = 0
    reason: str = ""


def as_proposal(change: Change | Proposal) -> Proposal:
    """Return what a rule's `change` returned, as a proposal."""
    return change if isinstance(change, Proposal) else Proposal(change)


def check_change(delta: Any, fp: FixedPoints, rule: str) -> None:
    """Refuse a change of another shape, or with infinite entries, as huge learning rates make."""
    parts = check_shapes(delta, fp, f"rule {rule}")
    if not all(torch.isfinite(part).all() for part in parts.values()):
        raise DivergenceError(
            f"rule {rule}: the weight change has NaN or infinite entries; lower learning_rate or "
            "the recurrent weights."
        )


def check_shapes(delta: Any, fp: FixedPoints, where: str) -> dict[str, Tensor]:
    """Return a change by the parameters' names; refuse one that is not shaped like them."""
    expected = {n: tuple(t.shape) for n, t in fp.network.connectivity.parameters.items()}
    if isinstance(delta, Tensor) and len(expected) == 1:
        delta = dict.fromkeys(expected, delta)
    found = delta
    if isinstance(delta, Tensor):
        found = tuple(delta.shape)
    elif isinstance(delta, dict) and all(isinstance(part, Tensor) for part in delta.values()):
        found = {n: tuple(t.shape) for n, t in delta.items()}
    if found != expected:
        raise InputError(
            f"{where}: expected tensors shaped like the connectivity's parameters, {expected}, "
            f"got {show_any(found)}.",
            argument="rule",
            got=delta,
            expected=str(expected),
        )
    return delta
