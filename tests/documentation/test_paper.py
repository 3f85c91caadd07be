"""The paper has the form that the Journal of Open Source Software asks for."""

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "paper"
_, HEAD, BODY = (FOLDER / "paper.md").read_text(encoding="utf-8").split("---\n", 2)
ENTRIES = re.split(r"^@", (FOLDER / "paper.bib").read_text(encoding="utf-8"), flags=re.M)[1:]
KEYS = {re.match(r"\w+\{(\w+),", entry)[1]: entry for entry in ENTRIES}
SECTIONS = ["Summary", "Statement of need", "State of the field", "Software design",
            "Research impact statement", "AI usage disclosure", "References"]  # fmt: skip


def test_its_length_is_within_the_limits():
    assert 750 <= len(BODY.split()) <= 1750


def test_its_sections_and_its_head():
    titles = re.findall(r"^# (.+)$", BODY, re.M)
    assert [title for title in titles if title in SECTIONS] == SECTIONS
    assert "name: The ratenet developers" in HEAD
    for key in ("title", "tags", "authors", "affiliations", "date", "bibliography"):
        assert re.search(rf"^{key}:", HEAD, re.M), key


def test_each_reference_is_cited_and_each_citation_is_a_reference():
    assert set(re.findall(r"(?<![\w.])@(\w+)", BODY)) == set(KEYS)


@pytest.mark.parametrize("key", sorted(KEYS))
def test_references_have_a_doi_or_an_address(key):
    assert re.search(r"doi = \{10\.\d{4,}/\S+\}|url = \{https://\S+\}", KEYS[key])


def test_its_figure_is_there():
    (figure,) = re.findall(r"!\[.+?\]\((.+?)\)", BODY, re.S)
    assert (FOLDER / figure).is_file()
