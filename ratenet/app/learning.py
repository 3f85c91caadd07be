"""Learning: two plasticity rules that learn from the same images in the same order, step by step.

Each side is a training run of its own that writes no folder: `ratenet train` with that rule, in
static presentation, takes the same steps and gives the same numbers.
"""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import pandas as pd
import torch
from pydantic import Field
from torch import Tensor

from ratenet.connectivity.computation import shielded
from ratenet.errors import STOPPED_BY_SCIENCE, UnknownNameError
from ratenet.fixed_points import find_fixed_points
from ratenet.plasticity import RULES
from ratenet.stimuli import ImageSet
from ratenet.training import TrainingConfig
from ratenet.training.network_run import NetworkRun, new_network_run
from ratenet.training.run_folder import RunFolder
from ratenet.training.workers import ALONE
from ratenet.validation import check_fields

SIDES = ("left", "right")
SHARED = ("model", "units", "batch_size", "tau", "loss", "seed", "dtype")
ITERATIONS = 1000  # of the solver, for the eigenvalues
T = TypeVar("T")
Rate = Annotated[float, Field(ge=0.01, le=2)]


@dataclass(frozen=True)
class LearningControls:
    """Which rules learn, and how fast.

    Parameters
    ----------
    left, right : str
        Names of rules.
    left_rate, right_rate : float
        Learning rates.

    Raises
    ------
    UnknownNameError
        If there is no such rule; rules of the user's own are not for the page.
    """

    left: str = "linearized-reparameterized"
    right: str = "euclidean"
    left_rate: Rate = 0.25
    right_rate: Rate = 0.25

    def __post_init__(self) -> None:
        check_fields(self)
        for side in SIDES:
            if getattr(self, side) not in rule_names():
                raise UnknownNameError.among(f"{side} rule", getattr(self, side), rule_names())


@dataclass(frozen=True)
class Step:
    """What one side did in a step.

    Attributes
    ----------
    step : int
        Number of steps done.
    accuracy : float
        Share of the batch that was classified correctly, before the rule acted.
    test : float
        Test accuracy after the step, at solved fixed points; NaN where it was not measured.
    abscissa : float
        Largest real part of the Jacobian's eigenvalues at the batch's mean gains, in 1/s.
    note : str
        Why this side cannot learn any more, if so.
    fresh : bool
        Whether a step was taken.
    """

    step: int
    accuracy: float = math.nan
    test: float = math.nan
    abscissa: float = math.nan
    note: str = ""
    fresh: bool = False


def rule_names() -> list[str]:
    """Return the names of the rules that the page offers.

    Examples
    --------
    >>> rule_names()[:2]
    ['euclidean', 'reparameterized']
    """
    return list(RULES.built_in)


class Learning:
    """Two runs at their beginning: the same weights, the same images, a rule each.

    Parameters
    ----------
    config : TrainingConfig
        What model, sizes and seed are taken from; all else is as in a static demo.
    images : ImageSet
    controls : LearningControls, optional

    Raises
    ------
    RatenetError
        If the model is not there, or the images do not fit, or a rule refuses the network.
    """

    def __init__(
        self, config: TrainingConfig, images: ImageSet, controls: LearningControls | None = None
    ) -> None:
        self.controls = LearningControls() if controls is None else controls
        self._sides = [_Side(config, images, self.controls, side) for side in SIDES]

    @property
    def steps(self) -> int:
        """How many steps there are."""
        return self._sides[0].run.steps

    @property
    def is_over(self) -> bool:
        """Whether neither side can learn any more."""
        return all(side.is_over for side in self._sides)

    def advance(self) -> list[Step]:
        """Let both sides learn from the next batch."""
        return [side.advance() for side in self._sides]

    def eigenvalues(self) -> list[Tensor | None]:
        """Return the Jacobian's eigenvalues at the fixed point of the first test image, in 1/s.

        None for a side whose network does not settle.
        """
        return [side.eigenvalues() for side in self._sides]

    def table(self) -> pd.DataFrame:
        """Return a row for each side and step."""
        return pd.concat([side.table() for side in self._sides], ignore_index=True)


class _Side:
    """One rule and its run."""

    def __init__(
        self, config: TrainingConfig, images: ImageSet, controls: LearningControls, side: str
    ) -> None:
        self._rule = getattr(controls, side)
        self._rows: list[Step] = []
        self._note = ""
        shared = {name: getattr(config, name) for name in SHARED}
        mine = TrainingConfig(
            **shared,
            data=images,
            rule=self._rule,
            learning_rate=getattr(controls, f"{side}_rate"),
            presentation="static",
        )
        folder = RunFolder(Path(side))  # the loop writes folders; here nothing does
        self.run: NetworkRun = new_network_run(mine, config.model, folder, ALONE)
        self._take(self.run.rehearse)
        self._take(self.run.fit)

    @property
    def is_over(self) -> bool:
        return bool(self._note) or self.run.progress.step >= self.run.steps

    def advance(self) -> Step:
        run = self.run
        if not self.is_over:
            before = run.state_dict()
            row = self._take(run.take_step)
            if row is None:
                run.load_state_dict(before)
            else:
                run.progress.step += 1
                test = self._take(run.test) if run.epoch_ends else None
                step = Step(
                    step=run.progress.step,
                    accuracy=row.get("train_accuracy", math.nan),
                    test=math.nan if test is None else test.score,
                    abscissa=row["abscissa_mean_gain"],
                    note=self._note,
                    fresh=True,
                )
                self._rows.append(step)
                return step
        return Step(step=run.progress.step, note=self._note)

    def eigenvalues(self) -> Tensor | None:
        classifier, image = self.run.classifier, self.run.images.test[:1]
        with torch.no_grad():
            fp = find_fixed_points(
                classifier.network,
                classifier.drive(image.pixels),
                max_iterations=ITERATIONS,
                on_failure="return",
            )
        return fp.eigenvalues(0) if bool(fp.converged[0]) else None

    def table(self) -> pd.DataFrame:
        names = [field.name for field in dataclasses.fields(Step)][:4]
        rows = [{name: getattr(row, name) for name in names} for row in self._rows]
        return pd.DataFrame(rows, columns=names).assign(rule=self._rule)

    def _take(self, work: Callable[[], T]) -> T | None:
        """Return what some work gives; where it fails, keep the sentence, and this side is over."""
        try:
            with shielded():
                return work()
        except STOPPED_BY_SCIENCE as error:
            self._note = str(error)
            return None
