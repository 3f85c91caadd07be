"""summarize: the outcome of a run as plain data."""

from typing import Any

import torch

from ratenet.training.run import Progress, Run


def summarize(run: Run, status: str, reason: str | None, counted: Progress) -> dict[str, Any]:
    """Return the outcome of a run as plain data; tests the network unless it was interrupted."""
    W = run.classifier.network.connectivity.dense().cpu()
    eigenvalues = torch.linalg.eigvals(W.double()).real
    summary: dict[str, Any] = {
        "status": status,
        "reason": reason,
        "rule": run.config.rule,
        "optimizer": run.config.optimizer,
        "learning_rate": run.config.learning_rate,
        "presentation": run.config.presentation,
        "data": run.config.data,
        "unsettled": run.config.unsettled,
        "seed": run.config.seed,
        "steps": run.progress.step,
        "epochs": run.progress.step / run.steps_per_epoch,
        "seconds": round(run.progress.seconds, 3),
        "unsettled_samples": counted.left_out,
        "unsettled_share": counted.left_out / max(1, counted.shown),
        "adjoint_left_out": counted.adjoint_left_out,
        **_barrier_summary(run),
        "control_accuracy": run.progress.control_accuracy,
        "weight_abscissa": float(eigenvalues.max()),
        "weight_eigenvalue_min": float(eigenvalues.min()),
        "weight_norm": float(torch.linalg.matrix_norm(W.double(), 2)),
    }
    if status == "interrupted":
        return summary
    if run.config.validation:
        accuracy, step = run.progress.best_accuracy, run.progress.best_step
        summary |= {"best_validation_accuracy": accuracy, "best_step": step}
    tested = run.test()
    summary |= {
        "test_loss": tested.loss,
        "test_accuracy": tested.accuracy,
        "test_unsettled": tested.unsettled,
    }
    slowly = run.test_slowly()
    if slowly is not None:
        summary |= {
            "test_accuracy_slow": slowly.accuracy,
            "test_unsettled_slow": slowly.unsettled,
        }
    return summary


def _barrier_summary(run: Run) -> dict[str, Any]:
    if run.config.barrier is None:
        return {}
    return {
        "barrier": run.config.barrier,
        "abscissa_limit": run.progress.abscissa_limit,
        "corrected_steps": run.progress.corrected,
        "refused_steps": run.progress.refused,
    }
