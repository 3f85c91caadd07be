"""The linear task of Zhu and Rosenbaum (2023): a network learns the responses of another one.

y = (I - W)^{-1} x,    target = (I - V)^{-1} x + noise,    L = mean over samples of |y - target|^2
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ratenet.fixed_points import fixed_points_at
from ratenet.network import Network
from ratenet.results import FixedPoints

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
        """Return the fixed points, solved directly and measured.

        To 1e-16, not to a solver's tolerance: losses down to 1e-31 are to be seen.
        """
        identity = torch.eye(len(self.W), dtype=self.W.dtype)
        rates = torch.linalg.solve(identity - self.W, self.drive.T).T
        return fixed_points_at(self.network, self.drive, rates, tol=TOLERANCE)

    def error(self, rates: Tensor) -> Tensor:
        """Return dL_b/dy_b of each sample, shape (B, N)."""
        return 2 * (rates - self.target)

    def loss(self, rates: Tensor) -> float:
        """Return the mean over samples of |y - target|^2."""
        return float((rates - self.target).square().sum(dim=1).mean())


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
