"""How long a step is: as the learning rate makes it, of a given length, or as a search finds."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ratenet.errors import InputError, UnsupportedError
from ratenet.training.options import TrainingOptions

RATE, NORMALIZED, LINE_SEARCH = "rate", "normalized", "line-search"


def is_plain_descent(config: TrainingOptions) -> bool:
    """Return whether a step is the change that the rule asks for, without a memory of others."""
    return config.optimizer == "sgd" and not config.weight_decay and not config.momentum


def check_step_options(config: TrainingOptions) -> None:
    """Refuse options that do not go together with how long a step is.

    Raises
    ------
    InputError
    """
    if config.step == RATE:
        return
    if config.rule == "frozen" and not config.layers and config.step == NORMALIZED:
        raise _refused("has no effect, since rule 'frozen' keeps the recurrent weights.")
    if config.clip_norm is not None:
        raise InputError(
            f"clip_norm: has no effect with step {config.step!r}, which does not depend on the "
            "norm of the gradients; leave it out.",
            argument="clip_norm",
        )
    if config.step == NORMALIZED and config.update_at == "continuous":
        raise _refused(
            "'normalized' cannot be combined with update_at 'continuous', where the hold as a "
            "whole makes one change; give times of updates."
        )
    if config.step == LINE_SEARCH:
        _check_line_search(config)


def _check_line_search(config: TrainingOptions) -> None:
    if config.presentation != "static":
        raise _refused(
            "'line-search' compares losses at solved fixed points, and images move in presentation "
            "'slow'; use presentation 'static', or step 'normalized'."
        )
    if not is_plain_descent(config):
        raise _refused(
            "'line-search' shortens what the rule asks for; it requires optimizer 'sgd' without "
            "weight_decay and momentum, or use step 'normalized'."
        )
    if config.barrier is not None:
        raise _refused(
            "'line-search' cannot be combined with barrier, whose corrections come after it and "
            "may raise the loss again; use step 'normalized'."
        )


def check_step(
    config: TrainingOptions, together: Sequence[tuple[str, ...]], processes: int
) -> None:
    """Refuse what a run cannot do.

    Raises
    ------
    InputError, UnsupportedError
    """
    if config.step == NORMALIZED and not together:
        raise _refused("has no effect, since no recurrent weights learn.")
    if config.step == LINE_SEARCH and processes > 1:
        raise UnsupportedError(
            "step: 'line-search' compares the losses of a whole batch, which several processes "
            "share; use one process, or step 'normalized'.",
            argument="step",
        )


def _refused(why: str) -> InputError:
    return InputError(f"step: {why}", argument="step")


def of_length(changes: Mapping[str, Tensor], length: float) -> dict[str, Tensor]:
    """Return changes scaled to a joint Frobenius norm; those that are 0 stay 0."""
    norm = torch.stack([change.double().norm() for change in changes.values()]).norm()
    factor = length / norm if norm > 0 else norm
    return {name: (change.double() * factor).to(change) for name, change in changes.items()}
