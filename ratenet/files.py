"""Files that are whole or not there, and folders that one process at a time writes to.

A file is written beside its place, under a name that nobody can have prepared, and then moved
there. The files of a `ResultsFolder` are declared before anything is computed and moved to their
places together, config.toml last, so a folder with a config.toml holds all of them.
"""

import errno
import fcntl
import os
import secrets
import stat
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ratenet.errors import InputError, RatenetWarning, RunFolderError

CONFIG = "config.toml"
LOCK = ".lock"
FIGURE_FORMATS = ("png", "pdf", "svg")
FIGURE_DATA = "-figure.csv"  # the end of a name
Write = Callable[[Path], object]  # writes a file at a path
# By what they hold; results of another kind do not replace them, even where that is asked for.
_OTHERS = {"checkpoint.safetensors": "a training run", "cells": "a comparison"}
_WITHOUT_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL)  # some file systems
_PART = "[0-9a-f]" * 16 + ".part"


def figure_files(*names: str) -> tuple[str, ...]:
    """Return the files of figures: each in one of the formats, and its data beside it.

    Examples
    --------
    >>> figure_files("rates")
    ('rates.png', 'rates.pdf', 'rates.svg', 'rates-figure.csv')
    """
    endings = (*(f".{form}" for form in FIGURE_FORMATS), FIGURE_DATA)
    return tuple(f"{name}{ending}" for name in names for ending in endings)


def check_figure_format(form: object) -> None:
    """Refuse what is not a format of figures.

    Raises
    ------
    InputError
    """
    if form not in FIGURE_FORMATS:
        raise InputError.at("figure_format", got=form, expected="png, pdf or svg")


def write_whole(path: Path, write: Write) -> None:
    """Write beside the place, then move there, so that no half-written file is ever found.

    Raises
    ------
    RunFolderError
        If it cannot be written; what was there before is unharmed.
    """
    part = _written_part(path, write)
    with _unharmed(path, part):
        part.replace(path)


def write_text(path: Path, text: str) -> None:
    """Write a string as UTF-8, whatever the locale, as `write_whole` does."""
    write_whole(path, _writes(text))


def _writes(text: str) -> Write:
    # What UTF-8 does not have, as in a file name of another encoding, becomes a question mark.
    return lambda part: part.write_bytes(text.encode(errors="replace"))


def _written_part(path: Path, write: Write) -> Path:
    """Return a new file beside the place, written and on disk."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")
    with _unharmed(path, part):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(part, flags, 0o666))
        write(part)
        with part.open("r+b") as file:
            os.fsync(file.fileno())  # a disk over the network may say only now that it is full
    return part


@contextmanager
def _unharmed(path: Path, part: Path) -> Iterator[None]:
    """Remove the part if anything fails, and say so in one sentence if it is the disk."""
    try:
        yield
    except BaseException as error:
        with suppress(OSError):  # on a read-only disk, even if there is no such file
            part.unlink(missing_ok=True)
        if isinstance(error, RunFolderError):  # of something that writes whole files itself
            raise RunFolderError(str(error).replace(part.name, path.name)) from None
        if not isinstance(error, OSError):
            raise
        why = error.strerror or error
        raise RunFolderError(
            f"{str(path)!r} cannot be written ({why}); what was there before is unharmed."
        ) from None


def check_regular(path: Path, most: int) -> None:
    """Refuse what is not a regular file of at most so many bytes: a FIFO or device has no end.

    Raises
    ------
    OSError
        If there is no such file, or it is of another kind or larger.
    """
    _check_kind(path.stat(), path, most)


def read_regular(path: Path, most: int) -> bytes:
    """Return the content of a regular file of at most so many bytes.

    Raises
    ------
    OSError
        As `check_regular`.
    """
    # Without O_NONBLOCK, opening a FIFO would wait for somebody to write.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        _check_kind(os.fstat(file.fileno()), path, most)
        return file.read()


def _check_kind(found: os.stat_result, path: Path, most: int) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    if found.st_size > most:
        raise OSError(errno.EFBIG, f"larger than {most // 2**20} MiB", str(path))


@contextmanager
def open_folder(path: Path) -> Iterator[None]:
    """Make a folder where there is none, try it, and keep other processes from writing to it.

    A folder that was made and that nothing was written to is removed at the end. The lock ends
    with the process, however that ends.

    Raises
    ------
    RunFolderError
        If it cannot be made or written to, or another process is writing to it.
    """
    made: list[Path] = []
    try:
        made += [each for each in (path, *path.parents) if not each.exists()]
        path.mkdir(parents=True, exist_ok=True)
        lock = _lock(path / LOCK)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        _remove_empty(made)
        if isinstance(error, RunFolderError):
            raise
        why = getattr(error, "strerror", None) or error
        raise RunFolderError(
            f"out: {str(path)!r} cannot be made or written to ({why}).", argument="out", got=path
        ) from None
    try:
        remove_parts(path)
        yield
    finally:
        with suppress(OSError):
            (path / LOCK).unlink()  # before the lock is given up: whoever waits makes a new file
        os.close(lock)
        _remove_empty(made)


def _lock(path: Path) -> int:
    """Return the descriptor of a locked file, which is still the one at that path."""
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise RunFolderError(
                f"out: another process is writing to {str(path.parent)!r}; wait for it to end, or "
                "choose another folder.",
                argument="out",
                got=path.parent,
            ) from None
        except OSError as error:
            if error.errno not in _WITHOUT_LOCKS:
                os.close(lock)
                raise
            warnings.warn(
                f"out: {str(path.parent)!r} is on a file system without locks, so another run in "
                "this folder would not be noticed; start no second one there.",
                RatenetWarning,
                stacklevel=2,
            )
        with suppress(FileNotFoundError):
            if path.stat().st_ino == os.fstat(lock).st_ino:
                return lock
        os.close(lock)  # its owner ended, and removed it, in between


def make_folder(path: Path) -> None:
    """Make a folder.

    Raises
    ------
    RunFolderError
        If it cannot be made, or is a symbolic link: what is written there would land elsewhere.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFolderError(
            f"out: {str(path)!r} cannot be made or written to ({error.strerror})."
        ) from None
    refuse_link(path)


def _remove_empty(folders: Sequence[Path]) -> None:
    for folder in folders:
        with suppress(OSError, ValueError):  # not empty, or not a name
            folder.rmdir()


def remove_parts(folder: Path) -> None:
    """Remove what a process that was killed had not yet moved to its place."""
    for part in folder.glob(f"*.{_PART}"):
        with suppress(OSError):
            part.unlink()


def refuse_no_run(folder: Path) -> None:
    """Refuse a folder without a config.toml.

    Raises
    ------
    RunFolderError
    """
    if not (folder / CONFIG).exists():
        raise RunFolderError(f"{str(folder)!r} holds no run: there is no {CONFIG} in it.")


def refuse_link(folder: Path) -> None:
    """Refuse a subfolder that is a symbolic link: what is written there would land elsewhere.

    Raises
    ------
    RunFolderError
    """
    if folder.is_symlink():
        raise RunFolderError(
            f"{str(folder)!r} is a symbolic link, which is not followed; remove it, or choose "
            "another folder."
        )


class ResultsFolder:
    """The files that a command writes, declared before it computes anything.

    Parameters
    ----------
    path : Path
    names : sequence of str
        All that it may write, relative to the folder, in the order in which it comes to its place:
        the last one says that the others are there. That is config.toml, unless it is among them.
    kind, remedy : str
        What the folder holds, and what else can be done about it, for the refusal.
    """

    def __init__(
        self, path: Path, names: Sequence[str], kind: str = "results", remedy: str = ""
    ) -> None:
        self.path, self.kind, self.remedy = path, kind, remedy
        self.names = [*names] if CONFIG in names else [*names, CONFIG]
        self._parts: dict[str, Path] = {}

    def existing(self) -> list[str]:
        """Return which of the files are there already."""
        return [name for name in self.names if os.path.lexists(self.path / name)]

    def refuse_existing(self, *, overwrite: bool) -> None:
        """Refuse a folder that holds one of the files, unless they are to be replaced.

        Raises
        ------
        RunFolderError
            Also if it holds what another command needs, or folders under these names.
        """
        for name, what in _OTHERS.items():
            if what != self.kind and (self.path / name).exists():
                raise RunFolderError(
                    f"out: {str(self.path)!r} holds {what}; choose another folder."
                )
        found = self.existing()
        for name in found:
            if (self.path / name).is_dir():
                raise RunFolderError(
                    f"out: {str(self.path / name)!r} is a folder; choose another place."
                )
        if found and not overwrite:
            listed = ", ".join(found[-3:]) + (" and others" if len(found) > 3 else "")
            raise RunFolderError(
                f"out: {str(self.path)!r} already holds {self.kind} ({listed}); choose another "
                f"folder, {self.remedy}or replace with --overwrite.",
                argument="out",
                got=self.path,
            )

    def write(self, name: str, write: Write) -> None:
        """Write one of the files beside its place.

        Raises
        ------
        RunFolderError
            If it cannot be written.
        """
        assert name in self.names, f"{name} was not declared"
        self._parts[name] = _written_part(self.path / name, write)

    def write_all(self, writes: Mapping[str, Write]) -> None:
        """Write several of the files beside their places."""
        for name, write in writes.items():
            self.write(name, write)

    def write_text(self, name: str, text: str) -> None:
        """Write one of the files as UTF-8 beside its place."""
        self.write(name, _writes(text))

    def commit(self) -> None:
        """Move what was written to its place, in order; remove what it replaces.

        Raises
        ------
        RunFolderError
        """
        try:
            for name in reversed(self.existing()):  # first what says that the others are there
                (self.path / name).unlink()
            for name in self.names:
                if name in self._parts:
                    self._parts.pop(name).replace(self.path / name)
        except OSError as error:
            raise RunFolderError(
                f"out: results cannot be written to {str(self.path)!r} ({error.strerror})."
            ) from None

    def discard(self) -> None:
        """Remove what was written and not moved."""
        for part in self._parts.values():
            part.unlink(missing_ok=True)
        self._parts = {}


@contextmanager
def new_results(path: Path, names: Sequence[str], *, overwrite: bool) -> Iterator[ResultsFolder]:
    """Open a folder for the results of a command: refused at once, or complete in the end.

    Parameters
    ----------
    path : Path
    names : sequence of str
        All files that the command may write, besides config.toml.
    overwrite : bool
        Whether files of these names are replaced; those that are not written again are removed.

    Raises
    ------
    RunFolderError
        If the folder cannot be used, or holds one of the files already.
    """
    with open_folder(path):
        results = ResultsFolder(path, names)
        results.refuse_existing(overwrite=overwrite)
        try:
            yield results
            results.commit()
        finally:
            results.discard()
