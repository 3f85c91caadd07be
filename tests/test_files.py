"""Files that are whole or not there, and folders that one process at a time writes to."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ratenet.errors import RatenetWarning, RunFolderError
from ratenet.files import (
    check_regular,
    make_folder,
    new_results,
    open_folder,
    read_regular,
    write_text,
    write_whole,
)

HOLD = """
import sys, time
from pathlib import Path
from ratenet.files import open_folder
with open_folder(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def fail(path: Path) -> None:
    path.write_text("half")
    raise OSError(28, "No space left on device")


def contents(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir()}


def test_a_file_that_cannot_be_written_leaves_the_old_one_and_no_part(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(RunFolderError, match=r"a.txt' cannot be written \(No space.*unharmed"):
        write_whole(tmp_path / "a.txt", fail)
    assert contents(tmp_path) == {"a.txt": "old"}


def test_a_failure_of_another_kind_leaves_no_part_either(tmp_path):
    with pytest.raises(ZeroDivisionError):
        write_whole(tmp_path / "a.txt", lambda path: 1 / 0)
    assert not list(tmp_path.iterdir())


def test_links_are_replaced_and_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for name in ("a.txt", "a.txt.part"):
        (tmp_path / name).symlink_to(victim)
    write_text(tmp_path / "a.txt", "new")
    assert victim.read_text() == "precious"
    assert (tmp_path / "a.txt").read_text() == "new" and not (tmp_path / "a.txt").is_symlink()


def test_a_text_is_utf_8_and_holds_names_of_no_encoding(tmp_path):
    write_text(tmp_path / "a.txt", "\u03c4 \udcff")
    assert (tmp_path / "a.txt").read_bytes() == "\u03c4 ?".encode()


def test_a_file_that_writes_itself_whole_is_named_once(tmp_path):
    with pytest.raises(RunFolderError) as error:
        write_whole(tmp_path / "a.txt", lambda path: write_whole(path, fail))
    assert str(error.value).startswith(f"{str(tmp_path / 'a.txt')!r} cannot be written (No space")
    assert ".part" not in str(error.value)


def test_a_folder_is_open_once(tmp_path):
    refused = pytest.raises(RunFolderError, match="another process is writing to")
    with open_folder(tmp_path), refused, open_folder(tmp_path):
        pytest.fail("opened twice")
    with open_folder(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_a_file_system_without_locks_is_warned_of(tmp_path, monkeypatch):
    """As of some network drives; any other failure of a lock is an error."""

    def flock(number: int):
        def fail(*arguments):
            raise OSError(number, os.strerror(number))

        return fail

    monkeypatch.setattr(fcntl, "flock", flock(errno.ENOLCK))
    with pytest.warns(RatenetWarning, match="file system without locks"), open_folder(tmp_path):
        (tmp_path / "written").touch()
    monkeypatch.setattr(fcntl, "flock", flock(errno.EIO))
    with pytest.raises(RunFolderError, match="cannot be made or written to"), open_folder(tmp_path):
        pass


def test_a_lock_ends_with_its_process(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(RunFolderError, match="another process"), open_folder(tmp_path):
            pytest.fail("opened twice")
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with open_folder(tmp_path):
        pass


def test_a_folder_that_nothing_was_written_to_is_removed(tmp_path):
    with open_folder(tmp_path / "a/b"):
        assert (tmp_path / "a/b").is_dir()
    assert not list(tmp_path.iterdir())
    with open_folder(tmp_path / "a/b"):
        (tmp_path / "a/b/file").touch()
    assert (tmp_path / "a/b/file").exists()


@pytest.mark.parametrize("name", ["file/inside", "a\0b", "x" * 300])
def test_a_folder_that_cannot_be_is_told_of_at_once(name, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match="out: .*cannot be made"), open_folder(tmp_path / name):
        pytest.fail("opened")


def test_a_subfolder_that_is_a_link_is_refused(tmp_path):
    (tmp_path / "figures").symlink_to(tmp_path)
    with pytest.raises(RunFolderError, match="figures' is a symbolic link"):
        make_folder(tmp_path / "figures")


def test_results_come_together_the_configuration_last(tmp_path):
    out = tmp_path / "out"
    with new_results(out, ["a.csv", "b.png"], overwrite=False) as results:
        results.write_text("config.toml", "done")
        results.write_text("a.csv", "1")
        assert not (out / "config.toml").exists() and not (out / "a.csv").exists()
    assert contents(out) == {"a.csv": "1", "config.toml": "done"}


def test_results_that_fail_leave_nothing_and_can_be_repeated(tmp_path):
    for write in (fail, lambda path: path.write_text("2")):
        try:
            with new_results(tmp_path / "out", ["a.csv", "b.csv"], overwrite=False) as results:
                results.write_text("a.csv", "1")
                results.write("b.csv", write)
        except RunFolderError:
            assert not (tmp_path / "out").exists()
    assert contents(tmp_path / "out") == {"a.csv": "1", "b.csv": "2"}


@pytest.mark.parametrize("name", ["a.csv", "config.toml"])
def test_a_file_of_one_s_own_is_not_replaced_unasked(name, tmp_path):
    (tmp_path / name).write_text("precious")
    with pytest.raises(RunFolderError, match=rf"already holds results \({name}\).*--overwrite"):  # noqa: SIM117
        with new_results(tmp_path, ["a.csv"], overwrite=False):
            pytest.fail("opened")
    assert contents(tmp_path) == {name: "precious"}


def test_what_is_replaced_leaves_no_file_of_the_old_results(tmp_path):
    for name in ("a.csv", "b.csv", "config.toml", "mine.txt", "a.csv.0123456789abcdef.part"):
        (tmp_path / name).write_text("old")
    with new_results(tmp_path, ["a.csv", "b.csv"], overwrite=True) as results:
        results.write_text("a.csv", "new")
        results.write_text("config.toml", "new")
    assert contents(tmp_path) == {"a.csv": "new", "config.toml": "new", "mine.txt": "old"}


@pytest.mark.parametrize(
    ("name", "what"), [("checkpoint.safetensors", "a training run"), ("cells", "a comparison")]
)
def test_results_of_another_kind_are_not_replaced(name, what, tmp_path):
    (tmp_path / name).mkdir()
    with pytest.raises(RunFolderError, match=f"holds {what}"):  # noqa: SIM117
        with new_results(tmp_path, ["a.csv"], overwrite=True):
            pytest.fail("opened")


def test_a_folder_in_the_place_of_a_file_is_told_of_before_anything_is_computed(tmp_path):
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(RunFolderError, match="a.csv' is a folder"):  # noqa: SIM117
        with new_results(tmp_path, ["a.csv"], overwrite=True):
            pytest.fail("opened")


def test_only_regular_files_of_a_size_are_read(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "large").write_bytes(b"12345")
    for path in (tmp_path / "fifo", Path("/dev/zero"), tmp_path / "large", tmp_path):
        for read in (read_regular, check_regular):
            with pytest.raises(OSError, match="regular|larger|directory"):
                read(path, 4)
    assert read_regular(tmp_path / "large", 5) == b"12345"
