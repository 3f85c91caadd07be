"""ImageSet: images to train on and others to test on, of a data set or of one's own arrays."""

import dataclasses
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ratenet.equations.arrays import real_numbers
from ratenet.errors import InputError
from ratenet.stimuli.images import Images, as_labels, as_pixels

MOST_CHANNELS = 4  # of an array whose last axis is taken for the channels of colour images
ARRAYS = ("train, images", "train, targets", "test, images", "test, targets")


@dataclass(frozen=True, eq=False)
class ImageSet:
    """A data set: images to train on and, apart from them, images to test on.

    Attributes
    ----------
    name : str
        What the set is called in messages and in config.toml.
    train, test : Images
        Training and test images.
    shape : tuple of int
        Height and width of an image, after the channels where there are some, or (M,); M is their
        product.
    classes : int or None
        K; None where the images have targets, for a regression.
    validation : Images or None
        Training images held out, to choose by; None unless asked for.

    Raises
    ------
    InputError
        If training and test images do not fit together, or a class has no training image.

    Examples
    --------
    >>> import torch
    >>> import ratenet as rn
    >>> x, t = torch.rand(20, 8, 8), torch.arange(20) % 2
    >>> images = rn.stimuli.ImageSet.from_arrays(train=(x, t), test=(x[:4], t[:4]), name="mine")
    >>> images.shape, images.classes, len(images.train)
    ((8, 8), 2, 20)
    """

    name: str
    train: Images
    test: Images
    shape: tuple[int, ...]
    classes: int | None
    validation: Images | None = None

    def __post_init__(self) -> None:
        for part in ("train", "test"):
            images = getattr(self, part)
            if not isinstance(images, Images):
                raise InputError.at(part, got=images, expected="an Images object")
            if not len(images):
                raise InputError(f"{part}, images: there are none.", argument=f"{part}, images")
            if images.pixels.shape[1] != math.prod(self.shape):
                raise InputError.at(
                    f"{part}, images",
                    got=images.shape,
                    expected=f"images of the shape {tuple(self.shape)}",
                )
        self._check_labels()

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.shape))
        numbers = f"{len(self.train)} training and {len(self.test)} test images of {size}"
        labels = f"{self.outputs} {'targets' if self.classes is None else 'classes'}"
        return f"ImageSet({self.name!r}: {numbers}, {labels})"

    @classmethod
    def from_arrays(
        cls, train: tuple[Any, Any], test: tuple[Any, Any], name: str = "own"
    ) -> "ImageSet":
        """Return a data set of one's own images.

        Parameters
        ----------
        train, test : (array_like, array_like)
            Images and what is to be answered to them. Images: shape (n, height, width),
            (n, channels, height, width) or (n, M); floats from 0 to 1, or bytes (uint8) from 0 to
            255, which are divided by 255. Answers: classes, whole numbers from 0 of shape (n,); or
            targets of a regression, floats of shape (n, K).
        name : str
            What figures and summaries call it.

        Returns
        -------
        ImageSet

        Raises
        ------
        InputError
            If an array cannot be used, or they do not fit together; it says which.

        Examples
        --------
        >>> import numpy as np
        >>> x, t = np.zeros((6, 8, 8)), [0, 1, 2, 0, 1, 2]
        >>> images = ImageSet.from_arrays(train=(x, t), test=(x[:3], t[:3]), name="blank")
        >>> images
        ImageSet('blank': 6 training and 3 test images of 8 x 8, 3 classes)
        """
        pairs = {"train": train, "test": test}
        for part, pair in pairs.items():
            if not isinstance(pair, tuple | list) or len(pair) != 2:
                raise InputError.at(part, got=pair, expected="a pair (images, targets)")
        return cls.of(name, [*train, *test], ARRAYS)

    @classmethod
    def of(cls, name: str, arrays: Sequence[Any], wheres: Sequence[str]) -> "ImageSet":
        """Return a data set of four arrays, in the order of `ARRAYS`; errors call them `wheres`.

        Parameters
        ----------
        name : str
            What the set is called.
        arrays : sequence of array_like
            Training images and targets, test images and targets.
        wheres : sequence of str
            What an error calls each of them.
        """
        if not isinstance(name, str) or not name:
            raise InputError.at("name", got=name, expected="a non-empty string")
        parts = []
        for index in (0, 2):
            pixels = _pixels(arrays[index], wheres[index])
            labels = as_labels(arrays[index + 1], len(pixels), wheres[index + 1])
            parts.append(Images(pixels, labels.to(pixels.device)))
        train, test = parts
        if train.shape != test.shape:
            raise InputError.at(
                wheres[2],
                got=test.shape,
                expected=f"the shape of the training images, {train.shape}",
            )
        classes = int(train.labels.max()) + 1 if train.has_classes and len(train) else None
        return cls(name, train, test, train.shape, classes)

    @property
    def outputs(self) -> int:
        """K: classes, or targets per image."""
        return self.train.labels.shape[1] if self.classes is None else self.classes

    def sha256(self) -> str:
        """Return a SHA-256 of the images and of what is to be answered to them.

        It does not depend on the name, on the device, or on the file that they came from.
        """
        found = hashlib.sha256()
        for images in (self.train, self.test):
            for tensor in (images.pixels, images.labels):
                found.update(f"{tensor.dtype} {tuple(tensor.shape)} {self.shape} ".encode())
                found.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        return found.hexdigest()

    def to(self, device: torch.device, dtype: torch.dtype = torch.float32) -> "ImageSet":
        """Return the data set with its images on a device, pixels of a floating type.

        Parameters
        ----------
        device : torch.device
            Where it is to be.
        dtype : torch.dtype
            The type of pixels and targets.
        """
        return dataclasses.replace(
            self,
            train=self.train.to(device, dtype),
            test=self.test.to(device, dtype),
            validation=None if self.validation is None else self.validation.to(device, dtype),
        )

    def with_validation(self, per_class: int, seed: int) -> "ImageSet":
        """Return the data set with some training images of each class held out, by a seed.

        Parameters
        ----------
        per_class : int
            Number of images of each class.
        seed : int
            Fixes the choice.

        Raises
        ------
        InputError
            If a class has no more than that many training images.
        """
        train, held_out = self.train.split(per_class, seed)
        return dataclasses.replace(self, train=train, validation=held_out)

    def _check_labels(self) -> None:
        """Refuse labels that do not fit together."""
        has_classes = self.classes is not None
        for part in ("train", "test"):
            if getattr(self, part).has_classes != has_classes:
                kinds = ("floats of shape (n, K)", "classes, whole numbers of shape (n,)")
                raise InputError(
                    f"{part}, targets: expected {kinds[has_classes]}, as in the other part, got "
                    f"{kinds[not has_classes]}.",
                    argument=f"{part}, targets",
                )
        if not has_classes:
            K, found = self.outputs, self.test.labels.shape[1]
            if found != K:
                raise InputError.at(
                    "test, targets", got=found, expected=f"{K} targets per image, as in train"
                )
            return
        self._check_classes()

    def _check_classes(self) -> None:
        """Refuse a class without training images, and labels of no class."""
        present = self.train.labels.unique().tolist()
        empty = next((k for k, label in enumerate(present) if k != label), len(present))
        if self.classes is None or len(present) < 2:
            raise InputError(
                "train, targets: all images are of one class; expected at least two classes.",
                argument="train, targets",
            )
        if empty < self.classes:
            raise InputError(
                f"train, targets: class {empty} has no image; number the classes from 0 to K - 1 "
                "without gaps.",
                argument="train, targets",
            )
        for part in ("train", "test"):
            largest = int(getattr(self, part).labels.max())
            if largest >= self.classes:
                raise InputError.at(
                    f"{part}, targets",
                    got=largest,
                    expected=f"classes from 0 to {self.classes - 1}, those of the training images",
                )


def _pixels(value: Any, where: str) -> Tensor:
    """Return pixels from 0 to 1 of floats or of bytes, without a single channel of grey images."""
    if isinstance(value, list | tuple):
        value = _stacked(value, where)
    if str(getattr(value, "dtype", "")).removeprefix("torch.") == "uint8":
        value = _of_bytes(value, where)
    pixels = as_pixels(value, where)
    _, *shape = pixels.shape
    if len(shape) == 3 and shape[2] <= MOST_CHANNELS < min(shape[:2]):
        raise InputError(
            f"{where}: expected channels before height and width, (n, {shape[2]}, {shape[0]}, "
            f"{shape[1]}), got {tuple(pixels.shape)}; give x.transpose(0, 3, 1, 2).",
            argument=where,
        )
    return pixels[:, 0] if len(shape) == 3 and shape[0] == 1 else pixels


def _stacked(images: Sequence[Any], where: str) -> Any:
    """Return a list of arrays as one array; other lists as they are."""
    shapes = list(dict.fromkeys(np.shape(each) for each in images if hasattr(each, "shape")))
    if len(shapes) > 1:
        raise InputError(
            f"{where}: images of different sizes, {shapes[0]} and {shapes[1]}; scale or crop them "
            "to one size.",
            argument=where,
        )
    if shapes and all(isinstance(each, Tensor) for each in images):
        return torch.stack(list(images))
    return np.stack(images) if shapes and all(isinstance(i, np.ndarray) for i in images) else images


def _of_bytes(value: Any, where: str) -> Tensor:
    """Return bytes from 0 to 255 as floats from 0 to 1."""
    numbers = torch.as_tensor(real_numbers(value, where)).to(torch.float32)
    if numbers.numel() and float(numbers.max()) == 1.0:
        raise InputError(
            f"{where}: bytes (uint8) are taken as 0 to 255, and these are 0 and 1 only; convert "
            "them, as with x.astype(float), or multiply them by 255.",
            argument=where,
        )
    return numbers / 255
