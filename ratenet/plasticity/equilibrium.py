"""Rules that compare fixed points: a free phase, and phases in which the error nudges the rates.

A nudge adds -b dL/dy to the drive, so that the network rests at y_b = f(W y_b + x - b dL/dy). For
symmetric W this is the minimum of the energy E + b L, and dy_b/db = -(1/G - W)^-1 e at b = 0 is
minus the adjoint.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ratenet.connectivity.base import Change, scaled
from ratenet.fixed_points import FixedPoints
from ratenet.plasticity.base import AbstractRule, Traits, descent
from ratenet.plasticity.loss import Loss
from ratenet.plasticity.phases import both_settled, settled_at, settled_under
from ratenet.plasticity.proposal import Proposal
from ratenet.validation import check_choice, check_positive

NUDGES = {"both": (1, -1), "positive": (1, 0), "negative": (0, -1)}  # signs of the two phases
FORMS = ("vector-field", "symmetric")


@dataclass(frozen=True)
class EquilibriumPropagation(AbstractRule):
    """Contrast the fixed points under two weak nudges of the rates, down and up the loss.

        vector-field    dW = eta mean((y_a - y_b) y_0^T) / (a - b)
        symmetric       dW = eta mean(y_a y_a^T - y_b y_b^T) / (2 (a - b))

    with the nudges (a, b) = (beta, -beta), (beta, 0) or (0, -beta), y_0 at none.

    Parameters
    ----------
    beta : float
        Strength of the nudge, above 0: drive over dL/dy.
    nudge : {"both", "positive", "negative"}
        Signs of the two nudges.
    form : {"vector-field", "symmetric"}
        The second is a difference of two Hebbian changes, and keeps a symmetric W symmetric.
    follows_loss : bool
        False: the nudge is -beta e with the error of the free phase. True: it is -beta dL/dy at
        the present rates, which needs loss= and simulates the network.

    Notes
    -----
    For symmetric W and beta to 0 the vector-field form is `Euclidean`, and the symmetric form its
    symmetric part, the gradient among symmetric W. The difference is of the order of beta, with
    nudges of both signs of beta^2. For other W the adjoint's W^T is W here: no gradient. Cost: two
    batches of fixed points.

    References
    ----------
    Scellier and Bengio 2017, Front. Comput. Neurosci. 11:24; Scellier et al. 2018, arXiv
    1808.04873 (vector fields); Laborieux et al. 2021, arXiv 2006.03824 (both signs).

    Examples
    --------
    >>> import torch, ratenet as rn
    >>> fp = rn.find_fixed_points(rn.Network("linear", [[0.5]]), [1.0])  # y = 2
    >>> error = torch.ones(1, 1, dtype=torch.float64)
    >>> EquilibriumPropagation(beta=1e-3).update(fp, error, learning_rate=0.1)
    tensor([[-0.4000]], dtype=torch.float64)
    """

    beta: float = 0.1
    nudge: str = "both"
    form: str = "vector-field"
    follows_loss: bool = False

    def __post_init__(self) -> None:
        check_positive(self.beta, "beta")
        check_choice(self.nudge, "nudge", NUDGES)
        check_choice(self.form, "form", FORMS)

    @property
    def traits(self) -> Traits:
        """No metric; Euclidean for symmetric weights, in the limit."""
        kind = "symmetric W" if self.form == "symmetric" else "W, if W is symmetric,"
        return Traits(f"none; nears Euclidean in {kind} as beta goes to 0", self.follows_loss)

    def change(
        self, fp: FixedPoints, error: Tensor, learning_rate: float, loss: Loss | None = None
    ) -> Proposal:
        """Return the change by two phases."""
        first, second = NUDGES[self.nudge]
        followed = loss if self.follows_loss else None
        a = nudged(fp, error, first * self.beta, followed)
        b = nudged(fp, error, second * self.beta, followed)
        settled, left_out = both_settled(a, b, "EquilibriumPropagation")
        rate = learning_rate / ((first - second) * self.beta)
        a, b = a.select(settled), b.select(settled)
        if self.form == "symmetric":
            return Proposal(contrast(fp, a.rates, b.rates, rate / 2), *left_out)
        return Proposal(descent(fp, b.rates - a.rates, fp.rates[settled], rate), *left_out)


@dataclass(frozen=True)
class ContrastiveHebbian(AbstractRule):
    """Hebbian in a taught phase, anti-Hebbian in the free phase.

        dW = eta mean(y_t y_t^T - y_0 y_0^T)

    y_0 is the free fixed point, y_t that under a teacher that adds -strength dL/dy to the drive.

    Parameters
    ----------
    strength : float
        Strength of the teacher, above 0: drive over dL/dy.
    follows_loss : bool
        False: the teacher adds -strength e with the error of the free phase. True: -strength dL/dy
        at the present rates, which clamps the rates to the target as strength grows; it needs
        loss= and simulates the network.

    Notes
    -----
    2 strength times the symmetric form of `EquilibriumPropagation` with a positive nudge of that
    strength, which is not small here. It vanishes where the free rates have no error. Cost: two
    batches of fixed points.

    References
    ----------
    Movellan 1991; Xie and Seung 2003, Neural Comput. 15:441 (clamped outputs).

    Examples
    --------
    >>> import torch, ratenet as rn
    >>> fp = rn.find_fixed_points(rn.Network("linear", [[0.5]]), [1.0])  # y = 2
    >>> error = torch.ones(1, 1, dtype=torch.float64)
    >>> ContrastiveHebbian().update(fp, error, learning_rate=0.1)
    tensor([[-0.4000]], dtype=torch.float64)
    """

    strength: float = 1.0
    follows_loss: bool = False

    def __post_init__(self) -> None:
        check_positive(self.strength, "strength")

    @property
    def traits(self) -> Traits:
        """No metric; Euclidean among symmetric weights, in the limit."""
        metric = "none; nears Euclidean in symmetric W as strength goes to 0"
        return Traits(metric, self.follows_loss)

    def change(
        self, fp: FixedPoints, error: Tensor, learning_rate: float, loss: Loss | None = None
    ) -> Proposal:
        """Return the change by two phases."""
        taught = nudged(fp, error, self.strength, loss if self.follows_loss else None)
        free = nudged(fp, error, 0.0, None)
        settled, left_out = both_settled(taught, free, "ContrastiveHebbian")
        taught, free = taught.select(settled), free.select(settled)
        return Proposal(contrast(fp, taught.rates, free.rates, learning_rate), *left_out)


def nudged(fp: FixedPoints, error: Tensor, strength: float, loss: Loss | None) -> FixedPoints:
    """Return where the network rests with -strength dL/dy added to its drive.

    Without a loss, dL/dy is the error that is given.
    """
    if loss is None or strength == 0:
        return settled_at(fp, fp.drive - strength * error)
    return settled_under(fp, loss, strength)


def contrast(fp: FixedPoints, one: Tensor, other: Tensor, rate: float) -> Change:
    """Return rate times the mean of y_1 y_1^T - y_2 y_2^T, as parameters are.

    Written as d m^T + m d^T with d = y_1 - y_2 and m = (y_1 + y_2) / 2, where d is small.
    """
    difference, middle = one - other, (one + other) / 2
    left, right = torch.cat([difference, middle]), torch.cat([middle, difference])
    return scaled(fp.network.connectivity.accumulate(left, right), rate / len(one))
