"""dt_check: how much a simulation changes when its time step is halved.

With y_h the rates at step h, at the times that all three runs have in common,

    change = max |y_dt - y_{dt/2}|,   order = log2(change / max |y_{dt/2} - y_{dt/4}|)

For a method of order p the error at dt is about change / (1 - 2^-p).
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ratenet.connectivity.computation import computation
from ratenet.errors import UnsupportedError
from ratenet.network import Network
from ratenet.simulation.integrate import simulate
from ratenet.simulation.time_grid import ADAPTIVE, seconds

# Changes below this many roundings of the largest rate say nothing about the method.
_ROUNDINGS = 100


@dataclass(frozen=True)
class TimeStepCheck:
    """How much halving dt changed the rates; ``print`` it for a sentence.

    Attributes
    ----------
    dt : float
        The time step that was checked, in seconds.
    method : str
        Integration method.
    change : float
        Largest change of a rate from dt to dt/2, in the unit of the rates.
    scale : float
        Largest rate in the simulation.
    order : float
        Observed order of the method; NaN where the changes are as small as rounding.
    t : float
        Time of the largest change in seconds.
    stimulus, unit : int
        Stimulus and unit of the largest change.
    """

    dt: float
    method: str
    change: float
    scale: float
    order: float
    t: float
    stimulus: int
    unit: int

    def __str__(self) -> str:
        if math.isnan(self.order):
            return f"Halving dt = {self.dt:g} s changes the rates by no more than rounding."
        return (
            f"Halving dt = {self.dt:g} s changes the rates by at most {self.change:.2g}, "
            f"{self.change / self.scale:.1%} of the largest ({self.scale:.3g}): unit {self.unit} "
            f"of stimulus {self.stimulus} at t = {self.t:g} s. Halving it again shows method "
            f"{self.method!r} to be of order {self.order:.2f}."
        )


@computation()
@torch.no_grad()
def dt_check(
    network: Network,
    drive: Any,
    duration: Any,
    dt: Any,
    *,
    method: str = "euler",
    backend: str = "torch",
    initial: Any = None,
) -> TimeStepCheck:
    """Halve the time step, twice, and return how much the rates change.

    Parameters
    ----------
    network, drive, duration, dt, method, backend, initial
        As for `simulate`.

    Returns
    -------
    TimeStepCheck
        Print it for a sentence.

    Raises
    ------
    UnsupportedError
        If the model has noise, whose paths depend on dt, or the method chooses its own steps.

    Notes
    -----
    Seven times the work of the simulation at dt. An order far from the method's own means that dt
    is too large for its rule to hold, that the drive jumps within steps, or that the network is
    chaotic.

    Examples
    --------
    >>> from brian2 import ms
    >>> network = Network("linear", [[0.5]])
    >>> check = dt_check(network, [1.0], 50*ms, 1*ms)
    >>> round(check.order)
    1
    """
    if network.model.noises or method in ADAPTIVE:
        reason = "the model has noise" if network.model.noises else f"{method!r} chooses its steps"
        raise UnsupportedError(
            f"dt_check: {reason}, so halving dt says nothing; "
            + ("compare means and variances." if network.model.noises else "lower rtol instead.")
        )
    step, runs = seconds(dt, "dt"), []
    for parts in (1, 2, 4):
        run = simulate(
            network, drive, duration, step / parts, method=method, backend=backend,
            initial=initial, record_every=parts,
        )  # fmt: skip
        runs.append(run.rates)
    first, second = (runs[0] - runs[1]).abs(), (runs[1] - runs[2]).abs()
    time, stimulus, unit = torch.nonzero(first == first.max())[0].tolist()
    scale = max(float(values.abs().max()) for values in runs)
    return TimeStepCheck(
        dt=step,
        method=method,
        change=float(first.max()),
        scale=scale,
        order=_order(first, second, scale),
        t=time * step,
        stimulus=stimulus,
        unit=unit,
    )


def _order(first: Tensor, second: Tensor, scale: float) -> float:
    rounding = _ROUNDINGS * torch.finfo(first.dtype).eps * scale
    if min(float(first.max()), float(second.max())) <= rounding:
        return math.nan
    return math.log2(float(first.max()) / float(second.max()))
