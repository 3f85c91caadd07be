"""Tasks that rules are compared on, by name."""

from ratenet.hypotheses.tasks.association import Association as Association
from ratenet.hypotheses.tasks.base import (
    AbstractTask as AbstractTask,
    Samples as Samples,
    Setting as Setting,
)
from ratenet.hypotheses.tasks.digits import Digits as Digits
from ratenet.hypotheses.tasks.linear import LinearRegression as LinearRegression
from ratenet.hypotheses.tasks.teacher import Teacher as Teacher

TASKS: dict[str, type[AbstractTask]] = {
    "linear": LinearRegression,
    "teacher": Teacher,
    "association": Association,
    "mnist": Digits,
}
