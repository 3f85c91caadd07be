"""RunFolder: everything that a run writes, and all that is needed to go on from it.

    config.toml             all that was resolved: options, model, versions
    metrics.csv             one row a step
    tensorboard/            the same as events
    checkpoint.safetensors  tensors, and progress as JSON in the header; never pickle
    best.safetensors        the same with the best validation accuracy, where that is measured
    summary.json            the outcome
    figures/*.png

Files are written beside their place and then moved there, so a stop at any moment leaves the
last good one.
"""

import dataclasses
import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ratenet.equations import ModelSpec
from ratenet.equations.files import parse_model
from ratenet.errors import InputError, RatenetError, RunFolderError
from ratenet.files import ResultsFolder, open_folder, refuse_link, write_text, write_whole
from ratenet.report.record import write_config, write_json
from ratenet.training.config import OF_ONE_NETWORK, TrainingConfig

FIGURES = ("learning_curve.png", "digits.png")
# iterations: mean over the batch. Abscissas, 1/s: of a few samples at the end of an epoch; at the
# batch's mean gains, and with a barrier at its largest gains, after the step. weight_abscissa: the
# largest real part of W's eigenvalues, for a stack the largest among its layers at the end of an
# epoch; weight_norm: W's spectral norm, likewise. The last two: where they were asked for.
METRICS = (
    "step", "epoch", "train_loss", "train_accuracy", "settled", "residual", "iterations",
    "abscissa", "abscissa_mean_gain", "abscissa_largest_gain", "weight_abscissa", "weight_norm",
    "validation_accuracy", "test_accuracy",
)  # fmt: skip


@dataclass(frozen=True)
class RunState:
    """Where a run is: tensors by name, and progress as plain data."""

    tensors: dict[str, Tensor]
    progress: dict[str, Any]

    def digest(self) -> str:
        """Return a SHA-256 of all of it, by which damage is found."""
        found = hashlib.sha256(json.dumps(self.progress, sort_keys=True).encode())
        for name, tensor in sorted(self.tensors.items()):
            found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
            plain = tensor.detach().cpu().contiguous().flatten()
            found.update(plain.view(torch.uint8).numpy().tobytes())
        return found.hexdigest()


@dataclass(frozen=True)
class RunFolder:
    """The files of one run."""

    path: Path

    @property
    def config_file(self) -> Path:
        """All that was resolved."""
        return self.path / "config.toml"

    @property
    def metrics_file(self) -> Path:
        """One row a step."""
        return self.path / "metrics.csv"

    @property
    def summary_file(self) -> Path:
        """The outcome."""
        return self.path / "summary.json"

    @property
    def checkpoint_file(self) -> Path:
        """The last good state."""
        return self.path / "checkpoint.safetensors"

    @property
    def best_file(self) -> Path:
        """The weights with the best validation accuracy."""
        return self.path / "best.safetensors"

    @property
    def tensorboard_folder(self) -> Path:
        """Events."""
        return self.path / "tensorboard"

    @property
    def figures_folder(self) -> Path:
        """Pictures."""
        return self.path / "figures"

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Make the folder where need be, and keep other processes from writing to it.

        Raises
        ------
        RunFolderError
            If it cannot be made or written to, or another process trains in it.
        """
        with open_folder(self.path):
            for folder in (self.figures_folder, self.tensorboard_folder):
                refuse_link(folder)
            yield

    def _results(self) -> ResultsFolder:
        """Return what a run writes, and the events that are there, as a results folder."""
        events = self.tensorboard_folder.glob("events.out.tfevents*")
        files = [
            self.checkpoint_file,
            self.metrics_file,
            self.summary_file,
            self.best_file,
            self.path / "evaluation.json",
            *(self.figures_folder / name for name in FIGURES),
            *events,
        ]
        names = [str(file.relative_to(self.path)) for file in files]
        return ResultsFolder(
            self.path, names, kind="a training run", remedy="continue it with --resume, "
        )

    def refuse_existing(self, *, overwrite: bool) -> None:
        """Refuse a folder that holds a run, or a file that a run would replace.

        Raises
        ------
        RunFolderError
            Unless it is to be overwritten.
        """
        self._results().refuse_existing(overwrite=overwrite)

    def begin(self, config: TrainingConfig, tables: Mapping[str, Any], state: RunState) -> None:
        """Write configuration and first checkpoint in place of the run that may be there.

        Raises
        ------
        RunFolderError
            If they cannot be written; the folder is then as it was.
        """
        results = self._results()
        try:
            results.write(
                self.checkpoint_file.name, lambda part: part.write_bytes(_checkpoint(state))
            )
            results.write(
                self.config_file.name, lambda part: self._write_config(part, config, tables)
            )
            results.commit()
        finally:
            results.discard()

    def write_config(self, config: TrainingConfig, tables: Mapping[str, Any]) -> None:
        """Record what was resolved: the options, and tables of what learns, by section."""
        self._write_config(self.config_file, config, tables)

    def _write_config(self, path: Path, config: TrainingConfig, tables: Mapping[str, Any]) -> None:
        in_layers = ("layers", *OF_ONE_NETWORK) if config.layers else ("layers",)
        options = {name: value for name, value in asdict(config).items() if name not in in_layers}
        write_config(path, {"training": options, **tables})

    def read_config(self) -> tuple[TrainingConfig, ModelSpec | None]:
        """Return the recorded configuration, and the model unless layers have their own.

        Raises
        ------
        RunFolderError
            If there is no run, or its configuration cannot be read.
        """
        try:
            table = tomllib.loads(self.config_file.read_text(encoding="utf-8"))
            config = TrainingConfig(**table["training"], layers=table.get("layers", ()))
            return config, None if config.layers else parse_model(table["model"])
        except (FileNotFoundError, NotADirectoryError):
            raise RunFolderError(
                f"{str(self.path)!r} holds no run: there is no config.toml in it."
            ) from None
        except RatenetError:
            raise
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise RunFolderError(
                f"{self.config_file}: no configuration of a run ({error})."
            ) from None

    def write_checkpoint(self, state: RunState, file: Path) -> None:
        """Replace a checkpoint, at once or not at all."""
        content = _checkpoint(state)
        write_whole(file, lambda part: part.write_bytes(content))

    def read_checkpoint(self, file: Path, device: str) -> RunState:
        """Return a checkpoint; loading executes nothing.

        Raises
        ------
        RunFolderError
            If there is none, or it is damaged.
        """
        try:
            with safe_open(file, "pt", device=device) as content:
                header = content.metadata()
                tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
            state = RunState(tensors, json.loads(header["progress"]))
            is_whole = header["sha256"] == state.digest()
        except FileNotFoundError:
            raise RunFolderError(
                f"{str(self.path)!r} holds no {file.name}: the run stopped before it was written; "
                "begin anew with --overwrite."
            ) from None
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise RunFolderError(
                f"{file}: damaged ({error}); begin anew with --overwrite."
            ) from None
        if not is_whole:
            raise RunFolderError(
                f"{file}: damaged (its content does not have the SHA-256 that was written with "
                "it); begin anew with --overwrite."
            )
        return state

    def keep_metrics(self, steps: int) -> None:
        """Leave the rows of the first steps as they are, and drop later ones.

        Raises
        ------
        RunFolderError
            If rows that should be there are missing.
        """
        lines = [",".join(METRICS)]
        if steps:
            self.read_metrics()  # refuses a damaged table
            lines += self.metrics_file.read_text(encoding="utf-8").splitlines()[1 : steps + 1]
        if len(lines) != steps + 1:
            raise RunFolderError(
                f"{self.metrics_file}: {len(lines) - 1} of the {steps} steps of the checkpoint; "
                "take another copy of it, or begin anew with --overwrite."
            )
        write_text(self.metrics_file, "\n".join(lines) + "\n")

    def read_metrics(self) -> pd.DataFrame:
        """Return the metrics, one row a step.

        Raises
        ------
        RunFolderError
            If they are missing or damaged.
        """
        try:
            table = pd.read_csv(self.metrics_file)
            return table[list(METRICS)]
        except (OSError, ValueError, KeyError) as error:
            raise RunFolderError(f"{self.metrics_file}: missing or damaged ({error}).") from None

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write the outcome."""
        write_json(self.summary_file, summary)


def _checkpoint(state: RunState) -> bytes:
    tensors = {name: tensor.contiguous() for name, tensor in state.tensors.items()}
    header = {"progress": json.dumps(state.progress), "sha256": state.digest()}
    # Not save_file, which leaves a file of its own behind when it is killed.
    return save(tensors, header)


def resumed_config(recorded: TrainingConfig, wanted: dict[str, Any]) -> TrainingConfig:
    """Return the configuration to go on with; only epochs and data_root may differ.

    Raises
    ------
    InputError
        If an option is unknown, or differs from what the run began with.
    """
    names = [field.name for field in dataclasses.fields(TrainingConfig)]
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        raise InputError(f"{unknown[0]}: there is no such option; there are {', '.join(names)}.")
    for name in set(wanted) - {"epochs", "data_root"}:
        begun = getattr(recorded, name)
        if not _is_same(recorded, name, wanted[name]):
            raise InputError(
                f"{name}: the run was begun with {begun!r}, not {wanted[name]!r}; leave the option "
                "out, or begin another run."
            )
    config = dataclasses.replace(recorded, **wanted)
    if config.schedule != "constant" and config.epochs != recorded.epochs:
        raise InputError(
            f"epochs: the {config.schedule} schedule was laid out for {recorded.epochs} epochs, "
            "and other epochs would have other rates; begin another run."
        )
    return config


def _is_same(recorded: TrainingConfig, name: str, wanted: Any) -> bool:
    """Return whether an option is what a run was begun with, however it is written."""
    try:
        asked = dataclasses.replace(recorded, **{name: wanted})
    except InputError:
        return False
    return bool(getattr(asked, name) == getattr(recorded, name))
