"""Evaluation: how well images are answered, at solved fixed points and under a presentation."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ratenet.network import Network
from ratenet.stimuli import Images
from ratenet.stimuli.images import is_answerable
from ratenet.training.classifier import Classifier
from ratenet.training.losses import Loss
from ratenet.training.presentation import AbstractPresentation
from ratenet.training.shown import AbstractShown, Batch, Reader

EVALUATION_BATCH = 512


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Loss and accuracy on a set of images.

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
    return evaluate_shown(
        classifier.network,
        classifier,
        classifier.logits,
        batches_of(images, batch_size),
        presentation,
        outputs=len(classifier.read_out),
        loss=classifier.loss,
        unsettled=unsettled,
    )


@torch.no_grad()
def evaluate_shown(
    network: Network,
    reader: Reader,
    answer: Callable[[Tensor], Tensor],
    shown: Iterable[AbstractShown],
    presentation: AbstractPresentation,
    *,
    outputs: int,
    loss: Loss,
    unsettled: str | None = "leave-out",
) -> Evaluation:
    """Return the answers to what is shown in one presentation after the other, at their ends.

    Parameters
    ----------
    network : Network
    reader : Classifier or Stack
        Makes its drives of images.
    answer : callable
        From its rates (B, N) to outputs (B, K).
    shown : iterable of AbstractShown
    presentation : AbstractPresentation
    outputs : int
        K.
    loss : callable
    unsettled : {"leave-out", "include"}
        Whether the rates of images that did not settle are an answer.
    """
    (*_, end) = presentation.update_times(network)

    def answers() -> Iterator[Answers]:
        for number, each in enumerate(shown):
            fp = presentation.show(network, each.drive(reader), seed=number)
            answered = fp.converged if unsettled == "leave-out" else torch.isfinite(fp.residual)
            yield Answers(answer(fp.rates), answered, fp.unsettled, each.labels_at(end))

    return count_answers(answers(), outputs=outputs, loss=loss)


class Answers(NamedTuple):
    """Answers to the images of one batch."""

    outputs: Tensor  # (B, K)
    answered: Tensor  # (B,): which of them are answers
    unsettled: int
    labels: Tensor  # (B,) or (B, K)


def batches_of(images: Images, batch_size: int = EVALUATION_BATCH) -> Iterator[Batch]:
    """Return images in their own order, some side by side."""
    both = zip(images.pixels.split(batch_size), images.labels.split(batch_size), strict=True)
    return (Batch(pixels, labels) for pixels, labels in both)


def count_answers(batches: Iterable[Answers], *, outputs: int, loss: Loss) -> Evaluation:
    """Return how well images are answered; those without a class or targets do not count."""
    K, total_loss, given, moving, asked, has_classes = outputs, 0.0, 0, 0, 0, True
    confusion = torch.zeros(K, K, dtype=torch.int64)
    for found, answered, unsettled, labels in batches:
        has_label = is_answerable(labels)
        asked += int(has_label.sum())
        found, labels = found[answered & has_label], labels[answered & has_label]
        if len(found):
            total_loss += float(loss(found, labels).double().sum())
        given, moving = given + len(found), moving + unsettled
        has_classes = not labels.is_floating_point()
        if has_classes:
            places = labels * K + found.argmax(dim=1)
            confusion += torch.bincount(places, minlength=K * K).view(K, K).cpu()
    accuracy = int(confusion.trace()) / asked if asked else math.nan
    return Evaluation(
        loss=total_loss / given if given else math.nan,
        accuracy=accuracy if has_classes else None,
        unsettled=moving,
        confusion=confusion if has_classes else None,
    )


def nothing_answered(images: Images, outputs: int) -> Evaluation:
    """Return the evaluation where no image has an answer."""
    if not images.has_classes:
        return Evaluation(math.nan, None, len(images), None)
    nothing = torch.zeros(outputs, outputs, dtype=torch.int64)
    return Evaluation(math.nan, 0.0, len(images), nothing)
