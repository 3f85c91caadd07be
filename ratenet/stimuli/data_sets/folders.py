"""Images in folders, one for each class: train/CLASS/*.png and test/CLASS/*.png."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ratenet.errors import DataError, InputError, escape
from ratenet.files import check_regular
from ratenet.linear_algebra import require_memory
from ratenet.stimuli.data_sets.base import AbstractSource
from ratenet.stimuli.data_sets.torchvision_sets import torchvision_datasets
from ratenet.stimuli.image_sets import ImageSet
from ratenet.stimuli.images import Images
from ratenet.validation import check_fields, reason

if TYPE_CHECKING:
    from PIL import Image

LARGEST = 2**28  # bytes of a file
GREY = ("1", "L", "LA")  # modes of Pillow
COLOURS = ("P", "RGB", "RGBA", "CMYK", "YCbCr")


@dataclass(frozen=True)
class ClassFolders(AbstractSource):
    """Images in class folders: train/CLASS/*.png and test/CLASS/*.png.

    Parameters
    ----------
    path : str
        The folder with train and test in it.
    size : int, optional
        Pixels a side that images are scaled to. Default: as they are, all of one size.
    grey : bool, optional
        Whether images are made grey. Default: if all of them are.
    """

    reads_root: ClassVar[bool] = False
    path: Annotated[str, Field(min_length=1)]
    size: Annotated[int, Field(ge=1, le=4096)] | None = None
    grey: bool | None = None

    def __post_init__(self) -> None:
        check_fields(self)

    def load(self, root: Path, *, download: bool) -> ImageSet:
        """Return the images; the classes are numbered in the order of their names.

        Raises
        ------
        DataError
            If a folder or an image is missing or cannot be read.
        InputError
            If images have different sizes, or a class is without images.
        """
        path = Path(self.path)
        found = {part: self._found(path / part) for part in ("train", "test")}
        names = found["train"].classes
        files = [Path(file) for part in found.values() for file, _ in part.samples]
        frame = self._frame(files)
        train, test = (
            Images(_pixels(part.samples, frame), _labels(part, names, path))
            for part in found.values()
        )
        return ImageSet(path.resolve().name or "folder", train, test, train.shape, len(names))

    def _found(self, folder: Path) -> Any:
        """Return torchvision's list of the images in a folder."""
        try:
            return torchvision_datasets("folder").ImageFolder(folder)
        except (OSError, ValueError) as error:
            raise DataError(
                f"data: {escape(str(folder))!r} does not hold a folder of images for each class "
                f"({reason(error)}); lay them out as train/CLASS/*.png and test/CLASS/*.png.",
                argument="data",
                got=self.path,
            ) from None

    def _frame(self, files: Sequence[Path]) -> tuple[int, int, int]:
        """Return channels, height and width of what images become."""
        size, is_grey = None, True
        for file in files:
            with _opened(file) as image:
                is_grey = is_grey and image.mode in GREY
                size = size or image.size
                if self.size is None and image.size != size:
                    here, there = (f"{width} x {height}" for width, height in (image.size, size))
                    raise InputError(
                        f"data: images of different sizes: {escape(str(file))!r} has {here} pixels "
                        f"and {escape(str(files[0]))!r} {there}; set a size, as in "
                        'folder(path="...", size=28).',
                        argument="data",
                        got=self.path,
                    )
        width, height = (self.size, self.size) if self.size else size or (0, 0)
        channels = 1 if (is_grey if self.grey is None else self.grey) else 3
        number = 4 * len(files) * channels * height * width
        require_memory(number, f"data: {len(files):,} images", "set a smaller size")
        return channels, height, width


def _opened(file: Path) -> "Image.Image":
    """Return an image whose pixels are not read yet."""
    from PIL import Image  # here: a run of a named data set needs none

    try:
        check_regular(file, LARGEST)
        image = Image.open(file)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _unreadable(file, error) from None
    if image.mode not in (*GREY, *COLOURS):
        image.close()
        raise DataError(
            f"data: {escape(str(file))!r} is of Pillow's mode {image.mode!r}; save it with 8 bits "
            "a channel.",
            argument="data",
        )
    return image


def _unreadable(file: Path, error: Exception) -> DataError:
    return DataError(
        f"data: {escape(str(file))!r} cannot be read as an image ({reason(error)}).",
        argument="data",
    )


def _pixels(samples: Sequence[tuple[str, int]], frame: tuple[int, int, int]) -> Tensor:
    """Return pixels from 0 to 1, (n, H, W) or (n, 3, H, W)."""
    from PIL import Image

    channels, height, width = frame
    pixels = torch.empty(len(samples), height, width, channels)
    for index, (name, _) in enumerate(samples):
        try:
            with _opened(Path(name)) as image:
                made = image.convert("L" if channels == 1 else "RGB")
                if made.size != (width, height):
                    made = made.resize((width, height), Image.Resampling.BILINEAR)
                values = np.array(made).reshape(height, width, channels)
        except (OSError, ValueError, SyntaxError) as error:
            if isinstance(error, DataError):
                raise
            raise _unreadable(Path(name), error) from None
        pixels[index] = torch.from_numpy(values).to(torch.float32) / 255
    return pixels[..., 0] if channels == 1 else pixels.permute(0, 3, 1, 2).contiguous()


def _labels(part: Any, names: Sequence[str], path: Path) -> Tensor:
    """Return the classes of a part's images, by their places among the training classes."""
    for name in part.classes:
        if name not in names:
            raise InputError(
                f"data: class {escape(name)!r} has test images and no training images in "
                f"{escape(str(path))!r}.",
                argument="data",
            )
    places = [names.index(name) for name in part.classes]
    return torch.tensor([places[label] for _, label in part.samples], dtype=torch.int64)
