"""Arrays in .npz files: read within limits, and never unpickled."""

import io
import math
import zlib
from collections.abc import Collection
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile, ZipInfo

from ratenet.errors import DataError, shorten
from ratenet.files import check_regular

if TYPE_CHECKING:
    import numpy as np

# Of archives: RuntimeError if it is encrypted, or packed by a method that Python does not have;
# the last two for the heading of an array.
_UNREADABLE = (
    OSError, ValueError, RuntimeError, EOFError, MemoryError, BadZipFile, zlib.error, TokenError,
    SyntaxError,
)  # fmt: skip
LARGEST = 2**33  # bytes of a file, or of an array unpacked


def read_npz(path: Path, names: Collection[str]) -> dict[str, "np.ndarray"]:
    """Return those of the named arrays that are in an .npz file; others are not unpacked.

    Raises
    ------
    DataError
        If it cannot be read, is too large, or holds Python objects.
    """
    try:
        check_regular(path, LARGEST)
        with ZipFile(path) as archive:
            entries = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
            return {name: _array(archive, entries[name]) for name in names if name in entries}
    except _UNREADABLE as error:
        raise DataError(f"{str(path)!r} cannot be read as .npz ({reason(error)}).") from None


def names_in_npz(path: Path) -> list[str]:
    """Return the names of the arrays in an .npz file, as far as it can be read."""
    try:
        check_regular(path, LARGEST)
        with ZipFile(path) as archive:
            return [shorten(name.removesuffix(".npy")) for name in archive.namelist()]
    except _UNREADABLE:
        return []


def reason(error: BaseException) -> str:
    """Return what an error says, on one line, without the file's name."""
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return shorten(said)


def _array(archive: ZipFile, entry: ZipInfo) -> "np.ndarray":
    """Return an array of an archive, whose heading may promise no more than the entry holds."""
    import numpy as np  # here: the command line is to answer at once

    if entry.file_size > LARGEST:
        raise ValueError(f"{entry.filename} is larger than {LARGEST // 2**20} MiB")
    with archive.open(entry) as file:
        content = io.BytesIO(file.read(LARGEST))
    version = np.lib.format.read_magic(content)
    header = np.lib.format.read_array_header_1_0
    if version != (1, 0):
        header = np.lib.format.read_array_header_2_0
    shape, _, dtype = header(content)
    if math.prod(shape) * dtype.itemsize > entry.file_size:
        raise ValueError(f"{entry.filename} is cut: its heading says {shape}")
    content.seek(0)
    array: np.ndarray = np.lib.format.read_array(content, allow_pickle=False)
    return array
