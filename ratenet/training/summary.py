"""summarize: the outcome of a run as plain data; and how it is shown."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from ratenet.errors import show_any
from ratenet.notebook import frame, table
from ratenet.training.classifier import Classifier
from ratenet.training.plasticity_options import rule_of
from ratenet.training.run import Progress, Run


def summarize(run: Run, status: str, reason: str | None, counted: Progress) -> dict[str, Any]:
    """Return the outcome of a run as plain data; tests the network unless it was interrupted."""
    summary: dict[str, Any] = {
        "status": status,
        "reason": reason,
        "rule": rule_of(run.config),
        "optimizer": run.config.optimizer,
        "learning_rate": run.config.learning_rate,
        "presentation": run.config.presentation,
        "data": run.images.name,
        "unsettled": run.config.unsettled,
        "seed": run.config.seed,
        "steps": run.progress.step,
        "epochs": run.progress.step / run.steps_per_epoch,
        "seconds": round(run.progress.seconds, 3),
        "unsettled_samples": counted.left_out,
        "unsettled_share": counted.left_out / max(1, counted.shown),
        "adjoint_left_out": counted.adjoint_left_out,
        f"control_{run.score_name}": run.progress.control_score,
        **run.findings(),
    }
    if status == "interrupted":
        return summary
    if run.config.validation:
        score, step = run.progress.best_score, run.progress.best_step
        summary |= {f"best_validation_{run.score_name}": score, "best_step": step}
    tested = run.test()
    summary |= {
        "test_loss": tested.loss,
        f"test_{run.score_name}": tested.score,
        "test_unsettled": tested.unsettled,
    }
    slowly = run.test_slowly()
    if slowly is not None:
        summary |= {
            f"test_{run.score_name}_slow": slowly.score,
            "test_unsettled_slow": slowly.unsettled,
        }
    return summary


def said_score(summary: Mapping[str, Any]) -> Iterator[str]:
    """Give the test accuracy of a run, or its loss, in words; nothing where it has none yet."""
    for score in ("accuracy", "loss"):
        if summary.get(f"test_{score}") is not None:
            yield f"test {score} {summary[f'test_{score}']:.3f}"
            return


def run_table(caption: str, summary: Mapping[str, Any], metrics: pd.DataFrame, learner: Any) -> str:
    """Return what a notebook shows of a run."""
    wanted = ("test_accuracy", "test_accuracy_slow", "test_loss", "control_accuracy", "status")
    values = {name.replace("_", " "): summary[name] for name in wanted if name in summary}
    rows = {
        name: f"{value:.4g}" if isinstance(value, float) else show_any(value).strip("'")
        for name, value in values.items()
    }
    rows["network"] = repr(learner.network if isinstance(learner, Classifier) else learner)
    rows["last steps"] = frame(metrics.tail(5))
    return table(caption, rows)
