"""Images in an .npz file of four arrays."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ratenet.errors import DataError, InputError, escape
from ratenet.stimuli.data_sets.base import AbstractSource
from ratenet.stimuli.image_sets import ImageSet
from ratenet.validation import names_in_npz, read_npz

NAMES = ("train_images", "train_targets", "test_images", "test_targets")


@dataclass(frozen=True)
class NpzFile(AbstractSource):
    """An .npz file with train_images, train_targets, test_images and test_targets.

    Parameters
    ----------
    path : str
    """

    reads_root: ClassVar[bool] = False
    path: str

    def load(self, root: Path, *, download: bool) -> ImageSet:
        """Return the images; nothing is unpickled.

        Raises
        ------
        DataError
            If the file is missing or cannot be read.
        InputError
            If an array is missing, or they do not fit together.
        """
        path, where = Path(self.path), escape(self.path)
        if not path.exists():
            raise DataError(f"data: {where!r} does not exist.", argument="data", got=self.path)
        arrays = read_npz(path, NAMES)
        for name in NAMES:
            if name not in arrays:
                there = ", ".join(names_in_npz(path)) or "nothing"
                raise InputError(
                    f"{where}: {name} is missing; expected {', '.join(NAMES)}, found: {there}.",
                    argument=name,
                )
        try:
            return ImageSet.of(path.name, [arrays[name] for name in NAMES], NAMES)
        except InputError as error:
            raise error.within(where) from None
