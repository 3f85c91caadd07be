"""Conformance: one model, in both simulators and against independent answers.

A small random network of the model is simulated in torch and in Brian2, its fixed points are found
by every solver and by simulation, and its derivatives are compared with finite differences.
`ratenet models check FILE` runs this for a user's model, the tests for every shipped one.
"""

from collections.abc import Callable
from pathlib import Path

from ratenet.conformance.answers import (
    Check,
    check_euler,
    check_exponential_euler,
    check_fixed_points,
    check_gains,
    check_jacobian,
    check_noise,
)
from ratenet.conformance.case import Case
from ratenet.equations import ModelSpec, load_model
from ratenet.errors import RatenetError

CHECKS: dict[str, Callable[[Case], Check]] = {
    "euler": check_euler,
    "exponential_euler": check_exponential_euler,
    "jacobian": check_jacobian,
    "fixed_points": check_fixed_points,
    "gains": check_gains,
    "noise": check_noise,
}


def check_model(model: ModelSpec | str | Path, seed: int = 0) -> list[Check]:
    """Return what every check finds for a model.

    Parameters
    ----------
    model : ModelSpec, str or Path
        A string or path is looked up with `load_model`.
    seed : int
        Seed of the small random network that is used.

    Returns
    -------
    list of Check
        One for each of `CHECKS`; a check that raises an error of ratenet has failed.

    Raises
    ------
    ModelError
        If the model cannot be loaded.

    Examples
    --------
    Both simulators take some seconds; one of the checks alone:

    >>> CHECKS["gains"](Case(load_model("linear"), seed=0)).passed
    True
    >>> list(CHECKS)
    ['euler', 'exponential_euler', 'jacobian', 'fixed_points', 'gains', 'noise']
    """
    case = Case(load_model(model), seed)
    return [_checked(name, case) for name in CHECKS]


def _checked(name: str, case: Case) -> Check:
    try:
        return CHECKS[name](case)
    except RatenetError as error:
        sentence = str(error).splitlines()[0]
        return Check(name.replace("_", " "), sentence, float("inf"), 0.0)
