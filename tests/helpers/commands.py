"""Command lines in Markdown, read by the parser of the real command line."""

import re
import shlex
from typing import Any

from typer.main import get_command

from ratenet.cli import app


def command_lines(page: str) -> list[str]:
    """Return each `ratenet ...` of a page, from its code blocks and from its text."""
    joined = page.replace("\\\n", " ")
    blocks = re.findall(r"```\w*\n(.*?)```", joined, flags=re.DOTALL)
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
