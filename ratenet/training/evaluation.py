"""Evaluation: how well images are answered, at solved fixed points and under a presentation."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ratenet.stimuli import Images
from ratenet.training.classifier import Classifier
from ratenet.training.losses import Loss
from ratenet.training.presentation import AbstractPresentation

EVALUATION_BATCH = 512


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Answers to a set of images.

    Attributes
    ----------
    loss : float
        Mean loss over the images with an answer; NaN if none has one.
    accuracy : float or None
        Share of images classified correctly; an image without an answer counts as wrong. Unless
        it is said otherwise, one whose state did not settle has none. None where the images have
        targets in place of classes.
    unsettled : int
        Images whose state did not settle.
    confusion : Tensor of int, shape (K, K), or None
        Images with an answer by class (row) and answer (column), where they have classes.
    """

    loss: float
    accuracy: float | None
    unsettled: int
    confusion: Tensor | None

    @property
    def score_name(self) -> str:
        """What a run is judged by: "accuracy", or "loss" where there is none."""
        return "loss" if self.accuracy is None else "accuracy"

    @property
    def score(self) -> float:
        """The accuracy, or the loss where there is none."""
        return self.loss if self.accuracy is None else self.accuracy

    def is_better_than(self, score: float | None) -> bool:
        """Return whether the score is better than another one, or than none."""
        if score is None:
            return not math.isnan(self.score)
        return self.score < score if self.accuracy is None else self.score > score


@torch.no_grad()
def evaluate_classifier(
    classifier: Classifier,
    images: Images,
    presentation: AbstractPresentation,
    batch_size: int = EVALUATION_BATCH,
    *,
    unsettled: str = "leave-out",
) -> Evaluation:
    """Return the answers to images that are shown in their own order.

    Parameters
    ----------
    classifier : Classifier
    images : Images
    presentation : AbstractPresentation
        `Static` for solved fixed points; a new `Slow` for the rates at the end of each hold.
    batch_size : int
        Images side by side.
    unsettled : {"leave-out", "include"}
        Whether the rates of images that did not settle are an answer.
    """

    def answer(pixels: Tensor, number: int) -> Answers:
        fp = presentation.show(classifier.network, classifier.drive(pixels), seed=number)
        answered = fp.converged if unsettled == "leave-out" else torch.isfinite(fp.residual)
        return classifier.logits(fp.rates), answered, fp.unsettled

    K = len(classifier.read_out)
    return count_answers(answer, images, outputs=K, loss=classifier.loss, batch_size=batch_size)


Answers = tuple[Tensor, Tensor, int]  # outputs (B, K), which are answers (B,), how many unsettled


def count_answers(
    answer: Callable[[Tensor, int], Answers],
    images: Images,
    *,
    outputs: int,
    loss: Loss,
    batch_size: int = EVALUATION_BATCH,
) -> Evaluation:
    """Return how well images are answered.

    Parameters
    ----------
    answer : callable
        (pixels (B, M), number of the batch) -> Answers.
    images : Images
    outputs : int
        K.
    loss : callable
    batch_size : int
    """
    K, total_loss, given, moving = outputs, 0.0, 0, 0
    confusion = torch.zeros(K, K, dtype=torch.int64)
    batches = zip(images.pixels.split(batch_size), images.labels.split(batch_size), strict=True)
    for number, (pixels, labels) in enumerate(batches):
        found, answered, unsettled = answer(pixels, number)
        found, labels = found[answered], labels[answered]
        if len(found):
            total_loss += float(loss(found, labels).double().sum())
        given, moving = given + len(found), moving + unsettled
        if images.has_classes:
            places = labels * K + found.argmax(dim=1)
            confusion += torch.bincount(places, minlength=K * K).view(K, K).cpu()
    return Evaluation(
        loss=total_loss / given if given else math.nan,
        accuracy=int(confusion.trace()) / len(images) if images.has_classes else None,
        unsettled=moving,
        confusion=confusion if images.has_classes else None,
    )


def nothing_answered(images: Images, outputs: int) -> Evaluation:
    """Return the evaluation where no image has an answer."""
    if not images.has_classes:
        return Evaluation(math.nan, None, len(images), None)
    nothing = torch.zeros(outputs, outputs, dtype=torch.int64)
    return Evaluation(math.nan, 0.0, len(images), nothing)
