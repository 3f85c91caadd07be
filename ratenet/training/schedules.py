"""Schedules: the learning rate of every step of a run, by the schedulers of torch.

The rates are found once, before the run begins: they depend on the step alone, and so a run that is
resumed goes on with them.
"""

import inspect
import math
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
    known = [name for name in parameters if name not in ("optimizer", "last_epoch")]
    for key in options:
        if key not in known:
            raise InputError(
                f"schedule_options: schedule {name!r} has no {key!r}; it takes {', '.join(known)}."
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
            f"schedule_options: they do not fit schedule {name!r} ({error}); it takes "
            f"{', '.join(known)}."
        ) from None
    # a schedule down to 0 may end just below it
    least = -SMALLEST * learning_rate
    bad = next((rate for rate in rates if not least <= rate < math.inf), None)
    if bad is not None:
        raise InputError(
            f"schedule_options: schedule {name!r} comes to a learning rate of {bad:g}; rates are "
            "finite and at least 0."
        )
    return [max(rate, SMALLEST * learning_rate) for rate in rates]
