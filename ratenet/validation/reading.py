"""What TOML and JSON say, read from regular files and within limits."""

import json
import re
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ratenet.errors import InputError, RatenetError, escape, shorten

LARGEST_FILE = 1_000_000  # bytes of TOML
DEEPEST = 50  # tables or lists inside one another


def read_toml(path: Path, *, error: type[RatenetError] = InputError) -> dict[str, Any]:
    """Return the table of a TOML file.

    Raises
    ------
    InputError, or `error`
        If there is no such file, it is not a regular one or too large, or as in `parse_toml`.
    """
    where = escape(str(path))
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            reason = "not a regular file"
        elif status.st_size > LARGEST_FILE:
            reason = f"larger than {LARGEST_FILE} bytes"
        else:
            return parse_toml(path.read_bytes(), where=where, error=error)
    except RatenetError:  # some are OSErrors, too
        raise
    except OSError as caught:
        reason = f"cannot be read ({(caught.strerror or str(caught)).lower()})"
    except ValueError:  # a NUL in the name
        reason = "not the name of a file"
    raise error(f"{where}: {reason}.", argument=where)


def parse_toml(content: bytes, *, where: str, error: type[RatenetError] = InputError) -> Any:
    """Return the table that TOML stands for; `where` comes first in the sentences.

    Raises
    ------
    InputError, or `error`
        If it is not UTF-8 or not TOML, nested too deeply, or a number has too many digits.
    """
    return _parsed(content, "TOML", tomllib.loads, where, error)


def parse_json(content: bytes | str, *, where: str, error: type[RatenetError] = InputError) -> Any:
    """Return what JSON stands for, as `parse_toml` does.

    Raises
    ------
    InputError, or `error`
    """
    return _parsed(content, "JSON", json.loads, where, error)


def _parsed(
    content: bytes | str,
    language: str,
    parse: Callable[[str], Any],
    where: str,
    error: type[RatenetError],
) -> Any:
    try:
        found = parse(content if isinstance(content, str) else content.decode("utf-8-sig"))
        reason = _beyond_limits(found)
    except UnicodeDecodeError:
        reason = "not UTF-8; save it as UTF-8"
    except RecursionError:
        reason = "nested too deeply"
    except (tomllib.TOMLDecodeError, json.JSONDecodeError) as caught:
        reason = f"not valid {language} ({escape(str(caught))}){_unquoted(content, str(caught))}"
    except ValueError:  # Python reads no integers of thousands of digits
        reason = "a number has too many digits"
    if reason:
        raise error(f"{where}: {reason}.", argument=where)
    return found


def _unquoted(content: bytes | str, complaint: str) -> str:
    """Return what to write where TOML stumbles over a quantity such as 10*ms, else ""."""
    text = content if isinstance(content, str) else content.decode("utf-8-sig")
    number = re.search(r"at line (\d+)", complaint)
    line = text.splitlines()[int(number[1]) - 1] if number else ""
    found = re.fullmatch(r"\s*([\w.-]+)\s*=\s*([-\d.][^\"'#=]*[A-Za-z][^\"'#=]*?)\s*(?:#.*)?", line)
    return f'; put the value in quotes: {found[1]} = "{shorten(found[2])}"' if found else ""


def _beyond_limits(found: Any) -> str:
    """Return what is wrong with parsed data that would trouble whoever goes through it."""
    level = [found]
    for _ in range(DEEPEST):
        if any(isinstance(value, int) and abs(value) >= 2**64 for value in level):
            return "a number has too many digits"
        tables = [value.values() for value in level if isinstance(value, dict)]
        lists = [value for value in level if isinstance(value, list)]
        level = [value for values in (*tables, *lists) for value in values]
    return "nested too deeply" if level else ""
