"""The pictures of a run: its learning curve, and three digits through the trained network."""

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from ratenet.errors import DivergenceError, RatenetWarning
from ratenet.fixed_points import find_fixed_points
from ratenet.report.figures import digits_through_time, learning_curve, save
from ratenet.simulation import simulate
from ratenet.stimuli import HoldAndFade
from ratenet.training.config import TrainingConfig
from ratenet.training.presentation import MAX_ITERATIONS, Slow
from ratenet.training.run import Run

if TYPE_CHECKING:
    from ratenet.training.network_run import NetworkRun

SHOWN_UNITS = 4


def draw_learning_curve(run: Run, metrics: pd.DataFrame, summary: dict[str, Any]) -> None:
    """Write figures/learning_curve.png."""
    title = (
        f"{summary['rule']}, {run.config.optimizer}, learning rate {run.config.learning_rate:g}, "
        f"{run.config.data}, {run.config.presentation}"
    )
    figure = learning_curve(
        metrics,
        steps_per_epoch=run.steps_per_epoch,
        control_accuracy=summary["control_accuracy"],
        test_accuracy=summary["test_accuracy"],
        test_accuracy_slow=summary.get("test_accuracy_slow"),
        abscissa_limit=summary.get("abscissa_limit"),
        title=title,
    )
    save(figure, run.folder.figures_folder / "learning_curve.png")


def draw_network_run(run: "NetworkRun", metrics: pd.DataFrame, summary: dict[str, Any]) -> None:
    """Write the learning curve and, unless the network diverges, figures/digits.png.

    A model without time constants has no hold and fade by default, and so no digits.png; nor has a
    network that moves faster than the simulation's steps, of which a picture would show the steps.
    """
    draw_learning_curve(run, metrics, summary)
    if run.config.hold is None or run.config.fade is None:
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "dt = .* is too large", RatenetWarning)
        try:
            figure = _digits(run)
        except (DivergenceError, RatenetWarning):
            return
    save(figure, run.folder.figures_folder / "digits.png")


@torch.no_grad()
def _digits(run: "NetworkRun") -> Any:
    """Show three test digits slowly to the trained network, one after another."""
    images, network, config = run.images.test, run.classifier.network, run.config
    chosen = torch.tensor([0, len(images) // 2, len(images) - 1], device=network.device)
    drives = run.classifier.drive(images.pixels[chosen])  # (3, N)
    solved = find_fixed_points(network, drives, on_failure="return", max_iterations=MAX_ITERATIONS)
    units = solved.rates.std(dim=0).topk(min(SHOWN_UNITS, network.units)).indices
    t, shown, rates = _present(run, drives)
    answers = run.classifier.logits(solved.rates).argmax(dim=1).tolist()
    said = ", ".join(
        f"{label} read as {answer}" if settled else f"{label} did not settle"
        for label, answer, settled in zip(
            images.labels[chosen].tolist(), answers, solved.converged.tolist(), strict=True
        )
    )
    marked = torch.where(solved.converged[:, None], solved.rates, torch.nan)
    duration = config.hold + config.fade
    return digits_through_time(
        t,
        shown[:, units.cpu()],
        rates[:, units.cpu()],
        units.tolist(),
        images=[image.view(run.images.shape).cpu().numpy() for image in images.pixels[chosen]],
        starts=[index * duration for index in range(3)],
        fade=config.fade,
        fixed_points=marked[:, units].cpu().numpy(),
        title=f"Three test digits through the trained network ({said})",
    )


def _present(run: "NetworkRun", drives: torch.Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return times (T,), drives (T, N) and rates (T, N) through the images, from rest."""
    config: TrainingConfig = run.config
    network, duration = run.classifier.network, config.hold + config.fade
    dt = Slow(config.hold, config.fade).time_step(network)
    state, previous = None, torch.zeros_like(drives[:1])
    times, shown, rates = [], [], []
    for index, current in enumerate(drives.split(1)):
        stimulus = HoldAndFade(previous, current, config.fade)
        trajectory = simulate(network, stimulus, duration, dt, initial=state)
        times.append(trajectory.t + index * duration)
        shown += [stimulus.at(float(t))[0] for t in trajectory.t]
        rates.append(trajectory.rates[:, 0])
        state, previous = trajectory.final, current
    return (
        torch.cat(times).numpy(),
        torch.stack(shown).cpu().numpy(),
        torch.cat(rates).cpu().numpy(),
    )
