"""AbstractRule: a rule computes a change of the recurrent weights; somebody else applies it.

A rule sees fixed points (W through its connectivity, the gains G, the rates y) and the error
e = dL/dy of each sample, some also the loss L itself. It knows no model, no backend and no kind
of connectivity.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Integral, Real

import torch
from torch import Tensor

from ratenet.connectivity.base import Change, scaled
from ratenet.errors import InputError, UnsettledError
from ratenet.fixed_points import FixedPoints
from ratenet.fixed_points.adjoint import check_error_shape
from ratenet.plasticity.loss import Loss, loss_of_kept, required


@dataclass(frozen=True)
class Traits:
    """What is to be known of a rule before it is used.

    Attributes
    ----------
    metric : str
        In which geometry the rule descends the loss, if in any.
    needs_loss : bool
        Whether `update` must be given loss=.
    uses_error : bool
        False: the change does not depend on the error.
    is_proportional : bool
        Whether the change is the learning rate times a direction.
    is_mean : bool
        Whether the change of a batch is the mean of the changes that its samples would make alone.
    """

    metric: str
    needs_loss: bool = False
    uses_error: bool = True
    is_proportional: bool = True
    is_mean: bool = True


class AbstractRule(ABC):
    """Interface of the plasticity rules; final rules are frozen dataclasses."""

    @property
    @abstractmethod
    def traits(self) -> Traits:
        """Metric and needs of the rule."""

    @property
    def metric(self) -> str:
        """In which geometry the rule descends the loss, if in any; a short text."""
        return self.traits.metric

    def __str__(self) -> str:
        return f"{self!r}, metric: {self.metric}"

    @abstractmethod
    def change(
        self, fp: FixedPoints, error: Tensor, learning_rate: float, loss: Loss | None = None
    ) -> Change:
        """Return the weight change for samples that have all converged (see `update`)."""

    @torch.no_grad()
    def update(
        self, fp: FixedPoints, error: Tensor, learning_rate: float, *, loss: Loss | None = None
    ) -> Change:
        """Return the change of the recurrent weights, to be added to them.

        Parameters
        ----------
        fp : FixedPoints
            Samples that did not converge are left out; `fp.unsettled` says how many.
        error : Tensor, shape (B, N)
            e = dL_b/dy_b, one row a sample, not divided by B.
        learning_rate : float
            Above 0.
        loss : callable, optional
            From rates (B, N), in the order of `fp`, to each sample's loss (B,), each of its own
            row alone; in torch, so that it can be differentiated. Rules with
            ``traits.needs_loss`` ask for it.

        Returns
        -------
        Tensor or dict of str to Tensor
            Shaped like the connectivity's parameters, a dict where it has several; a mean over the
            samples that converged.

        Raises
        ------
        StaleError
            If the weights changed after the fixed points were found.
        UnsettledError
            If no sample converged.
        InputError
            If the error's shape does not fit or is not finite, the learning rate is not above 0,
            or the rule needs a loss and has none.
        """
        fp.check_current()
        check_learning_rate(learning_rate)
        error = torch.as_tensor(error, dtype=fp.rates.dtype, device=fp.rates.device)
        check_error_shape(fp, error)
        settled = fp.converged
        if not settled.any():
            raise UnsettledError(
                f"None of the {len(fp)} samples is at a fixed point, so there is nothing to "
                f"learn from.\n{fp.summary()}"
            )
        if loss is not None or self.traits.needs_loss:
            loss = loss_of_kept(required(loss, type(self).__name__), settled)
        if not settled.all():
            fp, error = fp.select(settled), error[settled]
        if not torch.isfinite(error).all():
            raise InputError("error: NaN or infinite entries among the settled samples.")
        return self.change(fp, error, learning_rate, loss)


def check_learning_rate(learning_rate: float) -> None:
    """Refuse a learning rate that is not a finite number above 0."""
    check_positive(learning_rate, "learning_rate")


def check_positive(value: float, where: str) -> None:
    """Refuse what is not a finite number above 0."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not (is_number and 0 < value < math.inf):
        raise InputError(f"{where}: {value!r} is not a finite number above 0.")


def check_whole(value: int, where: str, least: int) -> None:
    """Refuse what is not a whole number of at least `least`."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise InputError(f"{where}: {value!r} is not a whole number of at least {least}.")


def check_choice(value: str, where: str, allowed: tuple[str, ...]) -> None:
    """Refuse what is not one of some names."""
    if value not in allowed:
        raise InputError(f"{where}: {value!r} is not one of {', '.join(allowed)}.")


def descent(fp: FixedPoints, left: Tensor, right: Tensor, learning_rate: float) -> Change:
    """Return -learning_rate times the mean over samples of left_b right_b^T, as parameters are."""
    total = fp.network.connectivity.accumulate(left, right)
    return scaled(total, -learning_rate / len(left))
