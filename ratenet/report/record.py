"""What is written about a run: configuration with versions, files that are whole or not there."""

import json
import platform
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import tomli_w
import torch

from ratenet.connectivity import choose_route
from ratenet.equations.own_code import Source
from ratenet.files import write_text

Entries = list[dict[str, str]]  # of the user's code: file, sha256 and copy
_PACKAGES = ("ratenet", "torch", "torchvision", "numpy", "scipy", "brian2", "sympy")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that numbers depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}


def processor() -> str:
    """Return what the machine's processor calls itself."""
    with suppress(OSError, StopIteration):  # Linux
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    return platform.processor() or platform.machine()


def write_config(path: Path, table: Mapping[str, Any], device: str = "cpu") -> None:
    """Write a configuration as TOML, with versions and machine; keys without a value are left out.

    A section is a table or a list of tables.

    How large products are computed, and by how many threads, decides about rounding.
    """
    present = {
        section: _present(content) if isinstance(content, Mapping) else [*map(_present, content)]
        for section, content in table.items()
    }
    machine = {
        "device": device, "threads": torch.get_num_threads(), "matrix_product": choose_route()
    }  # fmt: skip
    write_text(path, tomli_w.dumps({**present, "versions": versions(), "machine": machine}))


def copy_of(source: Source) -> str:
    """Return what the copy of a file of code is called, relative to the folder that keeps it."""
    return f"code/{Path(source.file).stem}-{source.sha256[:8]}.py"


def code_entries(code: Iterable[Source]) -> Entries:
    """Return what is recorded of code."""
    return [{"file": s.file, "sha256": s.sha256, "copy": copy_of(s)} for s in code]


def _present(content: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return None if isinstance(value, float) and value != value else value


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write plain data as JSON; NaN becomes null, which JSON knows."""
    write_text(path, json.dumps(_plain(content), indent=2) + "\n")
