"""How weights are known to have changed: a count of our own, and the values themselves.

Everything in ratenet that changes weights says so (`AbstractConnectivity.touch_`). What others
change behind its back (through ``.data``, a shared NumPy array, a fused optimizer, in inference
mode) is noticed by a fingerprint of the values, one pass over the memory: at N = 300 a tenth of one
product with 512 rows.
"""

import contextlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ratenet.connectivity.computation import current_computation

CHUNK = 1 << 20  # words of a tensor that are hashed at once on a device other than the CPU


@dataclass
class Changes:
    """The changes of some tensors.

    Attributes
    ----------
    told : int
        Changes of a tensor that we were told of, the sum over the tensors.
    noticed : int
        Those that only the values told.
    prints : tuple of int or None
        Fingerprints at the last look; None: changed since, as we know.
    """

    told: int = 0
    noticed: int = 0
    prints: tuple[int, ...] | None = None
    _looked_in: object | None = None  # the computation of the last look

    def touch(self, tensors: int) -> None:
        """Count a change of so many tensors."""
        self.told, self.prints = self.told + tensors, None

    def look(self, tensors: Sequence[Tensor]) -> tuple[int, ...]:
        """Return how many were told of, and fingerprints; count what nobody told of."""
        here = current_computation()
        if self.prints is not None and here is not None and here is self._looked_in:
            return self.told, *self.prints
        prints = tuple(map(fingerprint, tensors))
        if self.prints is not None:
            self.noticed += sum(a != b for a, b in zip(prints, self.prints, strict=True))
        self.prints, self._looked_in = prints, here
        return self.told, *prints


def fingerprint(tensor: Tensor) -> int:
    """Return a number that changes with any value of a tensor, but for one chance in 2**32.

    It is the same in every process; on a GPU it is another one than on the CPU.
    """
    tensor = tensor.detach().contiguous().view(-1)
    if tensor.device.type == "cpu":
        with contextlib.suppress(RuntimeError):  # torch.func's tensors own no memory
            return zlib.crc32(tensor.view(torch.uint8).numpy().data)
    is_wide = tensor.element_size() % 4 == 0
    total = torch.zeros((), dtype=torch.int64, device=tensor.device)
    for number, words in enumerate(
        tensor.view(torch.int32 if is_wide else torch.uint8).split(CHUNK)
    ):
        total = total * 31 + (words * _factors(len(words), tensor.device)).sum() + number
    return int(total)


def _factors(count: int, device: torch.device) -> Tensor:
    """Return well-mixed numbers of 64 bits, different at each place."""
    place = torch.arange(1, count + 1, device=device)
    place = place * -0x61C8864680B583EB  # the golden ratio's bits: places fall apart
    return (place ^ (place >> 29)) * 0x2545F4914F6CDD1D
