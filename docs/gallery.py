"""The examples on the site: for each its figure, output and code on a page, and a gallery of all.

mkdocs.yml names this file as a hook. Figures and output stand in docs/gallery; they are made by

    python docs/gallery.py [NAME ...]
"""

import ast
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

DOCS = Path(__file__).parent
EXAMPLES = sorted((DOCS.parent / "examples").glob("*.py"))
GALLERY = DOCS / "gallery"


def question(example: Path) -> str:
    """Return the first line of an example: what it asks."""
    return (ast.get_docstring(ast.parse(example.read_text())) or example.stem).splitlines()[0]


def as_page(example: Path) -> str:
    """Return an example as a page: its question, figure, output and code."""
    name, output = example.stem, GALLERY / f"{example.stem}.txt"
    parts = [f"# {question(example)}", f"`python examples/{name}.py`"]
    if output.is_file():
        parts += [f"![{question(example)}](../gallery/{name}.png)"]
        parts += ["## Output", f"```text\n{output.read_text()}```"]
    parts += ["## Source", f"```python\n{example.read_text()}```", "[All examples](index.md)"]
    return "\n\n".join(parts) + "\n"


def gallery(to_docs: str = "") -> str:
    """Return the figures of all examples as links to their pages."""
    shown = [path for path in EXAMPLES if (GALLERY / f"{path.stem}.png").is_file()]
    cards = [
        f"[![{question(path)}]({to_docs}gallery/{path.stem}.png) {question(path)}]"
        f"({to_docs}examples/{path.stem}.md)"
        for path in shown
    ]
    return '<div class="gallery" markdown>\n\n' + "\n\n".join(cards) + "\n\n</div>"


def contents() -> str:
    """Return the page of all examples: the gallery, and what is not in it."""
    others = [path for path in EXAMPLES if not (GALLERY / f"{path.stem}.png").is_file()]
    listed = "".join(f"- [{question(path)}]({path.stem}.md)\n" for path in others)
    said = "Each runs by itself and says what it found."
    return f"# Examples\n\n{said}\n\n{gallery('../')}\n\n{listed}"


def on_config(config: MkDocsConfig) -> None:
    """Put the examples and benchmarks into the navigation, so that each has its next page."""
    results = sorted((DOCS.parent / "benchmarks" / "results").glob("*.md"))
    pages = {
        "examples/index.md": [
            {question(path).partition(":")[0]: f"examples/{path.stem}.md"} for path in EXAMPLES
        ],
        "benchmarks/results/index.md": [
            {
                path.stem.replace("_", " ")
                .capitalize()
                .replace("mnist", "MNIST"): f"benchmarks/results/{path.name}"
            }
            for path in results
        ],
    }
    config.nav = extended(config.nav, pages)


def extended(nav: Any, pages: dict[str, list[dict[str, str]]]) -> Any:
    """Return a navigation in which each page of `pages` is followed by those that belong to it."""
    if isinstance(nav, list):
        return [extended(entry, pages) for entry in nav]
    ((title, target),) = nav.items()
    if isinstance(target, list):
        return {title: extended(target, pages)}
    return {title: [{"Overview": target}, *pages[target]]} if target in pages else nav


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add a page for each example, and the page of all."""
    pages = {f"{path.stem}.md": as_page(path) for path in EXAMPLES}
    for name, content in {**pages, "index.md": contents()}.items():
        files.append(File.generated(config, f"examples/{name}", content=content))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put the gallery where a page asks for it."""
    return markdown.replace("{{ gallery }}", gallery())


def make(example: Path) -> None:
    """Run an example in an empty folder; keep its figure, with few colours, and its output."""
    from PIL import Image

    GALLERY.mkdir(exist_ok=True)
    kept = GALLERY / f"{example.stem}.png"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(example), kept.name]
        done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
        with Image.open(Path(folder) / kept.name) as image:
            image.convert("RGB").quantize(64, dither=Image.Dither.NONE).save(kept, optimize=True)
    kept.with_suffix(".txt").write_text(done.stdout)


if __name__ == "__main__":
    for path in EXAMPLES:
        if not sys.argv[1:] or path.stem in sys.argv[1:]:
            make(path)
