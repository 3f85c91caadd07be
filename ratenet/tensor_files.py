"""Tensors in safetensors files: written whole, read without executing anything, damage found.

The header carries strings beside the tensors, and the SHA-256 of all of it. A saved network or
layer is such a file, with a table in the header that says what the tensors make.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ratenet.errors import DataError, InputError, escape, shorten
from ratenet.files import check_regular, write_whole
from ratenet.validation import parse_json

LARGEST = 2**40  # bytes
WHAT = {"network": "a saved network", "layers": "saved layers"}
LAYOUT = 1  # of the tables; raised when older versions could no longer read them


def digest(tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> str:
    """Return a SHA-256 of all of it, by which damage is found."""
    found = hashlib.sha256(json.dumps(dict(header), sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        plain = tensor.detach().cpu().contiguous().flatten()
        found.update(plain.view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def packed(tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> bytes:
    """Return the content of a file."""
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    # Not save_file, which leaves a file of its own behind when it is killed.
    return save(contiguous, {**header, "sha256": digest(tensors, header)})


def read_tensors(path: Path, device: str = "cpu") -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the strings of a file.

    Raises
    ------
    DataError
        If there is none, or it is damaged or another kind of file.
    """
    where = escape(str(path))
    try:
        check_regular(path, LARGEST)
        with safe_open(path, "pt", device=device) as content:
            header = dict(content.metadata() or {})
            # Copies: views of the file begin at any byte, on which a product's last bit depends.
            tensors = {name: content.get_tensor(name).clone() for name in content.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise DataError(f"{where}: there is no such file.", argument="path", got=path) from None
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{where}: damaged ({escape(said)}).", argument="path", got=path) from None
    written = header.pop("sha256", None)
    if written is None:
        raise DataError(
            f"{where}: not a file that ratenet wrote, or damaged.", argument="path", got=path
        )
    if written != digest(tensors, header):
        raise DataError(
            f"{where}: damaged (its content does not have the SHA-256 that was written with it).",
            argument="path",
            got=path,
        )
    return tensors, header


def write_table(
    path: str | Path, kind: str, table: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> None:
    """Write a table and the tensors that it is about, whole or not at all.

    Tensors that are one object or share all their memory are written once, and one again when read.

    Raises
    ------
    InputError
        If the path is not that of a file.
    RunFolderError
        If the file cannot be written.
    """
    from ratenet import __version__

    place = as_path(path)
    first: dict[Any, str] = {}
    same: dict[str, str] = {}
    for name, tensor in tensors.items():
        key = (tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype)
        owner = first.setdefault(key, name) if tensor.numel() else name
        if owner != name:
            same[name] = owner
    once = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
        if name not in same
    }
    header = {
        "ratenet": kind,
        "layout": str(LAYOUT),
        "version": __version__,
        "table": json.dumps(table, allow_nan=False),
        "same": json.dumps(same),
    }
    content = packed(once, header)
    write_whole(place, lambda part: part.write_bytes(content))


def read_table(
    path: str | Path, kind: str, remedy: str = ""
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the table and the tensors of a file, on the CPU.

    Parameters
    ----------
    path : path
    kind : {"network", "layers"}
        What it must hold.
    remedy : str
        What to use for a file of another kind.

    Raises
    ------
    DataError
        If there is no such file, or it is damaged, of another kind or of a newer version.
    """
    place = as_path(path)
    where = escape(str(place))
    tensors, header = read_tensors(place)
    if header.get("layout") != str(LAYOUT) and "layout" in header:
        raise DataError(
            f"{where}: written by ratenet {shorten(header.get('version', ''))} in a layout that "
            "this version does not read; upgrade ratenet."
        )
    if header.get("ratenet") != kind or "layout" not in header:
        found = header.get("ratenet", "")
        held = WHAT.get(found, "something else")
        raise DataError(f"{where}: expected {WHAT[kind]}, got {held}{remedy and '; '}{remedy}.")
    table, same = (
        parse_json(header.get(name, ""), where=f"{where}, {name}", error=DataError)
        for name in ("table", "same")
    )
    try:
        tensors |= {name: tensors[owner] for name, owner in same.items()}
    except (KeyError, TypeError, AttributeError):
        table = None
    if not isinstance(table, dict):
        raise DataError(f"{where}: its header does not describe {WHAT[kind]}.")
    return table, tensors


def as_path(path: str | Path) -> Path:
    """Return the path of a file.

    Raises
    ------
    InputError
        If it is something else.
    """
    if not isinstance(path, str | Path) or not Path(path).name or "\0" in str(path):
        raise InputError.at("path", got=path, expected="the path of a file")
    return Path(path)
