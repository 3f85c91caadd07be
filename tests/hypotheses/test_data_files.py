"""Measurements in files that are broken, huge, or no files at all: one sentence each."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ratenet.errors import DataError, InputError
from ratenet.hypotheses.data_files import load_measurements
from ratenet.hypotheses.identification.long_tables import SYNAPSES, read_sheets


def npy(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def archive(path: Path, **entries: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in entries.items():
            file.writestr(f"{name}.npy", content)
    return path


def encrypted(path: Path) -> Path:
    content = bytearray(archive(path, weights=npy(np.eye(2))).read_bytes())
    for signature, flag in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + flag] |= 1
    path.write_bytes(content)
    return path


def test_arrays_of_other_names_are_not_unpacked(tmp_path):
    path = archive(tmp_path / "d.npz", weights=npy(np.eye(2)), other=b"no array at all")
    found = load_measurements(path)
    assert list(found.arrays) == ["weights"] and np.array_equal(found.weights(), np.eye(2))


def test_a_broken_archive_is_told_of_in_one_sentence(tmp_path):
    shape = npy(np.eye(2)).replace(b"(2, 2)", b"(9999999, 9999999)"[:6])
    heading = npy(np.eye(2)).replace(b"'shape'", b"'shap((")
    huge = npy(np.zeros((0, 0))).replace(b"(0, 0), }        ", b"(99999, 99999), }")
    (tmp_path / "empty.npz").touch()
    os.mkfifo(tmp_path / "fifo.npz")
    paths = (
        tmp_path / "empty.npz",
        tmp_path / "fifo.npz",
        archive(tmp_path / "shape.npz", weights=shape),
        archive(tmp_path / "heading.npz", weights=heading),
        archive(tmp_path / "huge.npz", weights=huge),
        archive(tmp_path / "object.npz", weights=npy(np.array([{}]))),
        encrypted(tmp_path / "encrypted.npz"),
    )
    for path in paths:
        with pytest.raises(DataError, match=f"{path.name}' cannot be read as .npz") as error:
            load_measurements(path)
        assert "\n" not in str(error.value)


def test_a_device_is_not_read(tmp_path):
    (tmp_path / "weights.csv").symlink_to("/dev/zero")
    with pytest.raises(DataError, match="not a regular file"):
        load_measurements(tmp_path)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("", "synapses: expected rows with before and after"),
        (f"{'9' * 400},1,0.5,0.6\n", "column post, row 0: expected"),
    ],
)
def test_synapses_without_rows_or_with_endless_integers(rows, sentence, tmp_path):
    (tmp_path / "synapses.csv").write_text("post,pre,before,after\n" + rows)
    table = load_measurements(tmp_path).tables["synapses"]
    with pytest.raises(InputError, match=sentence):
        read_sheets(table, SYNAPSES, lambda *_: (2, 2))
