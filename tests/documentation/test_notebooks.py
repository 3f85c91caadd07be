"""The notebooks of the documentation run from top to bottom, and pages show their output."""

import base64
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import ratenet as rn

jupytext = pytest.importorskip("jupytext", reason="the notebooks need: pip install '.[docs]'")
nbformat = pytest.importorskip("nbformat", reason="the notebooks need: pip install '.[docs]'")
pytest.importorskip("nbclient", reason="the notebooks need: pip install '.[docs]'")
pytest.importorskip("mkdocs", reason="the site needs: pip install '.[docs]'")

DOCS = Path(__file__).parents[2] / "docs"
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.py"))
EQUATION = r"<table><caption>Rate</caption><tr><td><div>$$a &amp;= b$$</div></td></tr></table>"


def load(name: str) -> ModuleType:
    """Return a hook of the site, which is a file in docs and in no package."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    return load("run_notebooks")


def result(**data: str) -> Any:
    kinds = {"png": "image/png", "html": "text/html", "plain": "text/plain"}
    given = {kinds[kind]: value for kind, value in data.items()}
    return nbformat.v4.new_output("execute_result", data=given)


def test_there_are_six() -> None:
    assert len(NOTEBOOKS) == 6


def test_each_is_in_the_navigation_and_on_the_list() -> None:
    navigation, listed = (
        (DOCS.parent / "mkdocs.yml").read_text(),
        (DOCS / "notebooks.md").read_text(),
    )
    for path in NOTEBOOKS:
        assert f": notebooks/{path.stem}.md\n" in navigation
        assert f"](notebooks/{path.stem}.py)" in listed


def test_a_page_shows_tables_figures_and_prints(hook: ModuleType) -> None:
    cell = nbformat.v4.new_code_cell
    printed = nbformat.v4.new_output("stream", name="stdout", text="settled\n")
    figure = result(png=base64.b64encode(b"drawn").decode())
    notebook = nbformat.v4.new_notebook(cells=[
        nbformat.v4.new_markdown_cell("# Title"),
        cell("network", outputs=[result(html=EQUATION, plain="Network")]),
        cell("network.plot()", outputs=[result(plain="<Axes: >"), figure]),
        cell("print(word)", outputs=[printed]),
        cell("2", outputs=[result(plain="2")]),
    ])  # fmt: skip
    made: dict[str, Any] = {}
    page = hook.page("first", notebook, made)
    (name,) = made
    assert made[name] == b"drawn"
    assert page.startswith("# Title\n\n```python\nnetwork\n```\n\n")
    assert r'<div class="arithmatex">\[a &amp;= b\]</div>' in page
    assert f"]({name})" in page and "Axes" not in page
    assert "```text\nsettled\n```" in page and "```text\n2\n```" in page
    assert "](first.ipynb)" in page


def test_the_equations_of_a_model_are_drawn_in_rows() -> None:
    pytest.importorskip("latex2mathml", reason="the site needs: pip install '.[docs]'")
    pytest.importorskip("mkdocstrings", reason="the site needs: pip install '.[docs]'")
    latex = rn.load_model("rate")._repr_latex_().strip("$")
    drawn = load("hooks").formula(latex, block=True)
    assert drawn.count("<mtr>") == latex.count("&=") == 5
    assert "<mi>&</mi>" not in drawn


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, hook: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RATENET_DOCS_WITHOUT_NOTEBOOK_RUNS", raising=False)
    outputs = [output for cell in hook.run(path).cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 1
    assert not [o for o in outputs if o["output_type"] == "stream" and o["name"] == "stderr"]


def test_without_runs_a_page_has_text_and_code(
    hook: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RATENET_DOCS_WITHOUT_NOTEBOOK_RUNS", "1")
    page = hook.page("1", hook.run(NOTEBOOKS[0]), {})
    assert page.startswith("# A first network") and "```python\nmodel.plot()\n```" in page
    assert "![" not in page and "```text" not in page
