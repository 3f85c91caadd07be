"""Files that are whole or not there."""

from collections.abc import Callable
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
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise RunFolderError(
            f"{str(path)!r} cannot be written ({error}); what was there before is unharmed."
        ) from None
