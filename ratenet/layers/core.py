"""FixedPointCore: a network as a torch module, from drives to the rates at which it rests."""

import math
import warnings
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from ratenet.connectivity.changes import fingerprint
from ratenet.errors import InputError, LeftOutWarning, RatenetWarning, counted
from ratenet.fixed_points import AbstractSolver, Automatic, FixedPoints, MeanGain, find_fixed_points
from ratenet.fixed_points.certificate import check_solvable, check_tolerance
from ratenet.layers._buffers import are_equal, buffers, named
from ratenet.layers.gradients import Passage, Rest, Settled, count_settled, step_size_for
from ratenet.network import Network
from ratenet.plasticity import AbstractRule, Euclidean
from ratenet.plasticity.proposal import LeftOut
from ratenet.validation import check_choice, check_positive

OnUnsettled = Literal["mask", "include", "raise"]
STALE_AFTER = 10  # changes of the weights for which the default solver keeps its preconditioner


class _Held(NamedTuple):
    """A tensor that a network was made of, and where and what it was then."""

    tensor: Tensor
    address: int
    dtype: torch.dtype


class FixedPointCore(torch.nn.Module):
    """The recurrent part of a fixed-point layer: drives (..., N) to rates (..., N).

    The forward pass finds the fixed points; no iteration is kept. The backward pass gives the exact
    gradient to the drive, by the adjoint solve, and to the recurrent weights what the rule says:
    ``.grad`` is the sum over samples of its direction, since a mean loss already holds 1/B. With
    `Euclidean` that is the gradient itself; a rule that does not use errors gives a mean instead.

    Parameters
    ----------
    network : Network
        Its weights become parameters of this module, and share their memory with it.
    rule : AbstractRule
        The plasticity rule that gives the recurrent weights their gradient; default `Euclidean`.
    step_size : float, optional
        Learning rate passed to the rule; without effect for rules whose change is proportional to
        it. A finite step, such as `Reparameterized`, needs it: with
        ``torch.optim.SGD(lr=step_size)`` a step is the exact one of that size on the loss that
        backward was called on; another lr only scales that step.
    tol : float, optional
        As for `find_fixed_points`; the adjoint solve's as well, where it is above that one's own
        (1e-10, in float32 1e-5).
    solver : AbstractSolver, optional
        Default `Automatic`, with a preconditioner that is kept for ten steps of an optimizer: rates
        depend on what was solved before by no more than the tolerance.
    max_iterations : int
        Evaluations of the recurrent input after which a sample counts as unsettled.
    on_unsettled : {"mask", "include", "raise"}
        What to do with a sample that does not settle: hand on its rates (0 where they are not
        finite), give it no gradient, count it in `last.unsettled` and warn once; the same, but with
        the gradient that the state would have if it were at rest, as long as it is finite; or raise
        a ConvergenceError.

    Attributes
    ----------
    recurrent : torch.nn.ParameterDict
        The connectivity's parameters; "/" stands for the dot in a name such as "lower.W".
    fixed_points : FixedPoints or None
        Those of the last call.
    last : Settled or None
        How many of its samples settled.

    Raises
    ------
    InputError
        If an argument does not fit; from forward, if shapes do not fit or an input is not finite.
    ConvergenceError
        From forward, with on_unsettled="raise".
    StaleError
        From backward, if the weights changed since forward.

    Notes
    -----
    Stability is not examined: `find_fixed_points(core.network, drive)` does. Constraints of the
    connectivity (a mask, signs) are restored before each forward pass, whatever an optimizer did:
    the projected step. Optimizers add, so the exponentiated update of `Signed` is not theirs; call
    `descend` in their place. torch.func.grad, functional_call and jacrev work; torch.vmap, forward
    mode and second derivatives do not.

    Two layers with feedback of which only the lower is driven are a network with a `Block`, and
    ``torch.nn.functional.pad(read_in(x), (0, upper_units))`` for its drive.

    Examples
    --------
    >>> import ratenet as rn
    >>> core = FixedPointCore(rn.Network("linear", [[0.5]]))  # y = 2 x
    >>> core(torch.tensor([[1.0]], dtype=torch.float64)).sum().backward()
    >>> core.recurrent["W"].grad  # lambda y = 2 * 2
    tensor([[4.]], dtype=torch.float64)
    """

    def __init__(
        self,
        network: Network,
        rule: AbstractRule | None = None,
        *,
        step_size: float | None = None,
        tol: float | None = None,
        solver: AbstractSolver | None = None,
        max_iterations: int = 2000,
        on_unsettled: OnUnsettled = "mask",
    ) -> None:
        super().__init__()
        self.rule = Euclidean() if rule is None else rule
        self.step_size = step_size_for(self.rule, step_size)
        check_solvable(network)
        if tol is not None:
            check_tolerance(tol, network.dtype)
        self.tol = tol
        check_choice(on_unsettled, "on_unsettled", get_args(OnUnsettled))
        self.on_unsettled: OnUnsettled = on_unsettled
        self.max_iterations = max_iterations
        kept = MeanGain(stale_after=STALE_AFTER)
        self.solver = Automatic(kept) if solver is None else solver
        self.fixed_points: FixedPoints | None = None
        self._given: list[FixedPoints] = []  # of the next calls, in place of solved ones
        self._passage: weakref.ref[Passage] | None = None
        self._left_out = LeftOut()  # by the last backward pass
        self._said = set[type[Warning]]()  # what has been warned of: each is said once
        self._names = tuple(network.connectivity.parameters)
        made: dict[int, torch.nn.Parameter] = {}  # a tensor in two places is one parameter
        self.recurrent = torch.nn.ParameterDict(
            {
                name.replace(".", "/"): made.setdefault(id(tensor), torch.nn.Parameter(tensor))
                for name, tensor in network.connectivity.parameters.items()
            }
        )
        # What makes this the network that it is, although nothing learns it: in the state_dict.
        self.pattern = buffers(network.connectivity.constants)
        self.per_unit = buffers({n: v for n, v in network.parameters.items() if v.ndim})
        self._network = network
        self._taken_up = self._fixed()
        self._held: tuple[_Held, ...] = ()
        self._constrained: tuple[int, ...] = ()  # fingerprints
        self._network_with(self._weights())

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to the last call."""
        return {**super().__getstate__(), "fixed_points": None, "_passage": None, "_held": ()}

    @property
    def network(self) -> Network:
        """The network with the present weights."""
        parameters = self._weights()
        self._constrain(parameters)
        return self._network_with(parameters)

    def set_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Give parameters that all units share other values, as `Network` takes them.

        Parameters
        ----------
        parameters : mapping of str to float or Quantity
            New values by the parameters' names; a float is in SI units.
        """
        self._network = self.network.changed(parameters=parameters)

    @property
    def units(self) -> int:
        """N."""
        return self._network.units

    @property
    def last(self) -> Settled | None:
        """Outcome of the samples of the last call."""
        fp = self.fixed_points
        return None if fp is None else count_settled(fp, self._left_out.samples)

    def forward(self, drive: Tensor) -> Tensor:
        """Return the rates at the fixed points.

        Parameters
        ----------
        drive : Tensor, shape (..., N)
            External input of each unit, in the unit of the model's drive.

        Returns
        -------
        Tensor, shape (..., N)
        """
        if drive.ndim == 0 or drive.shape[-1] != self.units:
            raise InputError.at(
                "drive",
                got=tuple(drive.shape),
                expected=f"shape (..., N) with N = {counted(self.units, 'unit')}",
            )
        parameters = self._weights()
        self._constrain(parameters)
        rows = drive.reshape(-1, self.units).to(parameters[0].dtype)
        passage = Passage(self._find, self.rule, self.step_size, self.tol, self._leave_out)
        self._passage = weakref.ref(passage)  # it goes with the graph that it belongs to
        rates: Tensor = Rest.apply(passage, rows, *parameters)
        return rates.reshape(drive.shape)

    @contextmanager
    def given(self, fp: FixedPoints) -> Iterator[None]:
        """Let the next call within this context take these states, and solve for none.

        Parameters
        ----------
        fp : FixedPoints
            States of ``core.network``, such as those that a simulation reached: the call returns
            their rates, and its backward pass takes place at them.
        """
        self._given.append(fp)
        try:
            yield
        finally:
            self._given = [each for each in self._given if each is not fp]

    def leave_out(self, samples: Tensor) -> None:
        """Give some samples of the last call no gradient, before backward.

        Their errors may be 0, but rules that use none would learn from their rates.

        Parameters
        ----------
        samples : Tensor of bool, shape (B,)
            True: this sample gets no gradient.
        """
        self._open_passage("leave_out").leave_out(samples)

    def scale_adjoint(self, factor: float) -> None:
        """Multiply the adjoint of the last call's states, if they came with one, before backward.

        Parameters
        ----------
        factor : float
            By what the samples' losses are multiplied, such as 1/B.
        """
        self._open_passage("scale_adjoint").scale_adjoint(factor)

    @torch.no_grad()
    def descend(self, learning_rate: float) -> None:
        """Let the connectivity itself make the step -learning_rate .grad, in place.

        In place of an optimizer of torch, for the recurrent weights: `Signed` can make it an
        exponentiated one.

        Parameters
        ----------
        learning_rate : float
            Factor of the gradient.
        """
        check_positive(learning_rate, "learning_rate")
        gradients = {
            name: torch.zeros_like(p) if p.grad is None else p.grad
            for name, p in zip(self._names, self._weights(), strict=True)
        }
        self.network.connectivity.add_(
            {name: -learning_rate * gradient for name, gradient in gradients.items()}
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.extra_repr()})"

    def extra_repr(self) -> str:
        """Return what is printed of the module."""
        W = self._network.connectivity
        units, model = counted(self.units, "unit"), self._network.model.name
        return f"{units}, model {model!r}, {type(W).__name__}, rule {self.rule!r}"

    def _open_passage(self, asked: str) -> Passage:
        passage = None if self._passage is None else self._passage()
        if passage is None:
            raise InputError(f"{asked}: call it after forward and before backward.", argument=asked)
        return passage

    def _weights(self) -> list[Tensor]:
        """Return the tensors that stand for the weights now, in the connectivity's order."""
        return [self.recurrent[name.replace(".", "/")] for name in self._names]

    def _fixed(self) -> tuple[tuple[Tensor, int], ...]:
        """Return the buffers, and fingerprints of their values."""
        every = (*self.pattern.buffers(), *self.per_unit.buffers())
        return tuple((tensor, fingerprint(tensor)) for tensor in every)

    def _take_up(self, parameters: Sequence[Tensor]) -> None:
        """Make the network anew if the buffers are others, as of a loaded state_dict."""
        fixed = self._fixed()
        pairs = zip(fixed, self._taken_up, strict=True)
        if all(new is old and now == before for (new, now), (old, before) in pairs):
            return
        self._taken_up = fixed
        pattern, per_unit = named(self.pattern), named(self.per_unit)
        constants, given = self._network.connectivity.constants, self._network.parameters
        is_same = all(are_equal(new, constants[name]) for name, new in pattern.items())
        if is_same and all(are_equal(new, given[name]) for name, new in per_unit.items()):
            return
        with torch.inference_mode(False):
            zeros = dict(zip(self._names, map(torch.zeros_like, parameters), strict=True))
            W = self._network.connectivity.with_parameters({**zeros, **pattern})  # 0 fits them all
            self._network, self._held = self._network.changed(W=W, parameters=per_unit), ()

    def _holds(self, parameters: Sequence[Tensor]) -> bool:
        """Return whether the network was made of these tensors, in the memory they have now."""
        return len(self._held) == len(parameters) and all(
            p is old.tensor and p.data_ptr() == old.address and p.dtype == old.dtype
            for p, old in zip(parameters, self._held, strict=True)
        )

    def _network_with(self, parameters: Sequence[Tensor]) -> Network:
        """Return the network that holds these tensors; made anew only where they are others."""
        if self._holds(parameters):
            return self._network
        with torch.inference_mode(False):  # what is made here is for training as well
            tensors = dict(zip(self._names, (p.detach() for p in parameters), strict=True))
            connectivity = self._network.connectivity.with_parameters(tensors)
            self._network = self._network.changed(W=connectivity)
            self._held = tuple(
                _Held(p if p.is_leaf else p.detach(), p.data_ptr(), p.dtype) for p in parameters
            )
        return self._network

    @torch.no_grad()
    def _constrain(self, parameters: Sequence[Tensor]) -> None:
        """Restore what an optimizer's step took off the constraint, in this module's own memory."""
        self._take_up(parameters)
        if not all(isinstance(p, torch.nn.Parameter) for p in parameters):
            return  # others stand in their place, as in torch.func.functional_call
        holds = self._holds(parameters)
        if holds and self._constrained == tuple(map(fingerprint, parameters)):
            return
        if holds:
            self._network.connectivity.constrain_()
        else:  # a copy, or on its way to another dtype: zeros are allowed, and take the values up
            zeros = dict(zip(self._names, map(torch.zeros_like, parameters), strict=True))
            connectivity = self._network.connectivity.with_parameters(zeros)
            for p, value in zip(parameters, connectivity.parameters.values(), strict=True):
                value.copy_(p)
            connectivity.constrain_()
            for p, value in zip(parameters, connectivity.parameters.values(), strict=True):
                if not torch.equal(p, value):  # others may share it, and have used it
                    p.copy_(value)
        self._constrained = tuple(map(fingerprint, parameters))

    def _find(self, drive: Tensor, parameters: Sequence[Tensor]) -> FixedPoints:
        """Find the fixed points, and say what did not settle."""
        self.fixed_points = None  # the last ones go before new ones take up memory
        self._left_out = LeftOut()
        if self._given:
            self.fixed_points = fp = self._given.pop(0)
            return fp.with_tolerance(math.inf) if self.on_unsettled == "include" else fp
        fp = find_fixed_points(
            self._network_with(parameters),
            drive.detach(),
            tol=self.tol,
            solver=self.solver,
            max_iterations=self.max_iterations,
            certificate="residual",
            on_failure="raise" if self.on_unsettled == "raise" else "return",
        )
        self.fixed_points = fp
        if fp.unsettled:
            what = "get no gradient" if self.on_unsettled == "mask" else "are learned from"
            self._warn_once(
                f"{fp.unsettled} of {counted(len(fp), 'sample')} did not settle and {what}; shown "
                f"once, later batches: `last.unsettled`.\n{fp.summary()}",
                RatenetWarning,
            )
        return fp.with_tolerance(math.inf) if self.on_unsettled == "include" else fp

    def _leave_out(self, samples: LeftOut) -> None:
        """Note which settled samples the backward pass gives no gradient."""
        self._left_out = max(self._left_out, samples)
        if samples.samples:
            self._warn_once(
                f"{samples.reason} Shown once, later batches: `last.left_out`.", LeftOutWarning,
                samples.samples,
            )  # fmt: skip

    def _warn_once(self, message: str, kind: type[Warning], *facts: int) -> None:
        """Warn of what has not been said of this layer yet."""
        if kind not in self._said:
            self._said.add(kind)
            warnings.warn(kind(f"FixedPointCore: {message}", *facts), stacklevel=3)
