"""Evaluation: how well a classifier does, at solved fixed points and under a presentation."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ratenet.fixed_points import FixedPoints
from ratenet.stimuli import Images
from ratenet.training.classifier import Classifier
from ratenet.training.presentation import AbstractPresentation

EVALUATION_BATCH = 512


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Answers to a set of images.

    Attributes
    ----------
    loss : float
        Mean cross-entropy in nats over the images with an answer; NaN if none has one.
    accuracy : float
        Share of images classified correctly; an image without an answer counts as wrong. Unless
        it is said otherwise, one whose state did not settle has none.
    unsettled : int
        Images whose state did not settle.
    confusion : Tensor of int, shape (K, K)
        Images with an answer by class (row) and answer (column).
    """

    loss: float
    accuracy: float
    unsettled: int
    confusion: Tensor


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

    return count_answers(answer, images, classes=len(classifier.read_out), batch_size=batch_size)


Answers = tuple[Tensor, Tensor, int]  # logits (B, K), which are answers (B,), how many unsettled


def count_answers(
    answer: Callable[[Tensor, int], Answers],
    images: Images,
    *,
    classes: int,
    batch_size: int = EVALUATION_BATCH,
) -> Evaluation:
    """Return how well images are answered.

    Parameters
    ----------
    answer : callable
        (pixels (B, M), number of the batch) -> Answers.
    images : Images
    classes : int
        K.
    batch_size : int
    """
    K, total_loss, moving = classes, 0.0, 0
    confusion = torch.zeros(K, K, dtype=torch.int64)
    batches = zip(images.pixels.split(batch_size), images.labels.split(batch_size), strict=True)
    for number, (pixels, labels) in enumerate(batches):
        logits, answered, unsettled = answer(pixels, number)
        logits, labels = logits[answered], labels[answered]
        total_loss += float(torch.nn.functional.cross_entropy(logits, labels, reduction="sum"))
        moving += unsettled
        found = labels * K + logits.argmax(dim=1)
        confusion += torch.bincount(found, minlength=K * K).view(K, K).cpu()
    answers_given = int(confusion.sum())
    return Evaluation(
        loss=total_loss / answers_given if answers_given else float("nan"),
        accuracy=int(confusion.trace()) / len(images),
        unsettled=moving,
        confusion=confusion,
    )


def batch_accuracy(classifier: Classifier, fp: FixedPoints, labels: Tensor) -> float:
    """Return the share classified correctly in a batch, unsettled samples counted as wrong."""
    right = (classifier.logits(fp.rates).argmax(dim=1) == labels) & fp.converged
    return float(right.double().mean())
