"""`ratenet train --data` with one's own files, and `ratenet evaluate` without an accuracy."""

import json
import sys

import numpy as np
import pytest

import ratenet as rn
from ratenet.cli import main

RNG = np.random.default_rng(0)
SHORT = ("--units", 8, "--epochs", 1, "--batch-size", 20, "--presentation", "static")


@pytest.fixture
def ratenet(monkeypatch, capsys, tmp_path):
    """Run a command in this process and an empty folder; return exit code and what it says."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["ratenet", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return end.value.code, " ".join((said.out + said.err).split())

    return run


def write(file, **changed) -> None:
    arrays = {
        "train_images": RNG.random((40, 4, 4)),
        "train_targets": RNG.normal(size=(40, 2)),
        "test_images": RNG.random((10, 4, 4)),
        "test_targets": RNG.normal(size=(10, 2)),
        **changed,
    }
    np.savez(file, **{name: array for name, array in arrays.items() if array is not None})


def test_a_regression_on_the_command_line(ratenet, tmp_path):
    write(tmp_path / "own.npz")
    code, said = ratenet("train", "--data", "own.npz", *SHORT, "--out", "run")
    assert code == 0
    assert "test loss " in said
    assert "accuracy" not in said
    code, said = ratenet("evaluate", "run")
    assert code == 0
    found = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert found == {"test_loss": summary["test_loss"], "test_unsettled": 0}
    assert f"test loss {found['test_loss']:.3f} at solved fixed points, 0 unsettled" in said
    (tmp_path / "own.npz").rename(tmp_path / "moved.npz")
    code, said = ratenet("evaluate", "run")
    assert code == 2
    assert "own.npz' does not exist" in said
    code, _ = ratenet("evaluate", "run", "--data", "moved.npz")
    assert code == 0
    code, said = ratenet("train", "--resume", "--out", "run", "--data", "moved.npz", "--epochs", 2)
    assert code == 0
    write(tmp_path / "moved.npz")
    code, said = ratenet("evaluate", "run", "--data", "moved.npz")
    assert code == 2
    assert "data: expected the images that the run was started with" in said


def test_a_loss_in_a_file_of_ones_own(ratenet, tmp_path):
    write(tmp_path / "own.npz")
    (tmp_path / "mine.py").write_text(
        "def cubic(outputs, targets):\n    return (outputs - targets).abs().pow(3).sum(dim=1)\n"
        "def total(outputs, targets):\n    return cubic(outputs, targets).sum()\n"
    )
    code, said = ratenet(
        "train", "--data", "own.npz", *SHORT, "--loss", "mine.py:total", "--out", "run"
    )
    assert code == 2
    assert "loss: expected one number per sample from the function" in said
    code, _ = ratenet(
        "train", "--data", "own.npz", *SHORT, "--loss", "mine.py:cubic", "--out", "run"
    )
    assert code == 0
    code, said = ratenet("evaluate", "run")
    assert code == 2
    assert "loss: recorded is" in said
    code, said = ratenet("evaluate", "run", "--trust")
    assert code == 0
    run = rn.load_run("run")
    with np.load("own.npz") as arrays:
        outputs = run.answer(arrays["test_images"]).double().numpy()
        expected = (np.abs(outputs - arrays["test_targets"]) ** 3).sum(axis=1).mean()
    assert run.summary["test_loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("changed", "arguments", "sentence"),
    [
        ({"test_images": None}, (), "own.npz: test_images is missing; expected train_images"),
        ({"train_targets": np.full((40, 2), np.nan)}, (), "own.npz: train_targets: NaN"),
        ({}, ("--loss", "cross-entropy"), "'cross-entropy' requires classes"),
        ({}, ("--loss", "hinge"), "Unknown loss 'hinge'; available: cross-entropy"),
        ({}, ("--loss", "mine.py:mine"), "loss 'mine.py:mine': the file cannot be read"),
        ({}, ("--data", "other.npz"), "other.npz' does not exist"),
        ({}, ("--data", "empty"), "'empty/train' does not hold|lay them out as train/CLASS"),
        ({}, ("--data", ""), "data"),
    ],
)
def test_mistakes_with_data_are_one_sentence(changed, arguments, sentence, ratenet, tmp_path):
    write(tmp_path / "own.npz", **changed)
    (tmp_path / "empty").mkdir()
    code, said = ratenet("train", "--data", "own.npz", *SHORT, "--out", "run", *arguments)
    assert code == 2
    assert any(part in said for part in sentence.split("|"))
    assert not (tmp_path / "run").exists()
