"""Command lines in Markdown: parsed as the real command line does, or run as a reader does."""

import re
import shlex
from typing import Any

from typer.main import get_command

from ratenet.cli import app

PIECE = re.compile(  # what a reader does with a page: run code or commands, write a file
    r'^```(?P<language>\w*)(?: title="(?P<title>[^"]+)")?\n(?P<block>.*?)^```'
    r"|`(?P<inline>ratenet [^`]+)`",
    flags=re.MULTILINE | re.DOTALL,
)
NOT_RUN = {  # commands that no test can run: why
    r"\$|\b[A-Z]{2,}\b": "a file, folder or host of the reader",
    r"\b(?:own\.npz|photos|session\.nwb)": "data of the reader",
    r"^(?:pip|uv|git|cd|make|source|python3 -m venv)\b": "an installation: .ci/run does it",
    r"--device cuda": "needs a GPU",
    r"^ratenet app\b": "ends when it is stopped: tests/app",
    r"^ratenet reproduce (?!one-unit)": "minutes to hours: tests/reproduce runs each in small",
}
NAMED = re.compile(r"ratenet (?:data )?\w+(?: --resume)?")  # in a sentence, not called


def command_lines(page: str) -> list[str]:
    """Return each `ratenet ...` of a page, from its code blocks and from its text."""
    joined = page.replace("\\\n", " ")
    blocks = re.findall(r"```[^\n`]*\n(.*?)```", joined, flags=re.DOTALL)
    indented = re.findall(r"^ {4}(\S.*)$", joined, flags=re.MULTILINE)
    inline = re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", joined, flags=re.DOTALL))
    lines = [line for block in blocks for line in block.splitlines()] + indented
    found = lines + [" ".join(text.split()) for text in inline]
    pattern = re.compile(r"^(?:\$ |torchrun .*-m )?ratenet (?=[a-z-])([^|>]*?)(?:\s+[#>].*)?$")
    return sorted({match[1].strip() for line in found if (match := pattern.match(line.strip()))})


def parse(line: str) -> None:
    """Parse a command line without running it; an unknown command or option is an error.

    Files need not exist, and an argument that a page leaves out is not missed.
    """
    words = shlex.split(line)
    command: Any = get_command(app)
    context = command.context_class(command, info_name="ratenet")
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        if "show" in command.commands and words[0] not in command.commands:
            words.insert(0, "show")  # `models NAME` is `models show NAME`
        _, command, words = command.resolve_command(context, words)
        context = command.context_class(command, info_name=command.name, parent=context)
    _, rest, _ = command.make_parser(context).parse_args(words)
    assert not rest, f"ratenet {line}: not understood: {rest}"


def not_run(command: str) -> str | None:
    """Return why no test runs a command, or None for one that is run."""
    return next((why for pattern, why in NOT_RUN.items() if re.search(pattern, command)), None)


def shell_commands(piece: re.Match[str]) -> list[str]:
    """Return the commands of a bash block, or the one that stands in a sentence."""
    if piece["inline"]:
        command = " ".join(piece["inline"].split())
        return [] if NAMED.fullmatch(command) else [command]
    if piece["language"] != "bash" or piece["block"].startswith("#!"):
        return []
    lines = piece["block"].replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip()]


def script(page: str) -> str:
    """Return a Python script that does in turn what a page tells its reader to do."""
    steps = []
    for piece in PIECE.finditer(page):
        if piece["title"]:
            steps.append(
                f"__import__('pathlib').Path({piece['title']!r}).write_text({piece['block']!r})"
            )
        elif piece["language"] == "python":
            steps.append(piece["block"])
        steps += [
            f"__import__('subprocess').run({command!r}, shell=True, check=True)"
            for command in shell_commands(piece)
            if not not_run(command)
        ]
    return "\n".join(steps)
