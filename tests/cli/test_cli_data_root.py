"""`--data-root` with images that are not read from it: refused, in one sentence."""

import sys
from pathlib import Path

import numpy as np
import pytest

from ratenet.cli import main
from ratenet.errors import InputError
from ratenet.reproduce import figure_named
from ratenet.stimuli import ImageSet, check_root
from ratenet.training import TrainingConfig, read_options

RNG = np.random.default_rng(0)
SHORT = ("--units", 8, "--epochs", 1, "--batch-size", 20, "--presentation", "static")
REFUSED = "data_root: the images {} need no such folder; leave it out."


@pytest.fixture
def ratenet(monkeypatch, capsys, tmp_path):
    """Run a command in this process and an empty folder; return exit code and what it says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["ratenet", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return end.value.code, " ".join((said.out + said.err).split())

    return run


@pytest.fixture
def own(tmp_path) -> Path:
    """An .npz file of 4 x 4 pixels in two classes."""
    sizes = {"train": 40, "test": 10}
    images = {f"{part}_images": RNG.random((n, 4, 4)) for part, n in sizes.items()}
    classes = {f"{part}_targets": np.arange(n) % 2 for part, n in sizes.items()}
    np.savez(tmp_path / "own.npz", **images, **classes)
    return tmp_path / "own.npz"


@pytest.mark.parametrize(
    "command",
    [
        ("train",),
        ("train", "--data", "mnist-5k"),
        ("compare", "--tasks", "mnist"),
        ("stimuli", "rotate"),
        ("reproduce", "slow"),
        ("reproduce", "mnist", "--data", "mnist-5k"),
    ],
)
def test_embedded_digits_need_no_folder(command, ratenet, tmp_path):
    code, said = ratenet(*command, "--data-root", "files")
    assert (code, REFUSED.format("'mnist-5k'") in said) == (2, True), said
    assert not [*tmp_path.iterdir()]


def test_a_configuration_file_is_refused_where_both_stand_in_it(ratenet, tmp_path):
    (tmp_path / "short.toml").write_text('[training]\ndata_root = "files"\n')
    code, said = ratenet("train", "--config", "short.toml")
    assert (code, REFUSED.format("'mnist-5k'") in said) == (2, True), said


def test_a_folder_for_other_images_of_the_file_is_left_out(ratenet, own, tmp_path, monkeypatch):
    begun = []

    def begin(config, **how):
        begun.append(config)
        raise KeyboardInterrupt

    monkeypatch.setattr("ratenet.training.train", begin)
    (tmp_path / "mnist.toml").write_text('[training]\ndata = "mnist"\ndata_root = "files"\n')
    for data, root in ((own.name, "data"), ("mnist-5k", "data"), ("svhn", "files")):
        assert ratenet("train", "--config", "mnist.toml", "--data", data)[0] == 130
        assert begun[-1].data_root == root
    assert ratenet("train", "--config", "mnist.toml", "--data-root", "others")[0] == 130
    assert begun[-1].data_root == "others"


@pytest.mark.slow
def test_a_run_of_own_images_is_evaluated_and_resumed_without_a_folder(ratenet, own):
    assert ratenet("train", "--data", own.name, *SHORT, "--out", "a")[0] == 0
    for command in (("evaluate", "a"), ("train", "--resume", "--out", "a")):
        code, said = ratenet(*command, "--data-root", "files")
        assert (code, "need no such folder; leave it out." in said) == (2, True), said
    assert ratenet("evaluate", "a")[0] == 0
    TrainingConfig(**read_options("a/config.toml"))


def test_folders_that_may_be_read_are_allowed(own, tmp_path):
    for data in ("mnist", "emnist(split=letters)", "own.py:images", {"name": "svhn"}):
        check_root(data)
    images = ImageSet.from_arrays(
        train=(RNG.random((4, 2, 2)), [0, 1, 0, 1]),
        test=(RNG.random((2, 2, 2)), [0, 1]),
        name="mine",
    )
    for data in (own, str(own), images, {"name": "folder", "path": "photos"}):
        with pytest.raises(InputError, match="need no such folder"):
            check_root(data)
    assert callable(figure_named("mnist", tmp_path, data_root="files"))
