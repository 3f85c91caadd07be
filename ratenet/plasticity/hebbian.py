"""Unsupervised rules: they depend on the rates alone, not on the error.

Their equations stand in models/plasticity; here they are at fixed points.
"""

import dataclasses
import functools
from dataclasses import dataclass
from numbers import Real

from torch import Tensor

from ratenet.connectivity.base import Change
from ratenet.equations import PlasticitySpec, load_plasticity
from ratenet.errors import InputError
from ratenet.fixed_points import FixedPoints
from ratenet.plasticity.base import AbstractRule, Traits
from ratenet.plasticity.from_equations import FromEquations, from_equations
from ratenet.plasticity.loss import Loss

UNSUPERVISED = Traits("none: unsupervised, no gradient of a loss", uses_error=False)


@dataclass(frozen=True)
class Hebb(AbstractRule):
    """Units that are active together are connected more strongly.

        dW = eta mean(y y^T)

    Notes
    -----
    Nothing bounds the weights. Cost: one outer product per sample.

    References
    ----------
    Hebb 1949; Gerstner and Kistler 2002, Biol. Cybern. 87:404.

    Examples
    --------
    >>> import torch, ratenet as rn
    >>> fp = rn.find_fixed_points(rn.Network("linear", [[0.5]]), [1.0])  # y = 2
    >>> error = torch.ones(1, 1, dtype=torch.float64)
    >>> Hebb().update(fp, error, learning_rate=0.1)
    tensor([[0.4000]], dtype=torch.float64)
    """

    @property
    def traits(self) -> Traits:
        """Unsupervised."""
        return UNSUPERVISED

    def change(
        self, fp: FixedPoints, error: Tensor, learning_rate: float, loss: Loss | None = None
    ) -> Change:
        """Return eta mean(y y^T)."""
        return _shipped("hebb").of_numbers(fp, error, learning_rate)


@dataclass(frozen=True)
class Oja(AbstractRule):
    """Hebb with a decay that bounds the weights onto each unit.

        dW_ij = eta mean(y_i (y_j - y_i W_ij))

    Notes
    -----
    Where the presynaptic rates do not depend on y_i, the weights onto a linear unit tend to the
    first principal component of these rates, of length 1. The decay diag(mean y^2) W is projected
    onto the connectivity's parameters as every other change is. Cost: N products with the
    transposed W besides Hebb's.

    References
    ----------
    Oja 1982, J. Math. Biol. 15:267.

    Examples
    --------
    >>> import torch, ratenet as rn
    >>> fp = rn.find_fixed_points(rn.Network("linear", [[0.5]]), [1.0])  # y = 2
    >>> error = torch.ones(1, 1, dtype=torch.float64)
    >>> Oja().update(fp, error, learning_rate=0.1)
    tensor([[0.2000]], dtype=torch.float64)
    """

    @property
    def traits(self) -> Traits:
        """Unsupervised."""
        return UNSUPERVISED

    def change(
        self, fp: FixedPoints, error: Tensor, learning_rate: float, loss: Loss | None = None
    ) -> Change:
        """Return eta (mean(y y^T) - diag(mean y^2) W)."""
        return _shipped("oja").of_numbers(fp, error, learning_rate)


@dataclass(frozen=True)
class BCM(AbstractRule):
    """Hebb above a threshold of the postsynaptic rate, anti-Hebb below it.

        dW_ij = eta mean(y_i (y_i - theta_i) y_j)

    Parameters
    ----------
    threshold : float, optional
        theta, the same for all units, in the unit of the rates. Default: theta_i is the mean of
        y_i^2 over the settled samples of the batch, so that a batch should hold all stimuli.

    Notes
    -----
    Where the presynaptic rates of P equally frequent, linearly independent stimuli do not depend
    on y_i, the stable weights onto a linear unit answer one of them, with the rate P. Cost: one
    outer product a sample.

    References
    ----------
    Bienenstock, Cooper and Munro 1982, J. Neurosci. 2:32; Intrator and Cooper 1992, Neural Netw.
    5:3 (the threshold as the mean of y^2).

    Examples
    --------
    >>> import torch, ratenet as rn
    >>> fp = rn.find_fixed_points(rn.Network("linear", [[0.5]]), [1.0])  # y = 2
    >>> error = torch.ones(1, 1, dtype=torch.float64)
    >>> BCM().update(fp, error, learning_rate=0.1)
    tensor([[-0.8000]], dtype=torch.float64)
    """

    threshold: float | None = None

    def __post_init__(self) -> None:
        value = self.threshold
        if value is not None and not (isinstance(value, Real) and abs(value) < float("inf")):
            raise InputError.at(
                "threshold", got=value, expected="a finite number, or None for mean y^2"
            )

    @property
    def traits(self) -> Traits:
        """Unsupervised; a threshold of the batch's own couples its samples."""
        return dataclasses.replace(UNSUPERVISED, is_mean=self.threshold is not None)

    def change(
        self, fp: FixedPoints, error: Tensor, learning_rate: float, loss: Loss | None = None
    ) -> Change:
        """Return eta mean(y (y - theta) y^T)."""
        held = None if self.threshold is None else {"theta": self.threshold}
        slow = ("theta",) if held is None else ()
        return _shipped("bcm", slow, held).of_numbers(fp, error, learning_rate)


def _shipped(
    name: str, slow: tuple[str, ...] = (), held: dict[str, float] | None = None
) -> FromEquations:
    """Return a rule of models/plasticity with a rate of learning of 1/s."""
    return from_equations(_of_unit_rate(name), slow, held)


@functools.cache
def _of_unit_rate(name: str) -> PlasticitySpec:
    return load_plasticity(name).with_parameters(eta="1*Hz")
