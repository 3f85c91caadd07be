"""What the site adds to Markdown: pages made from code and benchmarks, formulas, the API.

mkdocs.yml names this file. Pages in docs/ link to files of the repository, so that they can be read
there; on the site these files are pages too.
"""

import ast
import html
import re
from pathlib import Path

from griffe import Alias, Extension, Object
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from typer import Context
from typer.cli import get_docs_for_click
from typer.main import get_command

from ratenet.cli import app

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
RESULTS = ROOT / "benchmarks" / "results"
MARKED = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
NUMBER = re.compile(r"\\tag\{(.+?)\}")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each example and each benchmark, a list of both, and the command line."""
    examples = {f"{path.stem}.md": example(path) for path in sorted(EXAMPLES.glob("*.py"))}
    results = {path.name: titled(path) for path in sorted(RESULTS.glob("*.md"))}
    for folder, title, pages in (
        ("examples", "Examples", examples),
        ("benchmarks/results", "Benchmarks", results),
    ):
        for name, content in {**pages, "index.md": contents(title, pages)}.items():
            files.append(File.generated(config, f"{folder}/{name}", content=content))
    files.append(File.generated(config, "api/command_line.md", content=command_line()))
    return files


def command_line() -> str:
    """Return what --help says of every command, as a page."""
    command = get_command(app)
    return get_docs_for_click(
        obj=command, ctx=Context(command), name="ratenet", title="Command line"
    )


def example(path: Path) -> str:
    """Return an example as a page: its question as the title, then the code."""
    code = path.read_text()
    question = (ast.get_docstring(ast.parse(code)) or path.stem).splitlines()[0]
    return f"# {question}\n\n`examples/{path.name}`\n\n```python\n{code}```\n"


def titled(path: Path) -> str:
    """Return a benchmark's results, with its name as the title where they have none."""
    text = path.read_text()
    title = path.stem.replace("_", " ").capitalize()
    return text if text.startswith("# ") else f"# {title}\n\n{text}"


def contents(title: str, pages: dict[str, str]) -> str:
    """Return a list of pages by their titles."""
    titles = {name: page.partition("\n")[0].removeprefix("# ") for name, page in pages.items()}
    return f"# {title}\n\n" + "".join(f"- [{titles[name]}]({name})\n" for name in pages)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links into the repository into links to the pages made of it."""
    if page.file.src_uri.startswith("benchmarks/"):
        return markdown.replace("](../../docs/", "](../../")
    markdown = re.sub(r"\]\(\.\./(examples/\w+)\.py\)", r"](\1.md)", markdown)
    markdown = re.sub(r"\]\(\.\./(benchmarks/results|examples)\)", r"](\1/index.md)", markdown)
    return markdown.replace("](../benchmarks/", "](benchmarks/")


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Render formulas as MathML, which browsers show without scripts or fonts of ours."""
    return MARKED.sub(lambda match: formula(html.unescape(match[2]), match[1] == "div"), content)


def formula(latex: str, block: bool) -> str:
    r"""Return MathML; a block may have a number, ``\tag{3}``."""
    if not block:
        return convert(latex)
    number = NUMBER.search(latex)
    math = convert(NUMBER.sub("", latex).strip(), display="block")
    shown = f"<span>({number[1]})</span>" if number else ""
    return f'<div class="formula">{math}{shown}</div>'


class Reading(Extension):
    """How Griffe, which reads the docstrings, is to take what it finds in ratenet."""

    def on_alias_instance(self, *, node: ast.AST, alias: Alias, **kwargs: object) -> None:
        """Take `from a import b as b` for what it says: b is public where it is imported."""
        names = getattr(node, "names", [])
        alias.public = any(name.asname == name.name == alias.name for name in names) or None

    def on_instance(self, *, obj: Object, **kwargs: object) -> None:
        """Keep `Tensor, shape (B,)` as it is written; as an expression it would lose a comma."""
        if obj.docstring is not None:
            obj.docstring.value = obj.docstring.value.replace(", shape (", " of shape (")
