"""AbstractRule: a rule computes a change of the recurrent weights; somebody else applies it.

A rule sees fixed points (W through its connectivity, the gains G, the rates y) and the error
e = dL/dy of each sample. It knows no model, no backend and no kind of connectivity.
"""

import math
from abc import ABC, abstractmethod
from numbers import Real

import torch
from torch import Tensor

from ratenet.connectivity.base import Change, scaled
from ratenet.errors import InputError, UnsettledError
from ratenet.fixed_points.adjoint import check_error_shape
from ratenet.results import FixedPoints


class AbstractRule(ABC):
    """Interface of the plasticity rules; final rules are frozen dataclasses."""

    @abstractmethod
    def change(self, fp: FixedPoints, error: Tensor, learning_rate: float) -> Change:
        """Return the weight change for samples that have all converged (see `update`)."""

    @torch.no_grad()
    def update(self, fp: FixedPoints, error: Tensor, learning_rate: float) -> Change:
        """Return the change of the recurrent weights, to be added to them.

        Parameters
        ----------
        fp : FixedPoints
            Samples that did not converge are left out; `fp.unsettled` says how many.
        error : Tensor, shape (B, N)
            e = dL_b/dy_b, one row a sample, not divided by B.
        learning_rate : float
            Above 0.

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
            If the error's shape does not fit or is not finite, or the learning rate is not
            above 0.
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
        if not settled.all():
            fp, error = fp.select(settled), error[settled]
        if not torch.isfinite(error).all():
            raise InputError("error: NaN or infinite entries among the settled samples.")
        return self.change(fp, error, learning_rate)


def check_learning_rate(learning_rate: float) -> None:
    """Refuse a learning rate that is not a finite number above 0."""
    if not (isinstance(learning_rate, Real) and 0 < learning_rate < math.inf):
        raise InputError(f"learning_rate: {learning_rate!r} is not a finite number above 0.")


def descent(fp: FixedPoints, left: Tensor, right: Tensor, learning_rate: float) -> Change:
    """Return -learning_rate times the mean over samples of left_b right_b^T, as parameters are."""
    total = fp.network.connectivity.accumulate(left, right)
    return scaled(total, -learning_rate / len(left))
