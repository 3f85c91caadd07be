"""Training files: the options of a run, and its layers if it has some, as TOML.

    [training]
    data = "mnist"
    presentation = "static"

    [[layers]]
    kind = "fixed-point"
    ...

The config.toml of a run folder is one, too. What it holds besides is not read, but its [model] must
still be what the model's name stands for.
"""

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

from ratenet.equations import load_model
from ratenet.equations.quantities import parse_quantity
from ratenet.errors import InputError
from ratenet.training.config import TrainingConfig

TIMES = ("tau", "hold", "fade", "eligibility")
RECORDED = ("model", "versions", "machine")  # sections of a run folder's config.toml


def read_options(path: str | Path) -> dict[str, Any]:
    """Return what a training file says, as arguments of `TrainingConfig`.

    Parameters
    ----------
    path : path
        Times in it are texts such as "20*ms", or numbers in seconds.

    Raises
    ------
    InputError
        If the file is missing, empty or no TOML, or has a section or an option that there is not.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "short.toml"
    >>> _ = path.write_text("training.epochs = 2")
    >>> TrainingConfig(**read_options(path)).epochs
    2
    """
    table = _read(Path(path))
    options, layers = table.get("training", {}), table.get("layers", [])
    if not table:
        raise InputError(f"{path}: the file is empty; write [training] and options, or [[layers]].")
    if not isinstance(options, dict):
        raise InputError(f"{path}: training is no table; write [training].")
    if layers == [] and "layers" in table:
        raise InputError(f"{path}: the list of layers is empty; write [[layers]] above each.")
    if not isinstance(layers, list) or not all(isinstance(layer, dict) for layer in layers):
        raise InputError(f"{path}: layers are no list of tables; write [[layers]] above each.")
    names = {field.name for field in dataclasses.fields(TrainingConfig)} - {"layers"}
    for name in options:
        if name not in names:
            raise InputError(
                f"{path}, training: there is no option {name!r}; there are "
                f"{', '.join(sorted(names))}."
            )
    times = {name: options[name] for name in TIMES if isinstance(options.get(name), str)}
    quantities = {name: parse_quantity(text, name) for name, text in times.items()}
    _check_model(path, table)
    return {**options, **quantities, **({"layers": layers} if layers else {})}


def _check_model(path: str | Path, table: dict[str, Any]) -> None:
    """Refuse a run's recorded model that is not what its name or file stands for any more."""
    name, recorded = table.get("training", {}).get("model"), table.get("model")
    if recorded is None or "layers" in table:
        return
    if not isinstance(name, str) or load_model(name).to_table() != recorded:
        raise InputError(
            f"{path}, model: it is another one than training.model, {name!r}, stands for now; take "
            "the section out, or save it as a model file and name that."
        )


def _read(path: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"config: {str(path)!r} cannot be read ({error.strerror}).") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"config: {str(path)!r} is no valid TOML ({error}).") from None
    for section in table:
        if section not in ("training", "layers", *RECORDED):
            raise InputError(
                f"{path}: there is no section {section!r}; there are [training] and [[layers]]."
            )
    return table
