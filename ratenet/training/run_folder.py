"""RunFolder: everything that a run writes, and all that is needed to resume it.

    config.toml             all that was resolved: options, model, versions, machine
    metrics.csv             one row per step
    tensorboard/            the same as events
    checkpoint.safetensors  tensors, and progress as JSON in the header; never pickle
    best.safetensors        the same with the best validation accuracy, where that is measured
    summary.json            the outcome
    code/*.py               copies of the user's own code that it used
    figures/*.png, or .pdf or .svg, and *-figure.csv

Files are written beside their place and then moved there, so a stop at any moment leaves the
last good one.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor

from ratenet.equations import ModelSpec
from ratenet.equations.files import parse_model
from ratenet.equations.own_code import Source
from ratenet.errors import DataError, RatenetError, RunFolderError, escape, shorten
from ratenet.files import (
    ResultsFolder,
    figure_files,
    make_folder,
    open_folder,
    read_regular,
    refuse_link,
    refuse_no_run,
    remove_parts,
    write_text,
    write_whole,
)
from ratenet.report.record import Entries, code_entries, copy_of, write_config, write_json
from ratenet.tensor_files import digest, packed, read_tensors
from ratenet.training.config import TrainingConfig
from ratenet.training.config_checks import (
    OF_ONE_NETWORK,
    code_of,
    recorded_as_such,
    recorded_options,
)
from ratenet.training.method_options import as_recorded
from ratenet.training.metrics_table import read_metrics
from ratenet.training.run_data import DataFacts
from ratenet.validation import parse_json, read_toml, validated

FIGURES = ("learning_curve", "digits")
LARGEST_SUMMARY = 2**24  # bytes
# Facts of the machine, in the section [machine]: they may differ wherever a run is used again.
OF_MACHINE = ("device", "threads", "matrix_product")


@dataclass(frozen=True)
class RunState:
    """Where a run is: tensors by name, and progress as plain data.

    Attributes
    ----------
    tensors : dict of str to Tensor
    progress : dict
    run : str
        Digest of the configuration that it belongs to.
    holds : {"all", "weights"}
        Whether a run can be resumed from it.
    recent : tuple of str
        The rows of metrics.csv since the checkpoint before.
    """

    tensors: dict[str, Tensor]
    progress: dict[str, Any]
    run: str = ""
    holds: str = "all"
    recent: tuple[str, ...] = ()

    def header(self) -> dict[str, str]:
        """Return all but the tensors."""
        recent = "\n".join(self.recent)
        progress = json.dumps(self.progress, sort_keys=True)
        return {"progress": progress, "run": self.run, "holds": self.holds, "recent": recent}

    def digest(self) -> str:
        """Return a SHA-256 of all of it, by which damage is found."""
        return digest(self.tensors, self.header())


@dataclass(frozen=True)
class RunFolder:
    """The files of one run, with figures in one format."""

    path: Path
    figure_format: str = "png"

    def figure_file(self, name: str) -> Path:
        """Return where a figure is written."""
        return self.figures_folder / f"{name}.{self.figure_format}"

    @property
    def config_file(self) -> Path:
        """All that was resolved."""
        return self.path / "config.toml"

    @property
    def metrics_file(self) -> Path:
        """One row per step."""
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
    def evaluation_file(self) -> Path:
        """What `ratenet evaluate` found."""
        return self.path / "evaluation.json"

    @property
    def tensorboard_folder(self) -> Path:
        """Events."""
        return self.path / "tensorboard"

    @property
    def figures_folder(self) -> Path:
        """Pictures."""
        return self.path / "figures"

    @property
    def code_folder(self) -> Path:
        """Copies of the user's code."""
        return self.path / "code"

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Make the folder where need be, and keep other processes from writing to it.

        Raises
        ------
        RunFolderError
            If it cannot be made or written to, or another process trains in it.
        """
        with open_folder(self.path):
            for folder in (self.figures_folder, self.tensorboard_folder, self.code_folder):
                refuse_link(folder)
                remove_parts(folder)
            yield

    def _results(self, copies: Iterable[str] = ()) -> ResultsFolder:
        """Return what a run writes, and the events that are there, as a results folder."""
        code = {self.path / copy for copy in copies} | {*self.code_folder.glob("*.py")}
        events = self.tensorboard_folder.glob("events.out.tfevents*")
        files = [
            self.config_file,
            self.metrics_file,
            self.summary_file,
            self.best_file,
            self.evaluation_file,
            *(self.figures_folder / name for name in figure_files(*FIGURES)),
            *events,
            *sorted(code),
            self.checkpoint_file,
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
        code = code_of(config)
        results = self._results(map(copy_of, code))
        try:
            results.write(
                self.checkpoint_file.name,
                lambda part: part.write_bytes(packed(state.tensors, state.header())),
            )
            if code:
                make_folder(self.code_folder)
            for source in code:
                results.write_text(copy_of(source), source.text)
            entries = code_entries(code)
            results.write(
                self.config_file.name,
                lambda part: self._write_config(part, config, tables, entries),
            )
            results.commit()
        finally:
            results.discard()

    def write_config(
        self, config: TrainingConfig, tables: Mapping[str, Any], code: Entries
    ) -> None:
        """Record what was resolved: the options, tables of what learns, by section, and code."""
        self._write_config(self.config_file, config, tables, code)

    def _write_config(
        self, path: Path, config: TrainingConfig, tables: Mapping[str, Any], code: Entries
    ) -> None:
        left_out = ("layers", *OF_MACHINE, *(OF_ONE_NETWORK if config.layers else ()))
        options = recorded_options(config)
        training = {name: value for name, value in options.items() if name not in left_out}
        sections = {"training": training, **tables, **({"code": code} if code else {})}
        write_config(path, sections, config.device)

    def read_config(
        self, machine: Mapping[str, Any] | None = None, *, trust: bool = False
    ) -> tuple[TrainingConfig, ModelSpec | None]:
        """Return the recorded configuration, and the model unless layers have their own.

        Parameters
        ----------
        machine : mapping, optional
            Device, threads or matrix_product, in place of the recorded ones.
        trust : bool
            Whether the user's code that it names is imported.

        Raises
        ------
        RunFolderError
            If there is no run, or its configuration cannot be read.
        """
        table = self._read_table()
        for section in ("training", "machine", *(() if "layers" in table else ("model",))):
            if not isinstance(table.get(section), dict):
                raise RunFolderError(
                    f"{self.config_file}: not the configuration of a run: it has no section "
                    f"[{section}]."
                )
        try:
            of_machine = {n: v for n, v in table["machine"].items() if n in OF_MACHINE}
            model = None if "layers" in table else parse_model(table["model"])
            options = {**as_recorded(table["training"]), "layers": table.get("layers", ())}
            options |= {"model": model} if model and "model" not in options else {}
            options = options if trust else recorded_as_such(options)
            return TrainingConfig(**{**options, **of_machine, **(machine or {})}), model
        except RatenetError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RunFolderError(
                f"{self.config_file}: not the configuration of a run ({escape(str(error))})."
            ) from None

    def _read_table(self) -> dict[str, Any]:
        refuse_no_run(self.path)
        table = read_toml(self.config_file, error=RunFolderError)
        self._refuse_newer(table.get("versions"))
        return table

    def _refuse_newer(self, versions: Any) -> None:
        """Refuse what a newer ratenet wrote: what it means may have changed."""
        from ratenet import __version__

        written = versions.get("ratenet") if isinstance(versions, dict) else None
        if isinstance(written, str) and _release(written) > _release(__version__):
            raise RunFolderError(
                f"{self.config_file}: written by ratenet {shorten(written)}, which is newer than "
                f"this one, {__version__}; upgrade ratenet.",
                argument="out",
                got=written,
                expected=f"at most {__version__}",
            )

    def read_data(self) -> DataFacts:
        """Return what is recorded of the data.

        Raises
        ------
        RunFolderError
            If that is missing or damaged.
        """
        where = f"{self.config_file}, data"
        found = self._read_table().get("data")
        return validated(DataFacts, found, where=where, error=RunFolderError)

    def read_code(self) -> Entries:
        """Return what is recorded of the user's code.

        Raises
        ------
        RunFolderError
            If that is not a list of files with their SHA-256.
        """
        found = self._read_table().get("code", [])
        keys = ("file", "sha256", "copy")
        if not isinstance(found, list) or not all(
            isinstance(each, dict) and all(isinstance(each.get(key), str) for key in keys)
            for each in found
        ):
            raise RunFolderError(
                f"{self.config_file}: expected file, sha256 and copy in each [[code]]."
            )
        return found

    def add_code(self, begun: Entries, code: Iterable[Source], step: int) -> Entries:
        """Return what is recorded of code, with a copy of what changed before a step."""
        known = {each["sha256"] for each in begun}
        new = [source for source in code if begun and source.sha256 not in known]
        for source in new:
            write_text(self.path / copy_of(source), source.text)
        since = {"since_step": str(step)}
        return [*begun, *({**entry, **since} for entry in code_entries(new))]

    def write_checkpoint(self, state: RunState, file: Path) -> None:
        """Replace a checkpoint, at once or not at all."""
        content = packed(state.tensors, state.header())
        write_whole(file, lambda part: part.write_bytes(content))

    def read_checkpoint(self, file: Path, device: str) -> RunState:
        """Return a checkpoint; loading executes nothing.

        Raises
        ------
        RunFolderError
            If there is none, or it is damaged.
        """
        if not file.exists():
            raise RunFolderError(
                f"{str(self.path)!r} contains no {file.name}: the run stopped before saving one; "
                "start again with --overwrite."
            )
        try:
            tensors, header = read_tensors(file, device)
            progress = parse_json(header["progress"], where=str(file), error=DataError)
            recent = tuple(filter(None, header["recent"].split("\n")))
            return RunState(tensors, progress, header["run"], header["holds"], recent)
        except DataError as error:
            said = str(error).rstrip(".")
        except KeyError as error:
            said = f"{file}: damaged (it has no {error})"
        raise RunFolderError(f"{said}; start again with --overwrite.")

    def read_metrics(self) -> pd.DataFrame:
        """Return the metrics, one row per step.

        Raises
        ------
        RunFolderError
            If they are missing or damaged.
        """
        return read_metrics(self.metrics_file)

    def read_summary(self) -> dict[str, Any]:
        """Return the outcome; nothing where there is none yet, or where it is damaged."""
        try:
            content = read_regular(self.summary_file, LARGEST_SUMMARY)
            found = parse_json(content, where=str(self.summary_file))
        except (OSError, RatenetError):
            return {}
        return found if isinstance(found, dict) else {}

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write the outcome."""
        write_json(self.summary_file, summary)


def _release(version: str) -> tuple[int, ...]:
    """Return the numbers that a version begins with: (0, 2, 1) of "0.2.1.dev3"."""
    found = re.match(r"\d{1,9}(\.\d{1,9})*", version)
    return tuple(int(number) for number in found[0].split(".")) if found else ()
