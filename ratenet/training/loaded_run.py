"""load_run: a trained network from its run folder, which is only read."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from ratenet.connectivity.base import Change
from ratenet.errors import InputError, UnsupportedError, counted
from ratenet.fixed_points import FixedPoints, find_fixed_points
from ratenet.layers.architecture import build_stack, cores_of
from ratenet.layers.stack import Stack
from ratenet.layers.tables import read_tables
from ratenet.network import Network
from ratenet.plasticity import RULES, AbstractRule, Loss, Traits
from ratenet.stimuli import Images
from ratenet.training.classifier import Classifier, random_classifier
from ratenet.training.config import TrainingConfig
from ratenet.training.config_checks import DTYPES, defaults_of, recorded_layers
from ratenet.training.plasticity_options import rule_of
from ratenet.training.presentation import MAX_ITERATIONS
from ratenet.training.run import read_state
from ratenet.training.run_data import DataFacts, written_data
from ratenet.training.run_folder import RunFolder
from ratenet.training.same_run import digest_of_config
from ratenet.training.summary import run_table, said_score


@dataclass(frozen=True, eq=False)
class LoadedRun:
    """A trained network, and what its run folder says of it.

    Attributes
    ----------
    folder : Path
        The run folder.
    config : TrainingConfig
        What it was trained with.
    metrics : pandas.DataFrame
        One row per step.
    summary : dict
        As in summary.json; empty while the run is on its way.
    learner : Classifier or Stack
        The network with its read-in and read-out; or the stack of layers.
    data : DataFacts
        What is recorded of the images that it was trained on.

    Examples
    --------
    >>> import tempfile
    >>> import ratenet as rn
    >>> config = rn.TrainingConfig(units=5, epochs=1, batch_size=2000, presentation="static")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = rn.train(config, out=f"{folder}/run")
    ...     run = rn.load_run(f"{folder}/run")
    >>> run.network.units, len(run.metrics)  # two batches
    (5, 2)
    """

    folder: Path
    config: TrainingConfig
    metrics: pd.DataFrame = field(repr=False)
    summary: dict[str, Any] = field(repr=False)
    learner: Classifier | Stack = field(repr=False)
    data: DataFacts = field(repr=False)

    @property
    def network(self) -> Network:
        """The recurrent network, of a run of one."""
        return self._classifier("network").network

    @property
    def read_in(self) -> Tensor:
        """The weights of the read-in, (N, M)."""
        return self._classifier("read_in").read_in

    @property
    def read_out(self) -> Tensor:
        """The weights of the read-out, (K, N)."""
        return self._classifier("read_out").read_out

    @torch.no_grad()
    def respond(self, images: Any) -> FixedPoints:
        """Return the fixed points that the network reaches for images.

        Parameters
        ----------
        images : Images or array_like
            Pixels from 0 to 1, shape (B, M), (B, height, width) or (B, channels, height, width).

        Returns
        -------
        FixedPoints
            One row an image; `converged` says which of them settled.

        Raises
        ------
        InputError
            If the images do not fit the read-in.
        UnsupportedError
            If a stack of layers was trained: see `respond_by_layer`.
        """
        classifier = self._classifier("respond")
        return find_fixed_points(
            classifier.network,
            classifier.drive(self._pixels(images)),
            max_iterations=MAX_ITERATIONS,
            on_failure="return",
        )

    @torch.no_grad()
    def respond_by_layer(self, images: Any) -> dict[str, FixedPoints]:
        """Return the fixed points of each recurrent layer of a stack, by the layers' names.

        Parameters
        ----------
        images : Images or array_like
            As of `respond`.

        Returns
        -------
        dict of str to FixedPoints
            In the order of the layers; a run of one network has one, "network".

        Raises
        ------
        InputError
            If the images do not fit the first layer.
        """
        if isinstance(self.learner, Classifier):
            return {"network": self.respond(images)}
        self.learner(self._pixels(images))
        return {
            name: core.fixed_points
            for name, core in cores_of(self.learner).items()
            if core.fixed_points is not None
        }

    @torch.no_grad()
    def answer(self, images: Any) -> Tensor:
        """Return the outputs for images, (B, K): of classes, the largest names the class.

        Parameters
        ----------
        images : Images or array_like
            Pixels from 0 to 1, shape (B, M), (B, height, width) or (B, channels, height, width).

        Returns
        -------
        Tensor, shape (B, K)
            At the rates that were reached; NaN where a network did not settle.
        """
        if isinstance(self.learner, Classifier):
            fp = self.respond(images)
            logits = self.learner.logits(fp.rates)
            return logits.masked_fill(~fp.converged[:, None], torch.nan)
        logits = self.learner(self._pixels(images))
        points = [core.fixed_points for core in cores_of(self.learner).values()]
        settled = torch.stack([fp.converged for fp in points if fp is not None]).all(dim=0)
        return logits.masked_fill(~settled[:, None], torch.nan)

    def _classifier(self, name: str) -> Classifier:
        if not isinstance(self.learner, Classifier):
            raise UnsupportedError(
                f"{name}: a stack of layers was trained, and no single network; use "
                "run.learner, whose layers have one each, or run.respond_by_layer.",
                argument=name,
            )
        return self.learner

    def _pixels(self, images: Any) -> Tensor:
        if not isinstance(images, Images):
            if not hasattr(images, "__len__"):
                raise InputError.at("images", got=images, expected="images, one per row")
            images = Images(images, torch.zeros(len(images), dtype=torch.int64))
        shape, M = tuple(self.data.shape), math.prod(self.data.shape)
        if images.pixels.shape[1] != M:
            raise InputError.at(
                "images", got=images.shape, expected=f"images of the shape {shape}, or {M} pixels"
            )
        like = next(iter(_parameters(self.learner).values()))
        pixels: Tensor = images.pixels.to(like.device, like.dtype)
        return pixels

    def _repr_html_(self) -> str:
        return run_table(repr(self), self.summary, self.metrics, self.learner)

    def plot(self, ax: Any = None) -> Any:
        """Draw the learning curve: loss, accuracy, and the slowest modes.

        Parameters
        ----------
        ax : sequence of 4 matplotlib.axes.Axes, optional
            Where to draw; default new axes, which a notebook shows.

        Returns
        -------
        array of 4 matplotlib.axes.Axes
        """
        from ratenet.report.pictures import plot_run

        return plot_run(self, ax)

    def __repr__(self) -> str:
        rule, data = rule_of(self.config), written_data(self.config.data)
        facts = [rule, data, counted(len(self.metrics), "step"), *said_score(self.summary)]
        return f"LoadedRun({str(self.folder)!r}: {', '.join(facts)})"


def load_run(folder: str | Path, device: str = "cpu") -> LoadedRun:
    """Load a trained network from a run folder; no file is changed.

    Parameters
    ----------
    folder : path
        A run folder, of a run that is finished, stopped or on its way.
    device : str
        "cpu" or "cuda", wherever it was trained.

    Returns
    -------
    LoadedRun
        With the weights of the last checkpoint; those with the best validation accuracy, where a
        finished run was to choose them.

    Raises
    ------
    RunFolderError
        If there is no run or no checkpoint, or they are damaged.
    InputError
        If the device is not available.

    Examples
    --------
    >>> import ratenet as rn, tempfile
    >>> config = rn.TrainingConfig(epochs=1, units=20, batch_size=500, presentation="static")
    >>> out = tempfile.mkdtemp()
    >>> _ = rn.train(config, out=out)
    >>> run = rn.load_run(out)
    >>> run.answer(rn.stimuli.load_images("mnist-5k").test[:3]).shape
    torch.Size([3, 10])
    """
    place = RunFolder(Path(folder))
    config, model = place.read_config({"device": device})
    summary = place.read_summary()
    file, holds = place.checkpoint_file, "all"
    is_chosen = config.patience is not None and summary.get("status") == "done"
    if is_chosen and place.best_file.exists():
        file, holds = place.best_file, "weights"
    stored = place.read_checkpoint(file, device).tensors
    learner: Classifier | Stack
    tables: dict[str, Any]
    data = place.read_data()
    if model is None:
        learner, tables = _stack(config, data), {"layers": recorded_layers(config)}
    else:
        learner = _classifier(config, model, stored)
        tables = {"model": learner.network.model.to_table()}
    parameters = _parameters(learner)
    tables["data"] = data.table()
    digest = digest_of_config(config, tables, place.read_code())
    state = read_state(place, file, holds, parameters, digest, device)
    with torch.no_grad():
        for name, tensor in parameters.items():
            tensor.copy_(state.tensors[name])
    return LoadedRun(place.path, config, place.read_metrics(), summary, learner, data)


def _parameters(learner: Classifier | Stack) -> dict[str, Tensor]:
    if isinstance(learner, Classifier):
        return learner.parameters
    return dict(learner.named_parameters())


def _classifier(config: TrainingConfig, model: Any, stored: Mapping[str, Tensor]) -> Classifier:
    """Return a classifier of the stored sizes, its weights still to be loaded."""
    sizes = {
        name: stored[name].shape[axis] if name in stored and stored[name].ndim == 2 else 1
        for name, axis in (("read-in", 1), ("read-out", 0))
    }
    return random_classifier(
        model,
        units=config.units,
        inputs=sizes["read-in"],
        classes=sizes["read-out"],
        tau=config.tau,
        seed=config.seed,
        device=torch.device(config.device),
        dtype=DTYPES[config.dtype],
    )


def _stack(config: TrainingConfig, data: DataFacts) -> Stack:
    """Return a stack of the recorded layers, its weights still to be loaded."""
    layers = [{**table, "rule": _rule(table["rule"])} if "rule" in table else table
              for table in config.layers]  # fmt: skip
    defaults = defaults_of(config, data.outputs)
    stack = build_stack(
        read_tables(layers),
        tuple(data.shape),
        replace(defaults, rule=_rule(defaults.rule)),
        seed=config.seed,
        dtype=DTYPES[config.dtype],
    )
    return stack.to(torch.device(config.device))


def _rule(given: Any) -> Any:
    """Return a rule, or what stands for one that is not imported."""
    return _NotImported(given) if RULES.is_untrusted(given) else given


@dataclass(frozen=True)
class _NotImported(AbstractRule):
    """A rule of the user's own that a run folder names; it cannot learn."""

    text: Any

    @property
    def traits(self) -> Traits:
        """Nothing is known of it."""
        return Traits("unknown: not imported")

    def change(
        self, fp: FixedPoints, error: Tensor, learning_rate: float, loss: Loss | None = None
    ) -> Change:
        """Say why it cannot learn."""
        RULES.read(self.text)
        raise AssertionError("RULES refuses it")
