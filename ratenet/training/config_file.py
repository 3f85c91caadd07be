"""Training files: the options of a run, and its layers if it has some, as TOML.

    [training]
    data = "mnist"
    presentation = "static"

    [[layers]]
    kind = "fixed-point"
    ...

The config.toml of a run folder is such a file, too. What else it holds is not read, but its [model]
must still be what the model's name stands for.
"""

import dataclasses
from pathlib import Path
from typing import Any

from ratenet.equations import load_model
from ratenet.equations.files import parse_model
from ratenet.errors import InputError, UnknownNameError, escape
from ratenet.layers.tables import TABLES
from ratenet.training.config import TrainingConfig
from ratenet.training.config_checks import recorded_as_such
from ratenet.training.method_options import as_recorded
from ratenet.validation import json_schema, read_toml

# Sections of the config.toml of a run folder:
RECORDED = ("model", "data", "code", "versions", "machine")


def read_options(path: str | Path, *, trust: bool = False) -> dict[str, Any]:
    """Return what a training file says, as arguments of `TrainingConfig`.

    Parameters
    ----------
    path : path
        Times in it are strings such as "20*ms", or numbers in seconds.
    trust : bool
        Whether code that the config.toml of a run folder names may be imported. Code that a file
        of your own names is.

    Returns
    -------
    dict
        Options by name; `layers` is the list of their tables.

    Raises
    ------
    InputError
        If the file is missing, empty or not TOML, or a section or an option in it is unknown. The
        values are checked by `TrainingConfig`.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "short.toml"
    >>> _ = path.write_text("training.epochs = 2")
    >>> TrainingConfig(**read_options(path)).epochs
    2
    """
    table, where = read_toml(Path(path)), escape(str(path))
    if not table:
        raise InputError(
            f"{where}: empty; write [training] and options, or [[layers]].", argument=where
        )
    _check_names("section", table, ("training", "layers", *RECORDED), where)
    options, layers = table.get("training", {}), table.get("layers", [])
    if not isinstance(options, dict):
        raise InputError.at(f"{where}, training", got=options, expected="a table, [training]")
    if not isinstance(layers, list) or ("layers" in table and not layers):
        expected = "tables, with [[layers]] above each"
        raise InputError.at(f"{where}, layers", got=layers, expected=expected)
    names = [field.name for field in dataclasses.fields(TrainingConfig) if field.name != "layers"]
    _check_names("option", options, names, f"{where}, training")
    is_recorded = not trust and any(name in table for name in RECORDED)
    options = as_recorded(options) if "versions" in table else options
    options = {**options, **({"layers": layers} if layers else {})}
    if "model" in table and "model" not in options and not layers:
        options["model"] = parse_model(table["model"])
    options = recorded_as_such(options) if is_recorded else options
    _check_model(where, options.get("model"), table)
    return options


def training_schema() -> dict[str, Any]:
    """Return the JSON schema of training files, by which editors complete and check them."""
    options = json_schema(TrainingConfig)
    del options["properties"]["layers"]
    layers = {
        "type": "array",
        "minItems": 1,
        "items": {"oneOf": [table.schema() for table in TABLES.values()]},
        "description": "The layers of a stack, in their order; see docs/layers.md.",
    }
    recorded = {name: {"type": "object", "description": "Recorded by a run."} for name in RECORDED}
    return {
        "$schema": options.pop("$schema"),
        "title": "ratenet training file",
        "type": "object",
        "properties": {"training": options, "layers": layers, **recorded},
        "additionalProperties": False,
    }


def _check_names(noun: str, table: dict[str, Any], allowed: Any, where: str) -> None:
    for name in table:
        if name not in allowed:
            found = UnknownNameError.among(noun, name, allowed).within(where)
            raise InputError(str(found), argument=name, got=name, expected=found.expected)


def _check_model(where: str, name: Any, table: dict[str, Any]) -> None:
    """Refuse a run's recorded model that is no longer what its name or file stands for."""
    recorded = table.get("model")
    if recorded is None or "layers" in table:
        return
    if load_model(name).to_table() != recorded:
        raise InputError(
            f"{where}: [model] differs from the current {name!r}; delete the section, or save it "
            "as a .toml file and name that as training.model.",
            argument="model",
        )
