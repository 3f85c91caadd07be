"""The pictures of a run: its learning curve, and three images through the trained network."""

from typing import Any

import pandas as pd
import torch

from ratenet.errors import DivergenceError
from ratenet.fixed_points import FixedPoints, find_fixed_points
from ratenet.report.figures import digits_through_time, learning_curve, save
from ratenet.simulation import simulate
from ratenet.simulation.step_limit import why_too_long
from ratenet.stimuli import HeldImages, Images, ImageSet
from ratenet.stimuli.images import picture
from ratenet.training.classifier import Classifier
from ratenet.training.config_checks import hold_and_fade
from ratenet.training.presentation import MAX_ITERATIONS, Slow
from ratenet.training.run import Run

SHOWN_UNITS = 4


def draw_learning_curve(run: Run, metrics: pd.DataFrame, summary: dict[str, Any]) -> None:
    """Write the learning curve."""
    figure = learning_curve(
        metrics,
        steps_per_epoch=run.steps_per_epoch,
        score=run.score_name,
        control=summary[f"control_{run.score_name}"],
        test=summary[f"test_{run.score_name}"],
        test_slow=summary.get(f"test_{run.score_name}_slow"),
        unit=getattr(run.loss, "unit", ""),
        abscissa_limit=summary.get("abscissa_limit"),
    )
    save(figure, run.folder.figure_file("learning_curve"))


def draw_network_run(
    run: Run, classifier: Classifier, metrics: pd.DataFrame, summary: dict[str, Any]
) -> None:
    """Write the learning curve and, unless the network diverges, digits through time.

    A model without time constants has no hold and fade by default, and so no digits; nor has a
    network that moves faster than the simulation's steps, of which a picture would show the steps.
    """
    draw_learning_curve(run, metrics, summary)
    times = hold_and_fade(run.config, classifier.network)
    if times is None:
        return
    try:
        figure = _digits(classifier, run.images, *times)
    except DivergenceError:
        return
    if figure is not None:
        save(figure, run.folder.figure_file("digits"))


@torch.no_grad()
def _digits(classifier: Classifier, data: ImageSet, hold: float, fade: float) -> Any:
    """Show three test images slowly to the trained network; None where dt is too long for it."""
    images, network = data.test, classifier.network
    chosen = torch.tensor([0, len(images) // 2, len(images) - 1], device=network.device)
    drives = classifier.drive(images.pixels[chosen])  # (3, N)
    solved = find_fixed_points(network, drives, on_failure="return", max_iterations=MAX_ITERATIONS)
    duration, dt = hold + fade, Slow(hold, fade).time_step(network)
    rest, blank = network.as_state(None, 1), torch.zeros_like(drives[:1])
    states, inputs = torch.cat([rest, solved.state], dim=1), torch.cat([blank, drives])
    if why_too_long(network, states, inputs, dt, "euler") is not None:
        return None
    units = solved.rates.std(dim=0).topk(min(SHOWN_UNITS, network.units)).indices.cpu()
    stimulus = HeldImages(images[chosen].read_in(classifier.read_in), 1, hold, fade, shuffle=False)
    trajectory = simulate(network, stimulus, len(chosen) * duration, dt)
    shown = torch.cat([stimulus.at(float(t)) for t in trajectory.t])
    marked = torch.where(solved.converged[:, None], solved.rates, torch.nan)
    return digits_through_time(
        trajectory.t.numpy(),
        shown.cpu()[:, units].numpy(),
        trajectory.rates.cpu()[:, 0, units].numpy(),
        units.tolist(),
        images=[picture(image, data.shape) for image in images.pixels[chosen]],
        starts=[index * duration for index in range(3)],
        fade=fade,
        fixed_points=marked.cpu()[:, units].numpy(),
        captions=_answers(classifier, images[chosen], solved),
    )


def _answers(classifier: Classifier, images: Images, solved: FixedPoints) -> list[str]:
    """Return what the network took images for; nothing where they have targets."""
    if not images.has_classes:
        return []
    answers = classifier.logits(solved.rates).argmax(dim=1).tolist()
    return [
        f"{label} read as {answer}" if settled else f"{label}, not settled"
        for label, answer, settled in zip(
            images.labels.tolist(), answers, solved.converged.tolist(), strict=True
        )
    ]
