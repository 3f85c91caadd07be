"""A network learns pairs of patterns: a noisy cue is to lead to the rates that go with it."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from ratenet.fixed_points import FixedPoints
from ratenet.hypotheses.identification.simulated import random_network
from ratenet.hypotheses.tasks.base import (
    AbstractTask,
    Setting,
    parts,
    share_right,
    solved,
    squared_losses,
)
from ratenet.network import Network
from ratenet.network.scales import typical_input, typical_state

RADIUS = 0.5  # spectral radius of random weights, in typical weights
UNITS_PER_PAIR = 5
NOISE = 1.0  # of a cue, in typical inputs, which is also the size of its entries
SIZE = 0.5  # of the rates to be recalled, in the rate of a typical state


@dataclass(frozen=True, eq=False)
class Association(AbstractTask):
    """N / 5 pairs of a cue of random signs and a pattern of rates of random signs.

    L = |y - pattern|^2; an answer is the pattern that the rates are closest to.

    Attributes
    ----------
    patterns : Tensor, shape (P, N)
        The rates to be recalled; aims are their numbers.
    """

    score_name: ClassVar[str] = "share of cues that lead closest to their own pattern"
    patterns: Tensor

    @classmethod
    def drawn(cls, setting: Setting, seed: int) -> Self:
        """Return the task at its start."""
        rng = np.random.default_rng(seed)
        network = random_network(setting.model, setting.units, RADIUS, rng)
        pairs = max(2, setting.units // UNITS_PER_PAIR)
        cues, signs = torch.as_tensor(rng.choice([-1.0, 1.0], (2, pairs, setting.units)))
        noise = torch.as_tensor(rng.standard_normal((setting.total, setting.units)))
        aim = torch.arange(setting.total) % pairs
        drive = typical_input(network) * (cues[aim] + NOISE * noise)
        patterns = SIZE * _typical_rate(network) * signs
        return cls(network, *parts(drive, aim, setting), patterns)

    def reached(self, drive: Tensor) -> FixedPoints:
        """Return the fixed points that the dynamics reach."""
        return solved(self.network, drive)

    def losses(self, rates: Tensor, aim: Tensor) -> Tensor:
        """Return |y - pattern|^2."""
        return squared_losses(rates, self.patterns[aim])

    def score(self, fp: FixedPoints, aim: Tensor) -> float:
        """Return the share of cues that lead closest to their own pattern."""
        answers = torch.cdist(fp.rates.nan_to_num(), self.patterns).argmin(dim=1)
        return share_right(answers, fp, aim)


def _typical_rate(network: Network) -> float:
    state = network.as_state(typical_state(network.model), 1)
    return float(network.output(state).abs().max()) or 1.0
