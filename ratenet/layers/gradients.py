"""From drives to rates at rest, and back: one node of torch's graph, whatever the solver did.

    forward    x -> y* = f(W y* + x)
    backward   e = dL/dy -> lambda = dL/dx by the adjoint solve; a rule's direction to the weights

The backward pass keeps the fixed points themselves: no iteration leaves anything. Rules
return means over samples, and the errors of a mean loss are already divided by B, so with S
settled samples and a step size eta

    gradient = -rule.propose(fp, S e, eta).delta / eta

which for a rule that is linear in e and eta is the sum over samples of its direction, for a finite
step what plain gradient descent at the rate eta turns into that step, and for a rule that does not
use e the mean of its direction.
"""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ratenet.connectivity.base import scaled
from ratenet.connectivity.computation import computation
from ratenet.errors import InputError, UnsupportedError, counted
from ratenet.fixed_points import FixedPoints, Status, adjoint_of
from ratenet.fixed_points.adjoint import default_adjoint_tolerance
from ratenet.linear_algebra import is_finite
from ratenet.plasticity import AbstractRule, Euclidean
from ratenet.plasticity.proposal import LeftOut
from ratenet.validation import check_positive


@dataclass(frozen=True)
class Settled:
    """Outcome of the samples of a layer's last call.

    Attributes
    ----------
    samples : int
        Number of samples of the call.
    unsettled : int
        Number of samples that did not settle; they get no gradient unless on_unsettled="include".
    residual : float
        The largest among the settled ones (see `FixedPoints.residual`); NaN without any.
    iterations : float
        Mean number of evaluations of the recurrent input per sample.
    left_out : int
        Number of settled samples that the last backward pass gave no gradient, since their adjoint
        has no solution or the rule could not use them.

    Examples
    --------
    >>> import ratenet as rn
    >>> layer = rn.FixedPointLayer(3, 4)
    >>> rates = layer(torch.ones(2, 3))
    >>> layer.last.samples, layer.last.unsettled
    (2, 0)
    """

    samples: int
    unsettled: int
    residual: float
    iterations: float
    left_out: int = 0


def count_settled(fp: FixedPoints, left_out: int) -> Settled:
    """Return the numbers that a layer keeps of fixed points."""
    unsettled, residual = fp.unsettled, fp.residual
    settled = residual if unsettled == 0 else residual[fp.converged]
    return Settled(
        samples=len(fp),
        unsettled=unsettled,
        residual=float(settled.max()) if len(settled) else float("nan"),
        iterations=float(fp.iterations.double().mean()),
        left_out=left_out,
    )


def step_size_for(rule: AbstractRule, given: float | None) -> float:
    """Return the learning rate that a rule is told, 1 where it makes no difference.

    Refuse a rule that the backward pass cannot serve: one that needs the loss itself, of which it
    sees only the gradient, or a finite step of unknown size.
    """
    if not isinstance(rule, AbstractRule):
        raise InputError.at("rule", got=rule, expected="a rule, such as Euclidean()")
    if rule.traits.needs_loss:
        raise InputError(
            f"rule: {type(rule).__name__} needs each sample's loss, and a layer has only its "
            "gradient; find fixed points and call rule.update(..., loss=...) yourself.",
            argument="rule",
        )
    if given is not None:
        return check_positive(given, "step_size")
    if not rule.traits.is_proportional:
        raise InputError(
            f"step_size: {type(rule).__name__} is a finite step, whose size must be known; give "
            "that of torch.optim.SGD, or use another rule.",
            argument="step_size",
        )
    return 1.0


Find = Callable[[Tensor, Sequence[Tensor]], FixedPoints]
Report = Callable[[LeftOut], None]


class Passage:
    """One way through a layer: what the backward pass needs of the forward one.

    Parameters
    ----------
    find : callable
        (drive, parameters) -> FixedPoints, with the layer's settings.
    rule : AbstractRule
    step_size : float
        What the rule is given as its learning rate.
    tol : float, optional
        Tolerance of the adjoint solve, where it is above the default of `solve_adjoint`.
    report : callable
        Told which settled samples the backward pass leaves out.
    """

    def __init__(
        self, find: Find, rule: AbstractRule, step_size: float, tol: float | None, report: Report
    ) -> None:
        self._find, self.rule, self.step_size, self.tol = find, rule, step_size, tol
        self._report = report
        self._found: FixedPoints | None = None

    def forward(self, drive: Tensor, parameters: Sequence[Tensor]) -> Tensor:
        """Return the rates, as a tensor that the fixed points do not share.

        A sample whose rates are not finite hands on zeros. It gets no gradient here, but its NaN
        would be in that of a layer behind, where 0 NaN is NaN.
        """
        self._found = self._find(drive, parameters)
        rates = self._found.rates
        if is_finite(rates):
            return rates.clone()
        return rates.where(torch.isfinite(rates).all(dim=1, keepdim=True), 0.0)

    def leave_out(self, samples: Tensor) -> None:
        """Give these samples (B,) no gradient."""
        status = self.found.status.masked_fill(samples, int(Status.UNSETTLED))
        self._found = dataclasses.replace(self.found, status=status)

    def scale_adjoint(self, factor: float) -> None:
        """Multiply an adjoint that was given."""
        if self.found.adjoint is not None:
            self._found = dataclasses.replace(self.found, adjoint=factor * self.found.adjoint)

    @property
    def found(self) -> FixedPoints:
        """The fixed points of the forward pass."""
        if self._found is None:
            raise UnsupportedError("FixedPointCore: backward was called before forward.")
        return self._found

    def backward(self, error: Tensor, needed: Sequence[bool]) -> tuple[Tensor, ...]:
        """Return the gradients of those of drive and parameters that need one."""
        fp, settled = self.found, self.found.converged
        needs_drive, needs_weights = needed[0], any(needed[1:])
        is_whole = bool(settled.all())
        part, e = (fp, error) if is_whole else (fp.select(settled), error[settled])
        if not is_finite(e):  # handed on, as torch's own layers do
            inputs = [fp.rates, *fp.network.connectivity.parameters.values()]
            every = [torch.full_like(tensor, torch.nan) for tensor in inputs]
            return tuple(itertools.compress(every, needed))
        if not settled.any():
            return self._gradients(None, {}, needed)
        drive_gradient, weights = None, {}
        is_euclidean = isinstance(self.rule, Euclidean)
        if needs_drive or (needs_weights and is_euclidean):
            lambdas = self._adjoint(part, e)
            drive_gradient = lambdas
            if not is_whole:
                drive_gradient = torch.zeros_like(error).index_put((settled,), lambdas)
            if needs_weights and is_euclidean:  # the same lambda: solved once
                W = part.network.connectivity
                weights = W.named(W.accumulate(lambdas, part.rates))
        if needs_weights and not is_euclidean:
            weights = self._rule_gradient(part, e)
        return self._gradients(drive_gradient, weights, needed)

    def _adjoint(self, fp: FixedPoints, error: Tensor) -> Tensor:
        """Return dL/dx; zero where it cannot be solved for, which is reported."""
        tol = max(self.tol or 0.0, default_adjoint_tolerance(fp.rates.dtype))
        adjoint = adjoint_of(fp, error, tol=tol)
        solved = adjoint.converged
        if solved.all():
            return adjoint.values
        number = int((~solved).sum())
        reason = (
            f"{number} of {counted(len(solved), 'sample')} without a gradient: {adjoint.summary()}"
        )
        self._report(LeftOut(number, reason))
        return adjoint.values.where(solved[:, None], 0.0)

    def _rule_gradient(self, fp: FixedPoints, error: Tensor) -> dict[str, Tensor]:
        """Return the sum over samples of the rule's direction, to be descended."""
        S = len(fp)
        if fp.adjoint is not None:
            fp = dataclasses.replace(fp, adjoint=S * fp.adjoint)
        delta, left_out, reason = self.rule.propose(fp, S * error, self.step_size)
        self._report(LeftOut(left_out, reason))
        return fp.network.connectivity.named(scaled(delta, -1 / self.step_size))

    def _gradients(
        self, drive: Tensor | None, weights: dict[str, Tensor], needed: Sequence[bool]
    ) -> tuple[Tensor, ...]:
        """Return the needed ones in the order of the inputs; zero for what got none."""
        parameters = self.found.network.connectivity.parameters
        inputs = (self.found.rates, *parameters.values())
        every = (drive, *(weights.get(name) for name in parameters))
        return tuple(
            torch.zeros_like(like) if gradient is None else gradient
            for like, gradient in itertools.compress(zip(inputs, every, strict=True), needed)
        )


class Rest(torch.autograd.Function):
    """drive (B, N), parameters -> rates (B, N)."""

    @staticmethod
    def forward(passage: Passage, drive: Tensor, *parameters: Tensor) -> Tensor:
        """Find the fixed points."""
        with computation():
            return passage.forward(drive, parameters)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep the fixed points for the backward pass."""
        ctx.passage = inputs[0]
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> tuple[Any, ...]:
        """Return the gradients where they are needed."""
        needed = ctx.needs_input_grad[1:]
        # Only a second derivative asks what the first one depends on.
        inputs = ctx.saved_tensors if torch.is_grad_enabled() else ()
        found = iter(Back.apply(ctx.passage, needed, error, *inputs))
        return (None, *(next(found) if need else None for need in needed))

    @staticmethod
    def vmap(info: Any, in_dims: Any, *inputs: Any) -> Any:
        """Refuse torch.vmap: samples leave the solver's batch one by one."""
        raise UnsupportedError(
            "FixedPointCore: torch.vmap cannot map over a fixed-point layer, whose solver decides "
            "sample by sample; give all samples as one batch."
        )


class Back(torch.autograd.Function):
    """Error (B, N) -> the gradients that are needed; the inputs only mark what they depend on."""

    @staticmethod
    def forward(
        passage: Passage, needed: Sequence[bool], error: Tensor, *inputs: Tensor
    ) -> tuple[Tensor, ...]:
        """Solve for the adjoint, and ask the rule."""
        with computation():
            return passage.backward(error, needed)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Keep nothing."""

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> Any:
        """Refuse second derivatives."""
        raise UnsupportedError(
            "FixedPointCore: double backward is not supported, since a plasticity rule is not a "
            "gradient that could be differentiated again; leave create_graph out."
        )

    @staticmethod
    def vmap(info: Any, in_dims: Any, passage: Passage, needed: Any, *inputs: Tensor) -> Any:
        """Go back once for each error, as torch.func.jacrev asks for."""
        errors = inputs[0].movedim(in_dims[2], 0)
        each = [Back.apply(passage, needed, error) for error in errors]
        gradients = tuple(torch.stack(parts) for parts in zip(*each, strict=True))
        return gradients, (0,) * len(gradients)
