"""The loss that some rules ask for: a function from rates (B, N) to each sample's loss (B,)."""

from collections.abc import Callable

import torch
from torch import Tensor

from ratenet.errors import InputError

Loss = Callable[[Tensor], Tensor]
"""From rates (B, N) to each sample's loss (B,), in torch so that it can be differentiated."""


def required(loss: Loss | None, rule: str) -> Loss:
    """Return the loss; refuse that there is none, or that it is not a function."""
    if loss is None:
        raise InputError(
            f"{rule} requires update(..., loss=f) with f: rates (B, N) -> losses (B,), since it "
            "compares losses at other rates than those of the fixed points.",
            argument="loss",
            expected="a function from rates (B, N) to losses (B,)",
        )
    if not callable(loss):
        raise InputError.at(
            "loss", got=loss, expected="a function from rates (B, N) to each sample's loss (B,)"
        )
    return loss


def loss_of_kept(loss: Loss, kept: Tensor) -> Loss:
    """Return the loss of some samples' rates (K, N), for a loss that knows all B.

    A loss holds one target per sample; so the kept rows are put where they belong, zeros elsewhere.

    Parameters
    ----------
    loss : callable
    kept : Tensor of bool, shape (B,)
    """
    places = torch.nonzero(kept)[:, 0]

    def of_kept(rates: Tensor) -> Tensor:
        rows = rates.new_zeros(len(kept), rates.shape[1]).index_copy(0, places, rates)
        losses = loss(rows)
        if not isinstance(losses, Tensor) or losses.shape != (len(kept),):
            found = tuple(losses.shape) if isinstance(losses, Tensor) else type(losses).__name__
            raise InputError.at(
                "loss",
                found=f"{found}",
                expected=f"a tensor with one loss per sample, (B,) = ({len(kept)},)",
                remedy="as of cross_entropy(..., reduction='none')",
            )
        return losses[places]

    return of_kept


def slope(loss: Loss, rates: Tensor) -> Tensor:
    """Return dL_b/dy_b at other rates, shape (B, N).

    Raises
    ------
    InputError
        If the loss cannot be differentiated.
    """
    with torch.enable_grad():
        at = rates.detach().clone().requires_grad_()
        total = loss(at).sum()
        if not total.requires_grad:
            raise InputError(
                "loss: it has no gradient with respect to the rates; compute it from them in "
                "torch, without detach, item or numpy.",
                argument="loss",
            )
        (gradient,) = torch.autograd.grad(total, at)
    return gradient
