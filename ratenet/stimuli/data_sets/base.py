"""What all sources of images have in common."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from ratenet.stimuli.image_sets import ImageSet

EMBEDDED = "mnist-5k"


class AbstractSource(ABC):
    """Where images come from; final ones are frozen dataclasses.

    Attributes
    ----------
    reads_root : bool
        Whether `load` looks into the folder that it is given.
    """

    reads_root: ClassVar[bool] = True

    @abstractmethod
    def load(self, root: Path, *, download: bool) -> ImageSet:
        """Return the images.

        Parameters
        ----------
        root : Path
            Where torchvision keeps its files.
        download : bool
            Whether torchvision may download what is not there.

        Raises
        ------
        DataError, InputError
            If they cannot be had, or do not fit together.
        """
