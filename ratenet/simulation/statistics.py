"""Streaming statistics: mean, variance and covariance of the rates, without the trajectory.

Welford's update of each step's rates y, which subtracts no large numbers from each other:

    mean_n = mean_{n-1} + (y_n - mean_{n-1}) / n
    M_n    = M_{n-1} + (y_n - mean_{n-1}) (y_n - mean_n)^T,    covariance = M_n / n

The sums are kept in float64, whatever the network's type.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ratenet.errors import InputError
from ratenet.simulation.time_grid import WHOLE, TimeGrid, seconds


@dataclass(frozen=True)
class Statistics:
    """Request for statistics of the rates, for ``simulate(..., statistics=...)``.

    Parameters
    ----------
    after : Quantity or float
        Only steps that end after this time count; a float is in seconds, as ``trajectory.t``.
    covariance : bool
        Whether to measure the covariance of all pairs of units too, (B, N, N) values.

    Raises
    ------
    InputError
        If `after` is not a time.

    Examples
    --------
    >>> from brian2 import ms
    >>> import ratenet as rn
    >>> network = rn.Network("linear", [[0.5]])
    >>> late = Statistics(after=200*ms)
    >>> run = rn.simulate(network, [1.0], 400*ms, 1*ms, record_every=400, statistics=late)
    >>> run.statistics.mean, run.statistics.count
    (tensor([[2.0000]], dtype=torch.float64), 200)
    """

    after: Any = 0.0
    covariance: bool = False

    def __post_init__(self) -> None:
        after = seconds(self.after, "Statistics, after", or_zero=True)
        object.__setattr__(self, "after", after)


@dataclass(frozen=True, eq=False)
class RateStatistics:
    """Mean, variance and covariance of the rates over time, one row per stimulus.

    Attributes
    ----------
    count : int
        Number of steps that they cover.
    mean, variance : Tensor, shape (B, N)
        In the unit of the rates, and its square; sums divided by `count`.
    covariance : Tensor of shape (B, N, N), or None
    """

    count: int
    mean: Tensor
    variance: Tensor
    covariance: Tensor | None

    def __repr__(self) -> str:
        B, N = self.mean.shape
        covariance = "" if self.covariance is None else ", with covariance"
        return f"RateStatistics(steps={self.count}, stimuli={B}, units={N}{covariance})"


class Welford:
    """Takes one step's rates after the other.

    Parameters
    ----------
    wanted : Statistics
    grid : TimeGrid

    Attributes
    ----------
    count : int
        Number of steps added so far.

    Raises
    ------
    InputError
        If no step ends after `wanted.after`.
    """

    def __init__(self, wanted: Statistics, grid: TimeGrid) -> None:
        self._wanted, self._grid = wanted, grid
        self.count = 0
        self._mean = self._sums = torch.zeros((), dtype=torch.float64)
        if not self._counts(grid.steps):
            raise InputError(
                f"statistics: no step ends after {wanted.after:g} s, since the simulation ends at "
                f"{grid.end:g} s; choose an earlier time.",
                argument="statistics",
                got=wanted.after,
            )

    @property
    def has_covariance(self) -> bool:
        """Whether it holds (B, N, N) numbers."""
        return self._wanted.covariance

    def _counts(self, n: int) -> bool:
        """Return whether the state after n steps counts."""
        return n > 0 and self._grid.time(n) > self._wanted.after + WHOLE * self._grid.dt

    def add(self, n: int, rates: Tensor) -> None:
        """Add the rates (B, N) after n steps, if they count."""
        if not self._counts(n):
            return
        self.count += 1
        values = rates.to(torch.float64)
        before = values - self._mean
        self._mean = self._mean + before / self.count
        after = values - self._mean
        if self._wanted.covariance:
            self._sums = self._sums + before[:, :, None] * after[:, None, :]  # (B, N, N)
        else:
            self._sums = self._sums + before * after

    def result(self) -> RateStatistics | None:
        """Return the statistics of what was added; None where the run ended before."""
        if self.count == 0:
            return None
        sums = self._sums / self.count
        covariance = sums if self._wanted.covariance else None
        variance = sums.diagonal(dim1=1, dim2=2) if self._wanted.covariance else sums
        return RateStatistics(self.count, self._mean, variance, covariance)
