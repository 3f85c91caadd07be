"""The words that readers meet: no phrase that a native speaker of the field would not write.

docs/glossary.md has the terms that stand in their place.
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))]
SOURCES = sorted((ROOT / "ratenet").rglob("*.py"))

PATTERNS = {  # what must not come back: what to write in its place
    r"(?<!there )(?<!There )\b(?:is|are) no "
    r"(?!longer|more|need\b|other\b|fixed|stable|data\b|better\b)[a-z]+": "expected Y, got X",
    r"\b[Nn]eeded (?:is|are)\b": "expected",
    r"\bThere is no [a-z ]+ \{": "Unknown ...",
    r"\bthere are \{\}\.": "available: ...",
    r"\ba text\b(?! file)": "a string",
    r"\b(?:gone|goes|go|going) on with\b": "resume, continue",
    r"\brightly\b|\bright answers?\b": "classified correctly, accuracy",
    r"\bleft-outs?\b|\bleft over\b": "samples left out, the remaining samples",
    r"\btaken? off\b|\btakes it off\b": "subtract",
    r"\btaken up\b|\btakes? up (?!to\b)": "load_state_dict, accept",
    r"\bgo_to\b|\bremember\b": "load_state_dict",
    r"\b[Ww]ritten are\b": "Writes ...",
    r"\bcomes? to rest\b|\bcame to rest\b": "settle",
    r"\brepels?\b": "unstable",
    r"\bmostly taken for\b": "most common error",
    r"\bthe way back\b": "the backward pass",
    r"\bput into one another\b": "nested",
    r"\bto be careful about\b": "Caveats",
    r"\bis dear\b|\bare dear\b": "expensive",
    r"\bFirst weights\b": "Initial weights",
    r"\bWhat became of\b": "Outcome of",
    r"\bone(?: row)? an? (?:row|unit|stimulus|sample|stream|image|point|step)\b": "one per unit",
}


def offences(text: str) -> list[str]:
    """Return the phrases of a text that must not come back, with what to write instead."""
    plain = re.sub(r"```.*?```|<!--.*?-->", "", text, flags=re.DOTALL)
    plain = " ".join(plain.split())
    return [
        f"...{plain[max(0, match.start() - 30) : match.end() + 30]}... -> {better}"
        for pattern, better in PATTERNS.items()
        for match in re.finditer(pattern, plain)
    ]


def sentences(source: str) -> list[str]:
    """Return the strings of a module, docstrings among them; values of f-strings are ``{}``."""
    found, inside = [], set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            inside |= {id(part) for part in node.values}
            parts = [p.value if isinstance(p, ast.Constant) else "{}" for p in node.values]
            found.append("".join(parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found += [] if id(node) in inside else [node.value]
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages(page):
    assert offences(page.read_text()) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_sentences_and_docstrings(path):
    found = sentences(path.read_text())
    assert [offence for sentence in found for offence in offences(sentence)] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_docstring_begins_with_of(path):
    """No summary or description such as "Of the noise.": it does not say what the thing is."""
    assert re.findall(r"^ *(?:\"\"\")?Of (?!more )[a-z`].*", path.read_text(), re.MULTILINE) == []


@pytest.mark.parametrize(
    "text",
    ["x is no number.", "needed are two files", "a text ends the run", "the run is gone on with",
     "There is no rule {!r}; there are {}", "the lag is taken off",
     "the points that repel the dynamics", "rates, one a unit"],
)  # fmt: skip
def test_the_patterns_find_what_they_are_for(text):
    assert offences(text)
