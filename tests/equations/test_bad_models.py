"""Every file in bad_models/ is refused in one sentence; its first line says with which words."""

from pathlib import Path

import pytest

from ratenet import load_model
from ratenet.errors import ModelError, UnknownNameError

FOLDER = Path(__file__).parent / "bad_models"
PATHS = sorted(FOLDER.glob("*.toml"))
MARK = "# expected: "


def expected_part(path: Path) -> str:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith(MARK), f"{path.name} must begin with {MARK!r}"
    return first.removeprefix(MARK)


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load_model(path)
    return str(caught.value)


def test_there_are_many_bad_models() -> None:
    assert len(PATHS) >= 100


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_sentence_names_the_file_and_the_mistake(path: Path) -> None:
    sentence = refusal(path)
    assert sentence.startswith(f"{path}: ")
    assert expected_part(path) in sentence


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_sentence_is_one_short_line_for_a_user(path: Path) -> None:
    sentence = refusal(path).removeprefix(f"{path}: ")
    assert sentence.isprintable()  # no line breaks
    assert sentence.endswith(".")
    assert len(sentence) < 600
    for words in ("Traceback", "Error(", "object at 0x", "line 1, in"):
        assert words not in sentence


def test_nothing_in_a_bad_model_is_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refusal(FOLDER / "code_import.toml")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["missing.toml", "a/b/c.toml", "nul\0byte.toml"])
def test_a_missing_file_lists_the_models(path: str) -> None:
    with pytest.raises(UnknownNameError, match="Unknown model file .*; available: adaptation, "):
        load_model(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model.toml"
    folder.mkdir()
    assert "not a regular file" in refusal(folder)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.toml"
    path.write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8; save it as UTF-8" in refusal(path)


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "model.toml"
    path.write_bytes(b"#" * 1_000_001)
    assert "larger than 1000000 bytes" in refusal(path)
