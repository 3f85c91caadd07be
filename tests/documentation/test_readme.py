"""What the README says is true: its code runs, its files and commands exist."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from ratenet import Network
from ratenet.equations.files import parse_model

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


MODELS = re.findall(r"```toml\n(.*?)```", README, flags=re.DOTALL)


def test_the_examples_run_in_turn(capsys):
    names = {}
    for block in BLOCKS:
        exec(compile(block, "README.md", "exec"), names)
    assert "tensor(True)" in capsys.readouterr().out  # every sample converged


def test_the_model_loads():
    (text,) = MODELS
    model = parse_model(tomllib.loads(text))
    assert len(Network(model, np.zeros((4, 4))).parameters["tau"].unique()) == 3


@pytest.mark.parametrize("link", re.findall(r"\]\(([\w./-]+)\)", README))
def test_linked_files_exist(link):
    assert (ROOT / link).exists()


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`make ([a-z-]+)", README))))
def test_make_targets_exist(command):
    assert re.search(rf"^{command}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)


@pytest.mark.parametrize("option", sorted(set(re.findall(r"`(--[a-z-]+)", README))))
def test_named_options_exist(option):
    commands = "".join(path.read_text() for path in (ROOT / "ratenet" / "cli").glob("*.py"))
    assert option.removeprefix("--").replace("-", "_") in commands
