"""A rule of one's own as one plain function."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from ratenet.connectivity.base import Change
from ratenet.errors import InputError
from ratenet.fixed_points import FixedPoints
from ratenet.plasticity.base import AbstractRule, Traits
from ratenet.plasticity.loss import Loss

RuleFunction = Callable[..., Change]


@dataclass(frozen=True)
class FunctionRule(AbstractRule):
    """A rule that a function computes; the decorator `rule` makes it.

    Parameters
    ----------
    function : callable
        (fp, error, learning_rate) -> change, where all samples of `fp` have converged; with a
        fourth parameter named loss it is given the loss.
    stated_metric : str

    Attributes
    ----------
    name : str
        The function's name.
    """

    function: RuleFunction = field(repr=False)
    stated_metric: str = field(repr=False)
    name: str = field(init=False)

    def __post_init__(self) -> None:
        if not inspect.isfunction(self.function):
            raise InputError.at(
                "rule",
                got=self.function,
                expected="a plain function",
                remedy="put @rule(metric=...) above one",
            )
        if not isinstance(self.stated_metric, str) or not self.stated_metric:
            raise InputError.at(
                "metric",
                got=self.stated_metric,
                expected="the geometry in which the rule descends, such as 'Euclidean in W' or "
                "'none'",
            )
        object.__setattr__(self, "name", self.function.__name__)
        names = list(inspect.signature(self.function).parameters)
        if len(names) not in (3, 4) or names[3:] not in ([], ["loss"]):
            raise InputError.at(
                f"rule {self.name}",
                found=f"({', '.join(names)})",
                expected="a function of (fp, error, learning_rate), and of loss if it is used",
            )

    @property
    def _loss(self) -> inspect.Parameter | None:
        return inspect.signature(self.function).parameters.get("loss")

    @property
    def traits(self) -> Traits:
        """What the function's author says."""
        is_needed = self._loss is not None and self._loss.default is inspect.Parameter.empty
        return Traits(self.stated_metric, needs_loss=is_needed)

    def change(
        self, fp: FixedPoints, error: Tensor, learning_rate: float, loss: Loss | None = None
    ) -> Change:
        """Return what the function returns."""
        given: dict[str, Any] = {} if self._loss is None else {"loss": loss}
        return self.function(fp, error, learning_rate, **given)


def rule(*, metric: str) -> Callable[[RuleFunction], FunctionRule]:
    """Make a plasticity rule of a plain function.

    Parameters
    ----------
    metric : str
        In which geometry the rule descends the loss, if in any; a short text, which is printed.

    Returns
    -------
    decorator
        Turns (fp, error, learning_rate) -> change into a rule like every other: unsettled samples
        are left out before, shapes are checked after. The change is to be proportional to the
        learning rate, and a mean over samples.

    Raises
    ------
    InputError
        If the function takes other arguments.

    Examples
    --------
    >>> import torch, ratenet as rn
    >>> @rn.plasticity.rule(metric="none")
    ... def presynaptic(fp, error, learning_rate):
    ...     return -learning_rate * error.T @ fp.rates / len(fp)
    >>> fp = rn.find_fixed_points(rn.Network("linear", [[0.5]]), [1.0])  # y = 2
    >>> presynaptic.update(fp, torch.ones(1, 1, dtype=torch.float64), learning_rate=0.1)
    tensor([[-0.2000]], dtype=torch.float64)
    """

    def decorated(function: RuleFunction) -> FunctionRule:
        found = FunctionRule(function, metric)
        # The rule takes the function's place in its module; so pickle finds the function in it.
        function.__qualname__ = f"{function.__qualname__}.function"
        return found

    return decorated
