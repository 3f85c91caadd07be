"""What the pages say is true: their code runs, their links and commands exist."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.commands import (
    NOT_RUN,
    PIECE,
    command_lines,
    not_run,
    parse,
    script,
    shell_commands,
)

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs"
PAGES = [*sorted(FOLDER.glob("*.md")), ROOT / "CONTRIBUTING.md"]
COMMANDS = [
    pytest.param(line, id=f"{page.stem}: {line}")
    for page in PAGES
    for line in command_lines(page.read_text())
]
OUTPUT = re.compile(r"```text\n(.*?)```", flags=re.DOTALL)  # what the blocks before it print
RUN = [page for page in [ROOT / "README.md", *PAGES[:-1]] if script(page.read_text())]


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.stem)
def test_a_reader_can_do_all_that_a_page_tells_in_an_empty_folder(page, tmp_path):
    """Its code, commands and files in turn; of the repository only what a copy has beside it."""
    text, folder = page.read_text(), tmp_path / "empty"
    folder.mkdir()
    for name in ("examples", "docs"):
        if f" {name}/" in script(text):
            (folder / name).symlink_to(ROOT / name)
    steps = tmp_path / f"{page.stem}.py"
    steps.write_text(script(text), encoding="utf-8")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [sys.executable, "-u", "-W", "error::UserWarning:__main__", str(steps)],
        cwd=folder, capture_output=True, text=True, env=os.environ | {"PATH": path},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for shown in OUTPUT.findall(text):
        assert shown in done.stdout


def test_a_page_is_done_in_its_order(tmp_path):
    page = """Write `ratenet simulate FILE` or `ratenet rules`.

```python
print("one")
```

```toml title="two.txt"
two
```

```bash
cat two.txt     # what was written
pip install torch
```

Then `echo` and `ratenet models
ssn`.
"""
    lines = script(page).splitlines()
    assert lines[0] == 'print("one")'
    assert "write_text('two\\n')" in lines[-3]
    assert [line.split("run(")[1].split(",")[0] for line in lines[-2:]] == [
        "'cat two.txt     # what was written'", "'ratenet models ssn'",
    ]  # fmt: skip


def test_each_reason_not_to_run_a_command_is_that_of_some_command():
    commands = [
        command
        for page in [ROOT / "README.md", *PAGES[:-1]]
        for piece in PIECE.finditer(page.read_text())
        for command in shell_commands(piece)
    ]
    assert {not_run(command) for command in commands} == {None, *NOT_RUN.values()}
    assert sum(not_run(command) is None for command in commands) > 60


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
