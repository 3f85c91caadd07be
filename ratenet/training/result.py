"""TrainingResult: what `train` and `resume` return."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ratenet.errors import counted
from ratenet.training.summary import run_table, said_score


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """Outcome of a run.

    Attributes
    ----------
    folder : Path
        The run folder.
    summary : dict
        As in summary.json.
    metrics : pandas.DataFrame
        One row per step.
    classifier : Classifier or Stack
        The trained network, with its read-in and read-out; or the trained stack of layers.
    """

    folder: Path
    summary: dict[str, Any]
    metrics: pd.DataFrame
    classifier: Any

    def __repr__(self) -> str:
        rule, data = (self.summary.get(name) for name in ("rule", "data"))
        steps = counted(len(self.metrics), "step")
        facts = [f"{rule}", f"{data}", steps, *said_score(self.summary)]
        return f"TrainingResult({str(self.folder)!r}: {', '.join(facts)})"

    def _repr_html_(self) -> str:
        return run_table(repr(self), self.summary, self.metrics, self.classifier)

    def plot(self, ax: Any = None) -> Any:
        """Draw the learning curve: loss, accuracy, and the slowest modes.

        Parameters
        ----------
        ax : sequence of 4 matplotlib.axes.Axes, optional
            Where to draw; default new axes, which a notebook shows.

        Returns
        -------
        array of 4 matplotlib.axes.Axes
        """
        from ratenet.report.pictures import plot_run

        return plot_run(self, ax)
