"""Optimizers: how the changes that a rule asks for are made.

A rule's change is -rate times a direction. Plain gradient descent adds it as it is, which is also
right for a rule whose step is not proportional to the rate. Every other optimizer of torch takes
the direction, at rate 1, as a gradient, and brings in the rate itself.
"""

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ratenet.errors import (
    DivergenceError,
    InputError,
    RunFolderError,
    UnknownNameError,
    UnsupportedError,
)
from ratenet.linear_algebra import is_finite
from ratenet.plasticity import AbstractRule
from ratenet.training.options import TrainingOptions
from ratenet.training.schedules import CONSTANT, learning_rates
from ratenet.training.step_length import (
    NORMALIZED,
    check_step,
    is_plain_descent,
    of_length,
)

# LBFGS evaluates the loss several times a step, SparseAdam takes sparse gradients.
_LEFT_OUT = ("Optimizer", "LBFGS", "SparseAdam")
_FIXED_RATE = ("rprop",)  # its step sizes grow and shrink by themselves
STATE = "optimizer/"  # before the names of its tensors in a checkpoint

Changes = dict[str, Tensor]  # of each learned tensor, by its name; to be added to it


def _classes() -> dict[str, Any]:
    found = {
        name.lower(): value
        for name, value in vars(torch.optim).items()
        if inspect.isclass(value) and name not in _LEFT_OUT
    }
    return dict(sorted(found.items()))


def check_optimizer(name: str) -> None:
    """Check that an optimizer of torch has this name, in lower case.

    Raises
    ------
    UnknownNameError
        If none has.
    """
    if name not in _classes():
        raise UnknownNameError.among("optimizer", name, _classes())


class AbstractOptimizer(ABC):
    """Makes changes, at a learning rate that follows the schedule.

    Parameters
    ----------
    config : TrainingOptions
    parameters : dict of str to Tensor
        What is learned; changed in place.
    steps : int
        Number of steps of the whole run, which a schedule is laid out for.
    factors : dict of str to float
        Factor of a parameter's learning rate, where that is not 1.
    together : sequence of tuple of str
        Names of the recurrent weights, those of a network or a layer together: a normalized step
        of theirs has a length of its own.
    """

    def __init__(
        self,
        config: TrainingOptions,
        parameters: dict[str, Tensor],
        steps: int,
        factors: Mapping[str, float],
        together: Sequence[tuple[str, ...]] = (),
    ) -> None:
        self.config, self.parameters, self.factors = config, parameters, factors
        self.together = together if config.step == NORMALIZED else ()
        self._rates = learning_rates(
            config.schedule, config.schedule_options, config.learning_rate, steps
        )

    def learning_rate(self, step: int) -> float:
        """Return the rate at a step, counted from 0."""
        return self._rates[step]

    @abstractmethod
    def rule_rate(self, step: int) -> float:
        """Return the learning rate that rules are to be given."""

    @abstractmethod
    def apply(self, changes: Changes, step: int) -> None:
        """Make the changes, found at `rule_rate(step)`, after clipping their norm.

        Raises
        ------
        DivergenceError
            If a parameter is not finite then.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Tensor]:
        """Return what a resumed run needs to continue, as tensors."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue from what `state_dict` returned; other tensors may stand beside it."""

    def _check_finite(self) -> None:
        for name, parameter in self.parameters.items():
            if not is_finite(parameter):
                raise DivergenceError(f"{name} became NaN or infinite; lower learning_rate.")

    def _clipped(self, changes: Changes, rate: float) -> Changes:
        """Scale the gradients -change / rate so that their joint norm is at most clip_norm."""
        if self.config.clip_norm is None:
            return changes
        norm = math.hypot(*(float(change.norm()) for change in changes.values())) / rate
        factor = min(1.0, self.config.clip_norm / norm) if norm > 0 else 1.0
        return {name: factor * change for name, change in changes.items()}

    def _normalized(self, changes: Changes, lengths: Mapping[str, float]) -> Changes:
        """Give the changes of weights that belong together their joint length."""
        for names in self.together:
            changes = {**changes, **of_length({n: changes[n] for n in names}, lengths[names[0]])}
        return changes


class PlainDescent(AbstractOptimizer):
    """Gradient descent without memory: adds the changes."""

    def rule_rate(self, step: int) -> float:
        """Return the scheduled rate."""
        return self.learning_rate(step)

    @torch.no_grad()
    def apply(self, changes: Changes, step: int) -> None:
        """Add the changes."""
        rate = self.rule_rate(step)
        changes = self._normalized(changes, dict.fromkeys(changes, rate))
        for name, change in self._clipped(changes, rate).items():
            self.parameters[name].add_(change, alpha=self.factors.get(name, 1.0))
        self._check_finite()

    def state_dict(self) -> dict[str, Tensor]:
        """Return nothing: steps do not depend on one another."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Do nothing."""


class TorchOptimizer(AbstractOptimizer):
    """An optimizer of torch."""

    def __init__(
        self,
        config: TrainingOptions,
        parameters: dict[str, Tensor],
        steps: int,
        factors: Mapping[str, float],
        together: Sequence[tuple[str, ...]] = (),
    ) -> None:
        super().__init__(config, parameters, steps, factors, together)
        kind = _classes()[config.optimizer]
        given = {"weight_decay": config.weight_decay, "momentum": config.momentum}
        options = {name: value for name, value in given.items() if value is not None}
        for name in set(options) - set(inspect.signature(kind).parameters):
            raise InputError(
                f"{name}: not an option of optimizer {config.optimizer!r}; leave it out.",
                argument=name,
            )
        try:
            self._torch = kind(self._groups(), lr=config.learning_rate, **options)
            self._again = lambda parameter: kind([parameter], lr=config.learning_rate, **options)
        except ValueError as error:
            raise InputError(f"optimizer {config.optimizer!r}: {error}.") from None

    def _groups(self) -> list[dict[str, Any]]:
        """Return the parameters by their learning rates' factors."""
        groups: dict[float, list[Tensor]] = {}
        for name, parameter in self.parameters.items():
            groups.setdefault(self.factors.get(name, 1.0), []).append(parameter)
        return [{"params": params, "factor": factor} for factor, params in groups.items()]

    def rule_rate(self, step: int) -> float:
        """Return 1: rules give a direction."""
        return 1.0

    def apply(self, changes: Changes, step: int) -> None:
        """Let torch take a step down the gradients -changes."""
        for name, change in self._clipped(changes, 1.0).items():
            self.parameters[name].grad = -change
        for group in self._torch.param_groups:
            group["lr"] = group["factor"] * self.learning_rate(step)
        before = {n: self.parameters[n].detach().clone() for names in self.together for n in names}
        try:
            self._torch.step()
        except RuntimeError as error:  # a rate that the weights' type cannot hold
            raise DivergenceError(
                f"optimizer {self.config.optimizer!r} failed ({str(error).splitlines()[0]}); "
                "lower learning_rate."
            ) from None
        self._check_finite()
        self._normalize(before, step)

    @torch.no_grad()
    def _normalize(self, before: Changes, step: int) -> None:
        """Go as far as the step's length from where the recurrent weights were before it."""
        rate = self.learning_rate(step)
        moved = {name: self.parameters[name] - start for name, start in before.items()}
        lengths = {name: self.factors.get(name, 1.0) * rate for name in moved}
        for name, change in self._normalized(moved, lengths).items():
            self.parameters[name].copy_(before[name] + change)

    def state_dict(self) -> dict[str, Tensor]:
        """Return torch's tensors, named optimizer/PARAMETER/NAME."""
        return {
            f"{STATE}{name}/{key}": value
            for name, parameter in self.parameters.items()
            for key, value in self._torch.state[parameter].items()
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Hand the tensors back to torch."""
        for name, parameter in self.parameters.items():
            start = f"{STATE}{name}/"
            mine = {key.removeprefix(start): value for key, value in state.items()
                    if key.startswith(start)}  # fmt: skip
            self._check_state(name, parameter, mine)
            # torch wants its counters of steps on the CPU
            self._torch.state[parameter] = {k: v if v.ndim else v.cpu() for k, v in mine.items()}

    def _check_state(self, name: str, parameter: Tensor, found: Mapping[str, Tensor]) -> None:
        """Refuse tensors of a parameter that are not those that a step leaves behind."""
        trial = parameter.detach().clone()
        trial.grad = torch.zeros_like(trial)
        optimizer = self._again(trial)
        optimizer.step()
        wanted = {key: value.shape for key, value in optimizer.state[trial].items()}
        if found and {key: value.shape for key, value in found.items()} != wanted:
            raise RunFolderError(
                f"the state of optimizer {self.config.optimizer!r} for {name} does not fit the "
                "run; the checkpoint belongs to another one, or is damaged."
            )


def new_optimizer(
    config: TrainingOptions,
    rules: Mapping[str, AbstractRule],
    parameters: dict[str, Tensor],
    steps: int,
    processes: int = 1,
    factors: Mapping[str, float] | None = None,
    together: Sequence[tuple[str, ...]] = (),
) -> AbstractOptimizer:
    """Return the optimizer of a configuration, at its beginning.

    Parameters
    ----------
    config : TrainingOptions
    rules : mapping of str to AbstractRule
        All that take part, by name.
    parameters : dict of str to Tensor
        What is learned.
    steps : int
        Number of steps of the whole run.
    processes : int
    factors : mapping of str to float, optional
        Factor of a parameter's learning rate. Default: 1.
    together : sequence of tuple of str
        Names of the recurrent weights that learn, those of a network or a layer together.

    Raises
    ------
    UnsupportedError
        If the rule's step cannot be taken as a gradient.
    InputError
        If an option does not fit the optimizer.
    """
    is_plain = is_plain_descent(config)
    check_step(config, together, processes)
    for name, rule in rules.items():
        is_finite = not rule.traits.is_proportional
        if is_finite and not (is_plain and config.clip_norm is None):
            raise UnsupportedError(
                f"rule {name!r} makes a complete step, not a gradient; it requires optimizer 'sgd' "
                "without weight_decay, momentum and clip_norm; or use 'linearized-reparameterized'."
            )
        if is_finite and config.recurrent_learning_rate is not None and not config.layers:
            raise UnsupportedError(
                f"rule {name!r} makes a complete step at learning_rate; leave "
                "recurrent_learning_rate out."
            )
        if processes > 1 and (is_finite or not rule.traits.is_mean):
            what = "makes a complete step" if is_finite else "couples the samples of a batch"
            raise UnsupportedError(
                f"rule {name!r} {what}, which cannot be averaged over processes; use one process, "
                "or 'linearized-reparameterized'."
            )
    if config.optimizer in _FIXED_RATE and config.schedule != CONSTANT:
        raise UnsupportedError(
            f"schedule: optimizer {config.optimizer!r} uses the learning rate at its first step "
            "only; use another optimizer, or schedule 'constant'."
        )
    kind = PlainDescent if is_plain else TorchOptimizer
    return kind(config, parameters, steps, factors or {}, together)
