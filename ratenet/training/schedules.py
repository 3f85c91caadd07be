"""Schedules: the learning rate of every step of a run, by the schedulers of torch.

The rates are found once, before the run begins: they depend on the step alone, and so a run that is
resumed goes on with them.
"""

import inspect
from collections.abc import Mapping
from typing import Any

import torch

from ratenet.errors import InputError, UnknownNameError

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
    """Refuse a name that is no schedule's, in lower case.

    Raises
    ------
    UnknownNameError
    """
    allowed = [CONSTANT, *SHORT, *_classes()]
    if name not in allowed:
        raise UnknownNameError(f"There is no schedule {name!r}; there are {', '.join(allowed)}.")


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
        Of the whole run.

    Raises
    ------
    InputError
        If the options do not fit.
    """
    if name == CONSTANT:
        if options:
            raise InputError("schedule_options: a constant learning rate has none.")
        return [learning_rate] * steps
    kind = _classes()[SHORT.get(name, name)]
    parameters = inspect.signature(kind).parameters
    ours = {"T_max": steps, "total_steps": steps, "max_lr": learning_rate, "cycle_momentum": False}
    filled = {key: value for key, value in ours.items() if key in parameters}
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=learning_rate)
    try:
        scheduler = kind(optimizer, **{**filled, **options})
        rates = []
        for step in range(steps):
            rates.append(max(float(optimizer.param_groups[0]["lr"]), SMALLEST * learning_rate))
            optimizer.step()
            if step < steps - 1:
                scheduler.step()
    except (TypeError, ValueError, ZeroDivisionError) as error:
        known = ", ".join(key for key in parameters if key not in ("optimizer", "last_epoch"))
        raise InputError(
            f"schedule_options: they do not fit schedule {name!r} ({error}); it takes {known}."
        ) from None
    return rates
