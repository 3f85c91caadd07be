"""What is measured of a network while it learns: its modes, its way, and changes beside another.

With A_b = (I - G_b W)^{-1} G_b = dy_b/dx, the linear response at the fixed point of sample b:

    condition       mean over b of cond(I - G_b W), the ratio of its singular values
    moved           |W - W_0|, the Euclidean distance from the start
    moved_response  sqrt(mean over b of |A_b - A_b,0|^2), in which the reparameterized rules go
                    straight down: for a linear network |(I - W)^{-1} - (I - W_0)^{-1}|
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ratenet.connectivity.base import Change
from ratenet.errors import ConvergenceError
from ratenet.fixed_points import FixedPoints
from ratenet.linear_algebra import solve_samples
from ratenet.network import Network


@dataclass(frozen=True, eq=False)
class Modes:
    """A few samples' slowest modes and linear responses.

    Attributes
    ----------
    W : Tensor, shape (N, N)
    response : Tensor, shape (P, N, N)
        A_b; NaN for samples that did not settle.
    condition : float
        Mean of cond(I - G W) over the settled ones; NaN if there are none.
    abscissa : float
        Largest real part of their Jacobians' eigenvalues, 1/s.
    """

    W: Tensor
    response: Tensor
    condition: float
    abscissa: float

    @classmethod
    def of(cls, fp: FixedPoints) -> "Modes":
        """Measure a few fixed points."""
        W = fp.network.connectivity.dense().detach().clone()
        response = W.new_full((len(fp), *W.shape), math.nan)
        settled = torch.nonzero(fp.converged)[:, 0]
        if len(settled) == 0:
            return cls(W, response, math.nan, math.nan)
        gain = fp.gain[settled]
        matrix = torch.eye(len(W), dtype=W.dtype) - gain[:, :, None] * W  # I - G W
        response[settled] = solve_samples(matrix, torch.diag_embed(gain))
        condition = float(torch.linalg.cond(matrix).mean())
        return cls(W, response, condition, _abscissa(fp, settled))

    def distances(self, start: "Modes") -> dict[str, float]:
        """Return the distances from the start, `moved` and `moved_response`."""
        squares = (self.response - start.response).square().sum(dim=(1, 2))
        both = squares[~squares.isnan()]
        return {
            "moved": float((self.W - start.W).norm()),
            "moved_response": math.sqrt(float(both.mean())) if len(both) else math.nan,
        }


def _abscissa(fp: FixedPoints, samples: Tensor) -> float:
    try:
        return float(fp.abscissa(samples.tolist()).max())
    except ConvergenceError:  # of the eigenvalues of a large network
        return math.nan


def flat(network: Network, change: Change) -> Tensor:
    """Return a change of weights as one vector."""
    parts = network.connectivity.named(change)
    return torch.cat([parts[name].flatten() for name in sorted(parts)])


def degrees(a: Tensor, b: Tensor) -> float:
    """Return the angle between two changes of weights; NaN where one of them is zero.

    By the difference of unit vectors: an arc cosine would round small angles away.
    """
    half = float((a / a.norm() - b / b.norm()).norm()) / 2
    return math.degrees(2 * math.asin(min(1.0, half))) if half == half else math.nan


def beside(changes: Mapping[str, Tensor | None], followed: str, exact: str) -> dict[str, float]:
    """Return the angles of one rule's change to all others, and its norm over the exact one's.

    Parameters
    ----------
    changes : mapping of str to Tensor or None
        By rule, at the same weights; None where a rule has none.
    followed, exact : str
        Two of the rules; the exact gradient's is the one whose norm is compared with.
    """
    mine, theirs = changes[followed], changes[exact]
    found = {f"angle_to_{name}": _angle(mine, change) for name, change in changes.items()}
    ratio = math.nan if mine is None or theirs is None else float(mine.norm() / theirs.norm())
    return {**found, "norm_ratio": ratio}


def _angle(a: Tensor | None, b: Tensor | None) -> float:
    return math.nan if a is None or b is None else degrees(a, b)
