"""Torchvision's data sets: read from its files, downloaded by it where they are not there."""

import math
import pickle
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ratenet.errors import DataError, UnknownNameError
from ratenet.stimuli.data_sets.base import EMBEDDED, AbstractSource
from ratenet.stimuli.image_sets import ImageSet
from ratenet.stimuli.images import Images

# What torchvision and the readers that it calls raise for files that are missing or damaged; the
# files of CIFAR-10 are pickles, which torchvision opens only if they have the MD5 that it knows.
_UNREADABLE = (
    OSError, HTTPException, RuntimeError, ValueError, AssertionError, EOFError, KeyError,
    IndexError, TypeError, pickle.UnpicklingError, zlib.error,
)  # fmt: skip
EMNIST_CLASSES = {
    "balanced": 47, "byclass": 62, "bymerge": 47, "letters": 26, "digits": 10, "mnist": 10,
}  # fmt: skip
Arrays = tuple[Tensor, Tensor]


def _by_flag(is_train: bool) -> dict[str, Any]:
    return {"train": is_train}


def _by_split(is_train: bool) -> dict[str, Any]:
    return {"split": "train" if is_train else "test"}


def _as_stored(data_set: Any) -> Arrays:
    return torch.as_tensor(data_set.data), torch.as_tensor(data_set.targets)


def _channels_last(data_set: Any) -> Arrays:
    return torch.as_tensor(data_set.data).permute(0, 3, 1, 2), torch.as_tensor(data_set.targets)


def _house_numbers(data_set: Any) -> Arrays:
    return torch.as_tensor(data_set.data), torch.as_tensor(data_set.labels)


def _upright(data_set: Any) -> Arrays:
    """Return EMNIST, whose images lie on their side, and whose letters are counted from 1."""
    first = int(data_set.classes[0] == "N/A")
    return data_set.data.transpose(1, 2), data_set.targets - first


@dataclass(frozen=True)
class TorchvisionSet(AbstractSource):
    """A data set that torchvision reads.

    Parameters
    ----------
    name : str
    class_name : str
        Name of torchvision's class.
    classes : int
        K.
    read : callable
        From an object of that class to bytes, (n, H, W) or (n, C, H, W), and classes (n,).
    part : callable
        What the class is told to give training or test images.
    """

    name: str
    class_name: str
    classes: int = 10
    read: Callable[[Any], Arrays] = _as_stored
    part: Callable[[bool], dict[str, Any]] = _by_flag

    def load(self, root: Path, *, download: bool) -> ImageSet:
        """Return the data set from torchvision's files in a folder.

        Raises
        ------
        DataError
            If it cannot be had.
        """
        make = getattr(torchvision_datasets(self.name), self.class_name)
        try:
            train, test = (
                self._images(make(root, **self.part(is_train), download=download))
                for is_train in (True, False)
            )
            return ImageSet(self.name, train, test, train.shape, self.classes)
        except _UNREADABLE as error:
            if not isinstance(error, PermissionError):
                _refuse_cut_files(self.name, root / self.class_name / "raw")
            allowed = "could not be downloaded" if download else "is not there (download=False)"
            raise DataError(
                f"Data set {self.name!r}: it is not complete in {str(root)!r} and {allowed} "
                f"({_first_line(error)}); put torchvision's files there, or use the embedded data "
                f"set {EMBEDDED!r}."
            ) from None

    def _images(self, data_set: Any) -> Images:
        pixels, labels = self.read(data_set)
        if len(labels) != len(pixels) or int(labels.max()) >= self.classes:
            raise ValueError("its labels do not fit its images")
        return Images(pixels.to(torch.float32) / 255, labels)


def mnist() -> TorchvisionSet:
    """Handwritten digits, 60,000 to train and 10,000 to test."""
    return TorchvisionSet("mnist", "MNIST")


def fashion_mnist() -> TorchvisionSet:
    """Articles of clothing in the format of MNIST."""
    return TorchvisionSet("fashion-mnist", "FashionMNIST")


def kmnist() -> TorchvisionSet:
    """Cursive Japanese characters in the format of MNIST."""
    return TorchvisionSet("kmnist", "KMNIST")


def emnist(split: str = "balanced") -> TorchvisionSet:
    """Handwritten letters and digits; split: balanced, byclass, bymerge, letters, digits, mnist."""
    if split not in EMNIST_CLASSES:
        raise UnknownNameError.among("split of data set 'emnist':", split, EMNIST_CLASSES)
    return TorchvisionSet(
        "emnist" if split == "balanced" else f"emnist(split={split})",
        "EMNIST",
        EMNIST_CLASSES[split],
        _upright,
        lambda is_train: {"split": split, "train": is_train},
    )


def usps() -> TorchvisionSet:
    """Handwritten digits of 16 x 16 pixels from envelopes."""
    return TorchvisionSet("usps", "USPS")


def cifar_10() -> TorchvisionSet:
    """Colour photographs of 32 x 32 pixels, in ten classes."""
    return TorchvisionSet("cifar-10", "CIFAR10", read=_channels_last)


def svhn() -> TorchvisionSet:
    """House numbers in colour, 32 x 32 pixels."""
    return TorchvisionSet("svhn", "SVHN", read=_house_numbers, part=_by_split)


def torchvision_datasets(name: str) -> Any:
    """Return torchvision's module of data sets.

    Raises
    ------
    DataError
        If it cannot be imported.
    """
    try:
        import torchvision.datasets  # here: a torchvision that does not fit torch fails on import
    except (ImportError, RuntimeError, AttributeError) as error:
        raise DataError(
            f"Data set {name!r}: torchvision cannot be imported ({_first_line(error)}); install "
            f"torch and torchvision together, or use the embedded data set {EMBEDDED!r}."
        ) from None
    return torchvision.datasets


def _refuse_cut_files(name: str, folder: Path) -> None:
    """Name a file that torchvision takes for complete because it is there."""
    for path in sorted(folder.glob("*-ubyte")):
        if not _is_whole(path):
            raise DataError(
                f"Data set {name!r}: {str(path)!r} is damaged or was cut off; delete it, so that "
                f"it is downloaded again, or use the embedded data set {EMBEDDED!r}."
            )


def _is_whole(path: Path) -> bool:
    """Return whether a file of bytes in the IDX format is as long as its header says."""
    content = path.read_bytes()
    axes = content[3] if len(content) > 3 else 0
    header = 4 + 4 * axes
    if not axes or len(content) < header:
        return False
    return len(content) == header + math.prod(struct.unpack(f">{axes}I", content[4:header]))


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(":.") if lines else type(error).__name__
