"""StackRun: a run in which a stack of layers learns, each by its own rule.

images -> Sequential(layers) -> outputs -> mean loss over settled samples -> backward
(each recurrent layer: its rule) -> optimizer
"""

import dataclasses
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from ratenet.errors import STOPPED_BY_SCIENCE, DivergenceError
from ratenet.fixed_points import Automatic, MeanGain
from ratenet.layers.architecture import build_stack, cores_of, rates_of
from ratenet.layers.core import STALE_AFTER, FixedPointCore
from ratenet.layers.stack import Stack
from ratenet.layers.tables import AbstractRecurrentTable, AbstractTable, LayerDefaults, read_tables
from ratenet.plasticity import Frozen
from ratenet.stimuli import AbstractStimulus, Images
from ratenet.stimuli.images import filled, is_answerable
from ratenet.training.config import TrainingConfig
from ratenet.training.config_checks import DTYPES, check_noise, defaults_of, recorded_layers
from ratenet.training.evaluation import Answers, Evaluation, batches_of, count_answers
from ratenet.training.losses import check_loss, loss_for
from ratenet.training.network_run import new_presentation
from ratenet.training.optimizers import new_optimizer
from ratenet.training.pictures import draw_learning_curve
from ratenet.training.presentation import STREAMS, AbstractPresentation
from ratenet.training.run import Run, images_of
from ratenet.training.run_folder import RunFolder
from ratenet.training.shown import stimulus_of
from ratenet.training.shown_stack import Moment, evaluate_moving, moments, speed_of
from ratenet.training.stack_checks import check_labels, check_majority, check_rules, timed
from ratenet.training.stack_measures import (
    abscissas,
    all_settled,
    became,
    largest,
    points_of,
    spectra,
)
from ratenet.training.step import SAMPLE, is_right, means_of, shown_by
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
    presentation : AbstractPresentation
        Whether all layers move while images change, or settle one after the other.
    stimulus : AbstractStimulus or None
        None: images are held, or stay as they are.
    """

    stack: Stack
    layers: tuple[AbstractTable, ...]
    defaults: LayerDefaults
    learned: dict[str, Tensor]
    presentation: AbstractPresentation
    stimulus: AbstractStimulus | None

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
        if self.stimulus is not None:
            times = self.presentation.update_times(self.stack.network())
            check_labels(self.config, shown_by(self, self.stimulus), times)
        few = self.images.train[:8]
        with suppress(*STOPPED_BY_SCIENCE):  # the run itself will report these
            outputs = self.stack(few.pixels)
            check_loss(self.loss, outputs.detach(), few.labels)
            self.loss(outputs, few.labels).mean().backward()
        self.stack.zero_grad()

    def take_step(self) -> dict[str, Any]:
        """Show one batch and learn from it; each sample counts by the layer that it did worst in.

        Where the rules act several times, loss and the like are those of the last time.

        Raises
        ------
        UnsettledError
            If more than half of the batch did not settle and such samples are left out.
        DivergenceError
            If no state is finite, or a loss or gradient is not.
        """
        epoch, index = divmod(self.progress.step, self.steps_per_epoch)
        at_end = index == self.steps_per_epoch - 1
        slowest: dict[str, float] = {}
        for found in self._updates():
            samples = found
            slowest = abscissas(self.cores) if at_end else {}
            lasts = [core.last for core in self.cores.values()]
            left_out = sum(last.left_out for last in lasts if last is not None)
            unsolved = torch.tensor(left_out, device=self.workers.device)
            self.progress.adjoint_left_out += int(self.workers.total(unsolved))
            self._change_weights()
        weights = spectra(self.cores) if at_end else {}
        return {
            "step": self.progress.step + 1,
            "epoch": epoch + 1,
            **means_of(samples, has_classes=self.images.train.has_classes),
            "abscissa": largest(slowest, "abscissa"),
            "abscissa_mean_gain": math.nan,
            "abscissa_largest_gain": math.nan,
            "weight_abscissa": largest(weights, "weight_abscissa"),
            "weight_norm": largest(weights, "weight_norm"),
            **self.unmeasured(),
            **slowest,
            **weights,
        }

    def _updates(self) -> Iterator[Tensor]:
        """Give what each sample tells each time that gradients are there to learn from."""
        if self.config.presentation == "static":
            self._let_solvers_begin()
            yield self._learn_from(Moment(*self.batch()))
            return
        moving = moments(self.stack, shown_by(self, self.stimulus), self.presentation)
        while True:
            with self._agreeing():
                moment = next(moving, None)
            if moment is None:
                return
            yield self._learn_from(moment)

    def _let_solvers_begin(self) -> None:
        """Let them keep what they made for some steps, the same ones in every process."""
        if self.workers.size > 1 or self.progress.step == 0:
            self._forget()
        elif self.progress.step % STALE_AFTER == 0:
            for core in self.cores.values():
                _preconditioner(core).renew()

    def test_slowly(self) -> Evaluation | None:
        """Return the answers at the end of each hold, or fade, while images do what they did.

        None for a static run, and where the stimulus has images of its own. Where the dynamics
        diverge, no image has an answer.
        """
        if self.config.presentation == "static":
            return None
        return evaluate_moving(self.config, self.images, self.stack, self.stimulus, self.loss)

    def stream_names(self) -> tuple[str, ...]:
        """Return the states and drives that a slow presentation carries over."""
        return STREAMS if self.config.presentation == "slow" else ()

    @torch.no_grad()
    def evaluate(self, images: Images) -> Evaluation:
        """Return the answers to images; one that did not settle in all layers has none."""
        kept = {core: core.solver for core in self.cores.values()}
        self._forget()

        def answers() -> Iterator[Answers]:
            for batch in batches_of(images):
                logits = self.stack(batch.pixels)
                settled = all_settled(self.cores)
                yield Answers(logits, settled, int((~settled).sum()), batch.labels)

        try:
            return count_answers(answers(), outputs=self.images.outputs, loss=self.loss)
        finally:
            for core, solver in kept.items():
                core.solver = solver

    def extra_state_dict(self) -> dict[str, Tensor]:
        """Return the layers' preconditioners, on which results depend, and the streams' states."""
        kept = {
            f"{MEMORY}/{layer}/{name}": tensor
            for layer, core in (self.cores if self.workers.size == 1 else {}).items()
            for name, tensor in _preconditioner(core).state_dict().items()
        }
        return {**kept, **self.presentation.state_dict()}

    def load_extra_state_dict(self, state: dict[str, Tensor]) -> None:
        """Load what `extra_state_dict` gave; other tensors may be among it."""
        self.presentation.load_state_dict(state)
        self._forget()
        for layer, core in self.cores.items():
            start = f"{MEMORY}/{layer}/"
            mine = {n.removeprefix(start): t for n, t in state.items() if n.startswith(start)}
            _preconditioner(core).load_state_dict(mine)

    def findings(self) -> dict[str, Any]:
        """Return each layer's rule, and the largest eigenvalue and norm of its weights."""
        weights = spectra(self.cores)
        rules = [table.rule_name(self.defaults) for table in _recurrent(self.layers)]
        return {
            "rule": ", ".join(dict.fromkeys(rules)),
            "weight_abscissa": largest(weights, "weight_abscissa"),
            "weight_norm": largest(weights, "weight_norm"),
            "layers": {
                name: {
                    "rule": rule,
                    "weight_abscissa": weights[f"weight_abscissa/{name}"],
                    "weight_norm": weights[f"weight_norm/{name}"],
                }
                for name, rule in zip(self.cores, rules, strict=True)
            },
            **speed_of(self.config, self.stimulus, self.stack, self.progress),
        }

    def tables(self) -> dict[str, Any]:
        """Return the layers' tables, and the facts of the data."""
        return {"layers": recorded_layers(self.config), "data": self.data.table()}

    def draw(self, metrics: pd.DataFrame, summary: dict[str, Any]) -> None:
        """Write the learning curve."""
        draw_learning_curve(self, metrics, summary)

    @torch.enable_grad()
    def _learn_from(self, moment: Moment) -> Tensor:
        """Leave the gradients of a batch in .grad; return what each sample of all processes tells.

        A failure of one process is raised in all of them, before and after the backward pass.
        """
        with self._agreeing():
            losses, used, mine = self._answers(moment)
        samples = self.workers.rows(mine)
        if not self._check_settled(samples, is_last=moment.is_last):
            return samples
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

    def _answers(self, moment: Moment) -> tuple[Tensor, Tensor, Tensor]:
        """Return losses (B,), which of them are learned from, and what each sample tells."""
        logits, labels = moment.outputs(self.stack), moment.labels
        losses, has_label = self.loss(logits, filled(labels)), is_answerable(labels)
        points = [points_of(core) for core in self.cores.values()]
        used = settled = all_settled(self.cores)
        if self.config.unsettled == "include":
            used = torch.stack([fp.rates.isfinite().all(dim=1) for fp in points]).all(dim=0)
        used, right = used & has_label, is_right(logits, labels)
        columns = (
            losses.detach(),
            right & used,
            used,
            has_label,
            settled,
            torch.stack([fp.residual for fp in points]).amax(dim=0),
            torch.stack([fp.iterations for fp in points]).sum(dim=0),
        )  # as in SAMPLE
        return losses, used, torch.stack([column.double() for column in columns], dim=1)

    def _check_settled(self, samples: Tensor, *, is_last: bool) -> bool:
        """Count what did not settle, and refuse to go on if it is too much.

        Returns whether there is anything to learn from: not where no image has a class.
        """
        config = self.config
        used, settled = (samples[:, SAMPLE.index(name)] > 0 for name in ("used", "settled"))
        number, unsettled = len(samples), int((~settled).sum())
        if is_last:  # each sample counts once a presentation
            self.progress.shown += number
            self.progress.left_out += unsettled
        where = became(self.cores, config.presentation)
        if config.unsettled == "leave-out":
            check_majority(config, unsettled, number, where)
        labelled = samples[:, SAMPLE.index("labelled")] > 0
        self.progress.unlabelled += int((~labelled).sum()) if is_last else 0
        if not labelled.any():
            return False
        if not used.any():
            raise DivergenceError(
                f"the states of all {number} samples are NaN or infinite; lower learning_rate, or "
                f"that of the layer that loses them ({where})."
            )
        if not samples[used][:, SAMPLE.index("loss")].isfinite().all():
            raise DivergenceError("the loss is NaN or infinite; lower learning_rate.")
        return True

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
    written = tuple(table.resolved(defaults) for table in tables)
    config = dataclasses.replace(timed(config, stack), layers=written)
    rates = rates_of(tables, stack, defaults)
    rules = {
        table.rule_name(defaults): core.rule
        for table, core in zip(_recurrent(tables), cores_of(stack).values(), strict=True)
        if not isinstance(core.rule, Frozen)
    }
    check_rules(rules, config, workers)
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
        presentation=new_presentation(config),
        stimulus=stimulus_of(config, images.train),
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


def _preconditioner(core: FixedPointCore) -> MeanGain:
    assert isinstance(core.solver, Automatic), "as _forget made it"
    return core.solver.preconditioner


def _recurrent(tables: Sequence[AbstractTable]) -> list[AbstractRecurrentTable]:
    return [table for table in tables if isinstance(table, AbstractRecurrentTable)]
