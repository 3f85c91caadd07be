"""Losses: from outputs (B, K) and what is to be answered to each sample's loss, (B,).

cross-entropy    L = -log softmax(z)_t       dL/dz = softmax(z) - one-hot(t)    classes t (B,)
squared-error    L = |z - t|^2 / 2           dL/dz = z - t                      targets t (B, K)
one's own        any function of z and t     dL/dz by torch's autograd
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ratenet.equations.registry import Registry
from ratenet.errors import InputError, RatenetError, shorten
from ratenet.plasticity.loss import slope

Loss = Callable[[Tensor, Tensor], Tensor]
"""From outputs (B, K), and classes (B,) or targets (B, K), to each sample's loss (B,)."""


class AbstractLoss(ABC):
    """A loss with a gradient in closed form; final ones are frozen dataclasses.

    Attributes
    ----------
    unit : str
        Unit of the loss, for figures; empty where it has none.
    """

    unit: ClassVar[str] = ""

    @abstractmethod
    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return each sample's loss, shape (B,)."""

    @abstractmethod
    def slope(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return dL_b/doutputs_b, shape (B, K)."""


@dataclass(frozen=True)
class CrossEntropy(AbstractLoss):
    """Softmax cross-entropy in nats, of classes."""

    unit: ClassVar[str] = "nats"

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return -log softmax(outputs) at the class of each sample, shape (B,)."""
        return torch.nn.functional.cross_entropy(outputs, targets, reduction="none")

    def slope(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return softmax(outputs) minus one-hot classes, shape (B, K)."""
        found = torch.softmax(outputs, dim=1)
        found[torch.arange(len(targets), device=targets.device), targets] -= 1
        return found


CROSS_ENTROPY = CrossEntropy()


@dataclass(frozen=True)
class SquaredError(AbstractLoss):
    """Half the squared distance between outputs and targets; a class is a one-hot target."""

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return |outputs - targets|^2 / 2, shape (B,)."""
        return self.slope(outputs, targets).square().sum(dim=1) / 2

    def slope(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return outputs - targets, shape (B, K)."""
        if not targets.is_floating_point():
            targets = torch.nn.functional.one_hot(targets, outputs.shape[1])
        return outputs - targets


LOSSES: Registry[Any] = Registry(
    "loss",
    Callable,
    {"cross-entropy": CrossEntropy, "squared-error": SquaredError},
    group="ratenet.losses",
    expected="a loss: its name, FILE.py:NAME, or a function from outputs (B, K) and targets to the "
    "losses (B,)",
    remedy="a function of one's own is FILE.py:NAME",
)
"""All losses by name."""


def loss_for(given: Any, has_classes: bool) -> Loss:
    """Return the loss that is meant; None is the one that suits classes, or targets.

    Raises
    ------
    InputError, UnknownNameError
        If there is no such loss, or it requires classes and there are none.
    """
    loss: Loss = LOSSES.read(given or default_loss(has_classes))
    if isinstance(loss, CrossEntropy) and not has_classes:
        raise InputError(
            "loss: 'cross-entropy' requires classes, and these images have targets; use "
            "'squared-error' or a function.",
            argument="loss",
            got=given,
        )
    return loss


def default_loss(has_classes: bool) -> str:
    """Return the name of the loss where none is asked for."""
    return "cross-entropy" if has_classes else "squared-error"


def slope_of(loss: Loss, outputs: Tensor, targets: Tensor) -> Tensor:
    """Return dL_b/doutputs_b, shape (B, K): in closed form, or by autograd."""
    if isinstance(loss, AbstractLoss):
        return loss.slope(outputs, targets)
    return slope(lambda at: loss(at, targets), outputs).contiguous()  # it may be expanded


def check_loss(loss: Loss, outputs: Tensor, targets: Tensor) -> None:
    """Try a loss on a few samples.

    Raises
    ------
    InputError
        If it fails, or does not return one number per sample that depends on the outputs.
    """
    if isinstance(loss, AbstractLoss):
        return
    try:
        found = loss(outputs, targets)
        is_good = isinstance(found, Tensor) and found.is_floating_point()
        if not is_good or found.shape != (len(outputs),):
            shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise InputError.at(
                "loss",
                got=shape,
                expected=f"one number per sample from the function, (B,) = ({len(outputs)},)",
                remedy="sum over the outputs, not over the samples",
            )
        slope_of(loss, outputs, targets)
    except RatenetError:
        raise
    except Exception as error:  # whatever a function of the user's may do
        raise InputError(
            f"loss: the function failed on outputs {tuple(outputs.shape)} and targets "
            f"{tuple(targets.shape)} ({type(error).__name__}: {shorten(str(error))}).",
            argument="loss",
        ) from error
