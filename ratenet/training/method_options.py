"""How a slow presentation is integrated: which methods an option may name, and the default."""

from collections.abc import Mapping
from typing import Any

from ratenet.errors import InputError
from ratenet.network import Network
from ratenet.simulation.arguments import checked_tolerances
from ratenet.simulation.time_grid import ADAPTIVE
from ratenet.training.options import TrainingOptions
from ratenet.training.presentation import CONTINUOUS, EULER

OF_BRIAN2 = (EULER, "exponential_euler")


def check_method(config: TrainingOptions) -> None:
    """Refuse a method where it cannot be had, and a tolerance that nothing heeds.

    Raises
    ------
    InputError
    """
    method = config.method or _default(config)
    if config.presentation == "static":
        return
    if config.backend == "brian2" and method not in OF_BRIAN2:
        raise InputError.at(
            "method", got=method, expected=f"{' or '.join(OF_BRIAN2)} with backend brian2"
        )
    if config.plasticity is not None and method in ADAPTIVE:
        raise InputError.at(
            "method",
            got=method,
            expected="euler, exponential_euler or rk4 with plasticity, whose weights take equal "
            "steps",
        )
    _check_rtol(config, method)


def _check_rtol(config: TrainingOptions, method: str) -> None:
    if config.rtol is not None and method not in ADAPTIVE:
        raise InputError(
            f"rtol: has no effect with method {method!r}, which takes equal steps; use method "
            f"{' or '.join(ADAPTIVE)}, or leave the option out.",
            argument="rtol",
        )


def resolved_method(config: TrainingOptions, network: Network) -> dict[str, Any]:
    """Return method and tolerance of a slow presentation of a network.

    Raises
    ------
    InputError, UnsupportedError
        If the model does not allow the method.
    """
    method = config.method or _default(config, has_noise=bool(network.model.noises))
    if network.model.noises and method != EULER:
        raise InputError.at(
            "method", got=method, expected=f"euler, since model {network.model.name!r} has noise"
        )
    if method == "exponential_euler":
        _ = network.model.own_rates  # refuses a model that the method does not fit
    _check_rtol(config, method)
    if method not in ADAPTIVE:
        return {"method": method}
    return {"method": method, "rtol": checked_tolerances(network, method, config.rtol, None).rtol}


def _default(config: TrainingOptions, *, has_noise: bool = False) -> str:
    has_steps = config.plasticity is not None or config.adjoint_tau is not None
    is_equal = has_steps or config.update_at == CONTINUOUS or config.backend == "brian2"
    return EULER if is_equal or has_noise else "rkc"


def as_recorded(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a run folder; one without a method was begun with Euler steps."""
    is_slow = options.get("presentation", "slow") == "slow"
    return {**({"method": EULER} if is_slow else {}), **options}
