"""Figures in prose are those of benchmarks/results, and the site takes them from there."""

import importlib.util
import types
from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="the site needs: pip install '.[docs]'")

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.glob("*.md"))
TABLE = """
Words.

## First

| rule | tau / T | accuracy, each seed |
| --- | --- | --- |
| rule 1, Euclidean | 0.1 | 0.5, 0.7 |
| rule 1, Euclidean | 0.15 | 0.0125 |

## Second

| rule | accuracy, each seed |
| --- | --- |
| rule 1, Euclidean | 1,250 (1,000 to 1,500) |
"""


@pytest.fixture
def measured() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("measured", DOCS / "measured.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def of_table(measured, tmp_path, monkeypatch) -> types.ModuleType:
    (tmp_path / "made.md").write_text(TABLE)
    monkeypatch.setattr(measured, "RESULTS", tmp_path)
    return measured


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_gives_the_figures_of_its_sources(measured, page):
    text = page.read_text(encoding="utf-8")
    found = measured.cited(text)
    assert [each for each in found if each.written != each.measured] == []
    assert len(found) == text.count("<!-- "), "a source stands right behind its figure"


def test_pages_have_sources(measured):
    cited = {page.stem: len(measured.cited(page.read_text(encoding="utf-8"))) for page in PAGES}
    assert sum(cited.values()) > 120
    assert {"how-slow", "results", "train-slowly", "reproduce", "solvers", "peers"} <= {
        page for page, count in cited.items() if count
    }


@pytest.mark.parametrize(
    ("source", "figure"),
    [
        ("made#First; tau / T=0.1; accuracy, each seed", "0.5, 0.7"),
        ("made#First; tau / T=0.1; accuracy, each seed [1]", "0.7"),
        ("made; rule=rule 1; tau / T=0.15; accuracy, each seed; .1%", "1.2 %"),
        ("made; tau / T=0.15; accuracy, each seed; 1e3 x .1f", "12.5"),
        ("made#First; rule=rule 1; accuracy, each seed largest", "0.7"),
        ("made#First; accuracy, each seed mean; .3f", "0.404"),
        ("made#Second; accuracy, each seed", "1,250 (1,000 to 1,500)"),
        ("made#Second; accuracy, each seed [2]; .0f", "1500"),
    ],
)
def test_a_figure_is_that_of_its_cell(of_table, source, figure):
    assert of_table.measured(source) == figure


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("absent; a; b", "does not exist"),
        ("made; tau / T=0.1; accuracy", "no row"),
        ("made#First; tau / T=7; accuracy, each seed", "no row"),
        ("made#Third; accuracy, each seed", "no row"),
        ("made#First; rule=rule 1; accuracy, each seed", "fits 2 rows"),
    ],
)
def test_a_wrong_name_stops_the_build(of_table, source, complaint):
    from mkdocs.exceptions import PluginError

    page = types.SimpleNamespace(file=types.SimpleNamespace(src_uri="page.md"))
    with pytest.raises(PluginError, match=f"page.md: .*{complaint}"):
        of_table.on_page_markdown(f"It is 3<!-- {source} -->.", page, None, None)


def test_the_site_shows_what_the_table_says_today(of_table):
    said = "It is 0.3<!-- made; tau / T=0.1; accuracy, each seed [0] --> now."
    assert of_table.on_page_markdown(said, None, None, None) == "It is 0.5 now."
