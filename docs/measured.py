"""Figures in prose come from the tables of benchmarks/results when the site is built.

A page gives a figure and, in a comment behind it that readers do not see, where it stands:

    Rule 3 comes to 0.798<!-- waiting; rule=rule 3; waiting time, tau=0.1; at fixed points [0] -->.

That is the file, the row (columns and their values; the beginning of a value is enough where only
one begins so), and the column whose cell is meant. `FILE#SECTION` names a table by its heading.
Behind the column may stand `[i]` for one of several numbers in a cell, or `least`, `largest` or
`mean` for all numbers of the column in all rows that fit; after another `;` a format of Python's,
in which `%` is written with a space, and before it a factor: `.1%`, `1e3 x .0f`.

The build writes what the table says today, and stops where there is no such cell. A test compares
the pages as they stand, so that a sentence is looked at again when its figure changes.
"""

import re
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"
NUMBER = r"[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?"
CITED = re.compile(
    rf"(?P<figure>{NUMBER}(?: %)?(?: \({NUMBER} to {NUMBER}\))?)<!-- (?P<source>[^>]+?) -->"
)
OF_COLUMN = re.compile(r"(?P<name>.+?)(?: \[(?P<index>\d+)\]| (?P<of>least|largest|mean))?")
OVER_ROWS = {"least": min, "largest": max, "mean": fmean}


class Cited(NamedTuple):
    """A figure of a page: as it stands there, as its source says, and the source."""

    written: str
    measured: str
    source: str


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Write what was measured in the place of each cited figure."""
    try:
        return CITED.sub(lambda match: measured(match["source"]), markdown)
    except LookupError as error:
        raise PluginError(f"{page.file.src_uri}: {error}") from error


def cited(markdown: str) -> list[Cited]:
    """Return the figures of a page that have a source."""
    return [
        Cited(match["figure"], measured(match["source"]), match["source"])
        for match in CITED.finditer(markdown)
    ]


def measured(source: str) -> str:
    """Return the figure that a source names, as a page shows it."""
    file, *parts = [part.strip() for part in source.split(";")]
    conditions = [part.split("=", 1) for part in parts if "=" in part]
    column, *formats = [part for part in parts if "=" not in part]
    name, index, of = OF_COLUMN.fullmatch(column).group("name", "index", "of")  # type: ignore[union-attr]
    cells = cells_of(file, dict(conditions), name)
    if of is None and len(cells) != 1:
        raise LookupError(f"{source!r} fits {len(cells)} rows, expected one: {cells[:5]}")
    if of is None and index is None and not formats:
        return cells[0]
    numbers = [value for cell in cells for value in re.findall(NUMBER, cell)]
    if of is None and not formats:
        return numbers[int(index or 0)]
    values = [float(number.replace(",", "")) for number in numbers]
    value = OVER_ROWS[of](values) if of else values[int(index or 0)]
    return formatted(value, formats[0] if formats else "g")


def formatted(value: float, form: str) -> str:
    """Return a number in a format such as `.2f`, `.1%` or `1e3 x .0f`."""
    factor, _, spec = form.rpartition(" x ")
    return format(value * float(factor or 1), spec).replace("%", " %")


def cells_of(file: str, conditions: dict[str, str], column: str) -> list[str]:
    """Return the cells of a column in the rows that meet the conditions."""
    name, _, section = file.partition("#")
    path = RESULTS / f"{name}.md"
    if not path.is_file():
        raise LookupError(f"benchmarks/results/{name}.md does not exist")
    found = [
        row[column]
        for table in tables(path.read_text(encoding="utf-8"), section)
        if {column, *conditions} <= set(table[0])
        for row in fitting(table, conditions)
    ]
    if not found:
        raise LookupError(f"{file} has no row with {conditions} and a column {column!r}")
    return found


def fitting(table: list[dict[str, str]], conditions: dict[str, str]) -> list[dict[str, str]]:
    """Return the rows that meet all conditions, by a whole value or else by its beginning."""
    for column, value in conditions.items():
        whole = [row for row in table if row[column] == value]
        table = whole or [row for row in table if row[column].startswith(value)]
    return table


def tables(text: str, section: str = "") -> list[list[dict[str, str]]]:
    """Return the tables of a page, of one section alone where its heading is given."""
    if section:
        text = "\n".join(
            re.findall(rf"^#+ {re.escape(section)}$\n(.*?)(?=^#|\Z)", text, re.M | re.S)
        )
    blocks = re.findall(r"^\|.+\|\n\|[ :|-]+\|\n(?:\|.*\|\n?)+", text, re.M)
    return [rows(block) for block in blocks]


def rows(block: str) -> list[dict[str, str]]:
    """Return the rows of a table by the names of its columns."""
    head, _, *body = [
        [cell.strip() for cell in line.strip().strip("|").split("|")] for line in block.splitlines()
    ]
    return [dict(zip(head, cells, strict=True)) for cells in body]
