"""Slowly changing drives: each stimulus fades into the next one and is then held.

x(t) = (1 - t/fade) previous + (t/fade) current     t < fade
x(t) = current                                      t >= fade
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class HoldAndFade:
    """One presentation: a linear cross-fade from the previous drive, then the current one.

    Parameters
    ----------
    previous, current : Tensor, shape (B, N)
        Drives of each stream. A read-in is linear, so fading drives is fading images.
    fade : float
        Length of the fade in seconds; 0 is a step.

    Examples
    --------
    >>> drive = HoldAndFade(torch.zeros(1, 1), torch.ones(1, 1), fade=0.05)
    >>> drive.at(0.0125), drive.at(0.2)
    (tensor([[0.2500]]), tensor([[1.]]))
    """

    previous: Tensor
    current: Tensor
    fade: float

    def at(self, t: float) -> Tensor:
        """Return the drive at t seconds after the fade began, shape (B, N)."""
        if t >= self.fade:
            return self.current
        return torch.lerp(self.previous, self.current, t / self.fade)
