"""A network learns the fixed points of another one, its teacher, of the same model."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from ratenet.errors import UnsettledError, counted
from ratenet.fixed_points import FixedPoints
from ratenet.hypotheses.identification.simulated import random_network
from ratenet.hypotheses.tasks.base import (
    AbstractTask,
    Setting,
    parts,
    precision,
    solved,
    squared_losses,
)
from ratenet.network.scales import typical_input

RADIUS, TEACHER_RADIUS = 0.5, 0.9  # spectral radii of random weights, in typical weights


@dataclass(frozen=True, eq=False)
class Teacher(AbstractTask):
    """Drives are normal, targets the teacher's rates, L = |y - target|^2."""

    score_name: ClassVar[str] = "precision, -log10 of the relative squared error"

    @classmethod
    def drawn(cls, setting: Setting, seed: int) -> Self:
        """Return the task at its start.

        Raises
        ------
        UnsettledError
            If the teacher has no fixed point for one of the drives.
        """
        rng = np.random.default_rng(seed)
        network = random_network(setting.model, setting.units, RADIUS, rng)
        teacher = random_network(setting.model, setting.units, TEACHER_RADIUS, rng)
        normal = torch.as_tensor(rng.standard_normal((setting.total, setting.units)))
        drive = typical_input(network) * normal
        taught = solved(teacher, drive)
        if taught.unsettled:
            raise UnsettledError(
                f"The teacher has no fixed point for {taught.unsettled} of "
                f"{counted(len(taught), 'drive')}; choose another model, or other seeds."
            )
        return cls(network, *parts(drive, taught.rates, setting))

    def reached(self, drive: Tensor) -> FixedPoints:
        """Return the fixed points that the dynamics reach."""
        return solved(self.network, drive)

    def losses(self, rates: Tensor, aim: Tensor) -> Tensor:
        """Return |y - target|^2."""
        return squared_losses(rates, aim)

    def score(self, fp: FixedPoints, aim: Tensor) -> float:
        """Return the precision."""
        return precision(fp, aim)
