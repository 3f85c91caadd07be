"""Fades: the course in which one image gives way to the next."""

import math
from collections.abc import Callable

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
"""From phases 0 to 1 to weights 0 to 1; a raised cosine, (1 - cos(pi p)) / 2, has no kinks."""


def profile_named(name: str) -> Callable[[Tensor], Tensor]:
    """Return the course of a fade: from phases 0 to 1 to weights 0 to 1."""
    if name not in PROFILES:
        raise UnknownNameError.among("fade profile", name, PROFILES)
    return PROFILES[name]
