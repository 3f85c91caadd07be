"""How objects show themselves in a notebook: tables in HTML, with equations in LaTeX.

Whatever stands in a table is escaped, but for formulas and data frames, which are made here.
"""

import html
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

LONGEST = 12  # rows of a data frame that are shown


class Html(str):
    """A string that is HTML already, and is not escaped."""


def formula(latex: str) -> Html:
    """Return a displayed formula, for the notebook's MathJax."""
    return Html(f"<div>$${html.escape(latex)}$$</div>")


def frame(table: "pd.DataFrame") -> Html:
    """Return a data frame of which the middle is left out where it is long."""
    shown = table.to_html(max_rows=LONGEST, max_cols=LONGEST, float_format="{:.4g}".format)
    return Html(f"<div>{shown}</div>")


def table(caption: str, rows: Mapping[str, str]) -> str:
    """Return a table of two columns, names and what they stand for."""
    cells = "".join(
        f"<tr><th>{_safe(name)}</th><td>{_safe(value)}</td></tr>" for name, value in rows.items()
    )
    return f"<table><caption>{_safe(caption)}</caption>{cells}</table>"


def lines(text: str) -> Html:
    """Return lines of text as they are, in a font of equal widths."""
    return Html(f"<pre>{html.escape(text)}</pre>")


def _safe(text: str) -> str:
    return text if isinstance(text, Html) else html.escape(text)
