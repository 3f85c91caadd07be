"""The notebooks on the site: each is run when the site is built, and is a page with what it shows.

mkdocs.yml names this file as a hook. RATENET_DOCS_WITHOUT_NOTEBOOK_RUNS=1 makes the pages without
running the notebooks: their text and code, and no output.
"""

import base64
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parent / "notebooks").glob("*.py"))
SECONDS = 300  # a cell may take
FORMULA = re.compile(r"<div>\$\$(.*?)\$\$</div>", re.DOTALL)


def run(path: Path) -> Any:
    """Return a notebook, a jupytext file, with the output of its cells."""
    notebook = jupytext.read(path)
    if not os.environ.get("RATENET_DOCS_WITHOUT_NOTEBOOK_RUNS"):
        quiet = ["--log-level=ERROR"]  # the kernel's remarks on how it is connected
        settings = {"timeout": SECONDS, "kernel_name": "python3", "extra_arguments": quiet}
        NotebookClient(notebook, **settings).execute()
    return notebook


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add a page for each notebook, its figures, and the notebook to be opened in Jupyter."""
    with ThreadPoolExecutor(2) as pool:  # each runs in a process of its own
        notebooks = list(pool.map(run, NOTEBOOKS))
    for path, notebook in zip(NOTEBOOKS, notebooks, strict=True):
        made: dict[str, str | bytes] = {f"{path.stem}.ipynb": nbformat.writes(notebook)}
        made[f"{path.stem}.md"] = page(path.stem, notebook, made)
        for name, content in made.items():
            files.append(File.generated(config, f"notebooks/{name}", content=content))


def page(name: str, notebook: Any, made: dict[str, str | bytes]) -> str:
    """Return a notebook as Markdown; its figures go into `made`, by their names."""
    parts = [
        part
        for cell in notebook.cells
        for part in (cell.source if cell.cell_type == "markdown" else code(cell), *shown(cell))
    ]
    for number, part in enumerate(parts):
        if isinstance(part, bytes):
            made[f"{name}-{number}.png"] = part
            parts[number] = f"![What the cell above draws]({name}-{number}.png)"
    opened = f"[This page as a notebook]({name}.ipynb) · [All notebooks](../notebooks.md)"
    return "\n\n".join([*parts, opened]) + "\n"


def code(cell: Any) -> str:
    """Return the code of a cell."""
    return f"```python\n{cell.source}\n```"


def shown(cell: Any) -> Iterator[str | bytes]:
    """Return what a cell shows: figures as bytes, tables as HTML, everything else as text."""
    outputs = cell.get("outputs", [])
    drawn = any("image/png" in output.get("data", {}) for output in outputs)
    for output in outputs:
        data = output.get("data", {})
        if "image/png" in data:
            yield base64.b64decode(data["image/png"])
        elif "text/html" in data:
            yield f'<div class="output">{plain(data["text/html"])}</div>'
        elif not (drawn and data):  # beside a figure it is the name of its axes
            yield f"```text\n{output.get('text', data.get('text/plain', '')).rstrip()}\n```"


def plain(table: str) -> str:
    """Return a table in the style of the site, with formulas marked as in Markdown."""
    table = re.sub(r' (?:border|class|style)="[^"]*"', "", table)
    return FORMULA.sub(r'<div class="arithmatex">\\[\1\\]</div>', table)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links to notebooks into links to their pages."""
    return re.sub(r"\]\(notebooks/(\w+)\.py\)", r"](notebooks/\1.md)", markdown)
