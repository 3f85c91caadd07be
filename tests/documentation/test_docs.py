"""What the pages say is true: their code runs, their links and options exist."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from ratenet.cli import app

FOLDER = Path(__file__).parents[2] / "docs"
PAGES = sorted(FOLDER.glob("*.md"))


def pages_with(pattern: str) -> list[Path]:
    return [page for page in PAGES if re.search(pattern, page.read_text(), flags=re.DOTALL)]


@pytest.mark.parametrize("page", pages_with("```python\n"), ids=lambda page: page.stem)
def test_the_code_of_a_page_runs_in_turn(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL):
        exec(compile(block, page.name, "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_linked_files_exist(page):
    for link in re.findall(r"\]\((?!https?:)([\w./-]+)\)", page.read_text()):
        assert (FOLDER / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_and_their_options_exist(page):
    commands = get_command(app).commands  # type: ignore[attr-defined]
    for line in re.findall(r"ratenet ((?:[a-z-]+) [^\n`]*)", page.read_text()):
        name, *words = line.split("#")[0].split()
        if name not in commands:
            continue
        known = {flag for parameter in commands[name].params for flag in parameter.opts}
        for option in (word.split("=")[0] for word in words if word.startswith("--")):
            assert option in known | {"--help"}, f"ratenet {name} {option}"
