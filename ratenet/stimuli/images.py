"""Images, and what is to be answered to each of them: its class, or targets."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ratenet.equations.arrays import real_numbers
from ratenet.equations.units import DIMENSIONLESS
from ratenet.errors import InputError
from ratenet.network.coerce import as_tensor

_SHAPES = "the shape (number, M), (number, height, width) or (number, channels, height, width)"


@dataclass(frozen=True, eq=False)
class Images:
    """Images, and what is to be answered to each.

    Parameters
    ----------
    pixels : array_like
        Shape (number, M), (number, height, width) or (number, channels, height, width), between 0
        and 1; becomes a tensor (number, M) of float32, unless it is a tensor of another floating
        type.
    labels : array_like
        Classes, whole numbers from 0 of shape (number,); or, for a regression, targets, floats of
        shape (number, K).
    frame : tuple of int, optional
        Height and width, after the channels where there are some; default those of the array, or
        of a square of M pixels.
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
    frame: tuple[int, ...] | None = None
    is_drive: bool = False

    def __post_init__(self) -> None:
        pixels = as_pixels(self.pixels, "Images, pixels", is_drive=self.is_drive)
        frame = tuple(pixels.shape[1:]) if pixels.ndim > 2 else self.frame
        pixels = pixels.flatten(1)
        if frame is not None and math.prod(frame) != pixels.shape[1]:
            raise InputError.at(
                "Images, frame", got=frame, expected=f"height and width of {pixels.shape[1]} pixels"
            )
        labels = as_labels(self.labels, len(pixels), "Images, labels").to(pixels.device)
        for name, value in (("pixels", pixels), ("labels", labels), ("frame", frame)):
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, chosen: Tensor | slice) -> "Images":
        """Return some of the images, by indices, a mask or a slice."""
        return dataclasses.replace(self, pixels=self.pixels[chosen], labels=self.labels[chosen])

    @property
    def has_classes(self) -> bool:
        """Whether the images have classes; otherwise they have targets, for a regression."""
        return not self.labels.is_floating_point()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an image: its frame, that of a square, or (M,)."""
        number = self.pixels.shape[1]
        side = math.isqrt(number)
        return self.frame or ((side, side) if side * side == number else (number,))

    def to(self, device: torch.device, dtype: torch.dtype = torch.float32) -> "Images":
        """Return the images on a device, their pixels and targets of a floating type.

        Parameters
        ----------
        device : torch.device
            Where it is to be.
        dtype : torch.dtype
            The type of pixels and targets.
        """
        labels = self.labels.to(device, None if self.has_classes else dtype)
        return dataclasses.replace(self, pixels=self.pixels.to(device, dtype), labels=labels)

    def read_in(self, weights: Tensor) -> "Images":
        """Return the drives W_in pixels in place of the pixels; a stimulus of them is a drive.

        Parameters
        ----------
        weights : Tensor, shape (N, M)
            Input weights W_in[unit, pixel].

        Returns
        -------
        Images
            With N numbers in place of M pixels, in the weights' dtype.
        """
        drives = self.pixels.to(weights) @ weights.T
        return Images(drives, self.labels, is_drive=True)

    def split(self, per_class: int, seed: int) -> tuple["Images", "Images"]:
        """Return (the rest, `per_class` images of each class), chosen at random by a seed.

        Images with targets count as one class.

        Parameters
        ----------
        per_class : int
            Number of images of each class.
        seed : int
            Fixes the choice.

        Raises
        ------
        InputError
            If a class has no more than that many images.
        """
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.zeros(len(self), dtype=torch.bool)
        groups = self.labels if self.has_classes else torch.zeros(len(self))
        for label in groups.unique().tolist():
            members = torch.nonzero(groups == label)[:, 0]
            if len(members) <= per_class:
                of = f" of class {label}" if self.has_classes else ""
                raise InputError.at(
                    "per_class",
                    got=per_class,
                    expected=f"fewer than the {len(members)} images{of}",
                )
            order = torch.randperm(len(members), generator=generator)
            chosen[members[order[:per_class]]] = True
        rest = ~chosen
        return self[rest], self[chosen]


def as_pixels(value: Any, where: str, *, is_drive: bool = False) -> Tensor:
    """Return pixels as a tensor of floats, (number, M) or with frames.

    Raises
    ------
    InputError
        If they are not real numbers from 0 to 1 in such a shape.
    """
    is_tensor = isinstance(value, Tensor)
    dtype = value.dtype if is_tensor and value.is_floating_point() else torch.float32
    device = value.device if is_tensor else torch.device("cpu")
    pixels = as_tensor(value, DIMENSIONLESS, where, dtype, device, finite=not is_drive).detach()
    if pixels.ndim not in (2, 3, 4) or not all(pixels.shape[1:]):
        raise InputError.at(where, got=tuple(pixels.shape), expected=_SHAPES)
    if not is_drive and pixels.numel():
        low, high = (float(bound) for bound in pixels.aminmax())
        if low < 0 or high > 1:
            raise InputError.at(
                where,
                found=f"{low:g} to {high:g}",
                expected="values from 0 to 1",
                remedy="rescale them, such as bytes by 1/255",
            )
    return pixels


def as_labels(value: Any, number: int, where: str) -> Tensor:
    """Return classes as int64 of shape (number,), or targets as floats of shape (number, K).

    Raises
    ------
    InputError
        If they are neither.
    """
    given = real_numbers(value, where)
    if not isinstance(given, Tensor):
        is_whole = np.asarray(value).dtype.kind in "iu"
        given = torch.from_numpy(np.asarray(given)).to(torch.int64 if is_whole else torch.float64)
    if given.ndim == 2 and given.is_floating_point():
        return _targets(given, number, where)
    if given.is_floating_point():
        raise InputError.at(
            where,
            got=value,
            expected="whole numbers from 0",
            remedy="targets of a regression are floats of shape (number, K)",
        )
    if tuple(given.shape) != (number,):
        remedy = "targets of a regression are floats" if given.ndim == 2 else ""
        expected = f"one per image, ({number},)"
        raise InputError.at(where, got=tuple(given.shape), expected=expected, remedy=remedy)
    if number and int(given.min()) < 0:
        raise InputError.at(where, got=int(given.min()), expected="whole numbers from 0")
    return given.to(torch.int64)


def _targets(value: Tensor, number: int, where: str) -> Tensor:
    targets = as_tensor(value, DIMENSIONLESS, where, value.dtype, value.device).detach()
    if len(targets) != number or not targets.shape[1]:
        expected = f"one row per image, ({number}, K)"
        raise InputError.at(where, got=tuple(targets.shape), expected=expected)
    return targets


def masked(labels: Tensor, hide: Tensor) -> Tensor:
    """Return labels of which some are hidden: -1 in place of a class, NaN in place of targets.

    Parameters
    ----------
    labels : Tensor, shape (B,) or (B, K)
        Classes, or targets of a regression.
    hide : Tensor of bool, shape (B,)
        Which are hidden.

    Returns
    -------
    Tensor
        Shaped like the labels.

    Raises
    ------
    RuntimeError
        If shapes do not fit.

    Examples
    --------
    >>> masked(torch.tensor([3, 5]), torch.tensor([True, False]))
    tensor([-1,  5])
    """
    if labels.is_floating_point():
        return labels.masked_fill(hide[:, None], torch.nan)
    return labels.masked_fill(hide, -1)


def hidden(labels: Tensor) -> Tensor:
    """Return which labels are hidden, as `masked` marks them; the shape stays."""
    return labels.isnan() if labels.is_floating_point() else labels < 0


def picture(pixels: Tensor, shape: tuple[int, ...]) -> np.ndarray:
    """Return an image as it is drawn: (height, width), or (height, width, 3) in colour.

    Parameters
    ----------
    pixels : Tensor, shape (M,)
    shape : tuple of int
        As `Images.shape`. Channels that are not red, green and blue are drawn as their mean, and
        (M,) as one row.
    """
    *channels, height, width = (1, *shape) if len(shape) == 1 else shape
    image = pixels.detach().clamp(0.0, 1.0).cpu().view(*channels, height, width)
    if channels:
        image = image.permute(1, 2, 0) if channels == [3] else image.mean(dim=0)
    drawn: np.ndarray = image.numpy()
    return drawn


def is_answerable(labels: Tensor) -> Tensor:
    """Return which images have a class, or all their targets, shape (number,)."""
    return ~hidden(labels).flatten(1).any(dim=1) if labels.ndim > 1 else ~hidden(labels)


def filled(labels: Tensor) -> Tensor:
    """Return labels with zeros in place of the hidden ones."""
    return labels.masked_fill(hidden(labels), 0)
