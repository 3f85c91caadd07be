"""Signed connectivity: Dale's law, each presynaptic unit either excitatory or inhibitory."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from ratenet.connectivity.base import Change
from ratenet.connectivity.checks import check_weights
from ratenet.connectivity.dense import AbstractMatrix
from ratenet.connectivity.matmul import Product
from ratenet.errors import InputError, counted
from ratenet.validation import check_choice

UPDATES = ("projection", "exponentiated")


@dataclass(frozen=True, eq=False, repr=False)
class Signed(AbstractMatrix):
    """Weights that obey Dale's law: each column has the sign of its presynaptic unit.

    With the change D that a rule gives (for gradient descent D = -eta dL/dW),

        projection       W <- the nearest allowed matrix to W + D: wrong signs become 0
        exponentiated    |W| <- |W| exp(sign D)

    The second is exponentiated gradient descent, mirror descent under the entropy of |W|. Its
    learning rate is one of ratios: to first order W changes by |W| D, so a weight of 0 stays 0 and
    large weights change most.

    Parameters
    ----------
    W : Tensor, shape (post, pre)
        Weights W[post, pre]; an entry against its column's sign is set to 0.
    signs : Tensor, shape (pre,)
        1 for an excitatory unit, whose column of W is at least 0, and -1 for an inhibitory one.
    update : {"projection", "exponentiated"}
        How `add_` makes a change.

    Raises
    ------
    InputError
        If signs do not fit, or an entry of W has the wrong one.

    References
    ----------
    Kivinen and Warmuth 1997, Inf. Comput. 132:1 (exponentiated gradient); Cornford et al. 2024,
    Brain-like learning with exponentiated gradients.

    Examples
    --------
    >>> pair = Signed(torch.tensor([[1.0, -2.0], [1.0, 0.0]]), torch.tensor([1, -1]))
    >>> pair.add_(torch.tensor([[-3.0, 1.0], [0.5, 1.0]]))
    >>> pair.W
    tensor([[ 0.0000, -1.0000],
            [ 1.5000,  0.0000]])
    """

    W: Tensor
    signs: Tensor
    update: Literal["projection", "exponentiated"] = "projection"
    _forward: Product = field(init=False, repr=False)
    _backward: Product = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_weights(self.W, "W", "post, pre")
        check_choice(self.update, "update", UPDATES)
        pre = self.W.shape[1]
        signs = torch.as_tensor(self.signs)
        is_sign = signs.dtype != torch.bool and not signs.is_complex()
        if not is_sign or signs.shape != (pre,) or not (signs.abs() == 1).all():
            raise InputError.at(
                "signs",
                got=self.signs,
                expected=f"{pre} numbers 1 or -1, one for each presynaptic unit (column of W)",
            )
        object.__setattr__(self, "signs", signs.to(self.W))
        wrong = torch.nonzero(self.W.detach() * self.signs < 0)
        if len(wrong):
            post, pre = wrong[0].tolist()
            kind, allowed = (
                ("excitatory", "at least 0") if signs[pre] > 0 else ("inhibitory", "at most 0")
            )
            raise InputError(
                f"W has {counted(len(wrong), 'entry')} of the wrong sign, the first at "
                f"W[{post}, {pre}]: unit {pre} is {kind}, so its column must be {allowed}.",
                argument="W",
            )
        object.__setattr__(self, "_forward", Product(self.W, transposed=False))
        object.__setattr__(self, "_backward", Product(self.W, transposed=True))

    @property
    def constants(self) -> dict[str, Tensor]:
        """The signs."""
        return {"signs": self.signs}

    def with_parameters(self, parameters: Mapping[str, Tensor]) -> "Signed":
        """Return the same signs, or those that are given, with another W."""
        return Signed(parameters["W"], parameters.get("signs", self.signs), self.update)

    def accumulate(self, left: Tensor, right: Tensor) -> Tensor:
        """Return sum_b left_b right_b^T, shape (post, pre)."""
        return left.T @ right

    @torch.no_grad()
    def add_(self, delta: Change) -> None:
        """Make a change of shape (post, pre), by projection or by exponentiated update."""
        change = self.named(delta)["W"]
        if self.update == "exponentiated":
            self.W.mul_(torch.exp(self.signs * change))
        else:
            self.W.add_(change)
            self.constrain_()
        self.touch_()

    @torch.no_grad()
    def constrain_(self) -> None:
        """Set every weight of the wrong sign to 0, if there is one."""
        wrong = self.W * self.signs < 0
        if wrong.any():
            self.W.masked_fill_(wrong, 0.0)
            self.touch_()
