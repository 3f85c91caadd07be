"""The data of a run: as its configuration keeps them, and as its folder records them."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from ratenet.errors import InputError, shorten
from ratenet.stimuli import DATA, ImageSet, source_of
from ratenet.stimuli.data_sets import ClassFolders, NpzFile, TorchvisionSet

_Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True)
class DataFacts:
    """The section [data] of a run's config.toml.

    Parameters
    ----------
    name : str
        Name of the data set.
    shape : list of int
        Shape of an image.
    train, test : int
        Numbers of images.
    sha256 : str
        SHA-256 of the images and of what is to be answered to them.
    classes, targets : int, optional
        Number of classes; or of targets per image.
    """

    name: str
    shape: Annotated[list[_Count], Field(min_length=1, max_length=3)]
    train: _Count
    test: _Count
    sha256: str
    classes: _Count | None = None
    targets: _Count | None = None

    @property
    def outputs(self) -> int:
        """K."""
        return self.classes or self.targets or 1

    def table(self) -> dict[str, Any]:
        """Return the section."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def check(self, found: "DataFacts") -> None:
        """Refuse other images than those that these facts are of, whatever they are called.

        Raises
        ------
        InputError
        """
        if dataclasses.replace(found, name=self.name) != self:
            raise InputError(
                f"data: expected the images that the run was started with, {self.name!r} of "
                f"SHA-256 {self.sha256[:8]}..., got {found.name!r} of SHA-256 "
                f"{found.sha256[:8]}...; give those again, or start another run.",
                argument="data",
            )


def facts_of(images: ImageSet) -> DataFacts:
    """Return the facts of a data set."""
    return DataFacts(
        name=images.name,
        shape=list(images.shape),
        train=len(images.train),
        test=len(images.test),
        sha256=images.sha256(),
        classes=images.classes,
        targets=None if images.classes else images.outputs,
    )


def kept_data(given: Any) -> Any:
    """Return data as a configuration keeps them: an object, or a string that is valid everywhere.

    Raises
    ------
    InputError, UnknownNameError
        If nothing can be meant by it; no image is read, and none of the user's code run.
    """
    source = source_of(given)
    if isinstance(given, ImageSet) or DATA.is_untrusted(source):
        return given
    if not isinstance(source, Mapping) and DATA.names_own(source):
        return str(source)
    found = DATA.read(source)
    if isinstance(found, NpzFile | ClassFolders):
        found = dataclasses.replace(found, path=str(Path(found.path).absolute()))
        return found.path if isinstance(found, NpzFile) else DATA.written(found)
    if isinstance(found, TorchvisionSet):
        return found.name
    return str(given) if isinstance(given, str) else found


def written_data(kept: Any) -> str:
    """Return what a run folder records of kept data; an object is in angle brackets."""
    if isinstance(kept, ImageSet):
        return f"<{shorten(kept.name)}>"
    return DATA.written(kept)


def is_named(kept: Any) -> bool:
    """Return whether kept data are those of a name, which stand for nothing else."""
    return isinstance(kept, str) and not (
        kept.startswith(("<", "folder")) or kept.lower().endswith(".npz") or DATA.names_own(kept)
    )
