"""Evaluation: how well a classifier answers, at solved fixed points and under a presentation."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ratenet.results import FixedPoints
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
        Mean cross-entropy in nats over the samples that settled; NaN if none did.
    accuracy : float
        Right answers over all images; an image whose state did not settle has no answer, and
        counts as wrong.
    unsettled : int
        Images whose state did not settle.
    confusion : Tensor of int, shape (K, K)
        Settled images by class (row) and answer (column).
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
    """
    K = len(classifier.read_out)
    confusion = torch.zeros(K, K, dtype=torch.int64)
    total_loss, unsettled = 0.0, 0
    for pixels, labels in zip(
        images.pixels.split(batch_size), images.labels.split(batch_size), strict=True
    ):
        fp = presentation.show(classifier.network, classifier.drive(pixels))
        settled = fp.converged
        rates, labels = fp.rates[settled], labels[settled]
        total_loss += float(classifier.losses(rates, labels).sum())
        unsettled += fp.unsettled
        answers = classifier.logits(rates).argmax(dim=1)
        confusion += torch.bincount(labels * K + answers, minlength=K * K).view(K, K).cpu()
    number = len(images)
    return Evaluation(
        loss=total_loss / (number - unsettled) if unsettled < number else float("nan"),
        accuracy=int(confusion.trace()) / number,
        unsettled=unsettled,
        confusion=confusion,
    )


def batch_accuracy(classifier: Classifier, fp: FixedPoints, labels: Tensor) -> float:
    """Return the share of right answers in a batch, unsettled samples counted as wrong."""
    right = (classifier.logits(fp.rates).argmax(dim=1) == labels) & fp.converged
    return float(right.double().mean())
