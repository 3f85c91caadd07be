"""What a user passes to simulate, checked: seed, tolerances, recorded units, residual to reach."""

import math
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ratenet.errors import InputError, UnsupportedError
from ratenet.network import Network
from ratenet.simulation.backends.base import Tolerances
from ratenet.simulation.drives import AbstractDrive
from ratenet.simulation.time_grid import ADAPTIVE
from ratenet.validation import check_positive, check_seed

RTOL_OF_RKC = 6e-3


def checked_seed(seed: Any) -> int | None:
    """Return a seed for the noise, or None."""
    return None if seed is None else check_seed(seed)


def checked_tolerances(network: Network, method: str, rtol: Any, atol: Any) -> Tolerances:
    """Return the tolerances of an adaptive method; others have none."""
    given, is_double = {"rtol": rtol, "atol": atol}, network.dtype == torch.float64
    relative = RTOL_OF_RKC if method == "rkc" else 1e-6 if is_double else 1e-4
    default = {"rtol": relative, "atol": 1e-9 if is_double else 1e-6}
    for name, value in given.items():
        if value is not None and method not in ADAPTIVE:
            raise UnsupportedError(
                f"{name}: method {method!r} takes steps of fixed length dt; {name} is for "
                f"{' or '.join(map(repr, ADAPTIVE))}.",
                argument=name,
                got=value,
            )
    return Tolerances(
        **{n: default[n] if v is None else check_positive(v, n) for n, v in given.items()}
    )


def checked_residual(network: Network, drive: AbstractDrive, until_settled: Any) -> float | None:
    """Return the residual at which a simulation may stop, or None."""
    if until_settled is None:
        return None
    value, model = check_positive(until_settled, "until_settled"), network.model
    if model.uses_time or model.noises:
        reason = "depend on t explicitly" if model.uses_time else "have noise"
        raise UnsupportedError(
            f"until_settled: the equations of model {model.name!r} {reason}, so it never settles; "
            "give only the duration.",
            argument="until_settled",
        )
    if drive.rests_from == math.inf:
        raise UnsupportedError(
            "until_settled needs a drive that is known to become constant, not a function of time; "
            "give an array or a SampledDrive, or only the duration.",
            argument="until_settled",
        )
    return value


def unit_numbers(network: Network, units: Any) -> Tensor | None:
    """Return the numbers of the recorded units (U,), from numbers and names of populations."""
    if units is None:
        return None
    populations, N = network.populations, network.units
    numbers: list[int] = []
    for entry in _entries(units, N):
        if isinstance(entry, str) and entry in populations:
            numbers += range(N)[populations[entry]]
        elif isinstance(entry, Integral) and not isinstance(entry, bool) and 0 <= int(entry) < N:
            numbers.append(int(entry))
        else:
            named = f" or names of populations ({', '.join(populations)})" if populations else ""
            raise InputError.at(
                "record_units", got=entry, expected=f"numbers of units from 0 to {N - 1}{named}"
            )
    return torch.tensor(numbers, dtype=torch.int64, device=network.device)


def _entries(units: Any, N: int) -> list[Any]:
    """Return the entries of `record_units`; a mask (N,) becomes numbers."""
    if isinstance(units, Tensor | np.ndarray | list | tuple | range):
        entries = units.tolist() if isinstance(units, Tensor | np.ndarray) else list(units)
        if not isinstance(entries, list):
            return [entries]
        is_mask = len(entries) == N and all(isinstance(entry, bool) for entry in entries)
        return [n for n in range(N) if entries[n]] if is_mask else entries
    return [units]
