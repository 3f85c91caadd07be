"""AbstractTask: a network that learns, what it is to learn, and how well it did.

A task is drawn by a seed alone, so that every rule and learning rate meets the same network and
the same samples: these to learn from, others to choose the learning rate by, others to test.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Self

import torch
from torch import Tensor

from ratenet.equations import ModelSpec
from ratenet.fixed_points import FixedPoints, find_fixed_points
from ratenet.network import Network
from ratenet.plasticity.loss import slope
from ratenet.stimuli import ImageSet

MAX_ITERATIONS = 500  # a sample that needs more did not settle


@dataclass(frozen=True)
class Setting:
    """What a task is drawn from.

    Parameters
    ----------
    units : int
        N.
    samples, held_out : int
        Samples to learn from; samples to choose by, and as many to test.
    model : ModelSpec
    data : str or ImageSet
        Images, for a task that shows some.
    data_root : str
        Where torchvision keeps its files.
    """

    units: int
    samples: int
    held_out: int
    model: ModelSpec
    data: str | ImageSet
    data_root: str

    @property
    def total(self) -> int:
        """Samples of all three kinds."""
        return self.samples + 2 * self.held_out


class Samples(NamedTuple):
    """Drives, and what is asked for: rates (B, N), or the number of a class or pattern (B,)."""

    drive: Tensor  # (B, N)
    aim: Tensor


@dataclass(frozen=True, eq=False)
class AbstractTask(ABC):
    """Interface of the tasks.

    Attributes
    ----------
    network : Network
        Its W is changed in place.
    train, validation, test : Samples
    """

    score_name: ClassVar[str]
    network: Network
    train: Samples
    validation: Samples
    test: Samples

    @classmethod
    @abstractmethod
    def drawn(cls, setting: Setting, seed: int) -> Self:
        """Return the task at its start."""

    @abstractmethod
    def reached(self, drive: Tensor) -> FixedPoints:
        """Return the states that drives (B, N) lead to, unsettled ones marked as such."""

    @abstractmethod
    def losses(self, rates: Tensor, aim: Tensor) -> Tensor:
        """Return each sample's loss (B,), differentiable in the rates (B, N)."""

    @abstractmethod
    def score(self, fp: FixedPoints, aim: Tensor) -> float:
        """Return how well the samples are answered; higher is better, unsettled ones are wrong."""

    def error(self, rates: Tensor, aim: Tensor) -> Tensor:
        """Return dL_b/dy_b of each sample, shape (B, N)."""
        return slope(lambda y: self.losses(y, aim), rates)


def solved(network: Network, drive: Tensor) -> FixedPoints:
    """Return the fixed points that the dynamics reach from rest, as far as they do."""
    return find_fixed_points(network, drive, max_iterations=MAX_ITERATIONS, on_failure="return")


def parts(drive: Tensor, aim: Tensor, setting: Setting) -> tuple[Samples, Samples, Samples]:
    """Split samples into those to learn from, to choose by and to test."""
    sizes = [setting.samples, setting.held_out, setting.held_out]
    train, validation, test = map(Samples, drive.split(sizes), aim.split(sizes))
    return train, validation, test


def squared_losses(rates: Tensor, target: Tensor) -> Tensor:
    """Return |y - target|^2 of each sample, shape (B,)."""
    return (rates - target).square().sum(dim=1)


def precision(fp: FixedPoints, target: Tensor) -> float:
    """Return -log10 of the relative squared error: 0 as for the targets' mean, 2 for 1 %.

    A sample that did not settle is taken to have answered with that mean.
    """
    spread = squared_losses(target.mean(dim=0), target)
    missed = torch.where(fp.converged, squared_losses(fp.rates, target), spread)
    return -float(torch.log10(missed.sum() / spread.sum()))


def share_right(answers: Tensor, fp: FixedPoints, aim: Tensor) -> float:
    """Return the share classified correctly; samples that did not settle have none."""
    return float(((answers == aim) & fp.converged).double().mean())
