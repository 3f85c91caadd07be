"""Run: a training run in progress, whatever learns, and its checkpoints."""

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from ratenet.connectivity import choose_route
from ratenet.errors import InputError, RatenetWarning, RunFolderError, UnsupportedError
from ratenet.report.record import Entries, code_entries
from ratenet.stimuli import Images, ImageSet, batches_of_epoch, load_images
from ratenet.training.config import TrainingConfig
from ratenet.training.config_checks import DTYPES, code_of
from ratenet.training.evaluation import Evaluation
from ratenet.training.losses import Loss
from ratenet.training.metrics_table import METRICS, METRICS_OF_TARGETS, sync_metrics
from ratenet.training.optimizers import AbstractOptimizer
from ratenet.training.run_data import DataFacts, facts_of
from ratenet.training.run_folder import RunFolder, RunState
from ratenet.training.same_run import digest_of_config
from ratenet.training.workers import Workers


@dataclass
class Progress:
    """How far a run is, as plain data."""

    step: int = 0  # steps done
    shown: int = 0  # samples so far
    left_out: int = 0  # those of them that did not settle
    unlabelled: int = 0  # those of them whose stimulus showed no class
    adjoint_left_out: int = 0  # settled ones whose adjoint could not be solved
    uncorrected: int = 0  # times that the predicted lag of a sample was not subtracted
    corrected: int = 0  # steps whose weights the barrier corrected
    refused: int = 0  # steps that it refused
    trials: int = 0  # of a line search
    not_taken: int = 0  # steps of which it found no share to take
    abscissa_limit: float | None = None  # of the barrier at the last step, 1/s
    is_doubtful: bool = False  # whether the network at mean gains is not stable any more
    ended: str | None = None  # why a callback ended the run before its last step
    best_step: int = 0  # with the best validation accuracy
    best_score: float | None = None  # accuracy, or loss where images have targets
    seconds: float = 0.0
    control_score: float | None = None  # of the network before learning: W frozen


SINCE_ADDED = ("trials", "not_taken")  # runs were begun before there were these


@dataclass(kw_only=True)
class Run(ABC):
    """A run in progress."""

    config: TrainingConfig
    images: ImageSet
    data: DataFacts
    loss: Loss
    folder: RunFolder
    optimizer: AbstractOptimizer
    workers: Workers = field(default_factory=Workers)
    progress: Progress = field(default_factory=Progress)
    recent: list[str] = field(default_factory=list)  # rows of metrics, as in `RunState`
    is_saved: bool = False  # whether the last checkpoint holds them
    code: Entries | None = None  # the user's, as a run that is resumed records it

    @property
    @abstractmethod
    def learner(self) -> Any:
        """What learns: a `Classifier`, or a stack of layers."""

    @property
    @abstractmethod
    def parameters(self) -> dict[str, Tensor]:
        """All weights by name, those that do not learn among them."""

    @abstractmethod
    def rehearse(self) -> None:
        """Let rule and network refuse one another before anything is written."""

    @abstractmethod
    def take_step(self) -> dict[str, Any]:
        """Show one batch, learn from it, and return the step's row of metrics."""

    def fit(self) -> None:  # noqa: B027 (most learn all that they have)
        """Fit what is not learned step by step, before the first step and after each epoch."""

    @abstractmethod
    def evaluate(self, images: Images) -> Evaluation:
        """Return the answers to images at solved fixed points."""

    @abstractmethod
    def findings(self) -> dict[str, Any]:
        """Return what the summary says of the weights and of how they were learned."""

    @abstractmethod
    def tables(self) -> dict[str, Any]:
        """Return what config.toml is to hold besides the options, by section."""

    @abstractmethod
    def draw(self, metrics: pd.DataFrame, summary: dict[str, Any]) -> None:
        """Write the run's figures."""

    @cached_property
    def digest(self) -> str:
        """What the run's numbers follow from, as a SHA-256 of its configuration."""
        if self.code is None:
            self.code = code_entries(code_of(self.config))
        return digest_of_config(self.config, self.tables(), self.code)

    def test(self) -> Evaluation:
        """Return the answers to the test images at solved fixed points."""
        return self.evaluate(self.images.test)

    def test_slowly(self) -> Evaluation | None:
        """Return the answers at the end of each hold, or fade; None for a static run."""
        return None

    def extra_state_dict(self) -> dict[str, Tensor]:
        """Return what is kept from step to step besides weights and optimizer."""
        return {}

    def load_extra_state_dict(  # noqa: B027 (most keep nothing)
        self, state: dict[str, Tensor]
    ) -> None:
        """Load what `extra_state_dict` gave; other tensors may be among it."""

    def stream_names(self) -> tuple[str, ...]:
        """Return which tensors of the state have a row for each stream of this process."""
        return ()

    @property
    def score_name(self) -> str:
        """What the run is judged by: the accuracy, or the loss where images have targets."""
        return "accuracy" if self.images.train.has_classes else "loss"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of metrics.csv."""
        return METRICS if self.images.train.has_classes else METRICS_OF_TARGETS

    def unmeasured(self) -> dict[str, float]:
        """Return the metrics of a row that are measured now and then, as NaN."""
        names = (f"validation_{self.score_name}", f"test_{self.score_name}")
        return dict.fromkeys(names, math.nan)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches an epoch."""
        return len(self.images.train) // self.config.batch_size

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.config.epochs * self.steps_per_epoch

    @property
    def epoch_ends(self) -> bool:
        """Whether the last step was the last one of its epoch."""
        return self.progress.step % self.steps_per_epoch == 0

    def batch(self) -> tuple[Tensor, Tensor]:
        """Return pixels (B, M) and labels of this process's streams at this step."""
        images, config = self.images.train, self.config
        epoch, index = divmod(self.progress.step, self.steps_per_epoch)
        batch = batches_of_epoch(len(images), config.batch_size, config.seed, epoch)[index]
        mine = batch[self.workers.share(config.batch_size)].to(images.pixels.device)
        return images.pixels[mine], images.labels[mine]

    def state_dict(self) -> RunState:
        """Return all that a resumed run must know: tensors by name, and progress."""
        tensors = {**self.parameters, **self.optimizer.state_dict(), **self.extra_state_dict()}
        copies = {name: tensor.detach().clone() for name, tensor in tensors.items()}
        recent = tuple(self.recent)
        return RunState(copies, vars(self.progress).copy(), self.digest, recent=recent)

    @torch.no_grad()
    def load_state_dict(self, state: RunState) -> None:
        """Load what `state_dict` gave."""
        self._load_weights(state)
        self.optimizer.load_state_dict(state.tensors)
        self.load_extra_state_dict(state.tensors)
        self.progress = Progress(**state.progress)
        self.recent = list(state.recent)

    def save(self) -> None:
        """Write a checkpoint; every process takes part, since each has its own streams."""
        state = self.state_dict()
        for name in self.stream_names():
            if name in state.tensors:
                state.tensors[name] = self.workers.rows(state.tensors[name])
        if self.workers.is_first:
            if self.recent:
                sync_metrics(self.folder.metrics_file)
            self.folder.write_checkpoint(state, self.folder.checkpoint_file)
        self.is_saved = True

    def restore(self) -> None:
        """Load the last checkpoint.

        Raises
        ------
        RunFolderError
            If there is none, or it is damaged, or belongs to another run.
        """
        state, B = self._read(self.folder.checkpoint_file, "all"), self.config.batch_size
        is_under_way = state.progress["step"] > 0
        for name in self.stream_names() if is_under_way else ():
            streams = state.tensors.get(name)
            if streams is None or len(streams) != B:
                raise RunFolderError(
                    f"{self.folder.checkpoint_file}: {name} does not hold the {B} streams of "
                    "config.toml; the checkpoint belongs to another run."
                )
            state.tensors[name] = streams[self.workers.share(B)]
        try:
            self.load_state_dict(state)
        except RunFolderError as error:
            raise RunFolderError(f"{self.folder.checkpoint_file}: {error}") from None
        self.is_saved = True

    def keep_row(self, line: str) -> None:
        """Keep a row of metrics for the next checkpoint, which replaces rows that get damaged."""
        if self.is_saved:
            self.recent, self.is_saved = [], False
        self.recent.append(line)

    def save_best(self) -> None:
        """Write the weights as those with the best validation accuracy."""
        weights, progress = dict(self.parameters), vars(self.progress).copy()
        state = RunState(weights, progress, self.digest, holds="weights")
        self.folder.write_checkpoint(state, self.folder.best_file)

    def restore_best(self) -> None:
        """Load the weights with the best validation accuracy; progress stays.

        Raises
        ------
        RunFolderError
            If they are missing or damaged.
        """
        self._load_weights(self._read(self.folder.best_file, "weights"))

    @torch.no_grad()
    def _load_weights(self, state: RunState) -> None:
        for name, tensor in self.parameters.items():
            tensor.copy_(state.tensors[name])

    def _read(self, file: Path, holds: str) -> RunState:
        return read_state(
            self.folder, file, holds, self.parameters, self.digest, self.config.device
        )


def read_state(
    folder: RunFolder,
    file: Path,
    holds: str,
    parameters: Mapping[str, Tensor],
    digest: str,
    device: str,
) -> RunState:
    """Return a checkpoint whose tensors and progress fit a configuration and its parameters.

    Raises
    ------
    RunFolderError
        If it is damaged, belongs to another configuration, or does not hold what it should.
    """
    state = folder.read_checkpoint(file, device)
    if state.run != digest:
        raise RunFolderError(
            f"{file}: the checkpoint belongs to another configuration than that of "
            "config.toml; restore config.toml, or start another run."
        )
    if state.holds != holds:
        raise RunFolderError(
            f"{file}: expected a checkpoint that holds {holds}, got {state.holds}; restore "
            "the file."
        )
    for name, tensor in parameters.items():
        found = state.tensors.get(name)
        if found is None or found.shape != tensor.shape or found.dtype != tensor.dtype:
            raise RunFolderError(
                f"{file}: {name} is missing or does not have the shape "
                f"{tuple(tensor.shape)} and type of config.toml; the checkpoint belongs to "
                "another run."
            )
    wanted, progress = vars(Progress()), state.progress
    progress.update({name: 0 for name in SINCE_ADDED if name not in progress})
    if wanted.keys() != progress.keys() or not all(
        value is None or isinstance(value, int | float | str) for value in progress.values()
    ):
        raise RunFolderError(f"{file}: its progress is not that of a run.")
    if not isinstance(progress["step"], int) or progress["step"] < 0:
        raise RunFolderError(f"{file}: expected the number of a step, got {progress['step']!r}.")
    return state


@contextmanager
def on_machine(threads: int | None, matrix_product: str | None) -> Iterator[None]:
    """Compute by so many threads and by a route of large products; leave both as they were."""
    threads_before, route_before = torch.get_num_threads(), choose_route()
    try:
        if threads:
            torch.set_num_threads(threads)
        try:
            choose_route(matrix_product)
        except UnsupportedError:  # the run was made on another machine
            warnings.warn(
                RatenetWarning(
                    f"matrix_product: {matrix_product!r} is not available here, so that float32 "
                    "numbers agree with those of the other machine to rounding only."
                ),
                stacklevel=3,
            )
        yield
    finally:
        torch.set_num_threads(threads_before)
        choose_route(route_before)


def images_of(config: TrainingConfig, workers: Workers) -> tuple[ImageSet, DataFacts]:
    """Return the images, on the device, and the facts of all of them.

    The first process downloads them where need be.

    Raises
    ------
    InputError
        If they are too few for the batch or for the validation images.
    """
    workers.share(config.batch_size)
    if not workers.is_first:
        workers.wait()
    images = load_images(config.data, root=config.data_root)
    if workers.is_first:
        workers.wait()
    facts = facts_of(images)
    if config.validation:
        images = images.with_validation(_per_class(config.validation, images), config.seed)
    if config.batch_size > len(images.train):
        raise InputError.at(
            "batch_size",
            got=config.batch_size,
            expected=f"at most the {len(images.train)} training images",
        )
    return images.to(torch.device(config.device), DTYPES[config.dtype]), facts


def _per_class(validation: int, images: ImageSet) -> int:
    """Return how many training images of each class are held out; all have one if they have none.

    Raises
    ------
    InputError
        If the number cannot be shared out, or is too large.
    """
    K = images.classes or 1
    smallest = len(images.train)
    if images.classes:
        smallest = int(images.train.labels.bincount().min())
    if validation % K:
        raise InputError.at(
            "validation",
            got=validation,
            expected=f"a multiple of {K}, as many images of each class",
        )
    if validation // K >= smallest:
        expected = f"fewer than the {smallest} training images"
        if images.classes:
            expected = f"fewer than {smallest * K}, {smallest} of each class, as the smallest has"
        raise InputError.at("validation", got=validation, expected=expected)
    return validation // K
