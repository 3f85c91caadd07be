"""What the option plasticity means for the other options of a run."""

from typing import Any

from ratenet.equations import load_plasticity
from ratenet.errors import InputError
from ratenet.plasticity import RULES
from ratenet.training.moving_weights import ERROR, REWARD
from ratenet.training.options import TrainingOptions

RULE, FROZEN = "linearized-reparameterized", "frozen"
FITTED_LOSS = "squared-error"
# What acts through the loss, and so on nothing where the read-out is fitted.
OF_LEARNING = (
    "learn", "learning_rate", "update_at", "eligibility", "correct_lag", "optimizer",
    "weight_decay", "momentum", "clip_norm", "schedule", "step",
)  # fmt: skip


def is_unsupervised(config: TrainingOptions) -> bool:
    """Return whether equations without an error or a reward move the weights."""
    return config.plasticity is not None and not config.plasticity.signals


def rule_of(config: TrainingOptions) -> str:
    """Return the name of what moves the recurrent weights, as it is written down."""
    if config.plasticity is not None:
        return f"plasticity {config.plasticity.name}"
    return RULES.written(config.rule)


def with_plasticity(config: TrainingOptions) -> TrainingOptions:
    """Return the options with the plasticity rule loaded, and what follows from it filled in.

    Raises
    ------
    UnknownNameError, ModelError, InputError
        If the rule cannot be loaded.
    """
    filled: dict[str, Any] = {**vars(config)}
    if config.plasticity is None:
        filled["rule"] = RULE if config.rule is None else config.rule
        return TrainingOptions(**filled)
    spec = filled["plasticity"] = load_plasticity(config.plasticity)
    filled["rule"] = FROZEN if config.rule is None else config.rule
    filled["unsettled"] = config.unsettled or "include"
    if not spec.signals:
        filled["loss"] = FITTED_LOSS if config.loss is None else config.loss
        filled["evaluate_every"] = config.evaluate_every or 1
    return TrainingOptions(**filled)


def check_plasticity(config: TrainingOptions) -> None:
    """Refuse what cannot be together with plasticity, or has no effect beside it.

    Raises
    ------
    InputError
    """
    if config.plasticity is None:
        return
    name = config.plasticity.name
    if config.layers:
        raise _refused(
            "plasticity", "moves the weights of one network; leave it out, or the layers."
        )
    if config.rule != FROZEN:
        raise _refused(
            "rule", f"the plasticity {name!r} moves the recurrent weights already; leave one of "
            "the two out."
        )  # fmt: skip
    if config.presentation == "static":
        raise _refused(
            "plasticity",
            "moves the weights in time, which static presentation does not have; use presentation "
            f"'slow', or, at fixed points, rule=rn.load_plasticity({name!r}).rule().",
        )
    if config.recurrent_learning_rate is not None:
        raise _refused(
            "recurrent_learning_rate",
            f"has no effect on weights that move by equations; change the parameters of {name!r}, "
            "as in \"oja(eta=2*Hz)\".",
        )  # fmt: skip
    if config.step != "rate":
        raise _refused(
            "step", f"has no effect on weights that move by equations, those of {name!r}; leave it "
            "out."
        )  # fmt: skip
    if config.adjoint_tau is not None:
        raise _refused(
            "adjoint_tau", f"has no effect, since the plasticity {name!r} takes no adjoint; leave "
            "it out."
        )  # fmt: skip
    if config.backend == "brian2" and config.batch_size != 1:
        raise InputError.at(
            "batch_size",
            got=config.batch_size,
            expected="1 with plasticity in backend 'brian2', which shares weights of one stream",
            remedy="or use backend 'torch'",
        )
    _check_equations(config)
    if is_unsupervised(config):
        _check_unsupervised(config)


def _check_equations(config: TrainingOptions) -> None:
    """Refuse equations that name what training does not give."""
    spec = config.plasticity
    if spec.uses_time:
        raise _refused(
            "plasticity", f"the equations of {spec.name!r} name t, which begins again with each "
            "image; use variables of units in its place."
        )  # fmt: skip
    for name, _ in spec.signals:
        if name not in (ERROR, REWARD):
            raise _refused(
                "plasticity", f"the rule {spec.name!r} needs the signal {name!r}; training gives "
                f"{ERROR} (dL/dy of each unit) and {REWARD} (minus the loss)."
            )  # fmt: skip
        if not spec.dimensions(name).is_dimensionless:
            raise _refused(
                "plasticity", f"the signal {name!r} of {spec.name!r} has a unit, and what training "
                "gives has none; write it as '1' under [signals]."
            )  # fmt: skip
    if ERROR in spec.global_signals:
        raise _refused(
            "plasticity", f"the signal {ERROR!r} of {spec.name!r} is shared by all units, and "
            f"training gives one per unit; write {ERROR}_post or {ERROR}_pre."
        )  # fmt: skip


def _check_unsupervised(config: TrainingOptions) -> None:
    why = (
        f"the rule {config.plasticity.name!r} has no signal {ERROR} or {REWARD}, so that the "
        "read-out is fitted and nothing else learns"
    )
    for option in OF_LEARNING:
        if getattr(config, option) != getattr(TrainingOptions, option):
            raise _refused(option, f"has no effect: {why}; leave it out.")
    if config.loss != FITTED_LOSS:
        raise _refused("loss", f"{why}, by the squared error; leave it out.")


def _refused(option: str, why: str) -> InputError:
    return InputError(f"{option}: {why}", argument=option)
