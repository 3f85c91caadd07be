"""What a run of a stack checks and resolves before it begins."""

from collections.abc import Iterable, Mapping

from torch import Tensor

from ratenet.equations import JointSpec, ModelSpec
from ratenet.errors import InputError, UnsupportedError
from ratenet.layers.stack import Stack
from ratenet.plasticity import AbstractRule, Mixed
from ratenet.training.config import TrainingConfig
from ratenet.training.config_checks import on_this_machine, resolved
from ratenet.training.shown import check_teaches
from ratenet.training.workers import Workers


def timed(config: TrainingConfig, stack: Stack) -> TrainingConfig:
    """Return the configuration with what follows from machine and time constants written out."""
    is_static = config.presentation == "static"
    return on_this_machine(config) if is_static else resolved(config, stack.network())


def check_noises(models: Mapping[str, ModelSpec | JointSpec]) -> None:
    """Refuse layers whose models have noise, and so no fixed points to be settled at."""
    for name, model in models.items():
        if model.noises:
            raise InputError(
                f"layers, {name}: model {model.name!r} has noise ({', '.join(model.noises)}), and "
                "layers learn at fixed points, which noise does not leave alone; use a model "
                "without noise.",
                argument="layers",
                got=model,
            )


def check_rules(
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


def check_labels(config: TrainingConfig, taught: Iterable[Tensor]) -> None:
    """Refuse a stimulus that shows nothing from which a stack can learn when its rules act."""
    other = "another update_at, or a rule without an error, such as oja"
    check_teaches(config, taught, f"another stimulus, {other}")
