"""StackRun: a run in which a stack of layers learns, each by its own rule.

images -> Sequential(layers) -> outputs -> mean loss over settled samples -> backward
(each recurrent layer: its rule) -> optimizer
"""

import dataclasses
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from ratenet.errors import STOPPED_BY_SCIENCE, DivergenceError
from ratenet.fixed_points import Automatic, MeanGain
from ratenet.fixed_points.mode_tracking import batch_jacobians
from ratenet.layers.architecture import build_stack, cores_of, rates_of
from ratenet.layers.core import STALE_AFTER, FixedPointCore
from ratenet.layers.stack import Stack
from ratenet.layers.tables import AbstractRecurrentTable, AbstractTable, LayerDefaults, read_tables
from ratenet.linear_algebra import is_finite
from ratenet.network import Network
from ratenet.plasticity import Euclidean, Frozen
from ratenet.stimuli import Images
from ratenet.stimuli.images import filled, is_answerable
from ratenet.training.config import TrainingConfig
from ratenet.training.config_checks import DTYPES, defaults_of, recorded_layers
from ratenet.training.eligibility import Eligibility
from ratenet.training.evaluation import Answers, Evaluation, batches_of, count_answers
from ratenet.training.learning import Learned, teaches
from ratenet.training.learning_run import (
    LearningRun,
    Seen,
    adjoint_of_run,
    new_presentation,
)
from ratenet.training.losses import check_loss, loss_for
from ratenet.training.optimizers import Changes, new_optimizer
from ratenet.training.pictures import draw_learning_curve
from ratenet.training.run import images_of
from ratenet.training.run_folder import RunFolder
from ratenet.training.shown import stimulus_of
from ratenet.training.stability import Stability
from ratenet.training.stack_checks import check_labels, check_noises, check_rules, timed
from ratenet.training.stack_measures import (
    all_settled,
    largest_of,
    points_of,
    spectra,
    unsettled_by_layer,
)
from ratenet.training.step import SAMPLE, take_step
from ratenet.training.workers import Workers

MEMORY = "preconditioner"  # what its tensors are called in a checkpoint


@dataclass(kw_only=True)
class StackRun(LearningRun):
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

    @property
    def network(self) -> Network:
        """All layers as one network."""
        return self.stack.network()

    @property
    def parts(self) -> dict[str, Network]:
        """The layers' networks, by the layers' names."""
        return {name: core.network for name, core in self.cores.items()}

    @property
    def learning_parts(self) -> tuple[str, ...]:
        """The layers whose recurrent weights learn."""
        cores = self.cores.items()
        return tuple(n for n, core in cores if any(p.requires_grad for p in core.parameters()))

    @torch.enable_grad()
    def rehearse(self) -> None:
        """Let rules, networks and barrier refuse one another before anything is written."""
        if self.stimulus is not None:
            times, shown = self.presentation.update_times(self.network), self.shown()
            check_labels(self.config, (self._taught(shown.labels_at(t)) for t in times))
        few = self.images.train[:8]
        with suppress(*STOPPED_BY_SCIENCE):  # the run itself will report these
            outputs = self.stack(few.pixels)
            check_loss(self.loss, outputs.detach(), few.labels)
            for name, core in self.cores.items():
                self.stability[name].limit(batch_jacobians(points_of(core)).excitable)
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
        return take_step(self)

    def present(self) -> Iterator[Seen]:
        """Give the outputs of this step's images each time that the rules act."""
        if self.config.presentation == "static":
            self._let_solvers_begin()
            yield self._seen(*self.batch())
            return
        images, network = self.shown(), self.network
        times = self.presentation.update_times(network)
        drive, errors = images.drive(self.stack), self.errors(images)
        shown = self.presentation.present(network, drive, errors=errors)
        for number, fp in enumerate(shown, start=1):
            t = times[number - 1]
            with self.stack.given(fp):
                seen = self._seen(images.at(t), images.labels_at(t))
            yield dataclasses.replace(seen, updates=len(times), is_last=number == len(times))

    def _let_solvers_begin(self) -> None:
        """Let them keep what they made for some steps, the same ones in every process."""
        if self.workers.size > 1 or self.progress.step == 0:
            self._forget()
        elif self.progress.step % STALE_AFTER == 0:
            for core in self.cores.values():
                _preconditioner(core).renew()

    @torch.no_grad()
    def evaluate(self, images: Images) -> Evaluation:
        """Return the answers to images; one that did not settle in all layers has none."""
        kept = {core: core.solver for core in self.cores.values()}
        self._forget()

        def answers() -> Iterator[Answers]:
            for batch in batches_of(images):
                logits = self.stack(batch.pixels)
                settled = all_settled({n: points_of(core) for n, core in self.cores.items()})
                yield Answers(logits, settled, int((~settled).sum()), batch.labels)

        try:
            return count_answers(answers(), outputs=self.images.outputs, loss=self.loss)
        finally:
            for core, solver in kept.items():
                core.solver = solver

    def extra_state_dict(self) -> dict[str, Tensor]:
        """Return the layers' preconditioners, on which results depend, too."""
        kept = {
            f"{MEMORY}/{layer}/{name}": tensor
            for layer, core in (self.cores if self.workers.size == 1 else {}).items()
            for name, tensor in _preconditioner(core).state_dict().items()
        }
        return {**kept, **super().extra_state_dict()}

    def load_extra_state_dict(self, state: dict[str, Tensor]) -> None:
        """Load what `extra_state_dict` gave; other tensors may be among it."""
        super().load_extra_state_dict(state)
        self._forget()
        for layer, core in self.cores.items():
            start = f"{MEMORY}/{layer}/"
            mine = {n.removeprefix(start): t for n, t in state.items() if n.startswith(start)}
            _preconditioner(core).load_state_dict(mine)

    def findings(self) -> dict[str, Any]:
        """Return each layer's rule, and the largest eigenvalue and norm of its weights."""
        weights = spectra(self.parts)
        rules = [table.rule_name(self.defaults) for table in _recurrent(self.layers)]
        return {
            "rule": ", ".join(dict.fromkeys(rules)),
            **largest_of(weights),
            "layers": {
                name: {"rule": rule, **weights[name]}
                for name, rule in zip(self.cores, rules, strict=True)
            },
            **self.speed(),
            **self.held_modes(),
            **self.searched(),
        }

    def tables(self) -> dict[str, Any]:
        """Return the layers' tables, and the facts of the data."""
        return {"layers": recorded_layers(self.config), "data": self.data.table()}

    def draw(self, metrics: pd.DataFrame, summary: dict[str, Any]) -> None:
        """Write the learning curve."""
        draw_learning_curve(self, metrics, summary)

    def answer(self, rates: Tensor) -> Tensor:
        """Return what lies behind the last recurrent layer makes of its rates."""
        return self.stack.outputs(rates)

    @torch.enable_grad()
    def error(self, rates: Tensor, labels: Tensor) -> Tensor:
        """Return the gradient of each sample's loss; 0 for all layers but the last."""
        at = rates.detach().requires_grad_()
        (found,) = torch.autograd.grad(self.loss(self.answer(at), labels).sum(), at)
        return found

    def unsettled_where(self, seen: Seen) -> tuple[str, str]:
        """Return in which layers samples did not settle."""
        return f" in all layers ({unsettled_by_layer(self.cores)})", ""

    @torch.enable_grad()
    def learn(self, seen: Seen, samples: Tensor) -> Learned:
        """Return what the loss of all processes' samples changes, each recurrent layer by its rule.

        A failure of one process is raised in all of them.
        """
        used, number = seen.used & is_answerable(seen.labels), self._number_used(seen, samples)
        for core in self.cores.values():
            taught = used if core.rule.traits.uses_error else seen.used
            if not bool(taught.all()):
                core.leave_out(~taught)
            core.scale_adjoint(1 / max(1.0, number))
        self.stack.zero_grad()  # an optimizer left its own there
        failure = None
        try:
            losses = self.loss(seen.outputs, filled(seen.labels))
            (losses[used].sum() / max(1.0, number)).backward()
        except STOPPED_BY_SCIENCE as error:
            failure = error
        self.workers.agree(failure)
        changes = self._changes()
        lasts = [core.last for core in self.cores.values()]
        left_out = sum(last.left_out for last in lasts if last is not None)
        total = self.workers.total(torch.tensor(left_out, device=self.workers.device))
        return Learned(changes, dict.fromkeys(changes, int(number)), int(total))

    def see_again(self, seen: Seen) -> Seen:
        """Return the same images at solved fixed points of the present weights."""
        return self._seen(seen.pixels, seen.labels)

    def exact(self, seen: Seen, samples: Tensor) -> Learned:
        """Return what gradient descent on all weights would change."""
        rules = {core: core.rule for core in self.cores.values()}
        try:
            for core in rules:
                core.rule = Euclidean()
            return self.learn(self.see_again(seen), samples)
        finally:
            for core, rule in rules.items():
                core.rule = rule

    def _changes(self) -> Changes:
        """Return what the gradients of all processes' samples change."""
        rate, changes = self.optimizer.rule_rate(self.progress.step), {}
        for name, parameter in self.learned.items():
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            gradient = self.workers.total(gradient)
            if not is_finite(gradient):
                raise DivergenceError(
                    f"the change of {name} is NaN or infinite; lower learning_rate."
                )
            changes[name] = -rate * gradient
        return changes

    def _number_used(self, seen: Seen, samples: Tensor) -> float:
        """Return how many samples of all processes have an error; refuse those that spoil it."""
        used, labelled = (samples[:, SAMPLE.index(name)] > 0 for name in ("used", "labelled"))
        if labelled.any() and not used.any():
            raise DivergenceError(
                f"the states of all {len(samples)} samples are NaN or infinite; lower "
                "learning_rate, or that of the layer that loses them "
                f"({unsettled_by_layer(self.cores)})."
            )
        if not samples[used][:, SAMPLE.index("loss")].isfinite().all():
            raise DivergenceError("the loss is NaN or infinite; lower learning_rate.")
        return float(used.sum())

    def _taught(self, labels: Tensor) -> Tensor:
        """Return from which streams one of the layers can learn, (B,)."""
        return torch.stack([teaches(core.rule, labels) for core in self.cores.values()]).any(dim=0)

    def _forget(self) -> None:
        """Let solvers begin anew; until it is called again, they keep a preconditioner."""
        for core in self.cores.values():
            core.solver = Automatic(MeanGain(stale_after=sys.maxsize))

    @torch.enable_grad()
    def _seen(self, pixels: Tensor, labels: Tensor) -> Seen:
        """Return the outputs for images, to be learned from."""
        outputs = self.stack(pixels)
        points = {name: points_of(core) for name, core in self.cores.items()}
        used = settled = all_settled(points)
        if self.config.unsettled == "include":
            points = {name: fp.with_tolerance(math.inf) for name, fp in points.items()}
            used = all_settled(points)
        every = points.values()
        return Seen(
            pixels=pixels,
            labels=labels,
            outputs=outputs,
            parts=points,
            settled=settled,
            used=used,
            residual=torch.stack([fp.residual for fp in every]).amax(dim=0),
            iterations=torch.stack([fp.iterations for fp in every]).sum(dim=0),
        )


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
    check_noises({name: core.network.model for name, core in cores_of(stack).items()})
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
        presentation=new_presentation(config, adjoint=adjoint_of_run(config)),
        stability={name: Stability(config.barrier, name) for name in cores_of(stack)},
        eligibility=Eligibility(config.eligibility),
        stimulus=stimulus_of(config, images.train),
        optimizer=new_optimizer(
            config,
            rules,
            learned,
            config.epochs * (len(images.train) // config.batch_size),
            workers.size,
            {name: rate / config.learning_rate for name, rate in rates.items()},
            _together(stack, learned),
        ),
        workers=workers,
    )


def _together(stack: Stack, learned: Mapping[str, Tensor]) -> list[tuple[str, ...]]:
    """Return the names of the recurrent weights that learn, layer by layer."""
    layers = [
        tuple(name for name in learned if name.startswith(f"{layer}.core."))
        for layer in cores_of(stack)
    ]
    return [names for names in layers if names]


def _preconditioner(core: FixedPointCore) -> MeanGain:
    assert isinstance(core.solver, Automatic), "as _forget made it"
    return core.solver.preconditioner


def _recurrent(tables: Sequence[AbstractTable]) -> list[AbstractRecurrentTable]:
    return [table for table in tables if isinstance(table, AbstractRecurrentTable)]
