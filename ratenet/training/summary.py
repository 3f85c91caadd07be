"""summarize: the outcome of a run as plain data."""

from typing import Any

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
