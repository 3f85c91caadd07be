"""The linear task of Zhu and Rosenbaum (2024): a network learns the responses of another one.

y = (I - W)^{-1} x,    target = (I - V)^{-1} x + noise,    L = mean over samples of |y - target|^2
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from ratenet.fixed_points import FixedPoints, fixed_points_at
from ratenet.hypotheses.tasks.base import AbstractTask, Setting, parts, precision, squared_losses
from ratenet.network import Network

UNITS, SAMPLES = 200, 100
TOLERANCE = 1e-9  # of the residual of states that are solved directly


@dataclass(frozen=True, eq=False)
class LinearTask:
    """A network that learns, with its stimuli and the rates that it is to reach.

    Attributes
    ----------
    network : Network
        Model "linear"; its W is changed in place.
    drive, target : Tensor, shape (B, N)
    """

    network: Network
    drive: Tensor
    target: Tensor

    @property
    def W(self) -> Tensor:
        """The weights, shape (N, N)."""
        return self.network.connectivity.dense()

    def reached(self) -> FixedPoints:
        """Return the fixed points, solved directly and measured."""
        return solved_directly(self.network, self.drive)

    def error(self, rates: Tensor) -> Tensor:
        """Return dL_b/dy_b of each sample, shape (B, N)."""
        return 2 * (rates - self.target)

    def loss(self, rates: Tensor) -> float:
        """Return the mean over samples of |y - target|^2."""
        return float(squared_losses(rates, self.target).mean())


def solved_directly(network: Network, drive: Tensor) -> FixedPoints:
    """Return the fixed points of a linear network, stable or not.

    To 1e-16, not to a solver's tolerance: losses down to 1e-31 are to be seen. Where I - W is
    singular there are none, and no sample is settled.
    """
    W = network.connectivity.dense()
    identity = torch.eye(len(W), dtype=W.dtype)
    rates, _ = torch.linalg.solve_ex(identity - W, drive.T)
    return fixed_points_at(network, drive, rates.T, tol=TOLERANCE)


def linear_task(seed: int, units: int = UNITS, samples: int = SAMPLES) -> LinearTask:
    """Return the task at its start.

    V ~ 0.5 N(0, 1)/sqrt(N), W ~ 0.75 N(0, 1)/sqrt(N), x ~ 0.1 N(0, 1), noise ~ 0.01 N(0, 1).
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    teacher = 0.5 * normal(units, units) / math.sqrt(units)
    W = 0.75 * normal(units, units) / math.sqrt(units)
    x = 0.1 * normal(samples, units)
    identity = torch.eye(units, dtype=torch.float64)
    target = torch.linalg.solve(identity - teacher, x.T).T + 0.01 * normal(samples, units)
    return LinearTask(Network("linear", W), x, target)


@dataclass(frozen=True, eq=False)
class LinearRegression(AbstractTask):
    """`linear_task`, with samples held out; the model is always "linear".

    Fixed points are solved directly, as in the paper, so that unstable ones count as reached.
    """

    score_name: ClassVar[str] = "precision, -log10 of the relative squared error"

    @classmethod
    def drawn(cls, setting: Setting, seed: int) -> Self:
        """Return the task at its start."""
        whole = linear_task(seed, setting.units, setting.total)
        return cls(whole.network, *parts(whole.drive, whole.target, setting))

    def reached(self, drive: Tensor) -> FixedPoints:
        """Return the fixed points, stable or not."""
        return solved_directly(self.network, drive)

    def losses(self, rates: Tensor, aim: Tensor) -> Tensor:
        """Return |y - target|^2."""
        return squared_losses(rates, aim)

    def score(self, fp: FixedPoints, aim: Tensor) -> float:
        """Return the precision."""
        return precision(fp, aim)
