"""InTurn: stimuli shown one after the other, each changing smoothly into the next."""

import math
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class InTurn:
    """A round of S stimuli that never rests, and ends with the first one again.

    x goes from one stimulus to the next along a raised cosine, in `duration` / S, so that it stands
    still for an instant where a stimulus is there.

    Parameters
    ----------
    stimuli : Tensor, shape (S, N)
    duration : float
        Time of the round in seconds.

    Examples
    --------
    >>> import torch
    >>> InTurn(torch.tensor([[0.0], [1.0]]), duration=2.0).at(0.5)
    tensor([[0.5000]])
    """

    stimuli: Tensor
    duration: float

    def at(self, t: float) -> Tensor:
        """Return the drive of a single stream at time t in seconds, shape (1, N)."""
        number = len(self.stimuli)
        position = number * t / self.duration
        shown = math.floor(position)
        part = (1 - math.cos(math.pi * (position - shown))) / 2
        here, there = self.stimuli[shown % number], self.stimuli[(shown + 1) % number]
        return (here + part * (there - here))[None]
