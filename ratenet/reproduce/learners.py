"""Networks that learn by rules of different kinds, for the experiments that tell rules apart.

A network's fixed points are read out by fixed weights D; L = |D y - aim|^2. What a rule is given
differs: the exact gradient, an approximate one through another readout M, a single number (the
loss), or nothing but the rates.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ratenet.fixed_points import FixedPoints, find_fixed_points
from ratenet.hypotheses.tasks.base import squared_losses
from ratenet.network import Network
from ratenet.plasticity import AbstractRule

PRECISION = 1e-7  # of fixed points


@dataclass(frozen=True, eq=False)
class Learner:
    """A network with what it is shown and what its readout is to say.

    Attributes
    ----------
    network : Network
        Model "rate" (tanh); its W is changed in place.
    drive : Tensor, shape (B, N)
    aim : Tensor, shape (B, K)
    readout : Tensor, shape (K, N)
        D, through which the loss is measured.
    believed : Tensor, shape (K, N)
        M, through which errors come back to a rule that is supervised.
    """

    network: Network
    drive: Tensor
    aim: Tensor
    readout: Tensor
    believed: Tensor

    def losses(self, rates: Tensor) -> Tensor:
        """Return |D y - aim|^2 of each stimulus (B,)."""
        return squared_losses(rates @ self.readout.T, self.aim)

    def miss(self, rates: Tensor) -> Tensor:
        """Return D y - aim, shape (B, K)."""
        return rates @ self.readout.T - self.aim

    def reached(self) -> FixedPoints:
        """Return the fixed points with the weights of now."""
        return find_fixed_points(self.network, self.drive, tol=PRECISION, certificate="residual")

    def course(
        self, rule: AbstractRule, speed: float, steps: int, every: int
    ) -> Iterator[FixedPoints]:
        """Learn; return the fixed points at the start, after each `every` steps, and at the end.

        Parameters
        ----------
        rule : AbstractRule
        speed : float
            Norm of the change of W in a step, relative to that of W: how fast a rule is does not
            give it away. At most that; where the loss is nearly 0, changes shrink with it.
        steps, every : int
        """
        first, rate = float(self.losses(self.reached().rates).mean()), 0.0
        for step in range(steps + 1):
            fp = self.reached()
            if step % every == 0:
                yield fp
            if step == steps:
                break
            error = 2 * self.miss(fp.rates) @ self.believed
            loss = self.losses if rule.traits.needs_loss else None
            change = rule.update(fp, error, 1.0, loss=loss)
            assert isinstance(change, Tensor)  # W is dense
            W = self.network.connectivity.dense()
            size = float(change.norm())
            if size == 0 or first == 0:
                continue
            longest = speed * float(W.norm()) / size
            rate = longest if step == 0 else min(longest, rate)
            self.network.connectivity.add_(rate * change)


def drawn(
    rng: np.random.Generator,
    *,
    units: int,
    stimuli: int,
    outputs: int = 2,
    radius: float = 0.7,
    overlap: float = 1.0,
) -> Learner:
    """Return a network at its start.

    Parameters
    ----------
    rng : numpy Generator
    units, stimuli, outputs : int
        N, B and K.
    radius : float
        Spectral radius of W.
    overlap : float
        Cosine between the rows of the readout D and those of M, through which errors come back.
    """
    W = radius * rng.normal(size=(units, units)) / np.sqrt(units)
    D = rng.normal(size=(outputs, units)) / np.sqrt(units)
    other = rng.normal(size=(outputs, units)) / np.sqrt(units)
    other -= (other @ D.T) @ np.linalg.solve(D @ D.T, D)  # of the same size, without overlap
    other *= np.linalg.norm(D, axis=1, keepdims=True) / np.linalg.norm(other, axis=1, keepdims=True)
    M = overlap * D + np.sqrt(1 - overlap**2) * other
    return Learner(
        Network("rate", W),
        torch.from_numpy(rng.normal(size=(stimuli, units))),
        torch.from_numpy(rng.normal(size=(stimuli, outputs))),
        torch.from_numpy(D),
        torch.from_numpy(M),
    )
