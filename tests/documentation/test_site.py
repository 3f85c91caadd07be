"""The documentation site builds without a warning, names what is public, and needs no internet."""

import ast
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest
from typer.main import get_command

import ratenet as rn
from ratenet import errors
from ratenet.cli import app

mkdocstrings = pytest.importorskip("mkdocstrings", reason="the site needs: pip install '.[docs]'")

ROOT = Path(__file__).parents[2]
FETCHED = r'<link[^>]* href="?(https?:[^" >]*)|<[a-z]+[^>]* src="?(https?:[^" >]*)'


def exports(package: types.ModuleType) -> list[str]:
    """Return what a package imports on purpose: `from a import b as b`."""
    nodes = ast.walk(ast.parse(Path(str(package.__file__)).read_text()))
    imports = [name for node in nodes if isinstance(node, ast.ImportFrom) for name in node.names]
    return [f"{package.__name__}.{name.name}" for name in imports if name.asname == name.name]


def public_names() -> list[str]:
    """Return the names of ratenet, of the packages that it names, and of its errors."""
    names = [f"ratenet.errors.{name}" for name, kind in vars(errors).items() if type(kind) is type]
    for name in rn.__all__:
        found = getattr(rn, name)
        names += exports(found) if isinstance(found, types.ModuleType) else [f"ratenet.{name}"]
    return names


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """Return the folder of the site; mkdocs.yml makes an error of each warning (not with -q)."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return folder


def test_the_api_reference_has_every_public_name(site):
    with (site / "objects.inv").open("rb") as file:
        described = mkdocstrings.Inventory.parse_sphinx(file)
    assert [name for name in public_names() if name not in described] == []


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
