"""A network between a fixed random read-in and a fixed random read-out learns to read images."""

from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from ratenet.errors import InputError
from ratenet.fixed_points import FixedPoints
from ratenet.hypotheses.tasks.base import AbstractTask, Samples, Setting, share_right, solved
from ratenet.stimuli import Images, load_images
from ratenet.training.classifier import Classifier, random_classifier


@dataclass(frozen=True, eq=False)
class Digits(AbstractTask):
    """Some images of a data set, by softmax cross-entropy; test images are the set's own.

    Attributes
    ----------
    classifier : Classifier
        Holds the network, the read-in and the read-out.
    """

    score_name: ClassVar[str] = "share of images classified correctly"
    classifier: Classifier

    @classmethod
    def drawn(cls, setting: Setting, seed: int) -> Self:
        """Return the task at its start.

        Raises
        ------
        InputError
            If the data set has fewer images than are asked for.
        DataError
            If the images cannot be had.
        """
        images = load_images(setting.data, root=setting.data_root)
        if images.classes is None:
            raise InputError(
                "data: the task mnist requires images with classes; these have targets.",
                argument="data",
            )
        classifier = random_classifier(
            setting.model,
            units=setting.units,
            inputs=images.train.pixels.shape[1],
            classes=images.classes,
            tau=None,
            seed=seed,
            device=torch.device("cpu"),
            dtype=torch.float64,
        )
        generator = torch.Generator().manual_seed(seed)
        learned = _chosen(images.train, setting.samples + setting.held_out, generator, "training")
        tested = _chosen(images.test, setting.held_out, generator, "test")
        drives = [classifier.drive(some.pixels.double()) for some in (learned, tested)]
        of_train, of_validation = (
            Samples(drives[0][part], learned.labels[part])
            for part in (slice(setting.samples), slice(setting.samples, None))
        )
        of_test = Samples(drives[1], tested.labels)
        return cls(classifier.network, of_train, of_validation, of_test, classifier)

    def reached(self, drive: Tensor) -> FixedPoints:
        """Return the fixed points that the dynamics reach."""
        return solved(self.network, drive)

    def losses(self, rates: Tensor, aim: Tensor) -> Tensor:
        """Return the cross-entropy in nats."""
        return self.classifier.losses(rates, aim)

    def score(self, fp: FixedPoints, aim: Tensor) -> float:
        """Return the accuracy."""
        return share_right(self.classifier.logits(fp.rates).argmax(dim=1), fp, aim)


def _chosen(images: Images, number: int, generator: torch.Generator, kind: str) -> Images:
    if number > len(images):
        raise InputError.at(
            "samples, held_out",
            got=number,
            expected=f"at most the {len(images)} {kind} images",
            remedy="ask for fewer, or choose a larger data set",
        )
    order = torch.randperm(len(images), generator=generator)[:number]
    return images[order]
