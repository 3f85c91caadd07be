"""What the README says is true: its code runs, its files and commands exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_there_is_an_example():
    assert BLOCKS


@pytest.mark.parametrize("block", BLOCKS)
def test_example_runs(block, capsys):
    exec(compile(block, "README.md", "exec"), {})
    assert "tensor(True)" in capsys.readouterr().out  # every sample converged


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
