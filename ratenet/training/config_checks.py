"""What the options of a run require of each other, of the machine and of the network."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar, get_type_hints

import torch

from ratenet.connectivity import choose_route
from ratenet.equations import JointSpec, ModelSpec, load_model, model_names
from ratenet.equations.files import MODELS
from ratenet.equations.own_code import Source
from ratenet.equations.quantities import parse_quantity
from ratenet.equations.recording import recorded, without_folders
from ratenet.equations.registry import Registry
from ratenet.errors import InputError, ModelError, RatenetError, escape
from ratenet.layers.core import OnUnsettled
from ratenet.layers.tables import LayerDefaults, read_tables
from ratenet.network import Network
from ratenet.plasticity import RULES
from ratenet.simulation.time_grid import seconds
from ratenet.stimuli import HELD, STIMULI, comes_to_rest
from ratenet.training.losses import LOSSES
from ratenet.training.method_options import check_method, resolved_method
from ratenet.training.moving_adjoint import FASTEST
from ratenet.training.optimizers import check_optimizer
from ratenet.training.options import TrainingOptions
from ratenet.training.plasticity_options import check_plasticity, with_plasticity
from ratenet.training.presentation import CONTINUOUS
from ratenet.training.run_data import kept_data, written_data
from ratenet.training.schedules import check_schedule
from ratenet.training.shown import check_stimulus_of
from ratenet.training.step_length import check_step_options
from ratenet.validation import Time

Checked = TypeVar("Checked", bound=TrainingOptions)
REGISTRIES: dict[str, Registry[Any]] = {"rule": RULES, "loss": LOSSES, "stimulus": STIMULI}
"""Options that are read by a registry; None where one is left out."""
NAMED = ("model", *REGISTRIES)  # what may name the user's code
OF_ONE_NETWORK = ("model", "units", "tau", "learn")

ON_UNSETTLED: dict[str, OnUnsettled] = {"leave-out": "mask", "include": "include"}
DTYPES = {"float32": torch.float32, "float64": torch.float64}
HOLD_IN_TAU, FADE_IN_TAU = 20, 5
LONGEST_IN_TAU = 10**5  # of an image; longer is a slip, and a step would take hours


def normalized(config: TrainingOptions) -> dict[str, Any]:
    """Return the options that can be written in several ways, in one of them; times in seconds."""
    kind, config = type(config), with_plasticity(config)
    shares, is_moving = config.update_at, not comes_to_rest(config.stimulus)
    return {
        "plasticity": config.plasticity,
        "evaluate_every": config.evaluate_every,
        "data": kept_data(config.data),
        "model": _model(config.model),
        **{name: _normal(name, getattr(config, name)) for name in REGISTRIES},
        "unsettled": config.unsettled or ("include" if is_moving else "leave-out"),
        "update_at": shares if shares == CONTINUOUS else tuple(sorted(set(shares))),
        "learn": tuple(config.learn),
        "schedule_options": dict(config.schedule_options),
        "layers": tuple(_layer(table, n) for n, table in enumerate(config.layers, start=1)),
        "optimizer": config.optimizer.lower(),
        "schedule": config.schedule.lower(),
        **{name: _seconds(getattr(config, name), name) for name in times(kind)},
    }


def _model(given: Any) -> Any:
    """Return the name or path of a model, or the model itself where it has none."""
    if MODELS.is_untrusted(given):
        return given
    if isinstance(given, str) and not MODELS.names_own(given):
        return str(given)
    model = load_model(given)
    is_shipped = model.name in model_names() and load_model(model.name) == model
    return model.name if is_shipped else model


def _layer(table: Any, number: int) -> Any:
    """Return a layer's table, its rule and its model as they are kept."""
    if not isinstance(table, Mapping):
        return table
    try:
        return _kept(table)
    except RatenetError as error:
        raise error.within(f"layers, {number}. ({escape(str(table.get('kind')))})") from None


def _kept(table: Mapping[str, Any]) -> dict[str, Any]:
    kept = dict(table)
    if table.get("rule") is not None:
        kept["rule"] = RULES.normal(table["rule"])
    model = table.get("model")
    is_code = MODELS.names_own(model) and not MODELS.is_untrusted(model)
    if is_code or isinstance(model, ModelSpec):
        kept["model"] = load_model(model).to_table()
    return kept


def _normal(name: str, given: Any) -> Any:
    return None if given is None else REGISTRIES[name].normal(given)


def _written(name: str, given: Any) -> str | None:
    return None if given is None else REGISTRIES[name].written(given)


def recorded_options(config: TrainingOptions) -> dict[str, Any]:
    """Return the options as plain data, by which a run folder records them.

    A model without a name is left out, since the section [model] holds it; equations of weights
    are written out.
    """
    options = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return {
        **options,
        "data": written_data(config.data),
        "model": options["model"] if isinstance(options["model"], str) else None,
        **{name: _written(name, options[name]) for name in REGISTRIES},
        "plasticity": None if config.plasticity is None else config.plasticity.to_table(),
        "layers": recorded_layers(config),
    }


def recorded_layers(config: TrainingOptions) -> list[dict[str, Any]]:
    """Return the layers' tables as plain data."""
    return [
        {**table, "rule": RULES.written(table["rule"])} if "rule" in table else dict(table)
        for table in config.layers
    ]


def comparable(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return recorded options without the folders of the user's code, which may have moved."""
    layers = [
        {**table, "rule": without_folders(table["rule"])} if "rule" in table else table
        for table in options["layers"]
    ]
    named = {name: without_folders(options[name]) for name in NAMED if options[name]}
    return {**options, **named, "layers": layers}


def recorded_as_such(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options that a file records, marked so that code which they name is not imported."""

    def marked(table: Any) -> Any:
        if not isinstance(table, Mapping):
            return table
        names = ("data", "plasticity", *NAMED)
        return {name: recorded(each) if name in names else each for name, each in table.items()}

    layers = options.get("layers", ())
    found = marked(options)
    return {**found, "layers": [*map(marked, layers)]} if isinstance(layers, list) else found


def code_of(config: TrainingOptions) -> list[Source]:
    """Return the files of code, besides ratenet's, that a run needs."""
    named = [(name, getattr(config, name)) for name in REGISTRIES]
    named += [("rule", table["rule"]) for table in config.layers if "rule" in table]
    code = (source for name, given in named for source in REGISTRIES[name].sources(given))
    return list({source.file: source for source in code}.values())


def check_together(config: TrainingOptions) -> None:
    """Check what no option tells by itself.

    Raises
    ------
    InputError, UnknownNameError
        If a name is unknown, options contradict each other, or one has no effect.
    """
    check_plasticity(config)
    _check_presentation(config)
    check_stimulus_of(config)
    check_optimizer(config.optimizer)
    check_schedule(config.schedule)
    _check_layers(config)
    _check_continuous(config)
    check_method(config)
    check_step_options(config)
    _check_measurements(config)
    check_device(config.device)


def _check_presentation(config: TrainingOptions) -> None:
    of_slow = {
        "update_at": config.update_at != (1.0,),
        "correct_lag": config.correct_lag,
        "adjoint_tau": config.adjoint_tau is not None,
        "stimulus": config.stimulus != HELD,
        "backend": config.backend != "torch",
        "method": config.method is not None,
        "dt": config.dt is not None,
        "rtol": config.rtol is not None,
        "hold": config.hold is not None,
        "fade": config.fade is not None,
    }
    for name, is_asked in of_slow.items():
        if is_asked and config.presentation != "slow":
            raise InputError(
                f"{name}: has no effect on static presentation; use presentation 'slow', or "
                "leave the option out.",
                argument=name,
            )
    if config.hold == 0 and config.fade == 0:
        raise InputError("hold, fade: cannot both be 0.", argument="hold")
    if config.hold == 0 and of_slow["update_at"]:
        raise InputError(
            "update_at: there is no hold; leave the option out, or use a hold above 0.",
            argument="update_at",
        )
    if config.correct_lag and config.hold != 0 and comes_to_rest(config.stimulus):
        raise InputError(
            "correct_lag: images that are held have settled when the rule acts, so there is no "
            "lag to subtract; use hold 0.",
            argument="correct_lag",
        )
    if config.backend == "brian2" and config.device != "cpu":
        raise InputError(
            f"backend: 'brian2' runs on the CPU, not on {config.device!r}.", argument="backend"
        )


def _check_continuous(config: TrainingOptions) -> None:
    is_continuous = config.update_at == CONTINUOUS
    if config.eligibility is not None and not is_continuous:
        raise InputError(
            "eligibility: has an effect on continuous updates only; use update_at 'continuous'.",
            argument="eligibility",
        )
    if is_continuous and (config.optimizer != "sgd" or config.weight_decay or config.momentum):
        raise InputError(
            "update_at: 'continuous' changes the weights by the rule alone; it requires "
            "optimizer 'sgd' without weight_decay and momentum.",
            argument="update_at",
        )
    if is_continuous and config.clip_norm is not None:
        raise InputError(
            "clip_norm: cannot be combined with update_at 'continuous'.", argument="clip_norm"
        )


def _check_layers(config: TrainingOptions) -> None:
    if not config.layers:
        return
    read_tables(config.layers)
    for name in OF_ONE_NETWORK:
        if getattr(config, name) != getattr(type(config), name):
            raise InputError(
                f"{name}: cannot be combined with layers; set it in each layer's table.",
                argument=name,
            )


def _check_measurements(config: TrainingOptions) -> None:
    if config.patience is not None and not config.validation:
        raise InputError(
            "patience: requires validation images; set validation, for example to 500.",
            argument="patience",
        )
    if config.evaluate_every is not None and config.evaluate_every > config.epochs:
        raise InputError.at(
            "evaluate_every",
            got=config.evaluate_every,
            expected=f"at most the number of epochs, {config.epochs}",
        )
    if config.recurrent_learning_rate is not None and config.rule == "frozen" and not config.layers:
        raise InputError(
            "recurrent_learning_rate: has no effect, since rule 'frozen' keeps the recurrent "
            "weights.",
            argument="recurrent_learning_rate",
        )


def hold_and_fade(config: TrainingOptions, network: Network) -> tuple[float, float] | None:
    """Return hold and fade in seconds, or None if the network has no time constants."""
    if not network.time_constants():
        return None
    tau = round(network.longest_time_constant(), 9)  # float32 holds 10 ms as 9.9999998 ms
    hold = HOLD_IN_TAU * tau if config.hold is None else config.hold
    return hold, FADE_IN_TAU * tau if config.fade is None else config.fade


def check_noise(model: ModelSpec | JointSpec) -> None:
    """Refuse a model with noise where rules act on solved fixed points, which leave noise out."""
    if model.noises:
        raise InputError(
            f"model: {model.name!r} has noise ({', '.join(model.noises)}), which has no effect on "
            "solved fixed points; use presentation 'slow', or a model without noise.",
            argument="model",
        )


def defaults_of(config: TrainingOptions, classes: int) -> LayerDefaults:
    """Return what holds for all layers of a configuration."""
    return LayerDefaults(
        classes,
        config.rule,
        config.learning_rate,
        config.recurrent_learning_rate or config.learning_rate,
        ON_UNSETTLED[str(config.unsettled)],
    )


def on_this_machine(config: Checked) -> Checked:
    """Return the configuration with every default that depends on the machine written out."""
    return dataclasses.replace(
        config,
        threads=config.threads or torch.get_num_threads(),
        matrix_product=choose_route(config.matrix_product),  # type: ignore[arg-type]
    )


def resolved(config: Checked, network: Network) -> Checked:
    """Return the configuration with every default that depends on the network written out.

    Raises
    ------
    InputError
        If the presentation is slow and the model has no time constants.
    """
    config = on_this_machine(config)
    if config.presentation == "static":
        check_noise(network.model)
        return config
    times_of_image = hold_and_fade(config, network)
    if times_of_image is None:
        raise InputError(
            f"presentation: model {network.model.name!r} has no parameter with the unit of time, "
            "which the time step of a slow presentation follows from; use 'static'.",
            argument="presentation",
        )
    _check_adjoint(config, network)
    hold, fade = times_of_image
    longest = LONGEST_IN_TAU * network.longest_time_constant()
    if hold + fade > longest:
        name = "hold" if hold >= fade else "fade"
        raise InputError.at(name, got=max(hold, fade), expected=f"less than {longest:g} s")
    integration = resolved_method(config, network)
    return dataclasses.replace(config, hold=hold, fade=fade, **integration)


def _check_adjoint(config: TrainingOptions, network: Network) -> None:
    """Refuse an adjoint that is so fast that to simulate it would take too long."""
    shortest = network.shortest_time_constant() / FASTEST
    if config.adjoint_tau is not None and config.adjoint_tau < shortest * (1 - 1e-6):
        raise InputError.at(
            "adjoint_tau",
            got=config.adjoint_tau,
            expected=f"at least {shortest:g} s, a hundredth of the shortest time constant",
            remedy="leave it out to have the adjoint solved, which is the limit of 0",
        )


def _seconds(value: Any, name: str) -> float | None:
    """Return a time in seconds, given in one of the ways in which times are written."""
    if value is None:
        return None
    try:
        given = parse_quantity(value, name) if isinstance(value, str) else value
    except ModelError as error:
        raise InputError(str(error), argument=name, got=value, expected="a time") from None
    return seconds(given, name, or_zero=name in ("hold", "fade"))


def check_device(device: str) -> None:
    """Refuse a device that torch does not know or that is not there."""
    try:
        if torch.device(device).type not in ("cpu", "cuda"):
            raise RuntimeError
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError):
        there = "cpu, cuda" if torch.cuda.is_available() else "cpu"
        raise InputError(
            f"device: {device!r} is unknown or not available here; available: {there}.",
            argument="device",
        ) from None


def times(kind: type) -> list[str]:
    """Return the names of the options of a configuration that are times."""
    hints = get_type_hints(kind, include_extras=True)
    return [name for name, hint in hints.items() if hint == Time]
