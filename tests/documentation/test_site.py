"""The documentation site builds without a warning, names what is public, and needs no internet."""

import os
import re
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path

import pytest
from helpers.public import public_names
from typer.main import get_command

import ratenet as rn
from ratenet.cli import app

mkdocstrings = pytest.importorskip("mkdocstrings", reason="the site needs: pip install '.[docs]'")

ROOT = Path(__file__).parents[2]
# What a page may consist of: HTML, MathML (formulas) and SVG (icons and the drawing of the rooms).
KNOWN = """
    html head meta title link script style body base noscript template
    header nav main article aside footer section div p span a img input label button form details
    summary h1 h2 h3 h4 h5 h6 ul ol li dl dt dd blockquote pre code table thead tbody tr th td
    em strong b i sub sup small br hr del mark kbd abbr
    svg path g rect text tspan
    math mrow mi mo mn msub msup msubsup mfrac mover munder munderover mtext mspace mstyle mphantom
    msqrt mtable mtr mtd menclose mpadded
"""
FETCHED = r'<link[^>]* href="?(https?:[^" >]*)|<[a-z]+[^>]* src="?(https?:[^" >]*)'


def paths(name: str) -> set[str]:
    """Return where a name may be described: as ratenet.train, or in its room, ratenet.training."""
    short = name.removeprefix("ratenet.")
    if "." in short:
        return {name}
    room = getattr(rn, short).__module__.split(".")[1]
    return {name, f"ratenet.{room}.{short}"}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """Return the folder of the site; mkdocs.yml makes an error of each warning (not with -q)."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder)]
    environment = os.environ | {
        "NO_MKDOCS_2_WARNING": "1",
        "RATENET_DOCS_WITHOUT_NOTEBOOK_RUNS": "1",
    }
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return folder


def test_the_api_reference_has_every_public_name(site):
    with (site / "objects.inv").open("rb") as file:
        described = mkdocstrings.Inventory.parse_sphinx(file)
    assert [name for name in public_names() if not paths(name) & set(described)] == []


def test_the_command_line_reference_has_every_command(site):
    page = (site / "api" / "command_line.html").read_text()
    described = set(re.findall(r'<h2 id="ratenet-([a-z-]+)"', page))
    assert described == set(get_command(app).commands)  # type: ignore[attr-defined]


def test_no_page_fetches_anything_from_the_internet(site):
    pages = {page: page.read_text() for page in site.rglob("*.html")}
    fetched = {page.name: re.findall(FETCHED, text) for page, text in pages.items()}
    assert len(fetched) > 20
    assert not any(fetched.values()), fetched


def test_formulas_are_rendered(site):
    theory = (site / "theory.html").read_text()
    assert theory.count("<math") > 30
    assert "arithmatex" not in theory


def prose(page: str) -> str:
    """Return what a page shows as text: without code, scripts and tags."""
    hidden = r"<(pre|code|script|style)\b.*?</\1>"
    return re.sub(r"<[^>]+>", " ", re.sub(hidden, "", page, flags=re.DOTALL))


def test_no_formula_is_left_as_tex(site):
    raw = re.compile(r"\$[^$\n]+\$|\\(?:frac|mathrm|tau|sum|Delta|lambda)\b|\\[(\[]")
    left = {page.name: raw.findall(prose(page.read_text())) for page in site.rglob("*.html")}
    assert not any(left.values()), {name: found for name, found in left.items() if found}
    assert raw.findall(prose(r"<p>$\tau$ <code>$x$</code></p>")) == [r"$\tau$"]


def unknown_tags(page: str) -> set[str]:
    """Return the tags of a page that no browser knows, such as `<lambda y>` from a formula."""
    found: set[str] = set()
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.add(tag)  # type: ignore[method-assign]
    parser.feed(page)
    return found - set(KNOWN.split())


def test_no_formula_is_taken_for_a_tag(site):
    odd = {page.name: unknown_tags(page.read_text()) for page in site.rglob("*.html")}
    assert not any(odd.values()), odd
    assert unknown_tags("<p>-eta <lambda y^T></p>") == {"lambda"}


def test_the_rules_page_shows_a_formula_for_each_rule(site):
    table = (site / "rules.html").read_text().split("<tbody>")[1].split("</tbody>")[0]
    changes = {row.split("<code>")[1].split("<")[0]: row for row in table.split("<tr>")[1:]}
    assert len(changes) == len(rn.plasticity.RULES)
    assert [name for name, row in changes.items() if "<math" not in row] == ["frozen"]


def test_columns_of_benchmarks_are_words(site):
    pages = [page.read_text() for page in (site / "benchmarks" / "results").glob("*.html")]
    assert not re.findall(r"<th[^>]*>\w+_\w+</th>", "".join(pages))
    assert any("step, s</th>" in page for page in pages)


def test_notebooks_are_pages(site):
    for source in (ROOT / "docs" / "notebooks").glob("*.py"):
        page = (site / "notebooks" / f"{source.stem}.html").read_text()
        assert f'href="{source.stem}.ipynb"' in page
        assert (site / "notebooks" / f"{source.stem}.ipynb").is_file()


def test_search_works_without_a_server(site):
    assert (site / "search" / "search_index.js").read_text().startswith("var __index = {")
    page = (site / "index.html").read_text()
    assert '<script src="assets/iframe-worker.js"></script>' in page
    assert (site / "assets" / "iframe-worker.js").is_file()


def test_the_drawing_of_the_rooms_is_that_of_the_import_contract(site):
    page = (site / "architecture.html").read_text()
    drawn = re.findall(r'<tspan class="room">(\w+)</tspan>', page)
    layers = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    names = re.findall(r"ratenet\.(\w+)", " ".join(layers["contracts"][0]["layers"]))
    assert drawn == names
    handed = re.findall(r'class="room">(\w+)</tspan><tspan class="given"> \S (\w+)<', page)
    assert len(handed) > 10
    for room, name in handed:
        assert hasattr(import_module(f"ratenet.{room}"), name), f"ratenet.{room}.{name}"
