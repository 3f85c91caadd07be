"""StackRun: a run in which a stack of layers learns, each by its own rule, from static images.

images -> Sequential(layers) -> outputs -> mean loss over settled samples -> backward
(each recurrent layer: its rule) -> optimizer
"""

import dataclasses
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from ratenet.connectivity import abscissa, norm
from ratenet.errors import (
    STOPPED_BY_SCIENCE,
    ConvergenceError,
    DivergenceError,
    UnsettledError,
    UnsupportedError,
)
from ratenet.fixed_points import Automatic, MeanGain
from ratenet.layers.architecture import build_stack, cores_of, rates_of
from ratenet.layers.core import STALE_AFTER, FixedPointCore
from ratenet.layers.stack import Stack
from ratenet.layers.tables import AbstractRecurrentTable, AbstractTable, LayerDefaults, read_tables
from ratenet.plasticity import AbstractRule, Frozen, Mixed
from ratenet.stimuli import Images
from ratenet.training.config import TrainingConfig
from ratenet.training.config_checks import (
    DTYPES,
    check_noise,
    defaults_of,
    on_this_machine,
    recorded_layers,
)
from ratenet.training.evaluation import Answers, Evaluation, batches_of, count_answers
from ratenet.training.losses import check_loss, loss_for
from ratenet.training.optimizers import new_optimizer
from ratenet.training.pictures import draw_learning_curve
from ratenet.training.run import Run, images_of
from ratenet.training.run_folder import RunFolder
from ratenet.training.step import (
    ABSCISSA_SAMPLES,
    LARGEST_UNSETTLED_SHARE,
    SAMPLE,
    is_right,
    means_of,
)
from ratenet.training.workers import Workers

MEMORY = "preconditioner"  # what its tensors are called in a checkpoint


@dataclass(kw_only=True)
class StackRun(Run):
    """A run of a stack of layers.

    Attributes
    ----------
    stack : Stack
        From pixels (B, M) to outputs (B, K).
    layers : tuple of AbstractTable
        What it was built from.
    defaults : LayerDefaults
        What holds for all of them.
    learned : dict of str to Parameter
        What learns, by name.
    """

    stack: Stack
    layers: tuple[AbstractTable, ...]
    defaults: LayerDefaults
    learned: dict[str, Tensor]

    @property
    def learner(self) -> Stack:
        """The stack."""
        return self.stack

    @property
    def parameters(self) -> dict[str, Tensor]:
        """All weights, by the names that they have in the stack's state_dict."""
        return dict(self.stack.named_parameters())

    @property
    def cores(self) -> dict[str, FixedPointCore]:
        """The recurrent layers' networks, by the layers' names."""
        return cores_of(self.stack)

    @torch.enable_grad()
    def rehearse(self) -> None:
        """Let rules and networks refuse one another before anything is written."""
        few = self.images.train[:8]
        with suppress(*STOPPED_BY_SCIENCE):  # the run itself will report these
            outputs = self.stack(few.pixels)
            check_loss(self.loss, outputs.detach(), few.labels)
            self.loss(outputs, few.labels).mean().backward()
        self.stack.zero_grad()

    def take_step(self) -> dict[str, Any]:
        """Show one batch and learn from it; each sample counts by the layer that it did worst in.

        Raises
        ------
        UnsettledError
            If more than half of the batch did not settle and such samples are left out.
        DivergenceError
            If no state is finite, or a loss or gradient is not.
        """
        epoch, index = divmod(self.progress.step, self.steps_per_epoch)
        if self.workers.size > 1 or self.progress.step == 0:
            self._forget()
        elif self.progress.step % STALE_AFTER == 0:
            for core in self.cores.values():
                _preconditioner(core).renew()
        samples = self._learn_from(*self.batch())
        at_end = index == self.steps_per_epoch - 1
        slowest = self._abscissas() if at_end else {}
        left_out = sum(core.last.left_out for core in self.cores.values() if core.last is not None)
        unsolved = torch.tensor(left_out, device=self.workers.device)
        self.progress.adjoint_left_out += int(self.workers.total(unsolved))
        self._change_weights()
        weights = self._spectra() if at_end else {}
        return {
            "step": self.progress.step + 1,
            "epoch": epoch + 1,
            **means_of(samples, has_classes=self.images.train.has_classes),
            "abscissa": _largest(slowest, "abscissa"),
            "abscissa_mean_gain": math.nan,
            "abscissa_largest_gain": math.nan,
            "weight_abscissa": _largest(weights, "weight_abscissa"),
            "weight_norm": _largest(weights, "weight_norm"),
            **self.unmeasured(),
            **slowest,
            **weights,
        }

    @torch.no_grad()
    def evaluate(self, images: Images) -> Evaluation:
        """Return the answers to images; one that did not settle in all layers has none."""
        kept = {core: core.solver for core in self.cores.values()}
        self._forget()

        def answers() -> Iterator[Answers]:
            for batch in batches_of(images):
                logits = self.stack(batch.pixels)
                settled = _all_settled(self.cores)
                yield Answers(logits, settled, int((~settled).sum()), batch.labels)

        try:
            return count_answers(answers(), outputs=self.images.outputs, loss=self.loss)
        finally:
            for core, solver in kept.items():
                core.solver = solver

    def extra_state_dict(self) -> dict[str, Tensor]:
        """Return the layers' preconditioners: results depend on them within the tolerance."""
        return {
            f"{MEMORY}/{layer}/{name}": tensor
            for layer, core in (self.cores if self.workers.size == 1 else {}).items()
            for name, tensor in _preconditioner(core).state_dict().items()
        }

    def load_extra_state_dict(self, state: dict[str, Tensor]) -> None:
        """Load the layers' preconditioners."""
        self._forget()
        for layer, core in self.cores.items():
            start = f"{MEMORY}/{layer}/"
            mine = {n.removeprefix(start): t for n, t in state.items() if n.startswith(start)}
            _preconditioner(core).load_state_dict(mine)

    def findings(self) -> dict[str, Any]:
        """Return each layer's rule, and the largest eigenvalue and norm of its weights."""
        weights = self._spectra()
        rules = [table.rule_name(self.defaults) for table in _recurrent(self.layers)]
        return {
            "rule": ", ".join(dict.fromkeys(rules)),
            "weight_abscissa": _largest(weights, "weight_abscissa"),
            "weight_norm": _largest(weights, "weight_norm"),
            "layers": {
                name: {
                    "rule": rule,
                    "weight_abscissa": weights[f"weight_abscissa/{name}"],
                    "weight_norm": weights[f"weight_norm/{name}"],
                }
                for name, rule in zip(self.cores, rules, strict=True)
            },
        }

    def tables(self) -> dict[str, Any]:
        """Return the layers' tables, and the facts of the data."""
        return {"layers": recorded_layers(self.config), "data": self.data.table()}

    def draw(self, metrics: pd.DataFrame, summary: dict[str, Any]) -> None:
        """Write the learning curve."""
        draw_learning_curve(self, metrics, summary)

    @torch.enable_grad()
    def _learn_from(self, pixels: Tensor, labels: Tensor) -> Tensor:
        """Leave the gradients of a batch in .grad; return what each sample of all processes tells.

        A failure of one process is raised in all of them, before and after the backward pass.
        """
        with self._agreeing():
            losses, used, mine = self._answers(pixels, labels)
        samples = self.workers.rows(mine)
        self._check_settled(samples)
        for core in self.cores.values() if not bool(used.all()) else ():
            core.leave_out(~used)
        with self._agreeing():
            (losses[used].sum() / float(samples[:, SAMPLE.index("used")].sum())).backward()
        return samples

    @contextmanager
    def _agreeing(self) -> Iterator[None]:
        failure = None
        try:
            yield
        except STOPPED_BY_SCIENCE as error:
            failure = error
        self.workers.agree(failure)

    def _forget(self) -> None:
        """Let solvers begin anew; until it is called again, they keep a preconditioner."""
        for core in self.cores.values():
            core.solver = Automatic(MeanGain(stale_after=sys.maxsize))

    def _answers(self, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return losses (B,), which of them are learned from, and what each sample tells."""
        logits = self.stack(pixels)
        losses = self.loss(logits, labels)
        points = [_points(core) for core in self.cores.values()]
        used = settled = _all_settled(self.cores)
        if self.config.unsettled == "include":
            used = torch.stack([fp.rates.isfinite().all(dim=1) for fp in points]).all(dim=0)
        right = is_right(logits, labels)
        columns = (
            losses.detach(),
            right & used,
            used,
            torch.ones_like(used),
            settled,
            torch.stack([fp.residual for fp in points]).amax(dim=0),
            torch.stack([fp.iterations for fp in points]).sum(dim=0),
        )  # as in SAMPLE
        return losses, used, torch.stack([column.double() for column in columns], dim=1)

    def _check_settled(self, samples: Tensor) -> None:
        """Count what did not settle, and refuse to go on if it is too much."""
        used, settled = (samples[:, SAMPLE.index(name)] > 0 for name in ("used", "settled"))
        number, unsettled = len(samples), int((~settled).sum())
        self.progress.shown += number
        self.progress.left_out += unsettled
        is_left_out = self.config.unsettled == "leave-out"
        if is_left_out and unsettled > LARGEST_UNSETTLED_SHARE * number:
            raise UnsettledError(
                f"{unsettled} of {number} samples did not settle in all layers, more than half of "
                f"the batch; lower learning_rate, or that of the layer that loses them "
                f"({self._became()})."
            )
        if not used.any():
            raise DivergenceError(
                f"the states of all {number} samples are NaN or infinite; lower learning_rate, or "
                f"that of the layer that loses them ({self._became()})."
            )
        if not samples[used][:, SAMPLE.index("loss")].isfinite().all():
            raise DivergenceError("the loss is NaN or infinite; lower learning_rate.")

    def _became(self) -> str:
        """Return what became of the samples in each layer."""
        return "; ".join(f"{name}: {core.last}" for name, core in self.cores.items())

    def _change_weights(self) -> None:
        """Change the weights by the gradients of all processes' samples."""
        rate, changes = self.optimizer.rule_rate(self.progress.step), {}
        for name, parameter in self.learned.items():
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            gradient = self.workers.total(gradient)
            if not torch.isfinite(gradient).all():
                raise DivergenceError(
                    f"the change of {name} is NaN or infinite; lower learning_rate."
                )
            changes[name] = -rate * gradient
        self.optimizer.apply(changes, self.progress.step)
        self.stack.zero_grad()

    def _abscissas(self) -> dict[str, float]:
        """Return each layer's abscissa, of a few settled samples, in 1/s."""
        found = {}
        for name, core in self.cores.items():
            fp, found[f"abscissa/{name}"] = _points(core), math.nan
            settled = torch.nonzero(fp.converged)[:ABSCISSA_SAMPLES, 0].tolist()
            with suppress(ConvergenceError):  # of the eigenvalues of a large network
                if settled:
                    found[f"abscissa/{name}"] = float(fp.abscissa(settled).max())
        return found

    def _spectra(self) -> dict[str, float]:
        """Return the largest real part of the eigenvalues, and the norm, of each layer's W."""
        found = {}
        for name, core in self.cores.items():
            W = core.network.connectivity
            found[f"weight_abscissa/{name}"] = abscissa(W)
            found[f"weight_norm/{name}"] = norm(W)
        return found


def new_stack_run(config: TrainingConfig, folder: RunFolder, workers: Workers) -> StackRun:
    """Return a run at its beginning: images loaded, random weights drawn; nothing is written.

    Raises
    ------
    InputError, UnknownNameError, DataError, UnsupportedError
        If the configuration cannot be used.
    """
    (images, data), tables = images_of(config, workers), read_tables(config.layers)
    defaults = defaults_of(config, images.outputs)
    stack = build_stack(
        tables, images.shape, defaults, seed=config.seed, dtype=DTYPES[config.dtype]
    ).to(torch.device(config.device))
    for core in cores_of(stack).values():
        check_noise(core.network.model)
    resolved = tuple(table.resolved(defaults) for table in tables)
    config = dataclasses.replace(on_this_machine(config), layers=resolved)
    rates = rates_of(tables, stack, defaults)
    rules = {
        table.rule_name(defaults): core.rule
        for table, core in zip(_recurrent(tables), cores_of(stack).values(), strict=True)
        if not isinstance(core.rule, Frozen)
    }
    _check_rules(rules, config, workers)
    learned: dict[str, Tensor] = {n: p for n, p in stack.named_parameters() if n in rates}
    return StackRun(
        config=config,
        images=images,
        data=data,
        loss=loss_for(config.loss, images.train.has_classes),
        folder=folder,
        stack=stack,
        layers=tables,
        defaults=defaults,
        learned=learned,
        optimizer=new_optimizer(
            config,
            rules,
            learned,
            config.epochs * (len(images.train) // config.batch_size),
            workers.size,
            {name: rate / config.learning_rate for name, rate in rates.items()},
        ),
        workers=workers,
    )


def _check_rules(
    rules: Mapping[str, AbstractRule], config: TrainingConfig, workers: Workers
) -> None:
    """Refuse rules that the loop cannot serve."""
    for name, rule in rules.items():
        if not rule.traits.is_proportional and config.schedule != "constant":
            raise UnsupportedError(
                f"rule {name!r} is a finite step, whose size a layer must know beforehand; use "
                "schedule 'constant', or 'linearized-reparameterized'."
            )
        parts = [part for _, part in rule.rules] if isinstance(rule, Mixed) else [rule]
        if workers.size > 1 and not all(part.traits.uses_error for part in parts):
            raise UnsupportedError(
                f"rule {name!r} does not use errors, so that layers take its mean over a process's "
                "samples, which cannot be added up over processes; use one process."
            )


def _preconditioner(core: FixedPointCore) -> MeanGain:
    assert isinstance(core.solver, Automatic), "as _forget made it"
    return core.solver.preconditioner


def _recurrent(tables: Sequence[AbstractTable]) -> list[AbstractRecurrentTable]:
    return [table for table in tables if isinstance(table, AbstractRecurrentTable)]


def _points(core: FixedPointCore) -> Any:
    assert core.fixed_points is not None, "the stack has been shown images"
    return core.fixed_points


def _all_settled(cores: Mapping[str, FixedPointCore]) -> Tensor:
    """Return which samples settled in all layers, (B,)."""
    return torch.stack([_points(core).converged for core in cores.values()]).all(dim=0)


def _largest(values: Mapping[str, float], kind: str) -> float:
    """Return the largest of the layers' values of one kind; NaN if there are none."""
    chosen = (value for name, value in values.items() if name.startswith(f"{kind}/"))
    return max((value for value in chosen if not math.isnan(value)), default=math.nan)
