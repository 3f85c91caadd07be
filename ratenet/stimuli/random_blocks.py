"""Random sequences with random access: made block by block, each from the seed and its number.

A block begins where the one before ended, so the values of a Markov chain follow from the seed
alone, whatever is asked for first. Where each block begins is kept; blocks themselves are made
again when they are needed.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

LENGTH = 256  # steps of a block
_KEPT = 4  # blocks: streams that are side by side may be in neighbouring ones

# (state at the beginning, generator) -> the states that follow, (LENGTH, ...)
Extend = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def generator_for(kind: str, seed: int, number: int = 0) -> np.random.Generator:
    """Return a counter-based generator for one purpose, seed and number."""
    purpose = int.from_bytes(kind.encode()[:8], "big")
    key = np.random.SeedSequence(seed, spawn_key=(purpose, number))
    return np.random.Generator(np.random.Philox(key))


class Blocks:
    """A random sequence of arrays, in blocks.

    Parameters
    ----------
    kind : str
        What it is for: sequences of different kinds are independent although seeds are equal.
    seed : int
    first : ndarray
        The state at step 0.
    extend : callable
        Makes the next LENGTH states.
    """

    def __init__(self, kind: str, seed: int, first: np.ndarray, extend: Extend) -> None:
        self._kind, self._seed, self._extend = kind, seed, extend
        self.starts = [first]  # the state at the beginning of each block so far
        self._recent: dict[int, Tensor] = {}

    def block(self, number: int) -> Tensor:
        """Return the states of steps number * LENGTH to (number + 1) * LENGTH, both included."""
        while len(self.starts) <= number:
            self._make(len(self.starts) - 1)
        if number not in self._recent:
            self._make(number)
        return self._recent[number]

    def _make(self, number: int) -> None:
        start = self.starts[number]
        following = self._extend(start, generator_for(self._kind, self._seed, 1 + number))
        if number + 1 == len(self.starts):
            self.starts.append(following[-1])
        self._recent[number] = torch.as_tensor(np.concatenate([start[None], following]))
        while len(self._recent) > _KEPT:
            del self._recent[next(iter(self._recent))]
