"""What the README says is true: its code runs, its files and commands exist."""

import re
from pathlib import Path

import pytest
from helpers.commands import command_lines, parse

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
OUTPUT = re.findall(r"```text\n(.*?)```", README, flags=re.DOTALL)


def test_the_examples_run_in_turn(capsys):
    names: dict = {}
    for block in BLOCKS:
        exec(compile(block, "README.md", "exec"), names)
    assert capsys.readouterr().out == "".join(OUTPUT)


def test_the_readme_is_short():
    assert len(README.split()) < 700


@pytest.mark.parametrize("link", re.findall(r"\]\(([\w./-]+)(?:#[\w-]+)?\)", README))
def test_linked_files_exist(link):
    assert (ROOT / link).exists()


@pytest.mark.parametrize("command", sorted(set(re.findall(r"\bmake ([a-z-]+)", README))))
def test_make_targets_exist(command):
    assert re.search(rf"^{command}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)


@pytest.mark.parametrize("line", command_lines(README))
def test_commands_are_those_of_the_command_line(line):
    parse(line)


def test_several_commands_were_found():
    assert len(command_lines(README)) > 8


@pytest.mark.parametrize("line", ["trian", "train --no-such-option", "compare --seed_s 3"])
def test_a_mistake_in_a_command_is_found(line):
    with pytest.raises(Exception, match="No such|not understood"):
        parse(line)
