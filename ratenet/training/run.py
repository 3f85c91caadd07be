"""Run: a training run in progress, its checkpoints and its evaluation."""

from dataclasses import dataclass, field
from typing import Any

import torch

from ratenet.connectivity import choose_route
from ratenet.errors import DivergenceError, InputError, RunFolderError
from ratenet.plasticity import AbstractRule, rule_named
from ratenet.spec import ModelSpec
from ratenet.stimuli import ImageSet, load_images
from ratenet.training.classifier import Classifier, random_classifier
from ratenet.training.config import TrainingConfig
from ratenet.training.evaluation import Evaluation, evaluate_classifier
from ratenet.training.learning import learned_parameters
from ratenet.training.optimizers import AbstractOptimizer, new_optimizer
from ratenet.training.presentation import AbstractPresentation, Slow, Static
from ratenet.training.run_folder import Checkpoint, RunFolder
from ratenet.training.stability import Stability


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
    progress: Progress = field(default_factory=Progress)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches an epoch."""
        return len(self.images.train) // self.config.batch_size

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.config.epochs * self.steps_per_epoch

    def save(self, progress: Progress) -> None:
        """Write a checkpoint: weights, streams, optimizer, tracked modes, progress."""
        tensors = {
            **self.classifier.parameters,
            **self.presentation.position(),
            **self.optimizer.state(),
            **self.stability.position(),
        }
        self.folder.write_checkpoint(Checkpoint(tensors, vars(progress).copy()))

    def restore(self) -> None:
        """Take up the last checkpoint.

        Raises
        ------
        RunFolderError
            If there is none, or it is damaged.
        """
        checkpoint = self.folder.read_checkpoint(self.config.device)
        tensors, mine = checkpoint.tensors, self.classifier.parameters
        for name, tensor in mine.items():
            if name not in tensors or tensors[name].shape != tensor.shape:
                raise RunFolderError(
                    f"{self.folder.checkpoint_file}: {name} is missing or does not have the shape "
                    f"{tuple(tensor.shape)} of config.toml; the checkpoint is not of this run."
                )
        try:
            self.progress = Progress(**checkpoint.progress)
        except TypeError:
            raise RunFolderError(
                f"{self.folder.checkpoint_file}: its progress is not that of a run."
            ) from None
        with torch.no_grad():
            for name, tensor in mine.items():
                tensor.copy_(tensors[name])
        self.presentation.go_to(tensors)
        self.optimizer.take_up(tensors)
        self.stability.go_to(tensors)

    def test(self) -> Evaluation:
        """Return the answers to the test images at solved fixed points."""
        return evaluate_classifier(self.classifier, self.images.test, Static())

    def test_slowly(self) -> Evaluation | None:
        """Return the answers at the end of each hold; None for a static run.

        Where the dynamics diverge, no image has an answer.
        """
        if self.config.presentation == "static":
            return None
        presentation, streams = new_presentation(self.config), self.config.batch_size
        try:
            return evaluate_classifier(self.classifier, self.images.test, presentation, streams)
        except DivergenceError:  # the streams are lost, so no image has an answer
            number, K = len(self.images.test), self.images.classes
            nothing = torch.zeros(K, K, dtype=torch.int64)
            return Evaluation(loss=float("nan"), accuracy=0.0, unsettled=number, confusion=nothing)


def new_presentation(config: TrainingConfig) -> AbstractPresentation:
    """Return the presentation of a resolved configuration, at its beginning."""
    return Slow(config.hold, config.fade) if config.presentation == "slow" else Static()


def new_run(config: TrainingConfig, model: str | ModelSpec, folder: RunFolder) -> Run:
    """Return a run at its beginning: images loaded, random weights drawn; nothing is written.

    Raises
    ------
    InputError, UnknownNameError, DataError
        If the configuration cannot be used.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    choose_route(config.matrix_product)
    images = load_images(config.data, root=config.data_root)
    if config.batch_size > len(images.train):
        raise InputError(
            f"batch_size: {config.batch_size} is more than the {len(images.train)} training images."
        )
    device = torch.device(config.device)
    images = images.to(device)
    classifier = random_classifier(
        model,
        units=config.units,
        inputs=images.train.pixels.shape[1],
        classes=images.classes,
        tau=config.tau,
        seed=config.seed,
        device=device,
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
        optimizer=new_optimizer(config, rule, learned, steps),
        stability=Stability(config.barrier),
    )


def summarize(run: Run, status: str, reason: str | None) -> dict[str, Any]:
    """Return the outcome of a run as plain data; tests the network unless it was interrupted."""
    W = run.classifier.network.connectivity.dense().cpu()
    eigenvalues = torch.linalg.eigvals(W.double()).real
    summary: dict[str, Any] = {
        "status": status,
        "reason": reason,
        "rule": run.config.rule,
        "optimizer": run.config.optimizer,
        "learning_rate": run.config.learning_rate,
        "presentation": run.config.presentation,
        "data": run.config.data,
        "seed": run.config.seed,
        "steps": run.progress.step,
        "epochs": run.progress.step / run.steps_per_epoch,
        "seconds": round(run.progress.seconds, 3),
        "unsettled_samples": run.progress.left_out,
        "unsettled_share": run.progress.left_out / max(1, run.progress.shown),
        "adjoint_left_out": run.progress.adjoint_left_out,
        **_barrier_summary(run),
        "control_accuracy": run.progress.control_accuracy,
        "weight_abscissa": float(eigenvalues.max()),
        "weight_eigenvalue_min": float(eigenvalues.min()),
        "weight_norm": float(torch.linalg.matrix_norm(W.double(), 2)),
    }
    if status == "interrupted":
        return summary
    tested = run.test()
    summary |= {
        "test_loss": tested.loss,
        "test_accuracy": tested.accuracy,
        "test_unsettled": tested.unsettled,
    }
    slowly = run.test_slowly()
    if slowly is not None:
        summary |= {
            "test_accuracy_slow": slowly.accuracy,
            "test_unsettled_slow": slowly.unsettled,
        }
    return summary


def _barrier_summary(run: Run) -> dict[str, Any]:
    if run.config.barrier is None:
        return {}
    return {
        "barrier": run.config.barrier,
        "abscissa_limit": run.progress.abscissa_limit,
        "corrected_steps": run.progress.corrected,
        "refused_steps": run.progress.refused,
    }
