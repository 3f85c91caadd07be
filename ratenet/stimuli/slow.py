"""Slowly changing drives: each stimulus fades into the next one and is then held.

x(t) = (1 - w) previous + w current     t < fade, w = profile(t / fade)
x(t) = current                          t >= fade
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ratenet.errors import UnknownNameError


def _linear(phase: Tensor) -> Tensor:
    return phase


def _raised_cosine(phase: Tensor) -> Tensor:
    return 0.5 - 0.5 * torch.cos(math.pi * phase)


PROFILES: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": _linear,
    "raised-cosine": _raised_cosine,
}


def profile_named(name: str) -> Callable[[Tensor], Tensor]:
    """Return the course of a fade: from phases 0 to 1 to weights 0 to 1."""
    if name not in PROFILES:
        raise UnknownNameError(f"There is no fade {name!r}; there are {', '.join(PROFILES)}.")
    return PROFILES[name]


@dataclass(frozen=True, eq=False)
class HoldAndFade:
    """One presentation: a cross-fade from the previous drive, then the current one.

    Parameters
    ----------
    previous, current : Tensor, shape (B, N)
        Drives of each stream. A read-in is linear, so fading drives is fading images.
    fade : float
        Length of the fade in seconds; 0 is a step.
    profile : {"linear", "raised-cosine"}
        The course of the fade. A raised cosine, (1 - cos(pi t / fade)) / 2, has no kinks.

    Raises
    ------
    UnknownNameError
        If there is no such profile.

    Examples
    --------
    >>> drive = HoldAndFade(torch.zeros(1, 1), torch.ones(1, 1), fade=0.05)
    >>> drive.at(0.0125), drive.at(0.2)
    (tensor([[0.2500]]), tensor([[1.]]))
    """

    previous: Tensor
    current: Tensor
    fade: float
    profile: str = "linear"

    def __post_init__(self) -> None:
        profile_named(self.profile)

    def at(self, t: float) -> Tensor:
        """Return the drive at t seconds after the fade began, shape (B, N)."""
        if t >= self.fade:
            return self.current
        if self.profile == "linear":  # a number as weight: rounded in double precision
            return torch.lerp(self.previous, self.current, t / self.fade)
        weight = profile_named(self.profile)(torch.tensor(t / self.fade, dtype=torch.float64))
        return torch.lerp(self.previous, self.current, float(weight))
