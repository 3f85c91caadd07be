"""The report of a comparison: one HTML file, its figures inside it."""

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ratenet.files import write_text
from ratenet.report.comparison_figures import course_figure, rate_figure, score_figure
from ratenet.report.figures import save
from ratenet.report.record import versions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXACT_ANGLE = "angle_to_euclidean"
FIGURES = "figures"  # the folder beside the report
SECTIONS = {  # of the report, by the place to which its contents list leads
    "scores": "Test scores",
    "differences": "Differences between rules",
    "angles": "Angles between the rules' changes",
    "figures": "Figures",
    "ended": "Cells that did not run to their end",
    "run": "What was run",
}
# Of each measured quantity: heading, label of the axis, whether the axis is logarithmic.
COURSES = {
    "loss": ("Loss of the batch", "loss", True),
    EXACT_ANGLE: ("Angle to the exact gradient's change", "angle (degrees)", False),
    "norm_ratio": ("Size of the change beside the exact gradient's", "ratio of norms", True),
    "condition": ("How nearly singular I - G W is", "condition number of $I - GW$", True),
    "abscissa": ("Slowest mode", "abscissa of the Jacobian (s$^{-1}$)", False),
    "moved": ("Distance from the start, Euclidean", r"$|W - W_{\mathrm{start}}|$", False),
    "moved_response": (
        "Distance from the start in the linear responses, as the reparameterized rules measure it",
        r"root mean square of $|A - A_{\mathrm{start}}|$",
        False,
    ),
    "unsettled": ("Samples that did not settle", "share of the batch", False),
    "iterations": ("Work to find the fixed points", "iterations a sample", False),
}


def write_report(
    path: Path,
    *,
    config: Mapping[str, Any],
    score_names: Mapping[str, str],
    cells: pd.DataFrame,
    judged: pd.DataFrame,
    steps: pd.DataFrame,
    best: pd.DataFrame,
    differences: pd.DataFrame,
    figure_format: str = "png",
) -> None:
    """Write the report, which holds its figures, and each figure with its data beside it.

    Parameters
    ----------
    path : Path
    config : mapping
        What was compared, with the intervals' `level`.
    score_names : mapping of str to str
        What each task's score is.
    cells, judged, steps, best, differences : pandas.DataFrame
        Tables of a comparison.
    figure_format : {"png", "pdf", "svg"}
    """
    drawn = _figures(cells, judged, steps, best, config["level"])
    for name, (_, figure) in drawn.items():
        save(figure, path.parent / FIGURES / f"{name}.{figure_format}")

    from jinja2 import Environment, PackageLoader  # here: it takes a moment

    shown = {
        "config": config,
        "score_names": score_names,
        "best": _table(best),
        "differences": _table(differences),
        "ended": _table(_endings(cells)),
        "ended_early": int((cells["status"] != "done").sum()),
        "cells": len(cells),
        "at_edge": best[best["edge"].isin(["lowest", "highest"])].to_dict("records"),
        "angles": {task: _table(_angles(steps, best, task)) for task in score_names},
        "sections": SECTIONS,
        "figures": {heading: _inlined(figure) for heading, figure in drawn.values()},
        "versions": versions(),
    }
    page = Environment(loader=PackageLoader("ratenet.report"), autoescape=True)
    text = page.get_template("comparison.html").render(shown)
    write_text(path, text)


def _figures(
    cells: pd.DataFrame,
    judged: pd.DataFrame,
    steps: pd.DataFrame,
    best: pd.DataFrame,
    level: float,
) -> dict[str, tuple[str, "Figure"]]:
    """Return headings and figures by their files' names."""
    if best.empty:
        return {}
    scores = "Test score by rule, each at its own learning rate"
    return {
        "scores": (scores, score_figure(judged, best, level)),
        "rates": (
            "Validation score against learning rate, mean and range over seeds",
            rate_figure(cells, best),
        ),
        **{
            name: (heading, course_figure(steps, best, name, label, is_log=is_log))
            for name, (heading, label, is_log) in COURSES.items()
        },
    }


def _inlined(figure: "Figure") -> str:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=100)
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


def _table(table: pd.DataFrame) -> dict[str, Any]:
    """Return a table as the page's template takes it."""
    texts = [name for name in table.columns if not pd.api.types.is_numeric_dtype(table[name])]
    return {"columns": list(table.columns), "texts": texts, "rows": table.to_numpy().tolist()}


def _endings(cells: pd.DataFrame) -> pd.DataFrame:
    """Return how many cells ended how, with one of the reasons."""
    early = cells[cells["status"] != "done"]
    keys = ["task", "rule", "learning_rate", "status"]
    groups = early.groupby(keys, sort=False)
    return groups.agg(cells=("seed", "size"), reason=("reason", "first")).reset_index()


def _angles(steps: pd.DataFrame, best: pd.DataFrame, task: str) -> pd.DataFrame:
    """Return the mean angle between rules: a row for each that is followed, at its own rate."""
    chosen = steps.merge(best.loc[best["task"] == task, ["task", "rule", "learning_rate"]])
    columns = [name for name in steps.columns if name.startswith("angle_to_")]
    means = chosen.groupby("rule", sort=False)[columns].mean()
    names = {name: name.removeprefix("angle_to_") for name in columns}
    return means.rename(columns=names).reset_index(names="along")
