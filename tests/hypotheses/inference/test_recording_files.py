"""Recordings in files: what is written comes back, and damage is one sentence."""

from dataclasses import fields

import numpy as np
import pytest
import zarr

from ratenet.errors import DataError, InputError, RatenetError, RunFolderError
from ratenet.hypotheses import Recording, describe, load_recordings

RNG = np.random.default_rng(0)
WEIGHTS = np.where(RNG.random((3, 2, 2)) < 0.5, RNG.normal(size=(3, 2, 2)), np.nan)
FULL = Recording(
    time=[0.1, 0.2, 0.4],
    drive=RNG.normal(size=(3, 2)),
    rates=np.array([[1.0, np.nan], [2.0, 3.0], [0.5, 0.25]]),
    weights=WEIGHTS,
    stimulus=[3, np.nan, 0],
    signals={"reward": [0.0, 1.0, np.nan], "error": RNG.normal(size=(3, 2))},
    noise={"rates": 0.1, "weights": np.where(np.isnan(WEIGHTS), np.nan, 0.2)},
    names=["ä 1", "b"],
    rate_unit="Hz",
    animal="m1",
    session="2",
)


def same(a, b):
    for name in (each.name for each in fields(Recording)):
        one, other = getattr(a, name), getattr(b, name)
        if name in ("signals", "noise"):
            assert sorted(one) == sorted(other)
            for key in one:
                np.testing.assert_array_equal(one[key], other[key])
        elif isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, other)
        else:
            assert one == other


@pytest.mark.parametrize("name", ["a.npz", "a.nc", "a.zarr", "folder"])
def test_what_is_written_comes_back(name, tmp_path):
    FULL.save(tmp_path / name)
    same(FULL, Recording.load(tmp_path / name))
    table = describe(tmp_path / name)
    assert table["missing"].max() > 0
    assert any("rates" in each for each in table["name"])


def test_little_is_enough(tmp_path):
    least = Recording(time=[0, 1], rates=np.ones((2, 1)))
    for name in ("a.npz", "a.nc", "a.zarr", "folder"):
        least.save(tmp_path / name)
        same(least, Recording.load(tmp_path / name))


def test_xarray_has_named_dimensions_and_units():
    dataset = FULL.to_xarray()
    assert dataset["weights"].dims == ("time", "post", "pre")
    assert dataset["rates"].attrs["units"] == "Hz"
    same(FULL, Recording.from_xarray(dataset.transpose()))


def test_a_folder_holds_the_recordings_of_animals(tmp_path):
    plain = Recording(time=[0, 1], rates=np.ones((2, 1)))
    plain.save(tmp_path / "m1.npz")
    plain.save(tmp_path / "m2")
    FULL.save(tmp_path / "m3.zarr")
    assert [each.animal for each in load_recordings(tmp_path)] == ["m1", "m2", "m1"]
    assert len(load_recordings(tmp_path / "m2")) == 1


def test_a_folder_is_not_written_over(tmp_path):
    FULL.save(tmp_path / "folder")
    with pytest.raises(RunFolderError, match="exists; give another path"):
        FULL.save(tmp_path / "folder")
    with pytest.raises(InputError, match=r"path: expected .npz, .zarr, .nc, or a folder"):
        FULL.save(tmp_path / "a.mat")


def test_nothing_is_unpickled(tmp_path):
    np.savez(tmp_path / "a.npz", time=np.arange(2.0), rates=np.array([[{}], [1]], dtype=object))
    with pytest.raises(DataError, match="Object arrays cannot be loaded"):
        Recording.load(tmp_path / "a.npz")
    assert any("not read: Python objects" in each for each in describe(tmp_path / "a.npz")["name"])


@pytest.mark.parametrize("name", ["a.npz", "a.nc", "a.nwb"])
@pytest.mark.parametrize("content", [b"", b"CDF\x01\x00", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n\x00"])
def test_damaged_files_are_one_sentence(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    for read in (Recording.load, describe):
        with pytest.raises(DataError, match="cannot be read as") as error:
            read(tmp_path / name)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["a.npz", "a.nc"])
def test_truncated_files_are_one_sentence(name, tmp_path):
    FULL.save(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    for part in (0.3, 0.6, 0.9):
        (tmp_path / name).write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(RatenetError) as error:
            Recording.load(tmp_path / name)
        assert "\n" not in str(error.value)


def test_what_is_missing_is_said_with_what_is_there(tmp_path):
    np.savez(tmp_path / "a.npz", activity=np.ones((2, 2)))
    with pytest.raises(InputError, match="time is missing.* found: activity"):
        Recording.load(tmp_path / "a.npz")
    with pytest.raises(DataError, match="does not exist"):
        Recording.load(tmp_path / "b.npz")
    with pytest.raises(DataError, match="cannot be read: expected .npz"):
        (tmp_path / "a.mat").write_bytes(b"1")
        Recording.load(tmp_path / "a.mat")
    with pytest.raises(InputError, match="rates: expected a file .nwb"):
        Recording.load(tmp_path / "a.npz", rates="processing/x")
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="a recording for each animal"):
        load_recordings(tmp_path / "none")


def test_a_group_in_place_of_an_array_is_said(tmp_path):
    zarr.create_group(tmp_path / "a.zarr").create_group("time")
    with pytest.raises(DataError, match="time: expected an array, got a group"):
        Recording.load(tmp_path / "a.zarr")


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("0.3,0,0,1", "expected times that are rows of time"),
        ("0,0,9,1", "whole numbers from 0 to 1"),
        ("0,0,0,1\n0,0,0,2", "expected each synapse once"),
        ("x,0,0,1", "column time, row 0: expected a number"),
        ("0,0,0,x", "column value, row 0: expected a number"),
    ],
)
def test_tables_of_synapses(rows, sentence, tmp_path):
    Recording(time=[0, 1], rates=np.ones((2, 2))).save(tmp_path / "a")
    (tmp_path / "a" / "synapses.csv").write_text(f"time,post,pre,value\n{rows}\n")
    with pytest.raises(InputError, match=sentence):
        Recording.load(tmp_path / "a")


def test_a_heading_over_a_matrix_is_said(tmp_path):
    Recording(time=[0, 1], rates=np.ones((2, 2))).save(tmp_path / "a")
    (tmp_path / "a" / "rates.csv").write_text("u,v\n1,2\n3,4\n")
    with pytest.raises(InputError, match="expected rows of numbers, without a heading"):
        Recording.load(tmp_path / "a")
