"""What the site adds to Markdown: pages made from code and benchmarks, formulas, the API.

mkdocs.yml names this file. Pages in docs/ link to files of the repository, so that they can be read
there; on the site these files are pages too.
"""

import ast
import html
import re
import textwrap
import tomllib
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
RESULTS = ROOT / "benchmarks" / "results"
MARKED = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
COLUMN = re.compile(r"(<th[^>]*>)(\w+_\w+)(?=</th>)")
UNITS = {"ms": "ms", "s": "s", "gb": "GB", "MB": "MB"}  # at the end of a benchmark's column
NUMBER = re.compile(r"\\tag\{(.+?)\}")
HANDED_ON = {  # what a room hands to those above it: a public name of that room
    "errors": "RatenetError",
    "equations": "ModelSpec",
    "connectivity": "AbstractConnectivity",
    "network": "Network",
    "circuits": "Circuit",
    "simulation": "Trajectory",
    "fixed_points": "FixedPoints",
    "quasi_static": "Lag",
    "stimuli": "AbstractStimulus",
    "plasticity": "AbstractRule",
    "layers": "FixedPointLayer",
    "training": "TrainingResult",
    "hypotheses": "Comparison",
}
WIDTH, MARGIN, LINE = 960, 10, 17  # of the drawing of the rooms, in its units


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each benchmark, a list of them, and the command line."""
    results = {path.name: titled(path) for path in sorted(RESULTS.glob("*.md"))}
    for name, content in {**results, "index.md": contents("Benchmarks", results)}.items():
        files.append(File.generated(config, f"benchmarks/results/{name}", content=content))
    files.append(File.generated(config, "api/command_line.md", content=command_line()))
    return files


def command_line() -> str:
    """Return what --help says of every command, as a page."""
    command = get_command(app)
    return get_docs_for_click(
        obj=command, ctx=Context(command), name="ratenet", title="Command line"
    )


def titled(path: Path) -> str:
    """Return a benchmark's results, with its name as the title where they have none."""
    text = path.read_text()
    title = path.stem.replace("_", " ").capitalize().replace("mnist", "MNIST")
    return text if text.startswith("# ") else f"# {title}\n\n{text}"


def contents(title: str, pages: dict[str, str]) -> str:
    """Return a list of pages by their titles."""
    titles = {name: page.partition("\n")[0].removeprefix("# ") for name, page in pages.items()}
    return f"# {title}\n\n" + "".join(f"- [{titles[name]}]({name})\n" for name in pages)


def floors() -> list[list[str]]:
    """Return the rooms of each floor, the highest first, as the import contract has them."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    layers = tools["importlinter"]["contracts"][0]["layers"]
    return [
        [name.strip().removeprefix("ratenet.") for name in floor.split("|")] for floor in layers
    ]


def purpose(room: str) -> str:
    """Return what a room is for: the first sentence of its docstring, without its name."""
    folder = ROOT / "ratenet" / room
    path = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    sentence = (ast.get_docstring(ast.parse(path.read_text())) or room).split("\n\n")[0]
    found = re.match(r"(?:[\w -]{1,40}: )?(.+?)(?:\. |\.?$)", " ".join(sentence.split()))
    return found[1] if found else sentence


def rooms() -> str:
    """Return the rooms as an SVG: imports point down, what is computed moves up."""
    drawn, top = [], float(MARGIN)
    for floor in floors():
        width = (WIDTH - MARGIN * (len(floor) + 1)) / len(floor)
        lines = [textwrap.wrap(purpose(room), int(width / 7.4)) for room in floor]
        height = LINE * (max(map(len, lines)) + 1) + 16
        for column, (room, words) in enumerate(zip(floor, lines, strict=True)):
            left = MARGIN + column * (width + MARGIN)
            drawn.append(box(room, words, left, top, width, height))
        top += height + 14
    size = f'viewBox="0 0 {WIDTH} {top:.0f}" width="100%"'
    label = 'role="img" aria-label="The rooms of ratenet, one floor above the other"'
    return f'<svg class="rooms" {size} {label}>{"".join(drawn)}</svg>'


def box(room: str, words: list[str], left: float, top: float, width: float, height: float) -> str:
    """Return one room: its name, what it hands on, and what it is for."""
    given = f'<tspan class="given"> \u2191 {HANDED_ON[room]}</tspan>' if room in HANDED_ON else ""
    text = f'<text x="{left + 10:.0f}" y="{top + 20:.0f}"><tspan class="room">{room}</tspan>{given}'
    for number, line in enumerate(words, start=1):
        y = top + 20 + LINE * number
        text += f'<tspan x="{left + 10:.0f}" y="{y:.0f}">{html.escape(line)}</tspan>'
    frame = f'<rect x="{left:.0f}" y="{top:.0f}" width="{width:.0f}" height="{height}" rx="5"/>'
    return f"<g>{frame}{text}</text></g>"


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links into the repository into links to the pages made of it; draw the rooms."""
    markdown = markdown.replace("{{ rooms }}", rooms())
    if page.file.src_uri.startswith("benchmarks/"):
        return markdown.replace("](../../docs/", "](../../")
    markdown = re.sub(r"\]\(\.\./(examples/\w+)\.py\)", r"](\1.md)", markdown)
    markdown = re.sub(r"\]\(\.\./(benchmarks/results|examples)\)", r"](\1/index.md)", markdown)
    return markdown.replace("](../benchmarks/", "](benchmarks/")


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Render formulas as MathML, which browsers show without scripts or fonts of ours."""
    if page.file.src_uri.startswith("benchmarks/"):
        content = COLUMN.sub(lambda match: match[1] + in_words(match[2]), content)
    return MARKED.sub(lambda match: formula(html.unescape(match[2]), match[1] == "div"), content)


def in_words(column: str) -> str:
    """Return a benchmark's name of a column as words: `step_s` is "step, s"."""
    *words, last = column.split("_")
    return f"{' '.join(words)}, {UNITS[last]}" if last in UNITS else " ".join([*words, last])


def formula(latex: str, block: bool) -> str:
    r"""Return MathML; a block may have a number, ``\tag{3}``."""
    if not block:
        return convert(latex)
    latex = latex.replace("{aligned}", "{align*}")  # of the two latex2mathml knows the second
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
