"""Numbers of others beside ratenet's, as a page: docs/validation.md.

    python benchmarks/validation.py

The cases are those of benchmarks/published_values.py, and tests/test_published_values.py asserts
each. It takes about a minute on one core, a third of it for the flip-flop, which is trained first.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

from published_branches import Value
from published_values import CASES, Case

from ratenet.report.record import versions

PAGE = Path(__file__).parent.parent / "docs" / "validation.md"
INTRODUCTION = """\
# Numbers of others

What other people, or other software, found for the same equations, beside what ratenet finds by its
model files, circuits, continuation and simulation. The source says where their number comes from: a
publication, a program, a closed form, or a solution by SciPy of equations that were written out
once more. "Allowed" is what the digits of their number leave open, or the tolerance of the two
solutions.

Every ready circuit ([circuits](circuits.md)) is among them. Two kinds of values on that page are
not: the mean exponents of `chaotic`, because mean-field theory is for infinitely many units and
networks of 400 stay well below it, and the SDs of `ssn_stochastic` beyond its linear theory, which
only simulations give.

Every row is a test (`tests/test_published_values.py`), and this page is what
`python benchmarks/validation.py` wrote on {day} (ratenet {ratenet}, torch {torch},
SciPy {scipy})."""


def page() -> Iterator[str]:
    """Give the lines of the page."""
    yield INTRODUCTION.format(day=date.today(), **versions())
    for case in CASES:
        print(case.name, flush=True)
        yield from section(case, case.find())


def section(case: Case, values: list[Value]) -> Iterator[str]:
    """Give the lines of one case."""
    yield from ("", f"## {case.title}", "", f"{case.source}.", "")
    yield from ("| what | theirs | ours | difference | allowed |", "|" + " --- |" * 5)
    for value in values:
        cells = (
            value.what, f"{value.theirs:.9g}", f"{value.ours:.9g}",
            f"{value.ours - value.theirs:.1e}", f"{value.allowed:.1e}",
        )  # fmt: skip
        yield "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    PAGE.write_text("\n".join(page()) + "\n")
