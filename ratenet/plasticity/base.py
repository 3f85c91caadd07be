"""AbstractRule: a rule computes a change of the recurrent weights; somebody else applies it.

A rule sees fixed points (W through its connectivity, the gains G, the rates y) and the error
e = dL/dy of each sample, some also the loss L itself. It knows no model, no backend and no kind
of connectivity.
"""

import inspect
import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ratenet.connectivity.base import Change, as_change, scaled
from ratenet.connectivity.computation import computation
from ratenet.errors import InputError, LeftOutWarning, UnsettledError, UnsupportedError
from ratenet.fixed_points import FixedPoints
from ratenet.fixed_points.adjoint import as_error
from ratenet.notebook import lines, table
from ratenet.plasticity.loss import Loss, loss_of_kept, required
from ratenet.plasticity.proposal import Proposal, as_proposal, check_change, check_shapes
from ratenet.validation import check_positive


@dataclass(frozen=True)
class Traits:
    """What is to be known of a rule before it is used.

    Attributes
    ----------
    metric : str
        In which geometry the rule descends the loss; "none ..." if it claims none.
    needs_loss : bool
        Whether `update` must be given loss=.
    uses_error : bool
        False: the change does not depend on the error.
    is_proportional : bool
        Whether the change is the learning rate times a direction.
    is_mean : bool
        Whether the change of a batch is the mean of the changes that its samples would make alone.
    uses_adjoint : bool
        Whether it takes the adjoint that fixed points come with (`FixedPoints.adjoint`).

    Examples
    --------
    >>> import ratenet as rn
    >>> rn.plasticity.NodePerturbation().traits.needs_loss
    True
    """

    metric: str
    needs_loss: bool = False
    uses_error: bool = True
    is_proportional: bool = True
    is_mean: bool = True
    uses_adjoint: bool = False


class AbstractRule(ABC):
    """Interface of the plasticity rules; final rules are frozen dataclasses.

    Examples
    --------
    A rule of your own says what is to be known of it, and what change it makes:

    >>> import torch
    >>> import ratenet as rn
    >>> class Decay(AbstractRule):
    ...     traits = Traits(metric="none", uses_error=False)
    ...
    ...     def change(self, fp, error, learning_rate, loss=None):
    ...         return Proposal(-learning_rate * fp.network.connectivity.dense())
    >>> fp = rn.find_fixed_points(rn.Network("rate", [[0.5]]), [1.0])
    >>> Decay().update(fp, torch.zeros(1, 1), learning_rate=0.1)
    tensor([[-0.0500]], dtype=torch.float64)
    """

    @property
    @abstractmethod
    def traits(self) -> Traits:
        """Metric and needs of the rule."""

    @property
    def metric(self) -> str:
        """In which geometry the rule descends the loss; "none ..." if it claims none."""
        return self.traits.metric

    def __str__(self) -> str:
        return f"{self!r}, metric: {self.metric}"

    def _repr_html_(self) -> str:
        traits = self.traits
        needs = {"the error": traits.uses_error, "the loss": traits.needs_loss}
        rows = {
            "metric": self.metric,
            "needs": " and ".join(name for name in needs if needs[name]) or "rates alone",
            "change": lines(inspect.getdoc(type(self)) or ""),
        }
        return table(repr(self), rows)

    def plot(
        self, fp: FixedPoints, error: Tensor, ax: Any = None, *, loss: Loss | None = None
    ) -> Any:
        """Draw the change of each weight against that of gradient descent on W.

        Parameters
        ----------
        fp, error, loss
            As for `update`.
        ax : matplotlib.axes.Axes, optional
            Where to draw; default new axes, which a notebook shows.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        RatenetError
            As `update` does.

        Examples
        --------
        >>> import torch, ratenet as rn
        >>> network = rn.Network("rate", [[0.2, 0.5], [-0.4, 0.1]])
        >>> fp = rn.find_fixed_points(network, [1.0, -0.5])
        >>> error = torch.ones(1, 2, dtype=torch.float64)
        >>> rn.plasticity.LinearizedReparameterized().plot(fp, error).get_ylabel()
        'change by LinearizedReparameterized'
        """
        from ratenet.report.pictures import plot_rule

        return plot_rule(self, fp, error, ax, loss)

    @abstractmethod
    def change(
        self, fp: FixedPoints, error: Tensor, learning_rate: float, loss: Loss | None = None
    ) -> Change | Proposal:
        """Return the weight change for samples that have all converged (see `update`).

        A rule that cannot use some of them returns a `Proposal`, which says how many and why.

        Parameters
        ----------
        fp : FixedPoints
            Samples that have all converged.
        error : Tensor, shape (B, N)
            e = dL/dy of each sample's own loss, not divided by B.
        learning_rate : float
            Above 0; its unit is that of the change over that of the rule's direction.
        loss : callable, optional
            Rates (B, N) to the loss of each sample, (B,); given if `traits.needs_loss`.

        Returns
        -------
        Tensor, dict of str to Tensor, or Proposal
            The change, to be added; shaped like the connectivity's parameters, a mean over samples.
        """

    def squared_lengths(self, fp: FixedPoints, delta: Change) -> Tensor:
        """Return the squared length of a change at each fixed point (B,); see `squared_length`.

        Rules with a metric define it, also those of your own.

        Parameters
        ----------
        fp : FixedPoints
            Samples that have all converged.
        delta : Tensor or dict of str to Tensor
            Shaped like the connectivity's parameters.
        """
        raise UnsupportedError(
            f"{type(self).__name__}: no length of a weight change belongs to this rule (metric: "
            f"{self.metric}); rules whose change is steepest descent in a metric have one, such as "
            "Euclidean, LinearizedReparameterized and NaturalGradient, and a class of your own "
            "that defines squared_lengths."
        )

    @computation()
    @torch.no_grad()
    def squared_length(self, fp: FixedPoints, delta: Change) -> float:
        """Return the squared length of a weight change in the rule's metric at given fixed points.

        For one sample, with its gains held fixed, a small change that the rule makes is the one
        that lowers the loss most among all of this length. The metric may differ between samples:
        the mean over those that converged is returned, in which a mean of the changes of samples
        need not be steepest descent.

        Parameters
        ----------
        fp : FixedPoints
            Where the metric is taken.
        delta : Tensor or dict of str to Tensor
            Shaped like the connectivity's parameters, as `update` returns it; of any size, since
            the metric is that of infinitesimal changes.

        Returns
        -------
        float
            At least 0, quadratic in `delta`; infinite or NaN where the metric divides by a gain
            or a weight that is 0.

        Raises
        ------
        UnsupportedError
            If the rule claims no metric, is a sum of rules, or is a plain function.
        StaleError
            If the weights changed after the fixed points were found.
        UnsettledError
            If no sample converged.
        InputError
            If the change's shape does not fit.

        Notes
        -----
        Where W is constrained, as by a mask, rules in a metric of W itself project their steepest
        change onto what is allowed. `NodePerturbation` and `WeightPerturbation` are steepest
        descent in expectation, `RecurrentBackpropagation` is as its duration grows, and
        `BackpropagationThroughTime` descends the loss at the end of its simulation.

        Examples
        --------
        >>> import torch, ratenet as rn
        >>> fp = rn.find_fixed_points(rn.Network("linear", [[0.5]]), [1.0])
        >>> delta = torch.ones(1, 1, dtype=torch.float64)
        >>> rn.plasticity.Euclidean().squared_length(fp, delta)
        1.0
        >>> rn.plasticity.LinearizedReparameterized().squared_length(fp, delta)  # (1 - 0.5)^-4
        16.0
        """
        fp.check_current()
        parameters = fp.network.connectivity.parameters
        check_shapes(delta, fp, f"{type(self).__name__}.squared_length")
        named = fp.network.connectivity.named(delta)
        delta = as_change({name: named[name].to(like) for name, like in parameters.items()})
        return float(self.squared_lengths(settled_samples(fp), delta).mean())

    def update(
        self, fp: FixedPoints, error: Tensor, learning_rate: float, *, loss: Loss | None = None
    ) -> Change:
        """Return the change of the recurrent weights, to be added to them.

        Parameters
        ----------
        fp : FixedPoints
            Samples that did not converge are left out; `fp.unsettled` says how many.
        error : Tensor, shape (B, N)
            e = dL_b/dy_b: the gradient of each sample's own loss with respect to its rates. Not
            divided by B, since the rule takes the mean; multiply the gradient of a mean loss by B.
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
        DivergenceError
            If the change is not finite.

        Warns
        -----
        LeftOutWarning
            If the rule cannot use some of the settled samples; `propose` counts them instead.

        Examples
        --------
        >>> import torch, ratenet as rn
        >>> network = rn.Network("linear", [[0.5]])
        >>> fp = rn.find_fixed_points(network, [1.0])  # y = 2
        >>> error = torch.ones(1, 1, dtype=torch.float64)
        >>> rn.plasticity.Euclidean().update(fp, error, learning_rate=0.1)
        tensor([[-0.4000]], dtype=torch.float64)
        """
        delta, left_out, reason = self.propose(fp, error, learning_rate, loss=loss)
        if left_out:
            warnings.warn(LeftOutWarning(reason, left_out), stacklevel=2)
        return delta

    @computation()
    @torch.no_grad()
    def propose(
        self, fp: FixedPoints, error: Tensor, learning_rate: float, *, loss: Loss | None = None
    ) -> Proposal:
        """Return what `update` returns, with the number of samples left out in place of a warning.

        Parameters
        ----------
        fp, error, learning_rate, loss
            As for `update`, which also says what is raised.

        Returns
        -------
        Proposal
        """
        fp.check_current()
        check_positive(learning_rate, "learning_rate")
        error = as_error(fp, error)
        settled, everything = fp.converged, fp
        fp = settled_samples(fp)
        if loss is not None or self.traits.needs_loss:
            loss = loss_of_kept(required(loss, type(self).__name__), settled)
        if fp is not everything:
            error = error[settled]
        if not torch.isfinite(error).all():
            raise InputError.at(
                "error",
                found="NaN or infinite entries",
                expected="finite numbers at settled samples",
            )
        proposal = as_proposal(self.change(fp, error, learning_rate, loss))
        check_change(proposal.delta, fp, getattr(self, "name", type(self).__name__))
        return proposal


def settled_samples(fp: FixedPoints) -> FixedPoints:
    """Return the samples that converged; refuse fixed points of which none did."""
    if not fp.converged.any():
        raise UnsettledError(
            f"No sample is at a fixed point, so there is nothing to learn from.\n{fp.summary()}"
        )
    return fp if fp.converged.all() else fp.select(fp.converged)


def descent(fp: FixedPoints, left: Tensor, right: Tensor, learning_rate: float) -> Change:
    """Return -learning_rate times the mean over samples of left_b right_b^T, as parameters are."""
    total = fp.network.connectivity.accumulate(left, right)
    return scaled(total, -learning_rate / len(left))


class AbstractEuclideanRule(AbstractRule):
    """A rule that computes the Euclidean gradient in W, or estimates it."""

    def squared_lengths(self, fp: FixedPoints, delta: Change) -> Tensor:
        """Return the sum of squares over the parameters, the same at each fixed point."""
        return squared_norm(delta).expand(len(fp))


def squared_norm(delta: Change) -> Tensor:
    """Return the sum of the squares of all entries of a change."""
    parts = [delta] if isinstance(delta, Tensor) else list(delta.values())
    return torch.stack([part.square().sum() for part in parts]).sum()
