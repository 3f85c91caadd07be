"""`ratenet train --config`: training files, and what is said of wrong ones."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ratenet.cli import main

Command = Callable[..., tuple[int, str]]
FILE = """
[training]
presentation = "static"
optimizer = "adam"
learning_rate = 2e-3
batch_size = 200
epochs = 1
threads = 1

[[layers]]
kind = "fixed-point"
units = 20

[[layers]]
kind = "read-out"
"""


@pytest.fixture
def ratenet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command in this process; return its exit code and all that it says, as one line."""

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["ratenet", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit:
            main()
        said = capsys.readouterr()
        return exit.value.code, " ".join((said.out + said.err).replace("│", " ").split())

    return run


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "two.toml"
    path.write_text(FILE)
    return path


def test_a_file_is_trained_with_options_before_it_and_evaluated(
    file: Path, ratenet: Command
) -> None:
    out = file.parent / "run"
    code, said = ratenet("train", "--config", file, "--rule", "hebb", "--seed", 3, "--out", out)
    assert code == 0, said
    assert "test accuracy" in said
    assert 'rule = "hebb"' in (out / "config.toml").read_text()
    assert "seed = 3" in (out / "config.toml").read_text()
    code, said = ratenet("evaluate", out)
    assert code == 0, said
    code, said = ratenet("train", "--out", out, "--resume", "--epochs", 2)
    assert code == 0, said
    assert "for 40 steps" in said


def test_a_file_without_layers_is_of_one_network(tmp_path: Path, ratenet: Command) -> None:
    path = tmp_path / "one.toml"
    path.write_text('[training]\nunits = 20\nepochs = 1\nthreads = 1\nhold = "150*ms"')
    code, said = ratenet("train", "--config", path, "--out", tmp_path / "run")
    assert code == 0, said
    assert "hold = 0.15\n" in (tmp_path / "run" / "config.toml").read_text()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("[training]", "[train]"), "Unknown section 'train'; did you mean 'training'"),
        (("epochs = 1", "epoch = 1"), "Unknown option 'epoch'; did you mean 'epochs'"),
        (("units = 20", "units = -2"), "units: expected a whole number from 1 to 1000000, got -2"),
        (('kind = "read-out"', 'kind = "readout"'), "kind: expected one of fixed-point"),
        (("threads = 1", "threads = "), "not valid TOML"),
        ((FILE, "# nothing"), ": empty; write [training]"),
        ((FILE, "layers = []"), "layers: expected tables, with [[layers]] above each, got []"),
    ],
    ids=["section", "option", "units", "kind", "toml", "empty", "no layer"],
)
def test_a_wrong_file_is_one_sentence(
    file: Path, change: tuple[str, str], said: str, ratenet: Command
) -> None:
    file.write_text(FILE.replace(*change))
    code, output = ratenet("train", "--config", file, "--out", file.parent / "run")
    assert code != 0
    assert said in output
    assert "Traceback" not in output
    assert not (file.parent / "run").exists()


def test_an_option_that_no_layer_listens_to_is_refused(file: Path, ratenet: Command) -> None:
    file.write_text(
        FILE.replace("units = 20", 'units = 20\nrule = "euclidean"\nlearning_rate = 0.1')
    )
    for option, value, key in (
        ("--rule", "hebb", "rule"),
        ("--recurrent-learning-rate", 0.1, "learning_rate"),
    ):
        code, said = ratenet("train", "--config", file, option, value, "--out", file.parent / "run")
        assert code != 0
        assert f"{option} has no effect: every recurrent layer sets its own {key}" in said
    assert not (file.parent / "run").exists()


def test_a_missing_file_and_a_resumed_one_are_refused(file: Path, ratenet: Command) -> None:
    code, said = ratenet("train", "--config", file.parent / "none.toml")
    assert code != 0
    assert "cannot be read" in said
    code, said = ratenet("train", "--config", file, "--out", file.parent, "--resume")
    assert code != 0
    assert "leave the option out" in said
