"""TOML and JSON are read within limits, from regular files only."""

import os

import pytest

from ratenet.errors import InputError, ModelError
from ratenet.validation import LARGEST_FILE, parse_json, parse_toml, read_toml


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a = ", "not valid TOML"),
        (b"a = '\xff'", "not UTF-8; save it as UTF-8"),
        (b"a = " + b"[" * 100_000, "nested too deeply"),
        (b"a = " + b"[" * 60 + b"]" * 60, "nested too deeply"),
        (b"a = " + b"9" * 5000, "a number has too many digits"),
        (b"a = " + b"9" * 100, "a number has too many digits"),
        (b"a = 0x" + b"f" * 5000, "a number has too many digits"),
    ],
)
def test_toml_beyond_the_limits_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=f"^a.toml: {reason}"):
        parse_toml(content, where="a.toml")


def test_json_beyond_the_limits_is_refused() -> None:
    assert parse_json('{"a": [1, null]}', where="a.json") == {"a": [1, None]}
    for content, reason in [
        ("{", "not valid JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("[" * 60 + "]" * 60, "nested too deeply"),
        ("9" * 5000, "a number has too many digits"),
        (b"\xff", "not UTF-8"),
    ]:
        with pytest.raises(InputError, match=f"^a.json: {reason}"):
            parse_json(content, where="a.json")


def test_toml_with_a_byte_order_mark_is_read(tmp_path) -> None:
    (tmp_path / "a.toml").write_bytes(b"\xef\xbb\xbfname = 'a'")
    assert read_toml(tmp_path / "a.toml") == {"name": "a"}


def test_only_regular_files_of_bearable_size_are_read(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"#" * (LARGEST_FILE + 1))
    for name, reason in [
        ("pipe", "not a regular file"),
        (".", "not a regular file"),
        ("large", f"larger than {LARGEST_FILE} bytes"),
        ("absent", "cannot be read"),
        ("nul\0", "not the name of a file"),
    ]:
        with pytest.raises(ModelError, match=reason):
            read_toml(tmp_path / name, error=ModelError)
