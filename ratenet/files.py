"""Files that are whole or not there."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ratenet.errors import RunFolderError


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside the place, then move there, so that no half-written file is ever found.

    Raises
    ------
    RunFolderError
        If it cannot be written; what was there before is unharmed.
    """
    beside = path.with_name(path.name + ".part")
    try:
        write(beside)
        with beside.open("r+b") as file:
            os.fsync(file.fileno())  # a disk over the network may say only now that it is full
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):  # on a read-only disk, even if there is no such file
            beside.unlink(missing_ok=True)
        raise RunFolderError(
            f"{str(path)!r} cannot be written ({error}); what was there before is unharmed."
        ) from None
