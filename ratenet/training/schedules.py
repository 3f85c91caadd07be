"""Schedules: the learning rate of every step of a run, by the schedulers of torch.

The rates are computed once, before the run starts: they depend on the step alone, so that a resumed
run continues with them.
"""

import inspect
import math
from collections.abc import Mapping
from typing import Any

import torch

from ratenet.errors import InputError, UnknownNameError, escape

CONSTANT = "constant"
SHORT = {"cosine": "cosineannealinglr"}
# They take other schedulers or functions, or wait for a measure of success.
_LEFT_OUT = (
    "LRScheduler", "_LRScheduler", "LambdaLR", "MultiplicativeLR", "SequentialLR",
    "ChainedScheduler", "ReduceLROnPlateau",
)  # fmt: skip
SMALLEST = 1e-12  # of the learning rate: rules take rates above 0


def _classes() -> dict[str, Any]:
    found = {
        name.lower(): value
        for name, value in vars(torch.optim.lr_scheduler).items()
        if inspect.isclass(value)
        and issubclass(value, torch.optim.lr_scheduler.LRScheduler)
        and name not in _LEFT_OUT
    }
    return dict(sorted(found.items()))


def check_schedule(name: str) -> None:
    """Check that a schedule has this name, in lower case.

    Raises
    ------
    UnknownNameError
        If none has.
    """
    allowed = [CONSTANT, *SHORT, *_classes()]
    if name not in allowed:
        raise UnknownNameError.among("schedule", name, allowed)


def learning_rates(
    name: str, options: Mapping[str, Any], learning_rate: float, steps: int
) -> list[float]:
    """Return the learning rate of each step.

    Parameters
    ----------
    name : str
        "constant", "cosine" (to 0 at the end), or a scheduler of torch in lower case.
    options : mapping
        What torch's scheduler takes, in steps. T_max and total_steps are those of the whole run
        unless they are given, max_lr is the learning rate.
    learning_rate : float
    steps : int
        Number of steps of the whole run.

    Raises
    ------
    InputError
        If the options do not fit.
    """
    if name == CONSTANT:
        if options:
            raise InputError(
                "schedule_options: a constant learning rate has none; leave the option out.",
                argument="schedule_options",
            )
        return [learning_rate] * steps
    kind = _classes()[SHORT.get(name, name)]
    parameters = inspect.signature(kind).parameters
    ours = {"T_max": steps, "total_steps": steps, "max_lr": learning_rate, "cycle_momentum": False}
    filled = {key: value for key, value in ours.items() if key in parameters}
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=learning_rate)
    known = [name for name in parameters if name not in ("optimizer", "last_epoch")]
    for key in options:
        if key not in known:
            raise InputError(
                str(UnknownNameError.among("schedule option", key, known)),
                argument="schedule_options",
            )
    try:
        scheduler = kind(optimizer, **{**filled, **options})
        rates = []
        for step in range(steps):
            rates.append(float(optimizer.param_groups[0]["lr"]))
            optimizer.step()
            if step < steps - 1:
                scheduler.step()
    except (TypeError, ValueError, ArithmeticError) as error:
        raise InputError(
            f"schedule_options: cannot be used for schedule {name!r} ({escape(str(error))}); "
            f"available: {', '.join(known)}.",
            argument="schedule_options",
        ) from None
    # a schedule down to 0 may end just below it
    least = -SMALLEST * learning_rate
    bad = next((rate for rate in rates if not least <= rate < math.inf), None)
    if bad is not None:
        raise InputError(
            f"schedule_options: schedule {name!r} reaches a learning rate of {bad:g}; expected "
            "finite rates of at least 0.",
            argument="schedule_options",
        )
    return [max(rate, SMALLEST * learning_rate) for rate in rates]
