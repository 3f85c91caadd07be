"""What the pages say is true: their code runs, their links and commands exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.commands import command_lines, parse

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs"
PAGES = [*sorted(FOLDER.glob("*.md")), ROOT / "CONTRIBUTING.md"]
COMMANDS = [
    pytest.param(line, id=f"{page.stem}: {line}")
    for page in PAGES
    for line in command_lines(page.read_text())
]
BLOCK = re.compile(r"```python\n(.*?)```", flags=re.DOTALL)
OUTPUT = re.compile(r"```text\n(.*?)```", flags=re.DOTALL)  # what the blocks before it print
WITH_CODE = [page for page in PAGES if BLOCK.search(page.read_text())]


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.stem)
def test_the_code_of_a_page_runs_in_a_process_of_its_own(page, tmp_path):
    script = tmp_path / f"{page.stem}.py"
    script.write_text("\n".join(BLOCK.findall(page.read_text())), encoding="utf-8")
    command = [sys.executable, "-W", "error::UserWarning:__main__", str(script)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for shown in OUTPUT.findall(page.read_text()):
        assert shown in done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_linked_files_exist(page):
    for link in re.findall(r"\]\((?!https?:)([\w./-]+)(?:#[\w-]+)?\)", page.read_text()):
        assert (page.parent / link).exists(), link


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_are_those_of_the_command_line(line):
    parse(line)


def test_commands_are_found():
    assert len(COMMANDS) > 40
    assert command_lines("see `ratenet train`\n\n    ratenet power --rules a\n") == [
        "power --rules a",
        "train",
    ]
