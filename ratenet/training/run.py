"""Run: a training run in progress, its checkpoints and its evaluation."""

from dataclasses import dataclass, field
from pathlib import Path

import torch

from ratenet.connectivity import choose_route
from ratenet.errors import DivergenceError, InputError, RunFolderError
from ratenet.plasticity import AbstractRule, rule_named
from ratenet.spec import ModelSpec
from ratenet.stimuli import ImageSet, load_images
from ratenet.training.classifier import Classifier, random_classifier
from ratenet.training.config import DTYPES, TrainingConfig
from ratenet.training.eligibility import Eligibility
from ratenet.training.evaluation import Evaluation, evaluate_classifier
from ratenet.training.learning import learned_parameters
from ratenet.training.optimizers import AbstractOptimizer, new_optimizer
from ratenet.training.presentation import STREAMS, AbstractPresentation, Slow, Static, UpdateTimes
from ratenet.training.run_folder import Position, RunFolder
from ratenet.training.stability import Stability
from ratenet.training.workers import Workers


@dataclass
class Progress:
    """How far a run is, as plain data."""

    step: int = 0  # steps done
    shown: int = 0  # samples so far
    left_out: int = 0  # those of them that did not settle
    adjoint_left_out: int = 0  # settled ones whose adjoint could not be solved
    corrected: int = 0  # steps whose weights the barrier corrected
    refused: int = 0  # steps that it refused
    abscissa_limit: float | None = None  # of the barrier at the last step, 1/s
    is_doubtful: bool = False  # whether the network at mean gains is not stable any more
    ended: str | None = None  # why a callback ended the run before its last step
    best_step: int = 0  # with the best validation accuracy
    best_accuracy: float | None = None
    seconds: float = 0.0
    control_accuracy: float | None = None  # of the network before learning: W frozen


@dataclass
class Run:
    """A run in progress."""

    config: TrainingConfig
    classifier: Classifier
    rule: AbstractRule
    images: ImageSet
    folder: RunFolder
    presentation: AbstractPresentation
    optimizer: AbstractOptimizer
    stability: Stability
    eligibility: Eligibility
    workers: Workers = field(default_factory=Workers)
    progress: Progress = field(default_factory=Progress)

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

    def position(self) -> Position:
        """Return all that a resumed run must know: tensors by name, and progress."""
        tensors = {
            **self.classifier.parameters,
            **self.optimizer.state(),
            **self.stability.position(),
            **self.eligibility.position(),
            **self.presentation.position(),
        }
        copies = {name: tensor.detach().clone() for name, tensor in tensors.items()}
        return Position(copies, vars(self.progress).copy())

    @torch.no_grad()
    def go_to(self, position: Position) -> None:
        """Take up a position that `position` gave."""
        tensors = position.tensors
        for name, tensor in self.classifier.parameters.items():
            tensor.copy_(tensors[name])
        self.optimizer.take_up(tensors)
        self.stability.go_to(tensors)
        self.eligibility.go_to(tensors)
        self.presentation.go_to(tensors)
        self.progress = Progress(**position.progress)

    def save(self) -> None:
        """Write a checkpoint; every process takes part, since each has its own streams."""
        position, streams = self.position(), self.presentation.position()
        for name in streams:
            position.tensors[name] = self.workers.rows(position.tensors[name])
        if self.workers.is_first:
            self.folder.write_checkpoint(position, self.folder.checkpoint_file)

    def restore(self) -> None:
        """Take up the last checkpoint.

        Raises
        ------
        RunFolderError
            If there is none, or it is damaged, or not of this run.
        """
        position, B = self._read(self.folder.checkpoint_file), self.config.batch_size
        is_under_way = self.config.presentation == "slow" and position.progress["step"] > 0
        for name in STREAMS if is_under_way else ():
            streams = position.tensors.get(name)
            if streams is None or len(streams) != B:
                raise RunFolderError(
                    f"{self.folder.checkpoint_file}: {name} does not hold the {B} streams of "
                    "config.toml; the checkpoint is not of this run."
                )
            position.tensors[name] = streams[self.workers.share(B)]
        self.go_to(position)

    def save_best(self) -> None:
        """Write the weights as those with the best validation accuracy."""
        position = Position(dict(self.classifier.parameters), vars(self.progress).copy())
        self.folder.write_checkpoint(position, self.folder.best_file)

    @torch.no_grad()
    def restore_best(self) -> None:
        """Take up the weights with the best validation accuracy; progress stays.

        Raises
        ------
        RunFolderError
            If they are missing or damaged.
        """
        tensors = self._read(self.folder.best_file).tensors
        for name, tensor in self.classifier.parameters.items():
            tensor.copy_(tensors[name])

    def _read(self, file: Path) -> Position:
        """Return a position whose tensors and progress are those of this run's network."""
        position = self.folder.read_checkpoint(file, self.config.device)
        for name, tensor in self.classifier.parameters.items():
            found = position.tensors.get(name)
            if found is None or found.shape != tensor.shape or found.dtype != tensor.dtype:
                raise RunFolderError(
                    f"{file}: {name} is missing or does not have the shape "
                    f"{tuple(tensor.shape)} and type of config.toml; the checkpoint is not of this "
                    "run."
                )
        wanted, progress = vars(Progress()), position.progress
        if wanted.keys() != progress.keys() or not all(
            value is None or isinstance(value, int | float | str) for value in progress.values()
        ):
            raise RunFolderError(f"{file}: its progress is not that of a run.")
        if not isinstance(progress["step"], int) or progress["step"] < 0:
            raise RunFolderError(f"{file}: {progress['step']!r} is no number of a step.")
        return position

    def test(self) -> Evaluation:
        """Return the answers to the test images at solved fixed points."""
        return evaluate_classifier(self.classifier, self.images.test, Static())

    def test_slowly(self) -> Evaluation | None:
        """Return the answers at the end of each hold, or fade; None for a static run.

        Where the dynamics diverge, no image has an answer.
        """
        if self.config.presentation == "static":
            return None
        config = self.config
        presentation = new_presentation(config, update_at=(1.0,))
        try:
            return evaluate_classifier(
                self.classifier,
                self.images.test,
                presentation,
                config.batch_size,
                unsettled=config.unsettled,
            )
        except DivergenceError:  # the streams are lost, so no image has an answer
            number, K = len(self.images.test), self.images.classes
            nothing = torch.zeros(K, K, dtype=torch.int64)
            return Evaluation(loss=float("nan"), accuracy=0.0, unsettled=number, confusion=nothing)


def new_presentation(
    config: TrainingConfig, update_at: UpdateTimes | None = None
) -> AbstractPresentation:
    """Return the presentation of a resolved configuration, or one with other times of updates."""
    if config.presentation == "static":
        return Static()
    return Slow(
        config.hold,
        config.fade,
        update_at or config.update_at,
        corrects_lag=config.correct_lag,
        backend=config.backend,
    )


def new_run(
    config: TrainingConfig, model: str | ModelSpec, folder: RunFolder, workers: Workers
) -> Run:
    """Return a run at its beginning: images loaded, random weights drawn; nothing is written.

    Raises
    ------
    InputError, UnknownNameError, DataError
        If the configuration cannot be used.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    choose_route(config.matrix_product)
    images = _images(config, workers)
    workers.share(config.batch_size)
    if config.batch_size > len(images.train):
        raise InputError(
            f"batch_size: {config.batch_size} is more than the {len(images.train)} training images."
        )
    classifier = random_classifier(
        model,
        units=config.units,
        inputs=images.train.pixels.shape[1],
        classes=images.classes,
        tau=config.tau,
        seed=config.seed,
        device=torch.device(config.device),
        dtype=DTYPES[config.dtype],
    )
    config, rule = config.resolved(classifier.network), rule_named(config.rule)
    learned = learned_parameters(classifier, config.learn)
    steps = config.epochs * (len(images.train) // config.batch_size)
    return Run(
        config=config,
        classifier=classifier,
        rule=rule,
        images=images,
        folder=folder,
        presentation=new_presentation(config),
        optimizer=new_optimizer(config, rule, learned, steps, workers.size),
        stability=Stability(config.barrier),
        eligibility=Eligibility(config.eligibility),
        workers=workers,
    )


def _images(config: TrainingConfig, workers: Workers) -> ImageSet:
    """Return the images, on the device; the first process downloads them where need be."""
    if not workers.is_first:
        workers.wait()
    images = load_images(config.data, root=config.data_root)
    if workers.is_first:
        workers.wait()
    if config.validation % images.classes:
        raise InputError(
            f"validation: {config.validation} is not as many images of each of the "
            f"{images.classes} classes; give a multiple of {images.classes}."
        )
    per_class = config.validation // images.classes
    smallest = int(images.train.labels.bincount().min())
    if per_class >= smallest:
        raise InputError(
            f"validation: {config.validation} images are {per_class} of each class, of which one "
            f"has {smallest}; give fewer."
        )
    if config.validation:
        images = images.with_validation(per_class, config.seed)
    return images.to(torch.device(config.device), DTYPES[config.dtype])
