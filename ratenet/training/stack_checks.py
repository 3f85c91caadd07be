"""What a run of a stack checks and resolves, before it begins and in each step."""

from collections.abc import Mapping, Sequence

from ratenet.errors import UnsettledError, UnsupportedError
from ratenet.layers.stack import Stack
from ratenet.plasticity import AbstractRule, Mixed
from ratenet.stimuli.images import is_answerable
from ratenet.training.config import TrainingConfig
from ratenet.training.config_checks import on_this_machine, resolved
from ratenet.training.shown import AbstractShown, check_teaches
from ratenet.training.step import LARGEST_UNSETTLED_SHARE, remedy
from ratenet.training.workers import Workers


def timed(config: TrainingConfig, stack: Stack) -> TrainingConfig:
    """Return the configuration with what follows from machine and time constants written out."""
    is_static = config.presentation == "static"
    return on_this_machine(config) if is_static else resolved(config, stack.network())


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


def check_labels(config: TrainingConfig, shown: AbstractShown, times: Sequence[float]) -> None:
    """Refuse a stimulus that shows nothing from which a stack can learn when its rules act."""
    taught = (is_answerable(shown.labels_at(t)) for t in times)
    check_teaches(config, taught, "another stimulus, or another update_at")


def check_majority(config: TrainingConfig, unsettled: int, number: int, where: str) -> None:
    """Refuse to go on where more than half of a batch did not settle; `where`: in which layers."""
    if unsettled <= LARGEST_UNSETTLED_SHARE * number:
        return
    of_layer = "lower learning_rate, or that of the layer that loses them"
    raise UnsettledError(
        f"{unsettled} of {number} samples did not settle in all layers ({where}), more than half "
        f"of the batch; {remedy(config) if config.presentation == 'slow' else of_layer}."
    )
