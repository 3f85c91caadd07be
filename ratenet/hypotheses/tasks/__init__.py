"""Tasks that rules are compared on, by name."""

from typing import Any

from ratenet.equations.registry import Registry
from ratenet.hypotheses.tasks.association import Association as Association
from ratenet.hypotheses.tasks.base import (
    AbstractTask as AbstractTask,
    Samples as Samples,
    Setting as Setting,
)
from ratenet.hypotheses.tasks.digits import Digits as Digits
from ratenet.hypotheses.tasks.linear import LinearRegression as LinearRegression
from ratenet.hypotheses.tasks.teacher import Teacher as Teacher

TASKS: Registry[AbstractTask] = Registry(
    "task",
    AbstractTask,
    {"linear": LinearRegression, "teacher": Teacher, "association": Association, "mnist": Digits},
    group="ratenet.tasks",
    expected="a task: its name, FILE.py:NAME, or a class derived from AbstractTask",
    needs=2,
    convert=lambda found: getattr(found, "drawn", found) if isinstance(found, type) else found,
)
"""All tasks by name; settings are what `drawn` takes besides setting and seed."""


def score_name(task: Any) -> str:
    """Return what a task's score is."""
    drawn = TASKS.maker(task).args[1]  # type: ignore[attr-defined]
    return str(getattr(getattr(drawn, "__self__", None), "score_name", "score"))
