"""Which run a configuration belongs to: what may differ, and what must not."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ratenet.errors import InputError, UnknownNameError
from ratenet.training.config import TrainingConfig
from ratenet.training.config_checks import NAMED, comparable, recorded_options
from ratenet.training.presentation import EULER
from ratenet.training.run_data import is_named, kept_data
from ratenet.training.run_folder import OF_MACHINE
from ratenet.training.step_length import RATE

# Options that runs were begun before there was, and what was done then:
BEGUN_WITHOUT = {
    "plasticity": None,
    "method": EULER,
    "dt": None,
    "rtol": None,
    "adjoint_tau": None,
    "step": RATE,
}
MAY_DIFFER = ("epochs", "data", "data_root", *OF_MACHINE)


def digest_of_config(
    config: TrainingConfig, tables: Mapping[str, Any], code: Sequence[Mapping[str, str]] = ()
) -> str:
    """Return a SHA-256 of all that a run's numbers follow from, but for what may differ.

    Where the learning rate follows a schedule, epochs are a part of it. The folders of the user's
    code are not, since a run may be resumed on another machine; nor is the name of the data.
    """
    may_differ = set(MAY_DIFFER) - ({"epochs"} if config.schedule != "constant" else set())
    options = comparable(recorded_options(config))
    for name, value in BEGUN_WITHOUT.items():
        if options.get(name) in (None, value):
            options.pop(name, None)
    tables = {**tables, "data": {**tables.get("data", {}), "name": ""}}
    whole: list[Any] = [{n: v for n, v in options.items() if n not in may_differ}, tables]
    if code:
        begun = [each for each in code if "since_step" not in each]
        whole.append({Path(each["file"]).name: each["sha256"] for each in begun})
    plain = json.dumps(whole, sort_keys=True, default=str)
    return hashlib.sha256(plain.encode()).hexdigest()


def resumed_config(recorded: TrainingConfig, wanted: Mapping[str, Any]) -> TrainingConfig:
    """Return the configuration to continue with: epochs, data_root and the machine may differ.

    So may the place of the user's own images.

    Raises
    ------
    InputError
        If an option differs from what the run was started with.
    UnknownNameError
        If there is no such option.
    """
    names = [field.name for field in dataclasses.fields(TrainingConfig)]
    for name in wanted:
        if name not in names:
            raise UnknownNameError.among("option", name, names)
        is_free = name in MAY_DIFFER
        if name == "data":  # the run checks images of one's own by their SHA-256
            is_free = not (is_named(recorded.data) and is_named(kept_data(wanted[name])))
        if not is_free and not _is_same(recorded, name, wanted[name]):
            started = getattr(recorded, name)
            raise InputError.at(
                name,
                got=wanted[name],
                expected=f"{getattr(started, 'name', started)!r}, as the run was started",
                remedy="leave the option out, or start another run",
            )
    wanted = {**wanted, **_layers_again(recorded, wanted)}
    config = dataclasses.replace(recorded, **wanted)
    if config.schedule != "constant" and config.epochs != recorded.epochs:
        raise InputError.at(
            "epochs",
            got=config.epochs,
            expected=f"{recorded.epochs}, which the {config.schedule} schedule was laid out for",
            remedy="start another run",
        )
    return config


def _is_same(recorded: TrainingConfig, name: str, wanted: Any) -> bool:
    """Return whether an option is what a run was started with, however it is written."""
    if name == "layers":
        wanted = _layers_again(recorded, {name: wanted}).get(name)
    try:
        asked = dataclasses.replace(recorded, **{name: wanted})
    except InputError:
        if name in NAMED:
            raise
        return False
    found, started = (comparable(recorded_options(each)) for each in (asked, recorded))
    return bool(found[name] == started[name])


def _layers_again(recorded: TrainingConfig, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recorded layers with the rules of those that are given again."""
    given = wanted.get("layers", ())
    if len(given) != len(recorded.layers):
        return dict(wanted)
    rules = [{"rule": each["rule"]} if "rule" in each else {} for each in given]
    layers = [{**old, **rule} for old, rule in zip(recorded.layers, rules, strict=True)]
    return {"layers": layers}
